"""The configuration of one curation run: declared defaults < SSM parameter < execution input.

In: up to three JSON documents with the same keys. Out: one checked `Config`, or a `ConfigError` that
names the key, before anything is touched. docs/curation.md explains every key.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from datetime import date, timedelta
from enum import StrEnum
from itertools import product
from typing import Any

from aws_runtime.codec import decode
from aws_runtime.contract import Drift

#: Combinations of partition values that a run may be expected to bring.
MOST_EXPECTED = 100_000
_SAID_CHARACTERS = 1_000
#: Digits of an expected number.
_WIDEST = 20
#: The layers of a configuration, the weakest first.
LAYERS = ("declaration", "parameter", "input")


class ConfigError(ValueError):
    """A configuration that cannot be meant: the key, the layer that says it, and how to mend it; in one line."""

    def __init__(self, said: str) -> None:
        super().__init__(" ".join(said.split())[:_SAID_CHARACTERS])


class ProcessorType(StrEnum):
    """What runs the transform; AUTO chooses between the first two by bytes."""

    LAMBDA = "lambda"
    GLUE_PYSPARK = "glue_pyspark"
    GLUE_SQL = "glue_sql"
    AUTO = "auto"


class OutputFormat(StrEnum):
    """Format of the curated files."""

    PARQUET = "parquet"
    CSV = "csv"
    JSON = "json"


class TableFormat(StrEnum):
    """How files make a table: plain files in Hive folders, or a Delta Lake table."""

    FILES = "files"
    DELTA = "delta"


class SchemaEvolution(StrEnum):
    """What a run may change of the catalog's table: ADD adds columns; REPLACE makes it the contract's."""

    ADD = "add"
    REPLACE = "replace"


class WriteMode(StrEnum):
    """How rows meet the rows that are there.

    APPEND adds the files of a run; a run that is repeated replaces its own. OVERWRITE_PARTITIONS
    replaces the partitions that the run brings. MERGE updates rows of equal keys and inserts the
    others. SCD2 closes the current row of an equal key where it differs, and inserts the new one.
    """

    APPEND = "append"
    OVERWRITE_PARTITIONS = "overwrite_partitions"
    MERGE = "merge"
    SCD2 = "scd2"


@dataclass(frozen=True, slots=True)
class Expected:
    """The values that a partition column must bring: a list, or a range of days or of numbers.

    Args:
        values: Texts as they stand in the path.
        start: First day (`2024-07-01`) or number (`0`).
        end: Last day or number, included.
        width: Digits of a number, padded with zeros.
    """

    values: tuple[str, ...] = ()
    start: str = ""
    end: str = ""
    width: int = 2


@dataclass(frozen=True, slots=True)
class DqRules:
    """Thresholds that a whole run must keep; rows are judged by the contract.

    Args:
        min_rows: Fewest rows.
        max_null_pct: Largest share of nulls in any column, from 0 to 1 (0.05 is 5 %).
        max_null_pct_by_column: The same for single columns, instead.
        mandatory_columns: Columns that must be there and hold no null.
        completeness: Partition column -> its expected values; every combination must be there.
    """

    min_rows: int = 0
    max_null_pct: float = 1.0
    max_null_pct_by_column: Mapping[str, float] = field(default_factory=dict)
    mandatory_columns: tuple[str, ...] = ()
    completeness: Mapping[str, Expected] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Step:
    """One built-in step of the transform, before the asset's own; exactly one key is given.

    Args:
        rename: Old name -> new name.
        drop: Columns to leave out.
        cast: Column -> Arrow type's name, as `decimal(12,2)`.
        derive: New column -> SQL expression over the row.
        filter: SQL condition of the rows to keep; the others are counted, not quarantined.
        deduplicate: Key columns; of rows with equal keys one stays, the last by `by`.
        by: Of `deduplicate`: columns that order rows of equal keys; the greatest wins.
    """

    rename: Mapping[str, str] = field(default_factory=dict)
    drop: tuple[str, ...] = ()
    cast: Mapping[str, str] = field(default_factory=dict)
    derive: Mapping[str, str] = field(default_factory=dict)
    filter: str = ""
    deduplicate: tuple[str, ...] = ()
    by: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Config:
    """Everything that one run may be told.

    Args:
        source_bucket: Where files land: the logical name of a declared bucket, or its physical one.
        target_bucket: The curated zone, likewise.
        dataset: Names the SSM parameter `/ingestion/<pipeline>/<dataset>` and the curated folder; by
            default the asset's name.
        expected_schema: Names of the columns, those of the path among them; empty means the contract's.
        required_partitions: Partition columns of the path, outermost first.
        drift: What happens when a file's columns differ.
        dq_rules: Thresholds.
        processor_type: What runs the transform.
        threshold_bytes: Of `auto`: the most bytes for the Lambda function.
        steps: Built-in steps, in order.
        output_format: Of the curated files.
        table_format: Of the curated table.
        write_mode: How rows meet the rows that are there.
        keys: Of `merge` and `scd2`.
        schema_evolution: Of the catalog's table.
        partition_projection: Whether Athena computes the partitions from the table's properties, which each
            run keeps up, so that none is registered. A table that has it once keeps it.
    """

    source_bucket: str
    target_bucket: str
    dataset: str = ""
    expected_schema: tuple[str, ...] = ()
    required_partitions: tuple[str, ...] = ()
    drift: Drift = Drift.REORDER
    dq_rules: DqRules = DqRules()
    processor_type: ProcessorType = ProcessorType.AUTO
    threshold_bytes: int = 256 * 1024 * 1024
    steps: tuple[Step, ...] = ()
    output_format: OutputFormat = OutputFormat.PARQUET
    table_format: TableFormat = TableFormat.FILES
    write_mode: WriteMode = WriteMode.APPEND
    keys: tuple[str, ...] = ()
    schema_evolution: SchemaEvolution = SchemaEvolution.ADD
    partition_projection: bool = False


def merged(*layers: Mapping[str, Any]) -> dict[str, Any]:
    """Merge documents, the strongest last: objects key by key, everything else as a whole."""
    result: dict[str, Any] = {}
    for layer in layers:
        for key, value in layer.items():
            known = result.get(key)
            if isinstance(known, Mapping) and isinstance(value, Mapping) and key not in _WHOLE:
                result[key] = merged(known, value)
            else:
                result[key] = value
    return result


#: Objects that are lists in truth: one entry more from below would change what they say.
_WHOLE = frozenset({"completeness", "rename", "cast", "derive"})


def parse(*layers: Mapping[str, Any]) -> Config:
    """Merge and check the layers of one run, the weakest first (`LAYERS`).

    Raises:
        ConfigError: An unknown key, a wrong type, or a combination that cannot be meant.
    """
    with said_by(*layers):
        for name, layer in zip(LAYERS[-len(layers) :], layers, strict=True):
            _known(layer, name)
        try:
            config = decode(Config, merged(*layers))
        except ValueError as error:
            raise ConfigError(str(error)) from None
        for problem in _problems(config):
            raise ConfigError(problem)
    return config


@contextmanager
def said_by(*layers: Mapping[str, Any]) -> Iterator[None]:
    """Add to a `ConfigError` that begins with a key the layer that says it.

    Args:
        layers: Of one run, the weakest first (`LAYERS`).
    """
    try:
        yield
    except ConfigError as error:
        layer = _layer(str(error), layers)
        if not layer or any(f"the {name}" in str(error) for name in LAYERS):
            raise
        raise ConfigError(f"{error}; {layer}") from None


def _known(layer: Mapping[str, Any], name: str) -> None:
    known = [each.name for each in fields(Config)]
    for key in layer:
        if key not in known:
            near = difflib.get_close_matches(key, known, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}"
            raise ConfigError(f"{key}: unknown key in the {name}; {hint}")


def _layer(message: str, layers: Sequence[Mapping[str, Any]]) -> str:
    """Name the layer that says the key that a message begins with: of several, the strongest that has most of it."""
    path = re.findall(r"[^.\[\]]+", message.partition(":")[0])
    depths = [_depth(path, layer) for layer in layers]
    named = list(zip(LAYERS[-len(layers) :], depths, strict=True))
    deepest = max(depths)
    found = [name for name, depth in named if depth == deepest]
    if deepest:
        return f"said by the {found[-1]}"
    return "no layer says it: add it to the execution input" if "missing key" in message else ""


def _depth(path: Sequence[str], layer: Any) -> int:
    """Return how many of the keys of a path a document has, from the outermost on."""
    for depth, key in enumerate(path):
        if not isinstance(layer, Mapping) or key not in layer:
            return depth
        layer = layer[key]
    return len(path)


def _problems(config: Config) -> Iterator[str]:
    yield from _column_problems(config)
    yield from _rule_problems(config.dq_rules, config.required_partitions)
    yield from _step_problems(config.steps)
    yield from _write_problems(config)


def _twice(names: Iterable[str]) -> str | None:
    seen: set[str] = set()
    return next((name for name in names if name in seen or seen.add(name)), None)  # type: ignore[func-returns-value]


def _column_problems(config: Config) -> Iterator[str]:
    for key in ("source_bucket", "target_bucket"):
        if not getattr(config, key):
            yield f"{key}: must not be empty"
    for key, names in (
        ("expected_schema", config.expected_schema),
        ("required_partitions", config.required_partitions),
        ("keys", config.keys),
        ("dq_rules.mandatory_columns", config.dq_rules.mandatory_columns),
    ):
        if (double := _twice(names)) is not None:
            yield f"{key}: {double!r} is named twice"
    known = {*config.expected_schema, *config.required_partitions}
    if config.expected_schema and not config.steps:
        for name in config.dq_rules.mandatory_columns:
            if name not in known:
                yield f"dq_rules.mandatory_columns: {name!r} is not in expected_schema; add it there"


def _rule_problems(rules: DqRules, partitions: tuple[str, ...]) -> Iterator[str]:
    if rules.min_rows < 0:
        yield f"dq_rules.min_rows: {rules.min_rows} is less than 0"
    shares = {f"max_null_pct_by_column.{name}": share for name, share in rules.max_null_pct_by_column.items()}
    for key, share in {"max_null_pct": rules.max_null_pct, **shares}.items():
        if not 0 <= share <= 1:
            yield f"dq_rules.{key}: {share:g} is no share between 0 and 1; 5 % is 0.05"
    for name, expected in rules.completeness.items():
        key = f"dq_rules.completeness.{name}"
        if name not in partitions:
            yield f"{key}: {name!r} is not in required_partitions"
        try:
            expected_values(expected)
        except ValueError as error:
            yield f"{key}: {error}"
    try:
        combinations(rules)
    except ValueError as error:
        yield f"dq_rules.completeness: {error}"


def _step_problems(steps: tuple[Step, ...]) -> Iterator[str]:
    kinds = [each.name for each in fields(Step) if each.name != "by"]
    for position, step in enumerate(steps):
        said = [kind for kind in kinds if getattr(step, kind)]
        if len(said) != 1:
            what = " and ".join(said) if said else "nothing"
            yield f"steps[{position}]: says {what}; a step says exactly one of {', '.join(kinds)}"
        elif step.by and said != ["deduplicate"]:
            yield f"steps[{position}].by: belongs to deduplicate"


def _write_problems(config: Config) -> Iterator[str]:
    mode, keyed = config.write_mode, config.write_mode in (WriteMode.MERGE, WriteMode.SCD2)
    if keyed and not config.keys:
        yield f"keys: {mode} needs the columns that identify a row"
    if config.keys and not keyed:
        yield f"keys: {mode} has no use for keys; choose write_mode merge or scd2"
    if mode is WriteMode.OVERWRITE_PARTITIONS and not config.required_partitions:
        yield "write_mode: overwrite_partitions needs required_partitions"
    if config.output_format is not OutputFormat.PARQUET:
        if keyed:
            yield f"output_format: {mode} reads its own table again, which must be parquet"
        if config.table_format is TableFormat.DELTA:
            yield "output_format: a Delta table's files are parquet"
    if config.partition_projection and not config.required_partitions:
        yield "partition_projection: needs required_partitions"
    if config.partition_projection and config.table_format is TableFormat.DELTA:
        yield "partition_projection: a Delta table's log says which partitions there are"
    if config.threshold_bytes < 0:
        yield f"threshold_bytes: {config.threshold_bytes} is less than 0"


def expected_values(expected: Expected) -> tuple[str, ...]:
    """Return the values in order.

    Raises:
        ValueError: Neither a list nor a range, or a range that is none.
    """
    if expected.values and not (expected.start or expected.end):
        return expected.values
    if expected.values or not (expected.start and expected.end):
        raise ValueError("say either values, or start and end")
    if not 0 <= expected.width <= _WIDEST:
        raise ValueError(f"a width of {expected.width} digits; at most {_WIDEST}")
    if expected.start.isdecimal() and expected.end.isdecimal():
        first, last = int(expected.start), int(expected.end)
        found = tuple(f"{n:0{expected.width}d}" for n in range(first, min(last, first + MOST_EXPECTED) + 1))
    else:
        day, until = _day(expected.start), _day(expected.end)
        days = min((until - day).days, MOST_EXPECTED)
        found = tuple((day + timedelta(n)).isoformat() for n in range(days + 1))
    if not found:
        raise ValueError(f"the range ends ({expected.end}) before it starts ({expected.start})")
    return found


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r} is neither a day (2024-07-01) nor a number") from None


def combinations(rules: DqRules) -> tuple[Mapping[str, str], ...]:
    """Return every combination of partition values that a run must bring.

    Raises:
        ValueError: More than `MOST_EXPECTED`.
    """
    each: dict[str, tuple[str, ...]] = {}
    count = 1
    for name, expected in rules.completeness.items():
        try:
            each[name] = expected_values(expected)
        except ValueError:
            continue
        count *= len(each[name])
    if count > MOST_EXPECTED:
        raise ValueError(f"{count:,} combinations; at most {MOST_EXPECTED:,} can be expected")
    return tuple(dict(zip(each, values, strict=True)) for values in product(*each.values())) if each else ()
