"""A run's staged files on Spark 3.5.6, as the Delta writer reads them: typed, with their folders' values."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import curation_world as world
import pytest

from aws_runtime.curation.delta_spark import view

pytestmark = pytest.mark.spark
CONTRACT = world.told().output_contract
FOLDERS = {
    "dt=2024-07-02/region=eu": ("a", date(2024, 7, 2), "eu"),
    "dt=2024-07-02/region=u%3As": ("b", date(2024, 7, 2), "u:s"),
    "dt=2024-07-02/region=__HIVE_DEFAULT_PARTITION__": ("c", date(2024, 7, 2), None),
    "dt=__HIVE_DEFAULT_PARTITION__/region=eu": ("d", None, "eu"),
}


@pytest.mark.parametrize("by_folder", [True, False], ids=["all that is there", "the run's files"])
def test_rows_have_their_folders_values(spark: Any, tmp_path: Path, *, by_folder: bool) -> None:
    base, files = f"{tmp_path}/output/", []
    for folder, (key, _, _) in FOLDERS.items():
        path = tmp_path / "output" / folder / "part-x.zstd.parquet"
        path.parent.mkdir(parents=True)
        path.write_bytes(world.orders(key))
        files.append(str(path))
    if not by_folder:
        stale = tmp_path / "output" / "dt=2024-07-02/region=eu" / "part-stale.zstd.parquet"
        stale.write_bytes(world.orders("left by an earlier attempt"))
    try:
        view(spark, [base] if by_folder else files, base, CONTRACT, ["dt", "region"])
        rows = spark.sql("SELECT order_id, dt, region, amount FROM incoming ORDER BY order_id").collect()
    finally:  # a job's session ends with it, this one does not
        for name in ("incoming", "staged"):
            spark.catalog.dropTempView(name)
    assert [tuple(row) for row in rows] == [(*row, 1.5) for row in FOLDERS.values()]
