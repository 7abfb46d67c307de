"""State machines and the rules that start them -> CloudFormation."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from asl.emit.substitution import value, values
from asl.emit.templates.compute import tags
from asl.resources import EventRule, StateMachine

#: EventBridge tries for a day, its longest, before an event is a dead letter.
#: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-retry-policy.html
RETRY_SECONDS, RETRIES = 86_400, 185


def state_machine(given: StateMachine) -> dict[str, Any]:
    """Return a standard workflow; logs tell states and errors, but never the data."""
    return {
        given.id: {
            "Type": "AWS::StepFunctions::StateMachine",
            "Properties": {
                "DefinitionString": json.dumps(given.definition, separators=(",", ":"), ensure_ascii=False),
                "DefinitionSubstitutions": values(given.substitutions),
                "LoggingConfiguration": {
                    "Destinations": [
                        {"CloudWatchLogsLogGroup": {"LogGroupArn": value(f"${{{given.log_group}.Arn}}")}}
                    ],
                    "IncludeExecutionData": False,
                    "Level": "ALL",
                },
                "RoleArn": value(f"${{{given.role}.Arn}}"),
                "StateMachineType": "STANDARD",
                "Tags": tags(given.pipeline),
                "TracingConfiguration": {"Enabled": True},
            },
        }
    }


def event_rule(given: EventRule) -> dict[str, Any]:
    """Return the rule: the whole event is the execution's input."""
    return {
        given.id: {
            "Type": "AWS::Events::Rule",
            "Properties": {
                "Description": f"Starts {given.pipeline} for each {given.each}",
                "EventPattern": _substituted(given.pattern),
                "State": "ENABLED",
                "Targets": [
                    {
                        "Id": "StateMachine",
                        "Arn": {"Ref": given.machine},
                        "RoleArn": value(f"${{{given.role}.Arn}}"),
                        "DeadLetterConfig": {"Arn": value(f"${{{given.dead_letters}.Arn}}")},
                        "RetryPolicy": {
                            "MaximumEventAgeInSeconds": RETRY_SECONDS,
                            "MaximumRetryAttempts": RETRIES,
                        },
                    }
                ],
            },
        }
    }


def _substituted(pattern: Any) -> Any:
    if isinstance(pattern, Mapping):
        return {name: _substituted(inner) for name, inner in pattern.items()}
    if isinstance(pattern, list | tuple):
        return [_substituted(inner) for inner in pattern]
    return value(pattern) if isinstance(pattern, str) else pattern
