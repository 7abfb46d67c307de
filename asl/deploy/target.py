"""Where a deployment goes: AWS with the user's own credentials, or the local AWS with none.

For the local AWS nothing of the user's AWS configuration is read, not even a profile's name.
"""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import boto3
import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError

from asl.deploy.errors import OperationError
from asl.local.server import STATE, require
from asl.local.settings import REGION

NAMES = ("local", "aws")
#: Session settings that could otherwise come from the environment or the user's files.
ISOLATED = {
    "profile": (None, None, None, None),
    "config_file": (None, None, os.devnull, None),
    "credentials_file": (None, None, os.devnull, None),
}
RETRIES = Config(retries={"mode": "adaptive", "max_attempts": 8}, max_pool_connections=32)


@dataclass(frozen=True)
class Target:
    """An account to deploy to.

    Args:
        name: `local` or `aws`.
        endpoint: URL of every service; None on AWS.
    """

    name: str
    endpoint: str | None = None
    _clients: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)
    _lock: Any = field(default_factory=threading.Lock, compare=False, repr=False)

    @classmethod
    def local(cls, endpoint: str) -> Target:
        """Return the local AWS at `endpoint`."""
        return cls("local", endpoint)

    @classmethod
    def named(cls, name: str, state: Path = STATE) -> Target:
        """Return the target that the user names.

        Raises:
            OperationError: ASL403 when the local AWS does not run.
        """
        return cls.local(require(state).endpoint) if name == "local" else cls(name)

    @property
    def is_local(self) -> bool:
        """Whether this is the local AWS."""
        return self.endpoint is not None

    def client(self, service: str) -> Any:
        """Return the boto3 client of a service; clients are made once and may be used by threads."""
        with self._lock:
            if service not in self._clients:
                self._clients[service] = self._connect()(service, config=RETRIES)
            return self._clients[service]

    def _connect(self) -> Any:
        if self.endpoint is None:
            return _own_session().client
        session = boto3.session.Session(botocore_session=botocore.session.Session(session_vars=ISOLATED))
        return partial(
            session.client,
            endpoint_url=self.endpoint,
            region_name=REGION,
            aws_access_key_id="test",
            aws_secret_access_key="test",  # noqa: S106 - the emulator's root, not a secret
        )

    @property
    def account(self) -> str:
        """Return the account's id."""
        account: str = self.client("sts").get_caller_identity()["Account"]
        return account

    @property
    def region(self) -> str:
        """Return the region."""
        region: str = self.client("sts").meta.region_name
        return region


def _own_session() -> boto3.session.Session:
    """Return a session with the user's own region and credentials.

    Raises:
        OperationError: ASL417 when there is no region, no credentials, or no such profile.
    """
    hint = "Set AWS_DEFAULT_REGION and AWS_PROFILE, or run aws configure"
    try:
        session = boto3.session.Session()
        missing = (
            "region" if not session.region_name else "credentials" if not session.get_credentials() else None
        )
    except BotoCoreError as error:
        raise OperationError("ASL417", f"AWS cannot be reached: {str(error).rstrip('.')}", hint) from error
    if missing:
        raise OperationError("ASL417", f"AWS cannot be reached: no {missing} found", hint)
    return session
