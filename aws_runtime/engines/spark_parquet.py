"""Parquet files, mostly what an upstream asset wrote -> typed Spark rows with the hidden columns."""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from aws_runtime.contract import Contract
from aws_runtime.engines import SOURCE_ROW, SOURCE_URI, InputFile
from aws_runtime.engines.spark_dialect import SPARK, type_name
from aws_runtime.engines.spark_files import groups, in_s3, shown_path, spark_path
from aws_runtime.engines.spark_json import SOURCE_ERROR, SOURCE_TEXT
from aws_runtime.errors import RejectedFile
from aws_runtime.formats import parquet

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

quote = SPARK.quote


def read_parquet(spark: SparkSession, files: Sequence[InputFile], contract: Contract) -> DataFrame:
    """Return the rows of `files`; of no file, none, in the contract's types.

    Raises:
        RejectedFile: EmptyFile, EncryptedFile, NotParquet, CorruptFile, HiddenName.
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
    # Spark shows a file's path URL-encoded, but for the plus sign.
    name = f.expr("url_decode(replace(_metadata.file_path, '+', '%2B'))")
    known = f.create_map(*(f.lit(part) for pair in names.items() for part in pair))
    position = f.expr("_metadata.row_index + 1").alias(SOURCE_ROW)
    try:
        frames = [
            reader.parquet(*group).select("*", position, known[name].alias(SOURCE_URI), *hidden)
            for group in groups(files)
        ]
    except (AnalysisException, Py4JJavaError) as error:
        if not re.search("corrupted file|is not a Parquet file|Unable to infer schema", str(error)):
            raise
        named = (file.uri for file in files if Path(file.path).name in str(error))
        raise RejectedFile(
            "CorruptFile", "the Parquet footer cannot be read", next(named, files[0].uri)
        ) from error
    return functools.reduce(lambda left, right: left.unionByName(right), frames)


def _verify(file: InputFile) -> None:
    """Reject what is no Parquet by its first and last bytes, and names that Spark would skip."""
    if spark_path(file.path) is None:
        raise RejectedFile(
            "HiddenName", "Spark skips names that begin with _ or .: rename the file", file.uri
        )
    if not in_s3(file.path):
        parquet.verify(file.path, file.uri)
