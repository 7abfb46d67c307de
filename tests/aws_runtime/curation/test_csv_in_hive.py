"""The catalog's table of CSV files, read by the very class that it names: text as it was, a backslash too."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from curation_world import opened, parquet

from aws_runtime.curation.config import OutputFormat
from aws_runtime.curation.convert import encoded
from aws_runtime.curation.serdes import serde

#: A process of its own: Hive's catalog is chosen when Java starts.
READ = """
import json, sys
from pyspark.sql import SparkSession
folder, statement = sys.argv[1:]
options = {
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.ui.enabled": "false",
    "spark.sql.warehouse.dir": f"{folder}/warehouse",
    "spark.hadoop.javax.jdo.option.ConnectionURL": "jdbc:derby:memory:catalog;create=true",
}
builder = SparkSession.builder.master("local[1]").config(map=options).enableHiveSupport()
spark = builder.getOrCreate()
spark.sql(statement)
print("rows:" + json.dumps([row.asDict() for row in spark.sql("SELECT * FROM orders").collect()]))
"""


@pytest.mark.spark
def test_hive_reads_what_was_written(tmp_path: Path) -> None:
    table = pa.table(
        {
            "name": ['say "yes", please', "C:\\new\\", "", "\\", 'ends in "', None, "é, ü"],
            "price": [1.5, -2.0, None, 0.1, 3.0, 4.0, 5.0],
        }
    )
    file = pq.ParquetFile(io.BytesIO(parquet(table)))
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "part.csv").write_bytes(
        b"".join(encoded(file, table.column_names, OutputFormat.CSV))
    )
    how = serde(opened({"output_format": "csv"}))
    said = ", ".join(f"'{name}' = '{ascii(value)[1:-1]}'" for name, value in how.parameters.items())
    statement = (
        f"CREATE EXTERNAL TABLE orders (name string, price string) ROW FORMAT SERDE '{how.library}' WITH "
        f"SERDEPROPERTIES ({said.replace(chr(92) + 'x01', chr(92) + 'u0001')}) STORED AS TEXTFILE "
        f"LOCATION 'file://{tmp_path}/files'"
    )
    ran = subprocess.run(
        [sys.executable, "-c", READ, str(tmp_path), statement],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    answer = next(line for line in ran.stdout.splitlines() if "rows:" in line).partition("rows:")[2]
    header, *rows = json.loads(answer)
    assert header == {"name": "name", "price": "price"}  # Athena leaves it out, Spark does not
    texts = [value or "" for value in table["name"].to_pylist()]
    prices = ["1.5", "-2", "", "0.1", "3", "4", "5"]
    assert rows == [{"name": name, "price": price} for name, price in zip(texts, prices, strict=True)]
