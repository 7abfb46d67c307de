"""Resources -> CloudFormation, one file for each group of services.

`EMITTERS` names, for each kind of resource, the function that turns one into the template's
resources. A new kind is a dataclass in `asl.resources` and a line here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from asl import resources
from asl.emit import iam
from asl.emit.templates import alerts, catalog, compute, orchestration, queues, s3, tables


def _role(given: resources.Role) -> dict[str, Any]:
    return {given.id: iam.role(given)}


EMITTERS: Mapping[type, Callable[[Any], dict[str, Any]]] = {
    resources.Alarm: alerts.alarm,
    resources.AlertKey: alerts.alert_key,
    resources.Bucket: s3.bucket,
    resources.CatalogDatabase: catalog.database,
    resources.CatalogTable: catalog.table,
    resources.Crawler: catalog.crawler,
    resources.Dashboard: alerts.dashboard,
    resources.DeadLetterQueue: queues.dead_letter_queue,
    resources.EventRule: orchestration.event_rule,
    resources.Function: compute.function,
    resources.GlueJob: compute.glue_job,
    resources.Layer: compute.layer,
    resources.LogGroup: compute.log_group,
    resources.Queue: queues.queue,
    resources.QueueConsumer: queues.consumer,
    resources.Role: _role,
    resources.Schedule: queues.schedule,
    resources.StateMachine: orchestration.state_machine,
    resources.Table: tables.table,
    resources.Topic: alerts.topic,
}
