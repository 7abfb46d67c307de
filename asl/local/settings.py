"""What the local AWS is told, as data: written by `asl local up`, read by the launcher.

Standard library only, because both environments import it: the project's and the emulator's.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

#: The account that the emulator answers for.
ACCOUNT = "000000000000"
REGION = "us-east-1"


@dataclass(frozen=True, slots=True)
class Settings:
    """One run of the local AWS.

    Args:
        port: On 127.0.0.1.
        state: Folder for everything that it writes; removed by `asl local down`.
        token: Told by the server's health page, so that another server on the port is not taken for it.
        project_python: Interpreter of Glue jobs; its site-packages hold PySpark.
        project_packages: Its site-packages folders.
        java_home: For Spark; None leaves it to PATH.
        concurrency: Lambda invocations that run at once; more wait, as no account has so few.
        region: AWS region.
        account: AWS account id.
    """

    port: int
    state: str
    token: str
    project_python: str
    project_packages: tuple[str, ...] = ()
    java_home: str | None = None
    concurrency: int = 2
    region: str = REGION
    account: str = ACCOUNT

    @property
    def endpoint(self) -> str:
        """URL of every service."""
        return f"http://127.0.0.1:{self.port}"

    def folder(self, name: str) -> Path:
        """Return `<state>/<name>`, made when missing."""
        path = Path(self.state) / name
        path.mkdir(parents=True, exist_ok=True)
        return path

    def write(self, path: Path) -> None:
        """Write as JSON."""
        path.write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> Settings:
        """Read what `write` wrote."""
        given = json.loads(path.read_text(encoding="utf-8"))
        return cls(**{**given, "project_packages": tuple(given["project_packages"])})
