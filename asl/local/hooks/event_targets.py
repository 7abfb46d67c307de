"""Gap: a rule needs no right to start its target, and an event that cannot start a run is lost.

Here the rule's role starts a state machine, and a function is invoked only if its own policy lets
the rule do so. What cannot be delivered to a state machine goes to the target's dead-letter queue
with the attributes that EventBridge gives it.
https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-dlq.html
https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-resource-based.html
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError
from ministack.core import concurrency, iam_evaluator
from ministack.services import eventbridge, lambda_svc

from asl.local.hooks.task_calls import Calls
from asl.local.patching import Function, existing, replace
from asl.local.settings import Settings

HOOK = "event_targets"
log = logging.getLogger(HOOK)


def install(settings: Settings) -> None:
    """Start state machines as the target's role, and functions that let the rule."""
    calls = Calls(settings)
    background: Callable[..., Any] = existing(
        HOOK, concurrency, "spawn_background", ("fn", "args", "thread_name", "kwargs")
    )
    view_of = existing(HOOK, eventbridge, "_pattern_event_view", ("event",))
    policy_of = existing(HOOK, lambda_svc, "function_policy_for_arn", ("resource_arn",))
    evaluate = existing(
        HOOK,
        iam_evaluator,
        "evaluate_resource_policy",
        ("doc", "ctx", "service", "named_only", "direct_only"),
    )

    def may_invoke(function: str, rule: dict[str, Any]) -> bool:
        policy, account = policy_of(function) or ({}, settings.account)
        caller = iam_evaluator.EvalContext(
            principal_arn="*",
            principal_type="Service",
            principal_account="",
            action="lambda:InvokeFunction",
            resource_arn=function,
            region=settings.region,
            service_context={"aws:sourcearn": rule.get("Arn", ""), "aws:sourceaccount": account},
        )
        return bool(evaluate(policy, caller, service="events.amazonaws.com").decision == "Allow")

    def make(original: Function) -> Function:
        def invoke_target(target: dict[str, Any], event: Any, rule: Any, view: Any = None) -> Any:
            transformed = {"InputTransformer", "Input", "InputPath"} & {
                key for key, value in target.items() if value
            }
            arn = target.get("Arn", "")
            if ":lambda:" in arn and not may_invoke(arn, rule):
                log.warning("%s does not let the rule %s invoke it", arn, rule.get("Arn"))
                return None
            if ":states:" not in arn or transformed:
                return original(target, event, rule, view)
            payload = json.dumps((view or view_of(event)).event_with_detail(), ensure_ascii=False)
            # The server answers this call itself, so it must not wait for it here.
            return background(deliver, calls, target, rule, payload, thread_name="rule-target")

        return invoke_target

    replace(HOOK, eventbridge, "_invoke_target", ("target", "event", "rule", "view"), make)


def deliver(calls: Calls, target: dict[str, Any], rule: dict[str, Any], payload: str) -> None:
    """Start the execution, or put the event into the dead-letter queue."""
    try:
        machine = calls.client("stepfunctions", target.get("RoleArn"))
        machine.start_execution(stateMachineArn=target["Arn"], input=payload)
    except ClientError as error:
        queue = (target.get("DeadLetterConfig") or {}).get("Arn")
        if not queue:
            raise
        sqs = calls.client("sqs", None)
        attributes = {
            "ERROR_CODE": error.response["Error"]["Code"],
            "ERROR_MESSAGE": error.response["Error"]["Message"],
            "RULE_ARN": rule.get("Arn", ""),
            "TARGET_ARN": target["Arn"],
        }
        sqs.send_message(
            QueueUrl=sqs.get_queue_url(QueueName=queue.rpartition(":")[2])["QueueUrl"],
            MessageBody=payload,
            MessageAttributes={
                name: {"DataType": "String", "StringValue": value}
                for name, value in attributes.items()
                if value
            },
        )
