"""Passes: `Machine -> Machine`, one a file, in this order.

`timeouts` before `retries`, because a Task with a timeout is worth a retry on it; `catches` after
`retries`, because AWS tries again before it catches; `names` last, over whatever the others made.
"""

from __future__ import annotations

from collections.abc import Callable

from asl.ir import Machine
from asl.passes.catches import add_catches
from asl.passes.fuse import fuse_passes
from asl.passes.names import shorten_names
from asl.passes.retries import add_retries
from asl.passes.timeouts import add_timeouts

Pass = Callable[[Machine], Machine]

PASSES: tuple[Pass, ...] = (fuse_passes, add_timeouts, add_retries, add_catches, shorten_names)
