"""Gap: the emulator speaks plain HTTP, so a TLS-only policy denies every call to it.

Its calls never leave this machine; they count as `aws:SecureTransport`, so that the exported
policies stay as they are on AWS.
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html
"""

from __future__ import annotations

from ministack.core import iam_evaluator

from asl.local.patching import Function, replace
from asl.local.settings import Settings

HOOK = "secure_transport"
PARAMETERS = ("source_ip", "secure_transport")


def install(settings: Settings) -> None:
    """Take requests to 127.0.0.1 for requests over TLS."""
    del settings

    def make(original: Function) -> Function:
        def pin_request_origin(source_ip: str, secure_transport: bool) -> None:
            original(source_ip, secure_transport or source_ip.startswith("127."))

        return pin_request_origin

    replace(HOOK, iam_evaluator, "pin_request_origin", PARAMETERS, make)
