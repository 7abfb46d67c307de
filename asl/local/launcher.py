"""Start the emulator with its gaps mended: settings in, a server on 127.0.0.1 until it is ended.

Runs in the emulator's own environment (its botocore is pinned), never in the project's.
"""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path

from asl.local.hooks import HOOKS
from asl.local.patching import HookMismatchError, require_pinned
from asl.local.settings import Settings

CONSTRAINTS = Path(__file__).with_name("constraints.txt")


def environment(settings: Settings) -> dict[str, str]:
    """Return the emulator's own settings; it reads them when it is imported."""
    nowhere = os.devnull
    return {
        "AUTH": "true",  # IAM policies are enforced
        "AWS_CONFIG_FILE": nowhere,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_ENDPOINT_URL": settings.endpoint,
        "AWS_SHARED_CREDENTIALS_FILE": nowhere,
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(settings.port),
        "IOT_MTLS_ENABLED": "0",
        "LOG_LEVEL": "WARNING",
        "MINISTACK_ACCOUNT_ID": settings.account,
        "MINISTACK_EDITION": settings.token,  # its health page tells it
        "MINISTACK_REGION": settings.region,
        "S3_PERSIST": "0",
        "SFTP_ENABLED": "0",
        "TMPDIR": str(settings.folder("tmp")),
    }


def main(path: str) -> None:
    """Install every hook, then serve.

    Raises:
        HookMismatchError: The emulator is not the one that the hooks were written for.
    """
    settings = Settings.read(Path(path))
    os.environ.pop("AWS_PROFILE", None)
    os.environ.update(environment(settings))
    require_pinned("ministack", CONSTRAINTS)
    for name in HOOKS:  # only now: the emulator reads its environment when it is imported
        importlib.import_module(f"asl.local.hooks.{name}").install(settings)
    if "ministack.app" in sys.modules:  # it took names that were not replaced yet
        raise HookMismatchError("*", "the emulator's server was imported before every hook was installed")
    sys.argv = ["ministack"]  # its command line is parsed by the call below
    importlib.import_module("ministack.app").main()
