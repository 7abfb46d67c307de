"""State machines, what starts them, and where runs are tracked -> CloudFormation."""

from __future__ import annotations

import json
from typing import Any

from asl.emit.iam import HAS_KEY
from asl.emit.substitution import value, values
from asl.emit.templates.compute import tags
from asl.resources import DeadLetterQueue, EventRule, StateMachine, TrackingTable

#: EventBridge tries for a day, its longest, before an event is a dead letter.
#: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-retry-policy.html
RETRY_SECONDS, RETRIES = 86_400, 185
FOURTEEN_DAYS = 1_209_600


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
                "Description": f"Starts {given.pipeline} for each object created",
                "EventPattern": {
                    "source": ["aws.s3"],
                    "detail-type": ["Object Created"],
                    "detail": {
                        "bucket": {"name": [value(given.bucket)]},
                        "object": {"key": [dict(key) for key in given.keys]},
                    },
                },
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


def dead_letter_queue(given: DeadLetterQueue) -> dict[str, Any]:
    """Return the queue and its policy: only its rule may write, and only over TLS."""
    arn = value(f"${{{given.id}.Arn}}")
    return {
        given.id: {
            "Type": "AWS::SQS::Queue",
            # The files that its events name stay in their bucket, so nothing is lost with it.
            "DeletionPolicy": "Delete",
            "UpdateReplacePolicy": "Delete",
            "Properties": {
                "MessageRetentionPeriod": FOURTEEN_DAYS,
                "SqsManagedSseEnabled": True,
                "Tags": tags(given.pipeline),
            },
        },
        f"{given.id}Policy": {
            "Type": "AWS::SQS::QueuePolicy",
            "Properties": {
                "Queues": [{"Ref": given.id}],
                "PolicyDocument": {
                    "Version": "2012-10-17",
                    "Statement": [
                        {
                            "Sid": "RuleOnly",
                            "Effect": "Allow",
                            "Principal": {"Service": "events.amazonaws.com"},
                            "Action": "sqs:SendMessage",
                            "Resource": arn,
                            "Condition": {"ArnEquals": {"aws:SourceArn": value(f"${{{given.rule}.Arn}}")}},
                        },
                        {
                            "Sid": "TlsOnly",
                            "Effect": "Deny",
                            "Principal": "*",
                            "Action": "sqs:*",
                            "Resource": arn,
                            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
                        },
                    ],
                },
            },
        },
    }


def tracking_table(given: TrackingTable) -> dict[str, Any]:
    """Return the table: on demand, restorable to any second, items expiring by `expires_at`."""
    return {
        given.id: {
            "Type": "AWS::DynamoDB::Table",
            "DeletionPolicy": "Retain",
            "UpdateReplacePolicy": "Retain",
            "Properties": {
                "AttributeDefinitions": [{"AttributeName": "file_id", "AttributeType": "S"}],
                "BillingMode": "PAY_PER_REQUEST",
                "KeySchema": [{"AttributeName": "file_id", "KeyType": "HASH"}],
                "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True},
                "SSESpecification": {
                    "Fn::If": [
                        HAS_KEY,
                        {"KMSMasterKeyId": {"Ref": "KmsKeyArn"}, "SSEEnabled": True, "SSEType": "KMS"},
                        {"SSEEnabled": True},
                    ]
                },
                "Tags": tags(given.pipeline),
                "TimeToLiveSpecification": {"AttributeName": "expires_at", "Enabled": True},
            },
        }
    }
