"""Gap: S3's events on EventBridge lack the object's version.

A versioned bucket's event names the version, which is what a file is known by.
https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html
"""

from __future__ import annotations

import contextvars
import json
from typing import Any

from ministack.services import eventbridge, s3

from asl.local.patching import Function, replace
from asl.local.settings import Settings

HOOK = "s3_events"
FIRE = (
    "bucket_name",
    "key",
    "event_name",
    "size",
    "etag",
    "deletion_type",
    "restore_event_data",
    "version_id",
    "sequencer",
    "object_extra",
    "record_extra",
)

_version: contextvars.ContextVar[str | None] = contextvars.ContextVar("version of the object", default=None)


def install(settings: Settings) -> None:
    """Carry the version from where S3 fires the event to where EventBridge takes it."""
    del settings
    replace(HOOK, s3, "_fire_s3_event", FIRE, _remember)
    replace(HOOK, eventbridge, "_dispatch_event", ("event", "view"), _add)


def _remember(original: Function) -> Function:
    def fire_s3_event(*given: Any, **named: Any) -> None:
        token = _version.set({**dict(zip(FIRE, given, strict=False)), **named}.get("version_id"))
        try:
            original(*given, **named)
        finally:
            _version.reset(token)

    return fire_s3_event


def _add(original: Function) -> Function:
    def dispatch_event(event: dict[str, Any], view: Any = None) -> Any:
        version = _version.get()
        if version and version != "null" and event.get("Source") == "aws.s3" and view is None:
            detail = json.loads(event["Detail"])
            detail["object"].setdefault("version-id", version)
            event = {**event, "Detail": json.dumps(detail, ensure_ascii=False)}
        return original(event, view)

    return dispatch_event
