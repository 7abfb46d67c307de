"""Put events on the account's default EventBridge bus."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from asl.integrations._arns import regional, sub
from asl.integrations._errors import unnamed
from asl.ir import Errors, Integration, Permission


def permissions(arguments: Mapping[str, Any]) -> tuple[Permission, ...]:
    """Return the right to put events on exactly the buses that the entries name."""
    buses = {sub(entry.get("EventBusName", "default")) for entry in arguments["Entries"]}
    arns = tuple(regional("events", f"event-bus/{bus}") for bus in sorted(buses))
    return (Permission(("events:PutEvents",), arns),)


INTEGRATION = Integration(
    name="events_put_events",
    resource="arn:aws:states:::events:putEvents",
    service="events",
    operation="PutEvents",
    permissions=permissions,
    transient=(
        Errors(
            (
                "EventBridge.FailedEntry",
                "Events.InternalException",
                "Events.SdkClientException",
                "Events.ThrottlingException",
            ),
            attempts=6,
            interval_seconds=1,
            max_delay_seconds=30,
            doc="https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEvents.html",
        ),
        unnamed("Events.AmazonCloudWatchEventsException"),
    ),
    timeout_seconds=30,
    doc="https://docs.aws.amazon.com/step-functions/latest/dg/connect-eventbridge.html",
)
