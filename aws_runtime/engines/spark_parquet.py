"""Parquet files, mostly what an upstream asset wrote -> typed Spark rows with the hidden columns."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import TYPE_CHECKING

from aws_runtime.contract import Contract, DataType
from aws_runtime.engines import SOURCE_ROW, SOURCE_URI, InputFile
from aws_runtime.engines.mixed_types import at_risk, check_greatest
from aws_runtime.engines.spark_dialect import SPARK, data_type, type_name
from aws_runtime.engines.spark_files import groups, in_s3, shown_path, spark_path
from aws_runtime.engines.spark_json import SOURCE_ERROR, SOURCE_TEXT
from aws_runtime.errors import RejectedFile
from aws_runtime.formats import parquet
from aws_runtime.partitions import HIVE_NULL

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

quote = SPARK.quote
_PATH, _KEY = "__path", "__key"
#: Files that are known by a map; more are joined.
_IN_A_MAP = 64
_HIDDEN = (SOURCE_ROW, SOURCE_URI, SOURCE_ERROR, SOURCE_TEXT)


def read_parquet(
    spark: SparkSession, files: Sequence[InputFile], contract: Contract, *, ignore: bool = False
) -> DataFrame:
    """Return the rows of `files`; of no file, none, in the contract's types.

    Args:
        spark: The session.
        files: Parquet files.
        contract: Of their rows.
        ignore: Whether to pass over pages that cannot be read, to find out where they are.

    Raises:
        RejectedFile: EmptyFile, EncryptedFile, NotParquet, CorruptFile, HiddenName; PartitionContradicted,
            TypesDiffer and InexactNumbers of several files.
    """
    from py4j.protocol import Py4JJavaError  # noqa: PLC0415 - the compiler has no pyspark
    from pyspark.errors import AnalysisException  # noqa: PLC0415 - the compiler has no pyspark
    from pyspark.sql import functions as f  # noqa: PLC0415 - the compiler has no pyspark

    hidden = [f.expr("CAST(NULL AS STRING)").alias(name) for name in (SOURCE_ERROR, SOURCE_TEXT)]
    if not files:
        empty = ", ".join(f"{quote(c.name)} {type_name(c.type)}" for c in contract.columns)
        frame = spark.createDataFrame([], f"{empty}, {SOURCE_ROW} BIGINT, {SOURCE_URI} STRING")
        return frame.select("*", *hidden)
    for file in files:
        _verify(file)
    names = {shown_path(spark_path(file.path) or file.path): file.uri for file in files}
    reader = spark.read.option("__globPaths__", "false").option("recursiveFileLookup", "true")
    # Else a page that is not what was written may decode all the same, to other values.
    reader = reader.option("parquet.page.verify-checksum.enabled", "true")
    reader = reader.option("ignoreCorruptFiles", str(ignore).lower())
    # Spark shows a file's path URL-encoded, but for the plus sign.
    name = f.expr("url_decode(replace(_metadata.file_path, '+', '%2B'))")
    position = f.expr("_metadata.row_index + 1").alias(SOURCE_ROW)

    def read(paths: Sequence[str], *, merge: bool) -> DataFrame:
        merged = reader.option("mergeSchema", str(merge).lower())
        frame = _looked_up(
            merged.parquet(*paths).select("*", position, name.alias(_PATH)), _PATH, names, SOURCE_URI
        )
        return frame.drop(_PATH).select("*", *hidden)

    try:
        if len(files) == 1 and not files[0].partition:
            return read(groups(files)[0], merge=False)
        return _in_folders(files, read, contract)
    except (AnalysisException, Py4JJavaError) as error:
        if not re.search("corrupted file|is not a Parquet file|Unable to infer schema", str(error)):
            raise
        named = (file.uri for file in files if Path(file.path).name in str(error))
        raise RejectedFile(
            "CorruptFile", "the Parquet footer cannot be read", next(named, files[0].uri)
        ) from error


def column_names(spark: SparkSession, files: Sequence[InputFile]) -> frozenset[str]:
    """Return the names of the columns of files, without those of their folders.

    Raises:
        RejectedFile: EmptyFile, EncryptedFile, NotParquet, CorruptFile, HiddenName.
    """
    from py4j.protocol import Py4JJavaError  # noqa: PLC0415 - the compiler has no pyspark
    from pyspark.errors import AnalysisException  # noqa: PLC0415 - the compiler has no pyspark

    reader = spark.read.option("__globPaths__", "false").option("recursiveFileLookup", "true")
    found: set[str] = set()
    for file in files:
        _verify(file)
        try:
            # One by one: together they have one type a column, or none.
            found.update(reader.parquet(spark_path(file.path) or file.path).columns)
        except (AnalysisException, Py4JJavaError) as error:
            raise RejectedFile("CorruptFile", " ".join(str(error).split())[:300], file.uri) from error
    return frozenset(found)


def _in_folders(files: Sequence[InputFile], read: Callable[..., DataFrame], contract: Contract) -> DataFrame:
    """Read files whose columns are united by name, as they may have evolved, with those of their folders."""
    from py4j.protocol import Py4JJavaError  # noqa: PLC0415 - the compiler has no pyspark
    from pyspark.errors import AnalysisException, PySparkException  # noqa: PLC0415 - the compiler has no pyspark

    names = {name for file in files for name in file.partition}
    try:
        frames = [read(group, merge=True) for group in groups(files)]
        one_by_one = any(name in frame.columns for frame in frames for name in names)
    except (PySparkException, Py4JJavaError) as error:
        if "Failed to merge" not in str(error) and "CANNOT_MERGE" not in str(error):
            raise
        one_by_one = True
    if one_by_one:  # which files have a folder's column, and of which type, only each of them tells
        frames = [read([spark_path(file.path) or file.path], merge=False) for file in files]
        for frame, file in zip(frames, files, strict=True):
            _check_folder(frame, file)
        _check_mixed(frames, files, contract)
    # What else a file holds is not read: types that differ there are nobody's fault.
    wanted = {*(c.name for c in contract.columns), *names, *_HIDDEN}
    frames = [frame.select(*(quote(n) for n in frame.columns if n in wanted)) for frame in frames]
    frames = [_with_folders(frame, files, names) for frame in frames]
    try:
        return functools.reduce(lambda left, right: left.unionByName(right, allowMissingColumns=True), frames)
    except AnalysisException as error:
        raise RejectedFile("TypesDiffer", " ".join(str(error).split())[:300], files[0].uri) from error


def _with_folders(frame: DataFrame, files: Sequence[InputFile], names: AbstractSet[str]) -> DataFrame:
    from pyspark.sql import functions as f  # noqa: PLC0415 - the compiler has no pyspark

    for name in sorted(names - set(frame.columns)):
        values = {
            file.uri: value for file in files if (value := file.partition.get(name, HIVE_NULL)) != HIVE_NULL
        }
        if values:
            frame = _looked_up(frame, SOURCE_URI, values, name)
        else:
            frame = frame.withColumn(name, f.expr("CAST(NULL AS STRING)"))
    return frame


def _looked_up(frame: DataFrame, key: str, values: Mapping[str, str], name: str) -> DataFrame:
    """Add a column of what is known by another one; Spark looks a map through from its beginning for each row."""
    from pyspark.sql import functions as f  # noqa: PLC0415 - the compiler has no pyspark

    if len(values) <= _IN_A_MAP:
        told = f.create_map(*(f.lit(part) for pair in values.items() for part in pair))
        return frame.withColumn(name, told[f.col(key)])
    table = frame.sparkSession.createDataFrame(
        list(values.items()), f"{quote(_KEY)} STRING, {quote(name)} STRING"
    )
    return frame.join(f.broadcast(table), f.col(key) == f.col(_KEY), "left").drop(_KEY)


def _check_mixed(frames: Sequence[DataFrame], files: Sequence[InputFile], contract: Contract) -> None:
    """Refuse numbers that would change where their column is a float in other files."""
    for column in contract.columns:
        kinds = [
            data_type(frame.schema[column.name].dataType) if column.name in frame.columns else None
            for frame in frames
        ]
        for position, most in at_risk(kinds).items():
            kind = kinds[position] or DataType("")
            exact = f"CAST({quote(column.name)} AS DECIMAL(38, {kind.scale or 0}))"
            greatest = frames[position].selectExpr(f"max(abs({exact}))").collect()[0][0]
            check_greatest(column.name, kind, greatest, most, files[position].uri)


def _check_folder(frame: DataFrame, file: InputFile) -> None:
    """Reject a file whose column says something else than the folder that it lies in."""
    for name, value in file.partition.items():
        if name not in frame.columns:
            continue
        kind = frame.schema[name].dataType.simpleString()
        said = f"CAST({'NULL' if value == HIVE_NULL else SPARK.text(value)} AS {kind})"
        other = f"NOT ({quote(name)} <=> {said})"
        if value != HIVE_NULL:
            other += f" OR {said} IS NULL"
        count = frame.filter(other).count()
        if count:
            raise RejectedFile(
                "PartitionContradicted",
                f"{count} rows have another {name} than its folder, {value}",
                file.uri,
            )


def _verify(file: InputFile) -> None:
    """Reject what is no Parquet by its first and last bytes, and names that Spark would skip."""
    if spark_path(file.path) is None:
        raise RejectedFile(
            "HiddenName", "Spark skips names that begin with _ or .: rename the file", file.uri
        )
    if not in_s3(file.path):
        parquet.verify(file.path, file.uri)
