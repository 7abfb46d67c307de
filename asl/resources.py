"""AWS resources as typed values, between the declarations and the template.

In: what `asl.provision` decides. Out: frozen dataclasses without behaviour, one for each kind of
thing that a deployment owns; `asl.emit.templates` knows how each becomes CloudFormation. Only what
differs between deployments is a field; what every bucket or queue has alike is in its emitter.

Every text is a `Fn::Sub` template: `${LogicalId}`, `${LogicalId.Arn}`, `${AWS::StackName}`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from asl.ir import Permission


@dataclass(frozen=True, slots=True)
class Notification:
    """What a bucket tells a queue of: objects created whose keys begin and end so.

    Args:
        queue: Logical id of the queue.
        prefix: Of the keys; empty for any.
        suffix: Of the keys; empty for any.
    """

    queue: str
    prefix: str = ""
    suffix: str = ""


@dataclass(frozen=True, slots=True)
class Bucket:
    """An S3 bucket: versioned, encrypted, TLS only, kept when the stack goes.

    Args:
        id: Logical id.
        name: Logical name; physically `<stack>-<name>-<account>`.
        events: Whether its events go to EventBridge.
        notifications: Queues that its events go to.
        aborts_uploads_after_days: Incomplete multipart uploads.
        expires_noncurrent_after_days: Versions that were overwritten or deleted.
    """

    id: str
    name: str
    events: bool = False
    notifications: tuple[Notification, ...] = ()
    aborts_uploads_after_days: int = 7
    expires_noncurrent_after_days: int = 90


@dataclass(frozen=True, slots=True)
class Role:
    """An IAM role of one function, job, machine, crawler or rule.

    Args:
        id: Logical id.
        service: Principal, `lambda.amazonaws.com`.
        permissions: What it may do.
        pipeline: For the tags.
        uses_data_key: Whether it handles objects that `KmsKeyArn` may encrypt.
        uses_topic_key: Whether it publishes to the encrypted alert topic.
        in_vpc: Whether it makes network interfaces where the function runs in a VPC.
    """

    id: str
    service: str
    permissions: tuple[Permission, ...]
    pipeline: str
    uses_data_key: bool = False
    uses_topic_key: bool = False
    in_vpc: bool = False


@dataclass(frozen=True, slots=True)
class LogGroup:
    """A log group with a retention."""

    id: str
    name: str
    retention_days: int
    pipeline: str


@dataclass(frozen=True, slots=True)
class Layer:
    """A Lambda layer of one engine's distributions, or of the front door's.

    Args:
        id: Logical id.
        engine: The engine's name, or `front_door`: what orchestrators, manifest builders and sweepers need.
        key: S3 key of its zip in the artifacts bucket, named by the hash of its pins.
    """

    id: str
    engine: str
    key: str


@dataclass(frozen=True, slots=True)
class Function:
    """A Lambda function: it materializes one asset, or stands at the front door.

    Args:
        id: Logical id.
        role: Logical id of its role.
        layer: Logical id of its layer.
        log_group: Logical id.
        key: S3 key of its zip in the artifacts bucket, named by the hash of its content.
        handler: `module.function`.
        memory_mb: Memory.
        storage_mb: `/tmp`.
        timeout_seconds: Of one invocation.
        environment: Variables.
        description: For the console.
        pipeline: For the tags.
        tags: Of the asset.
        in_vpc: Whether it runs in the given subnets, where there are any: what touches data does.
    """

    id: str
    role: str
    layer: str
    log_group: str
    key: str
    handler: str
    memory_mb: int
    storage_mb: int
    timeout_seconds: int
    environment: Mapping[str, str]
    description: str
    pipeline: str
    tags: Mapping[str, str] = field(default_factory=dict)
    in_vpc: bool = True


@dataclass(frozen=True, slots=True)
class GlueJob:
    """A Glue 5.1 Spark job that materializes one asset.

    Args:
        id: Logical id.
        role: Logical id of its role.
        script_key: S3 key of the script in the artifacts bucket.
        arguments: Default arguments.
        workers: G.1X workers.
        timeout_minutes: Of one run.
        concurrent_runs: Runs at a time; more wait in the state machine's retries.
        description: For the console.
        pipeline: For the tags.
        tags: Of the asset.
    """

    id: str
    role: str
    script_key: str
    arguments: Mapping[str, str]
    workers: int
    timeout_minutes: int
    concurrent_runs: int
    description: str
    pipeline: str
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CatalogDatabase:
    """A Glue database."""

    id: str
    name: str
    description: str


@dataclass(frozen=True, slots=True)
class CatalogColumn:
    """A column of a catalog table, with its Hive type."""

    name: str
    type: str
    comment: str = ""


@dataclass(frozen=True, slots=True)
class CatalogTable:
    """A Glue table of Parquet files.

    Args:
        id: Logical id.
        database: Logical id of its database.
        name: Table name.
        location: `s3://…/`.
        columns: Of the files.
        partition_keys: Hive partition columns, outermost first.
        compression: Parquet codec.
        description: For the catalog.
    """

    id: str
    database: str
    name: str
    location: str
    columns: tuple[CatalogColumn, ...]
    partition_keys: tuple[CatalogColumn, ...]
    compression: str
    description: str


@dataclass(frozen=True, slots=True)
class Crawler:
    """A Glue crawler over tables that the catalog has already.

    Args:
        id: Logical id.
        name: Physical name.
        role: Logical id of its role.
        database: Logical id.
        tables: Logical ids.
        pipeline: For the tags.
    """

    id: str
    name: str
    role: str
    database: str
    tables: tuple[str, ...]
    pipeline: str


@dataclass(frozen=True, slots=True)
class Table:
    """A DynamoDB table: on demand, encrypted, restorable, kept when the stack goes.

    Args:
        id: Logical id.
        keys: Its partition key and, where it has one, its sort key: name and type, `S` or `N`.
        pipeline: For the tags.
        name: Physical name, a template; empty to let CloudFormation choose.
        live: Whether it has the sparse index `live`, of what is not finished (docs/ingress.md).
        expires: Whether items expire by `expires_at`.
    """

    id: str
    keys: tuple[tuple[str, str], ...]
    pipeline: str
    name: str = ""
    live: bool = False
    expires: bool = True


@dataclass(frozen=True, slots=True)
class Queue:
    """An SQS queue of a bucket's events.

    Args:
        id: Logical id.
        dead_letters: Logical id of the queue of messages that could not be handled.
        bucket: Physical name of the bucket that may write to it, a template.
        visibility_seconds: How long a message that is being handled is hidden.
        pipeline: For the tags.
    """

    id: str
    dead_letters: str
    bucket: str
    visibility_seconds: int
    pipeline: str


@dataclass(frozen=True, slots=True)
class QueueConsumer:
    """What feeds a queue's messages to a function, ten at a time; the function answers for each.

    Args:
        id: Logical id.
        queue: Logical id.
        function: Logical id.
        concurrency: The most invocations at a time (2 to 1,000).
        window_seconds: How long messages are gathered for one invocation.
        pipeline: For the tags.
    """

    id: str
    queue: str
    function: str
    concurrency: int
    window_seconds: int
    pipeline: str


@dataclass(frozen=True, slots=True)
class Schedule:
    """An EventBridge rule that invokes a function every so many minutes.

    Args:
        id: Logical id.
        function: Logical id.
        minutes: Between two invocations.
        pipeline: For the description.
    """

    id: str
    function: str
    minutes: int
    pipeline: str


@dataclass(frozen=True, slots=True)
class AlertKey:
    """The KMS key of the alert topics, where no key is given: CloudWatch cannot use AWS's own."""

    id: str


