"""What runs code: roles, logs, layers, functions, Glue jobs, state machines. In: nothing. Out: dataclasses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from asl.ir import Permission


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
