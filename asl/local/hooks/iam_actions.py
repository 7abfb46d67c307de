"""Gap: a batch operation of SQS asks for an action that does not exist.

On AWS `DeleteMessageBatch` needs `sqs:DeleteMessage`; the other two batch operations are named alike.
https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-api-permissions-reference.html
"""

from __future__ import annotations

from ministack.core import iam_actions

from asl.local.patching import Function, replace
from asl.local.settings import Settings

HOOK = "iam_actions"
PARAMETERS = ("service", "method", "path", "headers", "body", "query_params")


def install(settings: Settings) -> None:
    """Ask for the action of one message."""
    del settings

    def make(original: Function) -> Function:
        def extract_iam_action(*given: object) -> str | None:
            action: str | None = original(*given)
            if action and action.startswith("sqs:"):
                return action.removesuffix("Batch")
            return action

        return extract_iam_action

    replace(HOOK, iam_actions, "extract_iam_action", PARAMETERS, make)
