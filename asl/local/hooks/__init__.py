"""Gaps of the emulator, one module each: `install(settings)` mends it or raises `HookMismatchError`."""

from __future__ import annotations

#: In the order of installation; later ones wrap what earlier ones replaced.
HOOKS = (
    "iam_actions",
    "iam_resources",
    "secure_transport",
    "lambda_runtime",
    "task_calls",
    "state_scopes",
    "error_matching",
    "executions",
    "queueing",
    "queue_polling",
    "s3_events",
    "s3_ranges",
    "event_targets",
    "glue_jobs",
)
