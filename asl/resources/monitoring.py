"""What people look at: alarms, dashboards, the stack's outputs. In: nothing. Out: dataclasses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


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


@dataclass(frozen=True, slots=True)
class Output:
    """A stack output that operators and `asl run` look up."""

    id: str
    value: str
    description: str
