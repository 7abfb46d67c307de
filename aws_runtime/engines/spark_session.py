"""The Spark session: the cluster's on Glue, a local one elsewhere, and the settings of a step."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from aws_runtime.engines import Limits

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

#: What results depend on; set for the step and put back after it, as the session may be another's.
SETTINGS = {
    "spark.sql.ansi.enabled": "false",
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.caseSensitive": "true",
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
    # Dates before 1582 are written as they are, not refused.
    "spark.sql.parquet.datetimeRebaseModeInWrite": "CORRECTED",
    "spark.sql.parquet.datetimeRebaseModeInRead": "CORRECTED",
    "spark.sql.files.ignoreMissingFiles": "false",
    "spark.sql.files.ignoreCorruptFiles": "false",
    "spark.sql.sources.partitionOverwriteMode": "static",
}


def session(limits: Limits) -> SparkSession:
    """Return the session of this process; under `spark-submit`, and so on Glue, it is the cluster's."""
    from pyspark.sql import SparkSession  # noqa: PLC0415 - the compiler has no pyspark

    builder = SparkSession.builder.appName("ingestion-assets")
    if "PYSPARK_GATEWAY_PORT" not in os.environ and SparkSession.getActiveSession() is None:
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
        local = {
            "spark.master": f"local[{limits.threads}]",
            "spark.driver.memory": f"{max(limits.memory_bytes // 2**20, 512)}m",
            "spark.driver.host": "127.0.0.1",
            "spark.driver.bindAddress": "127.0.0.1",
            "spark.ui.enabled": "false",
            "spark.ui.showConsoleProgress": "false",
            "spark.sql.shuffle.partitions": str(2 * limits.threads),
        }
        for name, value in local.items():
            builder = builder.config(name, value)
    made: SparkSession = builder.getOrCreate()
    return made


@contextmanager
def settled(spark: SparkSession) -> Iterator[None]:
    """Hold `SETTINGS` for a step."""
    before = {name: spark.conf.get(name, None) for name in SETTINGS}
    for name, value in SETTINGS.items():
        spark.conf.set(name, value)
    try:
        yield
    finally:
        for name, was in before.items():
            if was is None:
                spark.conf.unset(name)
            else:
                spark.conf.set(name, was)
