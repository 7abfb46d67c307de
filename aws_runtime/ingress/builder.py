"""The manifest builder: arrivals -> batches of one date each, without a lock (docs/ingress.md).

In: the distinct arrivals of one invocation. Out: what became of each. The proof that a file lands in
one batch only rests on two facts, kept here:

- the batch n + 1 of a date comes into being only after the files of n have their items;
- a write depends on the last batch being as it was read, and the items were read after it.

So whoever reads the last batch, and then the items, knows every file of the date, until a condition
fails; then it reads again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from aws_runtime.ingress import aws
from aws_runtime.ingress.aws import Change, Clients, Item, moment, number, put_new, text, update
from aws_runtime.ingress.batches import (
    MAX_WEIGHT,
    MIN_RETENTION_DAYS,
    Addition,
    Batch,
    date_of,
    entry,
    expiry,
    fill,
    in_order,
    manifest_uri,
)
from aws_runtime.ingress.launch import launch, record_files, settle
from aws_runtime.ingress.notifications import Arrival
from aws_runtime.ingress.settings import BatchSettings

#: So often a builder reads a date again because others were quicker; then its messages come back.
ATTEMPTS = 60


@dataclass(frozen=True, slots=True)
class Built:
    """What became of an invocation's files.

    Args:
        placed: How many were put into batches.
        known: How many were in batches already.
        sealed: Batches that this invocation filled, as `date`, `number`.
        failed: By `file_id`, what kept a file from its batch; its message comes back.
    """

    placed: int
    known: int
    sealed: tuple[tuple[str, int], ...]
    failed: Mapping[str, Exception] = field(default_factory=dict)
