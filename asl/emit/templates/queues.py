"""Queues, what feeds functions from them, and schedules -> CloudFormation."""

from __future__ import annotations

from typing import Any

from asl.emit.substitution import value
from asl.emit.templates.compute import tags
from asl.resources import DeadLetterQueue, Queue, QueueConsumer, Schedule

#: A message's age counts from its first queue on, so dead letters are kept for longer than others.
#: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-dead-letter-queues.html
FOUR_DAYS, FOURTEEN_DAYS = 345_600, 1_209_600
#: At least five, or throttling alone makes dead letters.
#: https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html
RECEIVES = 5
MESSAGES = 10


def dead_letter_queue(given: DeadLetterQueue) -> dict[str, Any]:
    """Return the queue and its policy: only its rule may write, and only over TLS."""
    allowed = (
        [_allowed("RuleOnly", given.id, "events.amazonaws.com", f"${{{given.rule}.Arn}}")]
        if given.rule
        else []
    )
    # The files that its messages name stay in their bucket, so nothing is lost with it.
    return _queue(given.id, given.pipeline, {"MessageRetentionPeriod": FOURTEEN_DAYS}, allowed)


def queue(given: Queue) -> dict[str, Any]:
    """Return the queue and its policy: only its bucket may write, and only over TLS.

    The policy names the bucket by its name, not by reference: the bucket waits for the policy,
    because S3 tries the queue when it is told to notify it.
    https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-properties-s3-bucket-notificationconfiguration.html
    """
    bucket = f"arn:${{AWS::Partition}}:s3:::{given.bucket}"
    redrive = {
        "deadLetterTargetArn": value(f"${{{given.dead_letters}.Arn}}"),
        "maxReceiveCount": RECEIVES,
    }
    return _queue(
        given.id,
        given.pipeline,
        {
            "MessageRetentionPeriod": FOUR_DAYS,
            "RedrivePolicy": redrive,
            "VisibilityTimeout": given.visibility_seconds,
        },
        [_allowed("BucketOnly", given.id, "s3.amazonaws.com", bucket)],
    )


def consumer(given: QueueConsumer) -> dict[str, Any]:
    """Return the event source mapping; one bad message does not hold up nine good ones."""
    return {
        given.id: {
            "Type": "AWS::Lambda::EventSourceMapping",
            "Properties": {
                "BatchSize": MESSAGES,
                "EventSourceArn": value(f"${{{given.queue}.Arn}}"),
                "FunctionName": {"Ref": given.function},
                "FunctionResponseTypes": ["ReportBatchItemFailures"],
                "MaximumBatchingWindowInSeconds": given.window_seconds,
                "ScalingConfig": {"MaximumConcurrency": given.concurrency},
                "Tags": tags(given.pipeline),
            },
        }
    }


def schedule(given: Schedule) -> dict[str, Any]:
    """Return the rule, and its right to invoke the function."""
    return {
        given.id: {
            "Type": "AWS::Events::Rule",
            "Properties": {
                "Description": f"Sweeps {given.pipeline}: what waits too long is started, what died is told",
                "ScheduleExpression": f"rate({given.minutes} minutes)",
                "State": "ENABLED",
                "Targets": [{"Id": "Function", "Arn": value(f"${{{given.function}.Arn}}")}],
            },
        },
        f"{given.id}Permission": {
            "Type": "AWS::Lambda::Permission",
            "Properties": {
                "Action": "lambda:InvokeFunction",
                "FunctionName": {"Ref": given.function},
                "Principal": "events.amazonaws.com",
                "SourceArn": value(f"${{{given.id}.Arn}}"),
            },
        },
    }


def _queue(
    name: str, pipeline: str, properties: dict[str, Any], allowed: list[dict[str, Any]]
) -> dict[str, Any]:
    tls_only = {
        "Sid": "TlsOnly",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "sqs:*",
        "Resource": value(f"${{{name}.Arn}}"),
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    everything = {**properties, "SqsManagedSseEnabled": True, "Tags": tags(pipeline)}
    return {
        name: {
            "Type": "AWS::SQS::Queue",
            "DeletionPolicy": "Delete",
            "UpdateReplacePolicy": "Delete",
            "Properties": dict(sorted(everything.items())),
        },
        f"{name}Policy": {
            "Type": "AWS::SQS::QueuePolicy",
            "Properties": {
                "Queues": [{"Ref": name}],
                "PolicyDocument": {"Version": "2012-10-17", "Statement": [*allowed, tls_only]},
            },
        },
    }


def _allowed(sid: str, queue_id: str, service: str, source: str) -> dict[str, Any]:
    return {
        "Sid": sid,
        "Effect": "Allow",
        "Principal": {"Service": service},
        "Action": "sqs:SendMessage",
        "Resource": value(f"${{{queue_id}.Arn}}"),
        "Condition": {
            "ArnEquals": {"aws:SourceArn": value(source)},
            # A bucket's ARN has no account in it.
            **(
                {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}}
                if service == "s3.amazonaws.com"
                else {}
            ),
        },
    }
