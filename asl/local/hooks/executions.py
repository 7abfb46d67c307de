"""Gap: a second StartExecution of one name is refused even where AWS answers with the first's ARN.

On AWS the call is idempotent while the execution runs: the same name with the same input is that
execution. Another input, or an execution that has ended, is `ExecutionAlreadyExists`.
https://docs.aws.amazon.com/step-functions/latest/apireference/API_StartExecution.html
"""

from __future__ import annotations

import json
import threading
from typing import Any

from ministack.core.responses import json_response
from ministack.services import stepfunctions

from asl.local.patching import Function, existing, replace
from asl.local.settings import Settings

HOOK = "executions"
TAKEN = "ExecutionAlreadyExists"

_machine_arn = existing(HOOK, stepfunctions, "_resolve_state_machine_arn", ("arn",))


def install(settings: Settings) -> None:
    """Answer a repeated start with the execution that runs, one start at a time."""
    del settings
    lock = threading.Lock()  # the emulator looks the name up and takes it in two steps

    def make(original: Function) -> Function:
        def start_execution(data: dict[str, Any]) -> Any:
            with lock:
                status, headers, body = original(data)
                running = _running(data) if status != 200 and TAKEN.encode() in _bytes(body) else None
            if running is None:
                return status, headers, body
            return json_response({name: running[name] for name in ("executionArn", "startDate")})

        return start_execution

    replace(HOOK, stepfunctions, "_start_execution", ("data",), make)


def _running(data: dict[str, Any]) -> dict[str, Any] | None:
    """Return the execution of that name and input if it has not ended."""
    machine = _machine_arn(data.get("stateMachineArn", "").partition("#")[0]) or ""
    arn = f"{machine.replace(':stateMachine:', ':execution:')}:{data.get('name')}"
    found: dict[str, Any] | None = stepfunctions._executions.get(arn)  # noqa: SLF001 - what a hook is for
    if found is None or found["status"] != "RUNNING":
        return None
    same = _read(found["input"]) == _read(data.get("input", "{}"))
    return found if same else None


def _read(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _bytes(body: bytes | str) -> bytes:
    return body if isinstance(body, bytes) else body.encode()
