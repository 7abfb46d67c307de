"""Output formats -> how Hive, and so Athena and Spark, read their files.

In: the run's format. Out: classes and parameters of a table of the Data Catalog.
https://docs.aws.amazon.com/athena/latest/ug/supported-serdes.html
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from aws_runtime.contract import DataType
from aws_runtime.curation.config import OutputFormat, TableFormat
from aws_runtime.curation.job import Job

_PARQUET = "org.apache.hadoop.hive.ql.io.parquet"
_TEXT_INPUT = "org.apache.hadoop.mapred.TextInputFormat"
_TEXT_OUTPUT = "org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat"
#: Parameters of tables that one format has and another has not.
_OF_FORMATS = frozenset(
    {"skip.header.line.count", "parquet.compression", "table_type", "spark.sql.sources.provider"}
)

_TEXT = DataType("string")


def _as_it_is(kind: DataType) -> DataType:
    return kind


def _as_text(_kind: DataType) -> DataType:
    return _TEXT


def _without_binary(kind: DataType) -> DataType:
    return replace(
        _TEXT if kind.name == "binary" else kind,
        item=kind.item and _without_binary(kind.item),
        fields=tuple(replace(one, type=_without_binary(one.type)) for one in kind.fields),
    )


@dataclass(frozen=True, slots=True)
class Serde:
    """How the files of a table are read.

    Args:
        library: The class that reads rows.
        input: The class that splits files.
        output: The class that would write them.
        table: Parameters of the table.
        parameters: Of the class that reads rows.
        stored: A contract's type -> the type that a file has for it.
    """

    library: str
    input: str
    output: str
    table: Mapping[str, str]
    parameters: Mapping[str, str] = field(default_factory=lambda: {"serialization.format": "1"})
    stored: Callable[[DataType], DataType] = _as_it_is

    @property
    def foreign(self) -> frozenset[str]:
        """Parameters of tables that other formats have."""
        return _OF_FORMATS - set(self.table)


#: Every column is text: this class knows no nulls, dates and decimals of other types.
#: https://docs.aws.amazon.com/athena/latest/ug/csv-serde.html
#: A backslash is a character like others, so what escapes is one that no text holds.
_CSV = Serde(
    "org.apache.hadoop.hive.serde2.OpenCSVSerde",
    _TEXT_INPUT,
    _TEXT_OUTPUT,
    {"classification": "csv", "skip.header.line.count": "1"},
    {"separatorChar": ",", "quoteChar": '"', "escapeChar": "\u0001"},
    _as_text,
)
#: Binary is base64 in both text formats.
_JSON = Serde(
    "org.openx.data.jsonserde.JsonSerDe",
    _TEXT_INPUT,
    _TEXT_OUTPUT,
    {"classification": "json"},
    stored=_without_binary,
)


#: As crawlers register a Delta table: engines that know Delta go by the provider and read the log for the rest;
#: one that does not finds no rows in these classes rather than wrong ones.
#: https://docs.aws.amazon.com/athena/latest/ug/delta-lake-tables.html
_DELTA = Serde(
    "org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe",
    "org.apache.hadoop.mapred.SequenceFileInputFormat",
    "org.apache.hadoop.hive.ql.io.HiveSequenceFileOutputFormat",
    {"classification": "delta", "table_type": "DELTA", "spark.sql.sources.provider": "delta"},
)


def serde(job: Job) -> Serde:
    """Return how the files of a run are read."""
    if job.config.table_format is TableFormat.DELTA:
        return replace(_DELTA, parameters={"serialization.format": "1", "path": job.curated})
    if job.config.output_format is OutputFormat.CSV:
        return _CSV
    if job.config.output_format is OutputFormat.JSON:
        return _JSON
    return Serde(
        f"{_PARQUET}.serde.ParquetHiveSerDe",
        f"{_PARQUET}.MapredParquetInputFormat",
        f"{_PARQUET}.MapredParquetOutputFormat",
        {"classification": "parquet", "parquet.compression": job.declared.compression.upper()},
    )
