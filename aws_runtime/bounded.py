"""Texts and lists cut to a number of bytes, as a state machine's payload holds them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any


def shortened(text: str, most: int) -> str:
    """Cut `text` so that its JSON is at most `most` bytes, and say that it was cut."""
    if json_size(text) <= most:
        return text
    low, high = 0, min(len(text), most)
    while low < high:
        middle = (low + high + 1) // 2
        if json_size(text[:middle] + "…") <= most:
            low = middle
        else:
            high = middle - 1
    return text[:low] + "…"


def json_size(value: Any) -> int:
    """Return how many bytes the JSON of `value` has at most."""
    # Escaped to ASCII, the longest form in which the runtime can send it.
    return len(json.dumps(value))


def bounded(texts: Sequence[str], count: int, most: int) -> list[str]:
    """Return the first texts, at most `count` and at most `most` bytes of JSON; never half of one."""
    taken: list[str] = []
    used = 2
    for text in sorted(texts)[:count]:
        used += json_size(text) + 2
        if used > most:
            break
        taken.append(text)
    return taken
