"""A load over HTTP, on the local AWS: conditional writes, copies, parts and the catalog, as another server has them."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import curation_world as world
import pyarrow as pa
import pytest

from aws_runtime import storage
from aws_runtime.curation import catalog, convert
from aws_runtime.curation.job import Job, open_job
from aws_runtime.curation.leases import PartitionsBusy
from aws_runtime.curation.publish import publish

FOLDER = "dt=2024-07-02/region=eu/"
STEMS = {name: f"2024070{day}T100000Z-{'b' * 16}" for day, name in enumerate(("older", "newer", "newest"), 1)}

pytestmark = pytest.mark.local_aws


@pytest.fixture
def names(local_aws: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, str]]:
    """Return the name of the curated bucket, and of a database."""
    settings = {
        "AWS_ENDPOINT_URL": local_aws.endpoint,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "eu-west-1",
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    storage.s3.cache_clear()
    catalog.glue.cache_clear()
    unique = uuid.uuid4().hex[:12]
    bucket, database = f"curated-{unique}", f"shop_{unique}"
    storage.s3().create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    storage.s3().put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    catalog.glue().create_database(DatabaseInput={"Name": database})
    yield bucket, database
    catalog.glue().delete_database(Name=database)
    versions = storage.s3().list_object_versions(Bucket=bucket)
    for one in (*versions.get("Versions", ()), *versions.get("DeleteMarkers", ())):
        storage.s3().delete_object(Bucket=bucket, Key=one["Key"], VersionId=one["VersionId"])
    storage.s3().delete_bucket(Bucket=bucket)
    storage.s3.cache_clear()
    catalog.glue.cache_clear()


def job(names: tuple[str, str], execution: str, **config: Any) -> Job:
    bucket, database = names
    told = world.told(database=database, table="orders")
    environment = {**world.ENVIRONMENT, "BUCKET_CURATED": bucket}
    config = {"write_mode": "overwrite_partitions", **config}
    return open_job(world.event(config, execution), told, environment, lambda _name: None)[0]


def stage(of: Job, rows: int = 1, files: int = 2) -> str:
    outputs = []
    for number in range(files):
        uri = f"{of.staging}output/{FOLDER}part-{STEMS[of.id]}-{number}.zstd.parquet"
        ids = pa.table({"order_id": [f"{of.id}-{n}" * 4 for n in range(rows)], "amount": [1.5] * rows})
        world.put(*storage.parse_uri(uri), world.parquet(ids))
        values = {"dt": "2024-07-02", "region": "eu"}
        outputs.append({"uri": uri, "rows": rows, "partition": values})
    storage.put_json(f"{of.runs}files.json", {"outputs": outputs})
    storage.put_json(f"{of.runs}record.json", {"status": "completed", "files": f"{of.runs}files.json"})
    return f"{of.runs}record.json"


def test_partitions_are_replaced_and_registered(names: tuple[str, str]) -> None:
    bucket, database = names
    newer, older = job(names, "newer"), job(names, "older")
    answer = publish(newer, stage(newer))
    assert answer["catalog"] == {"table": f"{database}.orders", "added_columns": [], "partitions_added": 1}
    assert publish(older, stage(older))["partitions_superseded"] == 1
    newest = job(names, "newest")
    assert publish(newest, stage(newest))["catalog"]["partitions_added"] == 0
    there = [f"orders/{FOLDER}part-{STEMS['newest']}-{number}.zstd.parquet" for number in (0, 1)]
    assert world.keys(bucket, "orders/") == there
    for file in storage.get_json(f"{newest.runs}outputs.json")["files"]:
        head = storage.s3().head_object(Bucket=bucket, Key=file["key"])
        assert (file["version_id"], file["etag"]) == (head["VersionId"], head["ETag"].strip('"'))
        assert file["size"] == head["ContentLength"]
    found = catalog.glue().get_partitions(DatabaseName=database, TableName="orders")["Partitions"]
    assert [(one["Values"], one["Parameters"]["recordCount"]) for one in found] == [
        (["2024-07-02", "eu"], "2")
    ]
    assert world.keys(bucket, "_staging/") == []


def test_a_partition_that_is_held_is_waited_for(
    names: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    held, other = job(names, "older"), job(names, "newer")
    put_json = storage.put_json

    def dies(uri: str, value: Any) -> None:
        if uri.endswith("committed.json"):
            raise world.KilledError
        put_json(uri, value)

    record, second = stage(held), stage(other)
    with monkeypatch.context() as patch:
        patch.setattr(storage, "put_json", dies)
        with pytest.raises(world.KilledError):
            publish(held, record)
    with pytest.raises(PartitionsBusy, match="is being replaced by older"):
        publish(other, second)
    publish(held, record)
    publish(other, second)
    found = {key.rpartition("part-")[2][:8] for key in world.keys(names[0], "orders/")}
    assert found == {STEMS["newer"][:8]}


def test_csv_goes_in_parts(names: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(convert, "PART_BYTES", 5 * 1024 * 1024)
    newer = job(names, "newer", output_format="csv", partition_projection=True)
    answer = publish(newer, stage(newer, rows=150_000, files=1))
    (file,) = storage.get_json(answer["manifest"])["files"]
    body = world.get(names[0], file["key"])
    assert (len(body), body.count(b"\n")) == (file["size"], 150_001)
    assert "-" in file["etag"]
    table = catalog.glue().get_table(DatabaseName=names[1], Name="orders")["Table"]
    assert table["Parameters"]["projection.dt.range"] == "2024-07-02,2024-07-02"
    assert table["StorageDescriptor"]["SerdeInfo"]["Parameters"]["escapeChar"] == "\u0001"
