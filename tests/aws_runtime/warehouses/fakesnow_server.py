"""The server of `fake_snowflake.py`, for as long as a test needs it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).parent
PYTHON = HERE.parents[2] / ".venv-snowflake" / "bin" / "python"


@contextmanager
def running(buckets: Path) -> Iterator[int]:
    """Start the server and give its port; it has ended, and written its log beside the buckets, afterwards."""
    command = [str(PYTHON), str(HERE / "fake_snowflake.py"), str(buckets)]
    with (
        (buckets / "fakesnow.log").open("w+") as log,
        subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True
        ) as server,
    ):
        try:
            port = server.stdout.readline()
            assert port, (buckets / "fakesnow.log").read_text()
            yield int(port)
        finally:
            server.stdin.close()
            server.wait(30)
