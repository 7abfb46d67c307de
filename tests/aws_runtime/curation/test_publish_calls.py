"""What a load calls, for each file, partition and run: the numbers of docs/curation.md."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import curation_world as world
import pytest
from curation_world import killed, opened, orders, put

from aws_runtime import storage
from aws_runtime.curation import catalog
from aws_runtime.curation.job import Job
from aws_runtime.curation.publish import publish

STEM = "20240702T100000Z-" + "b" * 16
#: Of a run's documents and of its staging, however many files there are.
RUN = {
    "append": {"GetObject": 6, "PutObject": 4, "ListObjectsV2": 3},
    "overwrite_partitions": {"GetObject": 6, "PutObject": 4, "ListObjectsV2": 3},
}
PARTITION = {
    "append": {},
    "overwrite_partitions": {"GetObject": 1, "PutObject": 2, "ListObjectsV2": 1},
}
FILE = {
    "parquet": {"CopyObject": 1, "DeleteObject": 1},
    "csv": {"GetObject": 1, "PutObject": 1, "DeleteObject": 1},
}
CATALOG = {"GetTable": 1, "UpdateTable": 1, "BatchGetPartition": 1, "BatchCreatePartition": 1}


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with world.aws(monkeypatch):
        catalog.glue.cache_clear()
        catalog.glue().create_database(DatabaseInput={"Name": "shop"})
        yield
    catalog.glue.cache_clear()


def stage(job: Job, partitions: int, files: int) -> str:
    """Stage some files in each of some partitions."""
    outputs = []
    for day in range(partitions):
        values = {"dt": f"2024-07-{day + 1:02d}", "region": "eu"}
        for number in range(files):
            name = f"dt={values['dt']}/region=eu/part-{STEM}-{number}.zstd.parquet"
            uri = f"{job.staging}output/{name}"
            put(*storage.parse_uri(uri), orders("1"))
            outputs.append({"uri": uri, "rows": 1, "partition": values})
    record = f"{job.runs}record.json"
    storage.put_json(f"{job.runs}record.files.json", {"outputs": outputs})
    storage.put_json(record, {"status": "completed", "files": f"{job.runs}record.files.json"})
    return record


@pytest.mark.parametrize(
    ("mode", "form"),
    [("append", "parquet"), ("overwrite_partitions", "parquet"), ("append", "csv")],
)
@pytest.mark.parametrize(("partitions", "files"), [(1, 1), (3, 1), (2, 5)])
def test_a_load_makes_as_many_calls_as_documented(
    aws: None, mode: str, form: str, partitions: int, files: int
) -> None:
    told: dict[str, Any] = {"database": "shop", "table": "orders"}
    config = {"write_mode": mode, "output_format": form}
    publish(first := opened(config, "first", **told), stage(first, 0, 0))
    job = opened(config, **told)
    record = stage(job, partitions, files)
    with killed() as calls:
        publish(job, record)
    expected = Counter(RUN[mode]) + Counter(CATALOG)
    for each, times in ((PARTITION[mode], partitions), (FILE[form], partitions * files)):
        expected.update({name: count * times for name, count in each.items()})
    assert Counter(calls.calls) == expected
