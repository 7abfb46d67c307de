"""A run's configuration against the declaration: what cannot come true is an error before anything is touched.

In: a checked `Config` and what the declaration says. Out: nothing, or a `ConfigError` that names the key.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from aws_runtime.curation import delta_sql, keyed, steps
from aws_runtime.curation.config import Config, ConfigError, TableFormat, WriteMode
from aws_runtime.curation.declared import Declared

#: Also a part of a parameter's name and of keys.
#: https://docs.aws.amazon.com/systems-manager/latest/userguide/sysman-paramstore-su-create.html
_DATASET = re.compile(r"[A-Za-z0-9.-][A-Za-z0-9_.-]{0,99}")


def check_dataset(name: Any) -> str:
    """Return the name of a dataset.

    Raises:
        ConfigError: It is none.
    """
    if not isinstance(name, str):
        raise ConfigError(f"dataset: expected a text, got {type(name).__name__}")
    if not _DATASET.fullmatch(name) or set(name) == {"."}:
        raise ConfigError(f"dataset: {name[:100]!r} is no name; letters, digits, and _ - . after the first")
    return name


def check_declared(config: Config, told: Declared) -> None:
    """Compare what a run is told with the contracts and the partitions of its pipeline.

    Raises:
        ConfigError: The first thing that cannot come true.
    """
    for problem in (*_inputs(config, told), *_outputs(config, told)):
        raise ConfigError(problem)


def _inputs(config: Config, told: Declared) -> Iterator[str]:
    for name in config.required_partitions:
        if not name or re.search(r"[/=\x00-\x1f]", name):
            yield f"required_partitions: {name!r} is no name of a partition column"
    brought = {*config.expected_schema, *config.required_partitions}
    needed = [c.name for c in told.contract.columns if c.required and not c.nullable]
    lacking = [name for name in needed if name not in brought]
    if config.expected_schema and lacking:
        yield (
            f"expected_schema: lacks {', '.join(lacking)}, without which {told.contract.name} has no rows; "
            "add it there, or to required_partitions"
        )


def _outputs(config: Config, told: Declared) -> Iterator[str]:
    rules, partitions = config.dq_rules, [by.name for by in told.partition_by]
    columns = [c.name for c in keyed.output_columns(config.write_mode, told.output_contract)]
    there = ", ".join(sorted({*columns, *partitions}))
    for key, names in (
        ("mandatory_columns", rules.mandatory_columns),
        ("max_null_pct_by_column", rules.max_null_pct_by_column),
    ):
        for name in names:
            if name not in columns and name not in partitions:
                yield f"dq_rules.{key}: {name!r} is no column of the curated rows; there are {there}"
    for name in rules.completeness:
        if name not in partitions:
            by = ", ".join(partitions) or "nothing"
            yield f"dq_rules.completeness.{name}: the curated files are partitioned by {by}"
    if config.write_mode is WriteMode.OVERWRITE_PARTITIONS and not partitions:
        yield "write_mode: overwrite_partitions needs a destination with partitions"


def check_table(config: Config, told: Declared) -> None:
    """Check the built-in steps, and that rows can be written into the table as the write mode says.

    Raises:
        ConfigError: A step is none, or the table cannot take such rows.
    """
    steps.check(config.steps)
    if config.table_format is TableFormat.FILES:
        keyed.check(config.write_mode, config.keys, told.output_contract, told.partition_by)
    else:
        _check_delta(config, told)


def _check_delta(config: Config, told: Declared) -> None:
    if not told.delta:
        raise ConfigError(
            "table_format: the declaration says nothing of Delta tables; add delta=True to its Curation"
        )
    try:
        delta_sql.check(
            told.output_contract, config.write_mode, config.keys, [by.name for by in told.partition_by]
        )
    except delta_sql.DeltaWriteError as error:
        raise ConfigError(f"table_format: {error}") from None
    if config.write_mode is WriteMode.SCD2 and (told.redshift or told.snowflake):
        raise ConfigError(
            "write_mode: the history of a Delta table cannot be loaded into a warehouse; use merge"
        )
