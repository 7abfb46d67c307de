"""What the roles of orchestrators, manifest builders and sweepers may do, on exact ARNs.

In: a pipeline, or a bucket with its pipelines. Out: `Permission`s. docs/ingress.md has the calls.
"""

from __future__ import annotations

from collections.abc import Sequence

from asl import names
from asl.ir import Permission
from asl.permissions import TRACES, arn, objects
from asl.triggers import runs_table_id, source_of
from ingestion_assets.pipeline import Pipeline, S3Batches, S3Queue

#: State machines that are not declared here carry this tag, its value the stack's name, to be started.
ORCHESTRATED_TAG = "ingestion:orchestrated"


#: https://docs.aws.amazon.com/step-functions/latest/dg/tag-based-policies.html
TAGGED = Permission(
    ("states:StartExecution",),
    (arn("states", "stateMachine:*"),),
    reason="Machines that are routed to by hand have no ARN here; their tag says that they may be started",
    conditions=(("StringEquals", f"aws:ResourceTag/{ORCHESTRATED_TAG}", "${AWS::StackName}"),),
)
#: Files that were routed by hand are nobody's, and so any sweeper of their bucket's.
ROUTED_BY_HAND = (
    TAGGED,
    Permission(
        ("states:DescribeExecution",),
        (arn("states", "execution:*"),),
        reason="Executions of machines that are routed to by hand; an execution has no tags",
    ),
)


def logs(log_group: str) -> tuple[Permission, ...]:
    """Return what every function needs beside its work."""
    return (Permission(("logs:CreateLogStream", "logs:PutLogEvents"), (f"${{{log_group}.Arn}}",)), TRACES)


def orchestrator(bucket: str, pipelines: Sequence[Pipeline]) -> tuple[Permission, ...]:
    """Return what the orchestrator of a bucket does: look routes up, start machines, note the start."""
    return (
        Permission(("dynamodb:BatchGetItem", "dynamodb:GetItem"), (_table(names.metadata_id(bucket)),)),
        Permission(("dynamodb:PutItem",), (_table(names.status_id(bucket)),)),
        Permission(("states:StartExecution",), tuple(f"${{{names.machine_id(p.name)}}}" for p in pipelines)),
        TAGGED,
        _consuming(names.bucket_arrivals_id(bucket)),
    )


def builder(pipeline: Pipeline) -> tuple[Permission, ...]:
    """Return what the manifest builder does."""
    return (
        *_building(pipeline),
        Permission(("states:StartExecution",), (f"${{{names.machine_id(pipeline.name)}}}",)),
        _consuming(names.arrivals_id(pipeline.name)),
    )


def sweeper(pipeline: Pipeline) -> tuple[Permission, ...]:
    """Return what the sweeper does: find what is live, ask for its execution, mend or tell."""
    machine = names.machine_id(pipeline.name)
    table = _table(runs_table_id(pipeline))
    return (
        Permission(("dynamodb:Query",), (f"{table}/index/live",)),
        Permission(("dynamodb:BatchGetItem", "dynamodb:GetItem", "dynamodb:UpdateItem"), (table,)),
        # A file or batch that is sent again is noted first and started then; the sweeper does what is left.
        Permission(("states:StartExecution",), (f"${{{machine}}}",)),
        Permission(("states:DescribeExecution",), (arn("states", f"execution:${{{machine}.Name}}:*"),)),
        Permission(("sns:Publish",), (f"${{{names.topic_id(pipeline.name)}}}",)),
        *(_building(pipeline) if isinstance(pipeline.trigger, S3Batches) else ()),
        *(ROUTED_BY_HAND if isinstance(pipeline.trigger, S3Queue) else ()),
    )


def _building(pipeline: Pipeline) -> tuple[Permission, ...]:
    """Return what making a batch takes, whoever makes it."""
    trigger = pipeline.trigger
    manifests = trigger.manifests if isinstance(trigger, S3Batches) else ""
    return (
        Permission(
            ("dynamodb:BatchGetItem", "dynamodb:PutItem", "dynamodb:Query", "dynamodb:UpdateItem"),
            (_table(names.batches_id(pipeline.name)),),
        ),
        Permission(
            ("dynamodb:BatchGetItem", "dynamodb:BatchWriteItem"), (_table(names.tracking_id(pipeline.name)),)
        ),
        Permission(("s3:PutObject",), (objects(source_of(pipeline).bucket.name, manifests),)),
    )


def _table(table: str) -> str:
    return f"${{{table}.Arn}}"


def _consuming(queue: str) -> Permission:
    """Return what feeding a queue's messages to a function takes.

    https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html
    """
    return Permission(
        ("sqs:ChangeMessageVisibility", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage"),
        (f"${{{queue}.Arn}}",),
    )
