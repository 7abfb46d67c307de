"""One file against what a run expects of it: a landed one before it is read, a staged one before it is published.

In: a reader of ranges, on S3 or on this machine, with the declaration and the configuration. Out: the
partition of a landed file or `RejectedFile`; what the thresholds ask of a written one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from aws_runtime.curation.columns import check_columns
from aws_runtime.curation.compliance import comply
from aws_runtime.curation.config import Config, DqRules, WriteMode
from aws_runtime.curation.declared import Declared
from aws_runtime.curation.footer import Footer, ReadRange, read_footer
from aws_runtime.curation.keyed import VALID_TO
from aws_runtime.curation.output_rules import OutputFile
from aws_runtime.curation.paths import partition_values
from aws_runtime.errors import RejectedFile


def landed_partition(told: Declared, config: Config, key: str, uri: str) -> dict[str, str]:
    """Return the values of a landed file's folders.

    Args:
        told: The declaration's part.
        config: The run's.
        key: Of the file.
        uri: For messages.

    Raises:
        RejectedFile: The path is not as the configuration wants it.
    """
    types = {column.name: column.type for column in told.contract.columns}
    return partition_values(key, told.source_prefix, config.required_partitions, types, uri)


def judge_landed(
    told: Declared, config: Config, key: str, uri: str, *, size: int, read: ReadRange
) -> dict[str, str]:
    """Judge a landed file by its path, its footer and its partition columns; returns its partition.

    Args:
        told: The declaration's part.
        config: The run's.
        key: Of the file.
        uri: For messages.
        size: Bytes of the file.
        read: Reads a range of it.

    Raises:
        RejectedFile: With a reason of its own for each kind of fault.
    """
    if size == 0:
        raise RejectedFile("EmptyFile", "the file has 0 bytes", uri)
    partition = landed_partition(told, config, key, uri)
    footer = read_footer(read, size, uri)
    comply(footer, partition, told.contract, expected=config.expected_schema, drift=config.drift, uri=uri)
    check_columns(footer, partition, read, uri)
    return partition


def judge_staged(told: Declared, below: str, uri: str, *, size: int, read: ReadRange) -> OutputFile:
    """Return what the thresholds ask of a file that a run wrote; one that cannot be read tells why.

    Args:
        told: The declaration's part.
        below: Its key below the place that the run writes to.
        uri: For messages.
        size: Bytes of the file.
        read: Reads a range of it.
    """
    partition: Mapping[str, str] = {}
    footer: Footer | None = None
    types = {column.name: column.type for column in told.output_contract.columns}
    known = {by.name: types[by.column] for by in told.partition_by if by.transform == "identity"}
    try:
        footer = read_footer(read, size, uri)
        partition = partition_values(below, "", [by.name for by in told.partition_by], known, uri)
    except RejectedFile as error:
        return OutputFile(uri, footer, partition, f"{error.code}: {error.reason}")
    return OutputFile(uri, footer, partition)


def thresholds(config: Config) -> DqRules:
    """Return the rules that a run's output keeps: of scd2, `valid_to` is null in each row that is current."""
    rules = config.dq_rules
    if config.write_mode is not WriteMode.SCD2:
        return rules
    return replace(rules, max_null_pct_by_column={VALID_TO: 1.0, **rules.max_null_pct_by_column})
