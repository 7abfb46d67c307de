"""Gap: a burst of files starts one interpreter for each, and the machine swaps to death.

An AWS account runs a thousand functions at once; a laptop runs as many as it has cores. A state
that invokes a function waits here for a free place before its timeout starts to count, so that
nothing times out or is throttled for want of a data centre.
"""

from __future__ import annotations

import threading
from typing import Any

from ministack.services import stepfunctions

from asl.local.patching import Function, replace
from asl.local.settings import Settings

HOOK = "queueing"


def install(settings: Settings) -> None:
    """Let at most `settings.concurrency` states invoke functions at once."""
    places = threading.BoundedSemaphore(settings.concurrency)

    def make(original: Function) -> Function:
        def invoke_resource_with_timeout(resource: str, input_data: Any, timeout: float) -> Any:
            if ":lambda:invoke" not in resource:
                return original(resource, input_data, timeout)
            with places:
                return original(resource, input_data, timeout)

        return invoke_resource_with_timeout

    replace(HOOK, stepfunctions, "_invoke_resource_with_timeout", ("resource", "input_data", "timeout"), make)
