"""The Spark session: the cluster's on Glue, a local one elsewhere, and the settings of a step.

Steps of several threads share one session: their settings are the same, held while any of them runs,
and each thread's jobs are a pool of their own, so that a small file need not wait for a large one.
"""

from __future__ import annotations

import os
import sys
import threading
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


#: What a session is built with, wherever it runs: jobs of several steps share the workers.
_SCHEDULING = {"spark.scheduler.mode": "FAIR"}

_lock = threading.Lock()
#: Steps that run now, by the session that they share, and what they put back at the end of the last one.
_holders: dict[int, int] = {}
_before: dict[int, dict[str, str | None]] = {}


def session(limits: Limits) -> SparkSession:
    """Return the session of this process; under `spark-submit`, and so on Glue, it is the cluster's."""
    from pyspark import SparkContext  # noqa: PLC0415 - the compiler has no pyspark
    from pyspark.sql import SparkSession  # noqa: PLC0415 - the compiler has no pyspark

    builder = SparkSession.builder.appName("ingestion-assets")
    with _lock:
        # The active session is a thread's own; a second thread would find none.
        if SparkContext._active_spark_context is None:  # noqa: SLF001 - the only way to ask without making one
            options = dict(_SCHEDULING)
            if "PYSPARK_GATEWAY_PORT" not in os.environ:
                os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
                options |= _local(limits)
            for name, value in options.items():
                builder = builder.config(name, value)
        made: SparkSession = builder.getOrCreate()
    return made


def _local(limits: Limits) -> dict[str, str]:
    """Settings of a session that is this process and one Java beside it."""
    return {
        "spark.master": f"local[{limits.threads}]",
        "spark.driver.memory": f"{max(limits.memory_bytes // 2**20, 512)}m",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.shuffle.partitions": str(2 * limits.threads),
    }


@contextmanager
def settled(spark: SparkSession) -> Iterator[None]:
    """Hold `SETTINGS` for a step, in this thread and beside the steps of others."""
    jvm, context = spark._jvm, spark.sparkContext  # noqa: SLF001 - pyspark has no other way to say it
    # What a thread parses without an active session is parsed with Spark's defaults.
    jvm.SparkSession.setActiveSession(spark._jsparkSession)  # type: ignore[union-attr]  # noqa: SLF001 - see above
    # Few names, because pools are never removed: threads of a process, and their ids, are used again.
    context.setLocalProperty("spark.scheduler.pool", f"step-{threading.get_ident()}")
    key = id(spark)
    with _lock:
        _holders[key] = _holders.get(key, 0) + 1
        if _holders[key] == 1:
            _before[key] = {name: spark.conf.get(name, None) for name in SETTINGS}
            for name, value in SETTINGS.items():
                spark.conf.set(name, value)
    try:
        yield
    finally:
        context.setLocalProperty("spark.scheduler.pool", None)  # type: ignore[arg-type] # None removes it
        with _lock:
            _holders[key] -= 1
            if not _holders[key]:
                del _holders[key]
                _restore(spark, _before.pop(key))


def _restore(spark: SparkSession, before: dict[str, str | None]) -> None:
    for name, was in before.items():
        if was is None:
            spark.conf.unset(name)
        else:
            spark.conf.set(name, was)