@dataclass(frozen=True, slots=True)
class Topic:
    """The SNS topic of a pipeline's alerts.

    Args:
        id: Logical id.
        email: Address to subscribe, or None.
        pipeline: For the tags.
    """

    id: str
    email: str | None
    pipeline: str


@dataclass(frozen=True, slots=True)
class DeadLetterQueue:
    """An SQS queue of events that could not start an execution.

    Args:
        id: Logical id.
        pipeline: For the tags.
        rule: Logical id of the rule that may write to it; empty where SQS itself does.
    """

    id: str
    pipeline: str
    rule: str = ""


@dataclass(frozen=True, slots=True)
class EventRule:
    """An EventBridge rule that starts one execution for each object created.

    Args:
        id: Logical id.
        bucket: Physical name of the bucket, a template.
        keys: Matchers of the object's key, in EventBridge's pattern syntax.
        machine: Logical id of the state machine.
        role: Logical id of the role that starts it.
        dead_letters: Logical id of the queue.
        pipeline: For the description.
    """

    id: str
    bucket: str
    keys: tuple[Mapping[str, Any], ...]
    machine: str
    role: str
    dead_letters: str
    pipeline: str


@dataclass(frozen=True, slots=True)
class StateMachine:
    """A Step Functions state machine.

    Args:
        id: Logical id.
        role: Logical id.
        log_group: Logical id.
        definition: In Amazon States Language, with `${Name}` placeholders.
        substitutions: Template text by placeholder.
        pipeline: For the tags.
    """

    id: str
    role: str
    log_group: str
    definition: Mapping[str, Any]
    substitutions: Mapping[str, str]
    pipeline: str


@dataclass(frozen=True, slots=True)
class Alarm:
    """A CloudWatch alarm to the pipeline's topic; missing data is no alarm.

    Args:
        id: Logical id.
        description: What it means and what to do.
        namespace: `AWS/States` ….
        metric: Metric name.
        dimensions: Template text by name.
        statistic: `Sum` or `Maximum`.
        threshold: Fires above it.
        periods: 5-minute periods in a row.
        topics: Logical ids of the topics that are told.
        pipeline: For the tags.
    """

    id: str
    description: str
    namespace: str
    metric: str
    dimensions: Mapping[str, str]
    statistic: str
    threshold: int
    periods: int
    topics: tuple[str, ...]
    pipeline: str


@dataclass(frozen=True, slots=True)
class Dashboard:
    """A CloudWatch dashboard.

    Args:
        id: Logical id.
        name: Physical name, a template.
        body: Widgets, with templates in its texts.
    """

    id: str
    name: str
    body: Mapping[str, Any]


Resource = (
    Alarm
    | AlertKey
    | Bucket
    | CatalogDatabase
    | CatalogTable
    | Crawler
    | Dashboard
    | DeadLetterQueue
    | EventRule
    | Function
    | GlueJob
    | Layer
    | LogGroup
    | Queue
    | QueueConsumer
    | Role
    | Schedule
    | StateMachine
    | Table
    | Topic
)


@dataclass(frozen=True, slots=True)
class Output:
    """A stack output that operators and `asl run` look up."""

    id: str
    value: str
    description: str
