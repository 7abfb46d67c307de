"""What a configuration adds to a step: built-in steps before the transform, rows that meet those of the table.

In: `event.curation` of a materialization. Out: functions that the step calls, or a `ConfigError`.
`aws_runtime.materialize` finds this module by its name, so all that it takes hangs on it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from aws_runtime.codec import decode
from aws_runtime.curation import steps
from aws_runtime.curation.config import ConfigError, Step
from aws_runtime.curation.existing import prepared as merging

__all__ = ["merging", "prepared"]


def prepared(given: Sequence[Mapping[str, Any]]) -> Callable[[steps.Frame], steps.Frame]:
    """Check the steps and return what runs them in order.

    Raises:
        ConfigError: A step is none, or holds an expression or type that is none.
    """
    try:
        decoded = tuple(decode(Step, one, f"steps[{at}]") for at, one in enumerate(given))
    except ConfigError:
        raise
    except ValueError as error:
        raise ConfigError(str(error)) from None
    steps.check(decoded)
    return partial(steps.apply, decoded)
