"""Built-in steps as a materialization's event brings them -> one function, run before the transform.

In: the JSON of the configuration's `steps`. Out: a function of lazy frames, or a `ConfigError`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from aws_runtime.codec import decode
from aws_runtime.curation import steps
from aws_runtime.curation.config import ConfigError, Step


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
