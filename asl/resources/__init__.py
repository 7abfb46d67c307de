"""AWS resources as typed values, between the declarations and the template.

In: what `asl.provision` decides. Out: frozen dataclasses without behaviour, one for each kind of
thing that a deployment owns; `asl.emit.templates` knows how each becomes CloudFormation. Only what
differs between deployments is a field; what every bucket or queue has alike is in its emitter.

Every text is a `Fn::Sub` template: `${LogicalId}`, `${LogicalId.Arn}`, `${AWS::StackName}`.
"""

from __future__ import annotations

from asl.resources.compute import Function, GlueJob, Layer, LogGroup, Role, StateMachine
from asl.resources.messages import AlertKey, DeadLetterQueue, EventRule, Queue, QueueConsumer, Schedule, Topic
from asl.resources.monitoring import Alarm, Dashboard, Output
from asl.resources.storage import (
    Bucket,
    CatalogColumn,
    CatalogDatabase,
    CatalogTable,
    Crawler,
    Notification,
    Table,
)

__all__ = [
    "Alarm",
    "AlertKey",
    "Bucket",
    "CatalogColumn",
    "CatalogDatabase",
    "CatalogTable",
    "Crawler",
    "Dashboard",
    "DeadLetterQueue",
    "EventRule",
    "Function",
    "GlueJob",
    "Layer",
    "LogGroup",
    "Notification",
    "Output",
    "Queue",
    "QueueConsumer",
    "Resource",
    "Role",
    "Schedule",
    "StateMachine",
    "Table",
    "Topic",
]

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
