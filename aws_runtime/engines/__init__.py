"""Engines: read, check, transform, write. One file an engine; adding one changes nothing else.

An engine is a module with `CAPABILITIES` and `open_engine(limits) -> Engine`. `step.py`
drives it; nothing outside an engine's file asks for its name.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

from aws_runtime.contract import Contract
from aws_runtime.plan import FormatPlan, PartitionPlan

#: Hidden columns that every frame read from a source carries: the position of the record in its
#: file (from 1) and the file's URI. A transform that keeps them gives its quarantined rows a
#: position; they are never written to the output.
SOURCE_ROW = "source_row"
SOURCE_URI = "source_uri"


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What an engine can do, asked by the compiler instead of its name.

    Args:
        name: The module's name.
        formats: Formats that it reads.
        nested: Whether structs and lists are supported.
        runs_in: `lambda`, `glue` or both.
        requirements: Distributions that its Lambda layer holds, by name (pinned in constraints.txt).
        preference: For each format, the lower the better; the compiler takes the lowest.
        max_input_bytes: Largest input that one Lambda holds; None means no bound.
        folder_columns: Whether it gives the rows of a Parquet file the columns of `InputFile.partition`.
        sql: The dialect, as sqlglot names it, in which it runs a transform written as a query; empty for none.
    """

    name: str
    formats: frozenset[str]
    nested: bool
    runs_in: frozenset[str]
    requirements: tuple[str, ...] = ()
    preference: Mapping[str, int] = field(default_factory=dict)
    max_input_bytes: int | None = None
    folder_columns: bool = False
    sql: str = ""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one step may use: bytes of memory, threads, and a folder to spill to."""

    memory_bytes: int
    threads: int
    spill_directory: str


@dataclass(frozen=True, slots=True)
class InputFile:
    """A file to read: where its bytes are now, and the URI that it is known by.

    Args:
        path: A local path, or for Spark in Glue an `s3://` URI.
        uri: The identity written into quarantine: `s3://bucket/key` or the local path.
        partition: Values of the folders that it lies in, by name, which become text columns of its rows
            (Parquet only). A column that the file has too is taken from the file, and must agree.
    """

    path: str
    uri: str
    partition: Mapping[str, str] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class WrittenFile:
    """A Parquet file that was written: path, rows, and its partition values."""

    path: str
    rows: int
    partition: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Checked:
    """A frame split by its contract; both halves are lazy and engine-native.

    Args:
        valid: Rows that keep every ERROR rule, typed as the contract says (plus the hidden columns).
        quarantined: Columns `stage, source_uri, source_row, reasons (list of text), record (JSON text)`.
        token: Engine-private, for counting violations by rule without another pass where possible.
    """

    valid: Any
    quarantined: Any
    token: Any = None


@dataclass(frozen=True, slots=True)
class Written:
    """What `Engine.write` did: files, quarantine files, counts, and violations by rule id."""

    files: tuple[WrittenFile, ...]
    quarantine: tuple[WrittenFile, ...]
    rows_in: Mapping[str, int]
    rows_out: int
    rows_quarantined: Mapping[str, int]
    violations: Mapping[str, int]


class ReadAgain(Exception):  # noqa: N818 - a request, not an error
    """The optimistic way of reading failed; the engine now reads exactly, so run the step again."""


class Engine(Protocol):
    """One data engine, opened for one step."""

    def read(self, files: Sequence[InputFile], format: FormatPlan, contract: Contract) -> Any:  # noqa: A002 - what it is
        """Return the records lazily, as read: uncoerced, with the hidden columns.

        Raises:
            RejectedFile: The file cannot be read, lacks required columns or breaks the drift policy.
        """

    def check(self, frame: Any, contract: Contract, stage: str) -> Checked:
        """Coerce and split `frame` by the contract; `stage` is written into quarantine rows."""

    def query(self, sql: str, frames: Mapping[str, Any]) -> Any:
        """Return the rows of a query in the dialect of `Capabilities.sql` over `frames`, its tables by name."""

    def rows(self, frame: Any) -> list[tuple[Any, ...]]:
        """Return the rows of a small frame."""

    def columns(self, files: Sequence[InputFile]) -> frozenset[str]:
        """Return the names of the columns that Parquet files hold, without those of their folders."""

    def write(
        self,
        *,
        checked: Mapping[str, Checked],
        output_stage: str,
        contract: Contract,
        partition_by: Sequence[PartitionPlan],
        compression: str,
        destination: str,
        quarantine: str,
        stem: str,
    ) -> Written:
        """Write the valid rows of `output_stage` and the quarantined rows of every stage.

        Files are named `<destination>/<partition>=<value>/part-<stem>.<codec>.parquet` (`part-<stem>-<n>…`
        when more than one a partition, `aws_runtime.partitions.part_name`) and
        `<quarantine>/<stem>.parquet`, the same names for a retry.
        """


#: Opens the engine for one step of a session.
OpenStep = Callable[[], AbstractContextManager[Engine]]


class EngineModule(Protocol):
    """What a module of this package offers.

    A module whose opening costs as much as a small file also has `open_session(limits)`, a context that
    gives an `OpenStep`; steps of one session share what is costly, and nothing of their data.
    """

    CAPABILITIES: Capabilities

    def open_engine(self, limits: Limits) -> AbstractContextManager[Engine]:
        """Open the engine for one step; closes its files and connections at the end."""


@contextmanager
def open_session(module: EngineModule, limits: Limits) -> Iterator[OpenStep]:
    """Open what many steps share, or nothing where the engine has nothing to share."""
    opened: Callable[[Limits], AbstractContextManager[OpenStep]] | None = getattr(
        module, "open_session", None
    )
    if opened is None:
        yield lambda: module.open_engine(limits)
        return
    with opened(limits) as session:
        yield session


def load_engine(name: str) -> EngineModule:
    """Import the engine module `name`; raises `LookupError` listing none, as names come from a plan."""
    try:
        module: EngineModule = importlib.import_module(f"aws_runtime.engines.{name}")
    except ModuleNotFoundError as error:
        raise LookupError(f"no engine {name!r} in this bundle: {error}") from error
    return module
