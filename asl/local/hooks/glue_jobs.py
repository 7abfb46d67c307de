"""Gap: Spark jobs succeed without running; scripts get their arguments as environment variables.

Here a job run is a process of the project's interpreter: the script and --extra-py-files are
fetched with the job's role, arguments arrive in argv, and calls go out as that role. Site hooks
are off (-S), so a module that only an editable install provides is missing, as it is in Glue.
https://docs.aws.amazon.com/glue/latest/dg/aws-glue-programming-etl-glue-arguments.html
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import threading
from pathlib import Path
from typing import Any

from ministack.services import glue

from asl.local.hooks.task_calls import Calls
from asl.local.patching import Function, replace
from asl.local.settings import Settings

HOOK = "glue_jobs"
RUN = ("run", "job", "args", "resolved")

#: Zips and modules on the script's path.
EXTRA_FILES = "--extra-py-files"
#: A session that fits beside everything else, and listens on 127.0.0.1 only.
SPARK_DEFAULTS = """spark.master local[2]
spark.driver.host 127.0.0.1
spark.driver.bindAddress 127.0.0.1
spark.driver.memory 2g
spark.ui.enabled false
spark.sql.shuffle.partitions 4
"""


def install(settings: Settings) -> None:
    """Run every Python job as a process, one at a time."""
    calls = Calls(settings)
    place = threading.BoundedSemaphore(1)
    configuration = settings.folder("spark-conf")
    (configuration / "spark-defaults.conf").write_text(SPARK_DEFAULTS, encoding="utf-8")

    def make_run(original: Function) -> Function:
        del original

        def execute_subprocess(
            run: dict[str, Any], job: dict[str, Any], args: dict[str, Any], resolved: str
        ) -> None:
            del resolved
            with place:
                try:
                    state, message = execute(settings, calls, run, job, args)
                except Exception as error:  # noqa: BLE001 - a run that cannot start is a failed run
                    state, message = "FAILED", f"{type(error).__name__}: {error}"
            run["ErrorMessage"] = message
            run["JobRunState"] = state

        return execute_subprocess

    def make_kind(original: Function) -> Function:
        del original
        return never

    replace(HOOK, glue, "_execute_subprocess", RUN, make_run)
    replace(HOOK, glue, "_is_spark_job", ("job",), make_kind)


def never(job: dict[str, Any]) -> bool:
    """Take no job for one that needs a Spark container: the process above runs them all."""
    del job
    return False


def execute(
    settings: Settings, calls: Calls, run: dict[str, Any], job: dict[str, Any], args: dict[str, Any]
) -> tuple[str, str]:
    """Run one job; return its final state and its error message."""
    log = settings.folder("glue-logs") / f"{run['Id']}.log"
    with tempfile.TemporaryDirectory(dir=settings.folder("glue-tmp")) as folder:
        scratch = Path(folder)
        script = _fetch(calls, job, job["Command"]["ScriptLocation"], scratch)
        extra = [_fetch(calls, job, uri, scratch) for uri in str(args.get(EXTRA_FILES, "")).split(",") if uri]
        (scratch / "tmp").mkdir()
        command = [
            settings.project_python,
            "-S",
            str(script),
            "--JOB_NAME",
            run["JobName"],
            "--JOB_RUN_ID",
            run["Id"],
        ]
        command += [text for name, value in args.items() for text in (name, str(value))]
        try:
            with log.open("wb") as output:
                done = subprocess.run(
                    command,
                    cwd=scratch,
                    env=_environment(settings, calls, job, extra, scratch / "tmp"),
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    timeout=60 * float(job.get("Timeout") or 2880),
                    check=False,
                )
        except subprocess.TimeoutExpired:
            return "TIMEOUT", f"the run exceeded {job.get('Timeout')} minutes"
    if done.returncode == 0:
        return "SUCCEEDED", ""
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return "FAILED", lines[-1][:1000] if lines else f"exit code {done.returncode}"


def _fetch(calls: Calls, job: dict[str, Any], uri: str, folder: Path) -> Path:
    """Download an object as the job's role, into a folder of its own: names may repeat."""
    bucket, _, key = uri.strip().removeprefix("s3://").partition("/")
    path = Path(tempfile.mkdtemp(dir=folder)) / Path(key).name
    path.write_bytes(calls.client("s3", job.get("Role")).get_object(Bucket=bucket, Key=key)["Body"].read())
    return path


def _environment(
    settings: Settings, calls: Calls, job: dict[str, Any], extra: list[Path], scratch: Path
) -> dict[str, str]:
    """Return the job's environment: its role's session, its modules, its Spark."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LAMBDA")}
    modules = [*map(str, extra), *settings.project_packages]
    environment |= {name.upper(): value for name, value in calls.credentials(job.get("Role")).items()}
    environment |= {
        "AWS_DEFAULT_REGION": settings.region,
        "AWS_REGION": settings.region,
        "AWS_ENDPOINT_URL": settings.endpoint,
        "PYTHONPATH": os.pathsep.join(modules),
        "PYSPARK_PYTHON": settings.project_python,
        "SPARK_CONF_DIR": str(settings.folder("spark-conf")),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "SPARK_LOCAL_DIRS": str(scratch),
        "TMPDIR": str(scratch),
    }
    if settings.java_home:
        environment["JAVA_HOME"] = settings.java_home
    return environment
