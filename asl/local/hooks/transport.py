"""Gap: the emulator speaks plain HTTP, so every TLS-only policy refuses every call.

Calls never leave 127.0.0.1, so policies see them as made over TLS.
"""

from __future__ import annotations

from ministack import app

from asl.local.patching import Function, replace
from asl.local.settings import Settings

HOOK = "transport"


def install(settings: Settings) -> None:
    """Let `aws:SecureTransport` be true."""
    del settings

    def make(original: Function) -> Function:
        def pin_request_origin(source_ip: str, secure_transport: bool) -> None:
            del secure_transport
            original(source_ip, secure_transport=True)

        return pin_request_origin

    replace(HOOK, app, "pin_request_origin", ("source_ip", "secure_transport"), make)
