"""Gap: an event source mapping reads its queue as nobody, and starts five interpreters at once.

On AWS Lambda polls with the function's role, so a role without a right on the queue gets no
message. Here every receive and delete is a real call as that role, and a mapping runs as many
batches at once as this machine has cores.
https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html
"""

from __future__ import annotations

import logging
from typing import Any

from botocore.exceptions import ClientError
from ministack.services import lambda_svc, sqs

from asl.local.hooks.task_calls import Calls
from asl.local.patching import Function, existing, replace
from asl.local.settings import Settings

HOOK = "queue_polling"
#: DeleteMessageBatch takes so many; a mapping receives no more at once.
MOST_MESSAGES = 10
log = logging.getLogger(HOOK)

_queue = existing(HOOK, sqs, "_get_q", ("url", "action"))
_function = existing(HOOK, lambda_svc, "_get_func_record_for_qualifier", ("name", "qualifier"))


def install(settings: Settings) -> None:
    """Receive and delete as the function's role."""
    calls = Calls(settings)

    def make_receive(original: Function) -> Function:
        del original

        def receive_messages_for_esm(queue_url: str, max_number: int) -> list[Any]:
            asked = {"MaxNumberOfMessages": max(1, min(MOST_MESSAGES, max_number))}
            received = _as_role(calls, "receive_message", queue_url, asked).get("Messages", [])
            handles = {message["ReceiptHandle"] for message in received}
            return [m for m in _queue(queue_url)["messages"] if m.get("receipt_handle") in handles]

        return receive_messages_for_esm

    def make_delete(original: Function) -> Function:
        del original

        def delete_messages_for_esm(queue_url: str, receipt_handles: set[str]) -> None:
            handles = sorted(receipt_handles)
            entries = [{"Id": str(n), "ReceiptHandle": handle} for n, handle in enumerate(handles)]
            if entries:
                _as_role(calls, "delete_message_batch", queue_url, {"Entries": entries})

        return delete_messages_for_esm

    def make_concurrency(original: Function) -> Function:
        def sqs_esm_concurrency(esm: Any, func_rec: Any, config: Any, queue: Any = None) -> int:
            allowed: int = original(esm, func_rec, config, queue)
            return min(allowed, settings.concurrency)

        return sqs_esm_concurrency

    replace(HOOK, sqs, "_receive_messages_for_esm", ("queue_url", "max_number"), make_receive)
    replace(HOOK, sqs, "_delete_messages_for_esm", ("queue_url", "receipt_handles"), make_delete)
    replace(
        HOOK,
        lambda_svc,
        "_sqs_esm_concurrency",
        ("esm", "func_rec", "config", "queue"),
        make_concurrency,
    )


def _as_role(calls: Calls, method: str, queue_url: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """Make one call as the role of the function that is mapped to the queue; empty when it is denied."""
    source = _queue(queue_url)["attributes"]["QueueArn"]
    try:
        answer: dict[str, Any] = getattr(calls.client("sqs", _role(source)), method)(
            QueueUrl=queue_url, **arguments
        )
    except ClientError as error:
        log.warning("the mapping of %s cannot poll: %s", source, error)
        return {}
    return answer


def _role(source: str) -> str | None:
    mappings = lambda_svc._esms.values()  # noqa: SLF001 - what a hook is for
    mapping = next((m for m in mappings if m.get("EventSourceArn") == source), None)
    if mapping is None:
        return None
    _, config = _function(mapping["FunctionName"], mapping.get("Qualifier"))
    role: str | None = (config or {}).get("Role")
    return role
