"""The Data Catalog follows what runs publish: tables, columns, partitions, statistics, whatever fails."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import botocore.client
import curation_world as world
import pytest
from botocore.exceptions import ClientError
from curation_world import COLUMNS, CURATED, opened, orders, put

from aws_runtime import storage
from aws_runtime.curation import catalog
from aws_runtime.curation.catalog import CatalogError
from aws_runtime.curation.files import Curated
from aws_runtime.curation.job import Job
from aws_runtime.curation.projection import MOST_VALUES, ProjectionNotPossible
from aws_runtime.curation.publish import publish
from aws_runtime.curation.table_schema import FormatConflict, SchemaConflict

TABLE = {"database": "shop", "table": "orders"}
PARQUET = "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe"
Columns = list[dict[str, Any]]


@pytest.fixture
def glue(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    with world.aws(monkeypatch):
        catalog.glue.cache_clear()
        client = catalog.glue()
        client.create_database(DatabaseInput={"Name": "shop"})
        yield client
    catalog.glue.cache_clear()


def job(execution: str = "job-1", columns: Columns = COLUMNS, **config: Any) -> Job:
    contract = {"name": "Order", "columns": columns}
    return opened(config, execution, output_contract=contract, **TABLE)


def files(of: Job, *places: tuple[str, str], rows: int = 10, size: int = 1000) -> list[Curated]:
    return [
        Curated(
            f"{of.curated}dt={dt}/region={region}/part-{of.id}.parquet",
            "",
            rows,
            {"dt": dt, "region": region},
            f"{of.curated}dt={dt}/region={region}/",
            size,
        )
        for dt, region in places
    ]


def registered(of: Job, *places: tuple[str, str], **counts: int) -> dict[str, Any]:
    table = catalog.described(of)
    published = files(of, *places, **counts)
    catalog.check(of, table, [file.partition for file in published])
    return catalog.register(of, table, published)


def table(glue: Any) -> dict[str, Any]:
    found: dict[str, Any] = glue.get_table(DatabaseName="shop", Name="orders")["Table"]
    return found


def partitions(glue: Any) -> dict[tuple[str, ...], dict[str, Any]]:
    found = glue.get_partitions(DatabaseName="shop", TableName="orders")["Partitions"]
    return {tuple(one["Values"]): one for one in found}


def counts(described: dict[str, Any]) -> tuple[str, str, str]:
    parameters = described["Parameters"]
    assert parameters["numRows"] == parameters["recordCount"]
    return parameters["recordCount"], parameters["objectCount"], parameters["averageRecordSize"]


EU, US = ("2024-07-02", "eu"), ("2024-07-02", "us")


def test_a_table_is_made_and_then_kept_up(glue: Any) -> None:
    answer = registered(job(), EU, US)
    assert answer == {"table": "shop.orders", "added_columns": [], "partitions_added": 2}
    found = table(glue)
    assert found["PartitionKeys"] == [{"Name": "dt", "Type": "date"}, {"Name": "region", "Type": "string"}]
    storage_of = found["StorageDescriptor"]
    assert [(one["Name"], one["Type"]) for one in storage_of["Columns"]] == [
        ("order_id", "string"),
        ("amount", "double"),
    ]
    assert storage_of["Location"] == f"s3://{CURATED}/orders/"
    assert storage_of["SerdeInfo"]["SerializationLibrary"] == PARQUET
    assert (found["TableType"], found["Parameters"]["job_id"]) == ("EXTERNAL_TABLE", "job-1")
    assert counts(found) == ("20", "2", "100")
    there = partitions(glue)
    assert set(there) == {EU, US}
    assert there[EU]["StorageDescriptor"]["Location"] == f"s3://{CURATED}/orders/dt=2024-07-02/region=eu/"
    assert there[EU]["StorageDescriptor"]["Columns"] == storage_of["Columns"]
    again = registered(job("job-2"), EU, ("2024-07-03", "eu"))
    assert again["partitions_added"] == 1
    assert counts(table(glue)) == ("40", "4", "100")
    assert counts(partitions(glue)[EU]) == ("20", "2", "100")
    assert counts(partitions(glue)[US]) == ("10", "1", "100")


def test_a_repeated_run_changes_nothing(glue: Any) -> None:
    registered(job(), EU)
    before = (table(glue)["Parameters"], partitions(glue)[EU]["Parameters"])
    assert registered(job(), EU)["partitions_added"] == 0
    assert (table(glue)["Parameters"], partitions(glue)[EU]["Parameters"]) == before


def test_a_replaced_partition_counts_once(glue: Any) -> None:
    registered(job(), EU, US, rows=10)
    registered(job("job-2", write_mode="overwrite_partitions"), EU, rows=4, size=100)
    assert counts(partitions(glue)[EU]) == ("4", "1", "25")
    assert counts(table(glue)) == ("14", "2", "78")


def test_the_template_s_table_is_taken_up(glue: Any) -> None:
    mine = job()
    glue.create_table(
        DatabaseName="shop",
        TableInput={
            "Name": "orders",
            "Description": "Orders",
            "TableType": "EXTERNAL_TABLE",
            "Parameters": {"EXTERNAL": "TRUE", "classification": "parquet", "team": "orders"},
            "PartitionKeys": [{"Name": "dt", "Type": "date"}, {"Name": "region", "Type": "string"}],
            "StorageDescriptor": {
                "Columns": [{"Name": "order_id", "Type": "string"}],
                "Location": "s3://elsewhere/",
                "SerdeInfo": {"SerializationLibrary": PARQUET},
            },
        },
    )
    assert registered(mine, EU)["added_columns"] == ["amount"]
    found = table(glue)
    assert (found["Description"], found["Parameters"]["team"]) == ("Orders", "orders")
    assert found["StorageDescriptor"]["Location"] == mine.curated


ADDED = [
    *COLUMNS[:2],
    {"name": "Note", "type": {"name": "string"}, "description": "Of a clerk"},
    *COLUMNS[2:],
]
OTHER_TYPE = [
    COLUMNS[0],
    {"name": "amount", "type": {"name": "decimal", "precision": 9, "scale": 2}},
    *COLUMNS[2:],
]


def test_columns_are_added_at_the_end_and_never_taken_away(glue: Any) -> None:
    registered(job(), EU, US)
    assert registered(job("job-2", ADDED), EU)["added_columns"] == ["Note"]
    assert registered(job("job-3"), US)["added_columns"] == []
    shape = ["order_id", "amount", "Note"]
    assert [one["Name"] for one in table(glue)["StorageDescriptor"]["Columns"]] == shape
    for there in partitions(glue).values():
        assert [one["Name"] for one in there["StorageDescriptor"]["Columns"]] == shape
    assert table(glue)["StorageDescriptor"]["Columns"][2]["Comment"] == "Of a clerk"


def test_another_type_is_a_conflict_before_anything_is_published(glue: Any) -> None:
    registered(job(), EU)
    mine = job("job-2", OTHER_TYPE)
    uri = f"{mine.staging}output/dt=2024-07-02/region=eu/part-x.zstd.parquet"
    put(*storage.parse_uri(uri), orders("1"))
    record = f"{mine.runs}record.json"
    entry = {"uri": uri, "rows": 1, "partition": {"dt": "2024-07-02", "region": "eu"}}
    storage.put_json(f"{mine.runs}files.json", {"outputs": [entry]})
    storage.put_json(record, {"status": "completed", "files": f"{mine.runs}files.json"})
    with pytest.raises(SchemaConflict, match=r"column amount is double in the catalog and decimal\(9,2\) in"):
        publish(mine, record)
    assert world.keys(CURATED, "orders/") == []
    replacing = job("job-2", OTHER_TYPE, schema_evolution="replace")
    answer = publish(replacing, record)
    assert (answer["catalog"]["table"], answer["rows"]) == ("shop.orders", 1)
    columns = table(glue)["StorageDescriptor"]["Columns"]
    assert [(one["Name"], one["Type"]) for one in columns] == [
        ("order_id", "string"),
        ("amount", "decimal(9,2)"),
    ]
    assert partitions(glue)[EU]["StorageDescriptor"]["Columns"] == columns


def test_other_partitions_are_a_conflict(glue: Any) -> None:
    registered(job(), EU)
    mine = opened(execution="job-2", partition_by=[{"name": "dt", "column": "dt"}], **TABLE)
    with pytest.raises(SchemaConflict, match="partitioned by dt date, region string, the files by dt date"):
        catalog.check(mine, catalog.described(mine), [])


@pytest.mark.parametrize(
    ("form", "library", "types"),
    [
        ("csv", "org.apache.hadoop.hive.serde2.OpenCSVSerde", ["string", "string"]),
        ("json", "org.openx.data.jsonserde.JsonSerDe", ["string", "double"]),
    ],
)
def test_the_table_follows_the_format(glue: Any, form: str, library: str, types: list[str]) -> None:
    registered(job(), EU, US)
    with pytest.raises(FormatConflict, match=f'output_format "{form}" would add'):
        registered(job("job-2", output_format=form), EU)
    replaced = job("job-3", output_format=form, write_mode="overwrite_partitions")
    registered(replaced, EU)
    for described in (table(glue), partitions(glue)[EU]):
        assert described["StorageDescriptor"]["SerdeInfo"]["SerializationLibrary"] == library
        assert described["Parameters"]["classification"] == form
        assert [one["Type"] for one in described["StorageDescriptor"]["Columns"]] == types
    assert ("skip.header.line.count" in table(glue)["Parameters"]) == (form == "csv")
    assert "parquet.compression" not in table(glue)["Parameters"]
    # The partition that was not replaced is read as before.
    assert partitions(glue)[US]["StorageDescriptor"]["SerdeInfo"]["SerializationLibrary"] == PARQUET


def test_binary_is_text_in_json(glue: Any) -> None:
    raw = {"name": "raw", "type": {"name": "list", "item": {"name": "binary"}}}
    registered(job(columns=[raw, *COLUMNS[2:]], output_format="json"), EU)
    assert table(glue)["StorageDescriptor"]["Columns"][0]["Type"] == "array<string>"


def test_many_partitions_go_in_chunks(glue: Any) -> None:
    days = [(f"2024-{1 + n // 28:02d}-{1 + n % 28:02d}", "eu") for n in range(250)]
    with world.killed() as calls:
        assert registered(job(), *days)["partitions_added"] == 250
    assert len(partitions(glue)) == 250
    assert calls.calls.count("BatchCreatePartition") == 3
    with world.killed() as calls:
        assert registered(job("job-2"), *days)["partitions_added"] == 0
    assert [name for name in calls.calls if name != "BatchGetPartition"] == [
        "GetTable",
        "UpdateTable",
        *["BatchUpdatePartition"] * 3,
    ]


def failing(monkeypatch: pytest.MonkeyPatch, operation: str, code: str, times: int) -> list[str]:
    """Let an operation fail so many times; returns those failures."""
    original, failed = botocore.client.BaseClient._make_api_call, list[str]()

    def call(self: Any, name: str, arguments: Any) -> Any:
        if name == operation and len(failed) < times:
            failed.append(code)
            raise ClientError({"Error": {"Code": code, "Message": "x"}}, name)
        return original(self, name, arguments)

    monkeypatch.setattr(botocore.client.BaseClient, "_make_api_call", call)
    return failed


def test_a_table_that_another_run_changes_meanwhile_is_read_again(
    glue: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    registered(job(), EU)
    failed = failing(monkeypatch, "UpdateTable", "ConcurrentModificationException", 2)
    registered(job("job-2"), US)
    assert len(failed) == 2
    assert counts(table(glue)) == ("20", "2", "100")
    pauses: list[int] = []
    monkeypatch.setattr(catalog, "pause", pauses.append)
    failing(monkeypatch, "UpdateTable", "ConcurrentModificationException", 10_000)
    with pytest.raises(CatalogError, match="was changed by others 20 times"):
        registered(job("job-3"), US)
    assert pauses == list(range(1, 20))


def test_two_runs_make_the_table_at_once(glue: Any) -> None:
    first, second = job(), job("job-2")
    absent = catalog.described(first)
    assert absent is None
    catalog.register(first, None, files(first, EU))
    answer = catalog.register(second, None, files(second, US))
    assert answer["partitions_added"] == 1
    assert set(partitions(glue)) == {EU, US}


def test_a_partition_that_is_not_taken_is_told(glue: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    original = botocore.client.BaseClient._make_api_call

    def call(self: Any, name: str, arguments: Any) -> Any:
        if name == "BatchCreatePartition":
            detail = {"ErrorCode": "InternalServiceException", "ErrorMessage": "no"}
            return {"Errors": [{"PartitionValues": ["2024-07-02", "eu"], "ErrorDetail": detail}]}
        return original(self, name, arguments)

    monkeypatch.setattr(botocore.client.BaseClient, "_make_api_call", call)
    with pytest.raises(CatalogError, match=r"partition \['2024-07-02', 'eu'\]: InternalServiceException: no"):
        registered(job(), EU)


def test_a_missing_database_is_an_error(glue: Any) -> None:
    mine = opened(database="nowhere", table="orders")
    with pytest.raises(ClientError, match="nowhere"):
        catalog.register(mine, catalog.described(mine), files(mine, EU))


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_registration_cut_off_anywhere_is_repeated(monkeypatch: pytest.MonkeyPatch, *, after: bool) -> None:
    at, cut = 0, True
    while cut:
        with world.aws(monkeypatch):
            catalog.glue.cache_clear()
            catalog.glue().create_database(DatabaseInput={"Name": "shop"})
            registered(job(), EU)
            with world.killed(at, after=after) as killer, contextlib.suppress(world.KilledError):
                registered(job("job-2", ADDED), EU, US)
            cut, at = killer.dead, at + 1
            registered(job("job-2", ADDED), EU, US)
            assert counts(table(catalog.glue())) == ("30", "3", "100")
            there = partitions(catalog.glue())
            assert {values: counts(one)[0] for values, one in there.items()} == {EU: "20", US: "10"}
    catalog.glue.cache_clear()
    assert at > 5


def test_projection_grows_with_the_runs(glue: Any) -> None:
    registered(job(partition_projection=True), ("2024-07-02", "eu"))
    answer = registered(job("job-2"), ("2024-06-30", "us"), ("2024-07-01", "eu"))
    assert (answer["partitions_added"], partitions(glue)) == (0, {})
    assert {n: v for n, v in table(glue)["Parameters"].items() if n.startswith("projection.")} == {
        "projection.enabled": "true",
        "projection.dt.type": "date",
        "projection.dt.format": "yyyy-MM-dd",
        "projection.dt.interval": "1",
        "projection.dt.interval.unit": "DAYS",
        "projection.dt.range": "2024-06-30,2024-07-02",
        "projection.region.type": "enum",
        "projection.region.values": "eu,us",
    }


def test_projection_begins_with_what_is_there(glue: Any) -> None:
    registered(job(), EU)
    for place in ("dt=2024-01-31/region=eu", "dt=2024-02-01/region=a b", "dt=2024-02-02", "_other/x=1"):
        put(CURATED, f"orders/{place}/part-x.parquet", b"")
    switched = job("job-2", partition_projection=True)
    registered(switched, US)
    parameters = table(glue)["Parameters"]
    assert parameters["projection.dt.range"] == "2024-01-31,2024-07-02"
    assert parameters["projection.region.values"] == "a b,eu,us"
    with world.killed() as calls:
        registered(job("job-3", partition_projection=True), EU)
    assert calls.calls == ["GetTable", "UpdateTable"]


def test_what_is_there_and_cannot_be_projected_is_told(glue: Any) -> None:
    put(CURATED, "orders/dt=2024-01-31/region=a%3Ab/part-x.parquet", b"")
    with pytest.raises(ProjectionNotPossible, match="region='a:b'"):
        registered(job(partition_projection=True), EU)


def test_counts_that_nobody_knows_are_left_out(glue: Any) -> None:
    registered(job(partition_projection=True), EU)
    registered(job("job-2"), EU, US)
    assert counts(table(glue)) == ("30", "3", "100")
    registered(job("job-3", write_mode="overwrite_partitions"), EU)
    assert "recordCount" not in table(glue)["Parameters"]
    registered(job("job-4"), EU)
    assert "recordCount" not in table(glue)["Parameters"]


def test_a_run_without_rows_begins_no_range(glue: Any) -> None:
    registered(job(partition_projection=True))
    assert "projection.enabled" not in table(glue)["Parameters"]
    registered(job("job-2", partition_projection=True), EU)
    before = table(glue)["Parameters"]
    assert before["projection.dt.range"] == "2024-07-02,2024-07-02"
    registered(job("job-3"))
    assert {**table(glue)["Parameters"], "job_id": "job-2"} == before


def test_projection_of_numbers(glue: Any) -> None:
    columns = [COLUMNS[0], {"name": "hour", "type": {"name": "int32"}}]
    mine = opened(
        {"partition_projection": True, "required_partitions": ["hour"]},
        output_contract={"name": "Order", "columns": columns},
        partition_by=[{"name": "hour", "column": "hour"}],
        **TABLE,
    )
    for hours in (["9", "-3"], ["10"]):
        catalog.register(
            mine,
            catalog.described(mine),
            [Curated("s3://b/k", "", 1, {"hour": hour}, "s3://b/") for hour in hours],
        )
    parameters = table(glue)["Parameters"]
    assert (parameters["projection.hour.type"], parameters["projection.hour.range"]) == ("integer", "-3,10")


@pytest.mark.parametrize(
    ("places", "message"),
    [
        ([("2024-07-02", "a,b")], "region='a,b' holds a character"),
        ([("2024-07-02", "a:b")], "region='a:b' holds a character"),
        ([("__HIVE_DEFAULT_PARTITION__", "eu")], "dt is null"),
        ([("2024-07-02", f"r{n}") for n in range(MOST_VALUES + 1)], "region has 1,001 values"),
    ],
)
def test_what_cannot_be_projected_is_told_before_anything_is_published(
    glue: Any, places: list[tuple[str, str]], message: str
) -> None:
    mine = job(partition_projection=True)
    values = [{"dt": dt, "region": region} for dt, region in places]
    with pytest.raises(ProjectionNotPossible, match=message):
        catalog.check(mine, None, values)


def test_without_partitions_the_table_holds_the_counts(glue: Any) -> None:
    mine = opened(partition_by=[], **TABLE)
    one = Curated(f"{mine.curated}part-a.parquet", "", 10, {}, mine.curated, 1000)
    for of in (mine, mine, replace(mine, id="job-2")):
        catalog.register(of, catalog.described(of), [one])
    assert counts(table(glue)) == ("20", "2", "100")
