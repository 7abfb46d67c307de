"""Redshift: statements in its dialect, the Data API's protocol, and the effect on PostgreSQL with only COPY replaced."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import boto3
import psycopg
import pytest
import sqlglot
from botocore.exceptions import ClientError
from botocore.stub import ANY, Stubber
from postgres_world import DataApi, database, postgres_server
from sqlglot import exp

from aws_runtime.contract import Column, Contract, DataType, Field
from aws_runtime.partitions import HIVE_NULL
from aws_runtime.plan import PartitionPlan
from aws_runtime.warehouses.load import Load, LoadFile, LoadMode, WarehouseBusy, WarehouseError
from aws_runtime.warehouses.redshift import BATCH_STATEMENTS, SESSION_SECONDS, Notes, run
from aws_runtime.warehouses.redshift_sql import (
    manifest,
    manifest_uri,
    preparation,
    sql_type,
    staging,
    transaction,
)
from aws_runtime.warehouses.targets import RedshiftTable

ROLE = "arn:aws:iam::123456789012:role/copy"
MANIFESTS = "s3://curated/_runs/job/redshift/"
SESSION = "5a254dc6-4fc2-4203-87a8-551155432ee4"
AT = RedshiftTable(database="dev", copy_role=ROLE, workgroup="analytics")
ORDERS = Contract(
    "Orders",
    (
        Column("order id", DataType("int64")),
        Column("day", DataType("date"), nullable=True),
        Column('odd "name"', DataType("string"), nullable=True),
        Column("amount", DataType("decimal", precision=12, scale=2), nullable=True),
        Column("region", DataType("string"), nullable=True),
        Column("at", DataType("timestamp", timezone="UTC"), nullable=True),
    ),
)
BY_DAY_AND_REGION = (PartitionPlan("day", "day"), PartitionPlan("region", "region"))
NESTED = DataType("struct", fields=(Field("a", DataType("int32")),))
TYPES = {
    **{name: DataType(name) for name in ("boolean", "string", "date", "binary", "float32", "float64")},
    **{f"{sign}int{bits}": DataType(f"{sign}int{bits}") for sign in ("", "u") for bits in (8, 16, 32, 64)},
    "decimal": DataType("decimal", precision=38, scale=10),
    "timestamp": DataType("timestamp"),
    "zoned": DataType("timestamp", timezone="Europe/Paris"),
    "list": DataType("list", item=DataType("string")),
    "struct": NESTED,
}


def row(order: int, **other: Any) -> dict[str, Any]:
    always = {"day": "2024-07-02", 'odd "name"': "a'b", "amount": "1.50", "region": "eu"}
    return {"order id": order, **always, "at": "2024-07-02T10:00:00Z", **other}


def file_of(name: str, rows: int, **partition: str) -> LoadFile:
    folders = "".join(f"{column}={said}/" for column, said in partition.items())
    return LoadFile(f"s3://c/_staging/shop/job/output/{folders}{name}", 100, rows, partition)


def load(job: str = "job-1", mode: LoadMode = LoadMode.APPEND, **other: Any) -> Load:
    given = {"files": [file_of("a.parquet", 1)], **other}
    return Load(job, "public", "orders", ORDERS, mode=mode, **given)


def partitioned(job: str = "job-1", mode: LoadMode = LoadMode.APPEND, **other: Any) -> Load:
    given = {"files": [file_of("a.parquet", 1, day="2024-07-02", region=r"it's\eu")], **other}
    return load(job, mode, partition_by=BY_DAY_AND_REGION, **given)


OVERWRITE = LoadMode.OVERWRITE_PARTITIONS
LOADS = {
    "append": load(),
    "merge": load(mode=LoadMode.MERGE, keys=["order id"]),
    "append, partitioned": partitioned(),
    "merge, partitioned": partitioned(mode=LoadMode.MERGE, keys=["order id", "day"]),
    "overwrite": partitioned(mode=OVERWRITE, run_at="20240702T100000Z-0011223344556677"),
    "overwrite all": load(mode=OVERWRITE),
    "overwrite by parts of a date": load(
        mode=OVERWRITE,
        partition_by=[
            PartitionPlan(f"p_{transform}", "at", transform)
            for transform in ("day", "month", "year", "hour", "month_of_year", "day_of_month")
        ],
    ),
}


def all_of(given: Load) -> list[str]:
    return [*preparation(given), *staging(given, MANIFESTS, ROLE), *transaction(given)]


# Statements


@pytest.mark.parametrize("name", LOADS)
def test_every_statement_is_redshifts_own_sql(name: str) -> None:
    given = LOADS[name]
    parsed = [
        sqlglot.parse_one(sql, dialect="redshift")
        for sql in all_of(given)
        if not sql.startswith("LOCK")  # sqlglot knows no LOCK
    ]
    assert not any(isinstance(statement, exp.Command) for statement in parsed)
    assert [c.name for c in parsed[0].find_all(exp.ColumnDef)] == [c.name for c in ORDERS.columns]
    assert sum(isinstance(statement, exp.Copy) for statement in parsed) == 1


def test_the_lock_comes_before_anything_that_takes_a_snapshot() -> None:
    assert all(transaction(given)[0].startswith("LOCK TABLE ") for given in LOADS.values())


@pytest.mark.parametrize("name", TYPES)
def test_every_type_is_one_of_redshifts(name: str) -> None:
    column = sqlglot.parse_one(f"CREATE TABLE t (c {sql_type(TYPES[name])})", dialect="redshift").find(
        exp.ColumnDef
    )
    assert column is not None
    assert isinstance(column.kind, exp.DataType)
    assert column.kind.this is not exp.DataType.Type.USERDEFINED


def test_nested_columns_are_copied_as_super() -> None:
    nested = replace(load(), contract=Contract("N", (Column("s", NESTED),)))
    assert any("SERIALIZETOJSON" in sql for sql in staging(nested, MANIFESTS, ROLE))
    assert not any("SERIALIZETOJSON" in sql for sql in staging(load(), MANIFESTS, ROLE))


def test_the_warehouses_own_role_is_no_text() -> None:
    assert "IAM_ROLE default FORMAT" in staging(load(), MANIFESTS, "default")[1]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"table": "orders; drop"}, "letters, digits"),
        ({"table": "Ingestion_Loads"}, "loads themselves"),
        ({"job_id": "it's"}, "no id of a run"),
        ({"job_id": ""}, "no id of a run"),
        ({"run_at": "it's"}, "no id of a run"),
        ({"mode": LoadMode.MERGE}, "needs keys"),
        ({"keys": ["nope"]}, "no column"),
        ({"contract": Contract("C", (Column("Ingestion_File", DataType("string")),))}, "loads themselves"),
    ],
)
def test_what_cannot_be_loaded_is_refused(changed: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        replace(load(), **changed)


def test_a_manifest_names_files_with_their_bytes() -> None:
    given = [LoadFile("s3://c/a", 7, 1), LoadFile("s3://c/b", 3, 1)]
    assert manifest(given) == {
        "entries": [
            {"url": "s3://c/a", "mandatory": True, "meta": {"content_length": 7}},
            {"url": "s3://c/b", "mandatory": True, "meta": {"content_length": 3}},
        ]
    }


# The Data API; moto has no BatchExecuteStatement, so botocore's own models judge requests and answers


def kept(given: Mapping[str, Any] | None = None) -> Notes:
    """Return notes that are kept in memory."""
    found = [given]
    return Notes(lambda: found[-1], found.append)


@pytest.fixture
def stubbed() -> Iterator[tuple[Any, Stubber]]:
    client = boto3.client(
        "redshift-data", region_name="eu-west-1", aws_access_key_id="t", aws_secret_access_key="t"
    )
    with Stubber(client) as stubber:
        yield client, stubber
        stubber.assert_no_pending_responses()


def started(stubber: Stubber, identifier: str, **place: Any) -> None:
    place = place or {"SessionId": SESSION}
    stubber.add_response(
        "batch_execute_statement",
        {"Id": identifier, "SessionId": SESSION},
        {"Sqls": ANY, "StatementName": "ingestion-orders", **place},
    )


def opened(stubber: Stubber, **place: str) -> None:
    place = {"Database": "dev", **(place or {"WorkgroupName": "analytics"})}
    started(stubber, "made", SessionKeepAliveSeconds=SESSION_SECONDS, **place)


def described(stubber: Stubber, identifier: str, status: str = "FINISHED", **more: Any) -> None:
    stubber.add_response(
        "describe_statement", {"Id": identifier, "Status": status, **more}, {"Id": identifier}
    )


def staged(stubber: Stubber, **place: str) -> None:
    opened(stubber, **place)
    described(stubber, "made")
    started(stubber, "staged")
    described(stubber, "staged")


def test_waits_longer_and_longer_until_it_is_finished(stubbed: tuple[Any, Stubber]) -> None:
    client, stubber = stubbed
    staged(stubber)
    started(stubber, "loaded")
    for status in ["SUBMITTED", "PICKED", *["STARTED"] * 5, "FINISHED"]:
        described(stubber, "loaded", status)
    slept: list[float] = []
    assert run(client, AT, load(), MANIFESTS, kept(), sleep=slept.append, clock=lambda: 0) == "loaded"
    assert slept == [0.5, 1, 2, 4, 8, 10, 10]


def test_a_cluster_is_called_with_its_secret(stubbed: tuple[Any, Stubber]) -> None:
    client, stubber = stubbed
    staged(stubber, ClusterIdentifier="big", SecretArn="arn:secret")
    started(stubber, "loaded")
    described(stubber, "loaded")
    at = RedshiftTable("dev", ROLE, cluster="big", secret="arn:secret")
    assert run(client, at, load(), MANIFESTS, kept()) == "loaded"


@pytest.mark.parametrize(
    ("status", "more", "said"),
    [
        ("ABORTED", {"Error": "by the administrator"}, "aborted: by the administrator"),
        ("FAILED", {}, "failed: no reason given"),
        (
            "FAILED",
            {
                "SubStatements": [
                    {"Id": "x:1", "Status": "FINISHED"},
                    {"Id": "x:2", "Status": "FAILED", "Error": "no bucket", "QueryString": "COPY\n  t"},
                ]
            },
            r"no bucket \(in 'COPY t'\)",
        ),
    ],
)
def test_a_failure_is_told_in_redshifts_words(
    stubbed: tuple[Any, Stubber], status: str, more: dict[str, Any], said: str
) -> None:
    client, stubber = stubbed
    opened(stubber)
    described(stubber, "made")
    started(stubber, "staged")
    described(stubber, "staged", status, **more)
    with pytest.raises(WarehouseError, match=said):
        run(client, AT, load(), MANIFESTS, kept())


def test_what_takes_too_long_is_waited_for_by_the_next_call(stubbed: tuple[Any, Stubber]) -> None:
    client, stubber = stubbed
    notes, times = kept(), iter([0.0, 1.0, 11.0])
    opened(stubber)
    described(stubber, "made")
    started(stubber, "staged")
    described(stubber, "staged", "STARTED")
    described(stubber, "staged", "STARTED")
    with pytest.raises(WarehouseBusy, match="statement staged"):
        run(
            client,
            AT,
            load(),
            MANIFESTS,
            notes,
            timeout_seconds=10,
            clock=lambda: next(times),
            sleep=lambda _seconds: None,
        )
    described(stubber, "staged")
    started(stubber, "loaded")
    described(stubber, "loaded")
    assert run(client, AT, load(), MANIFESTS, notes) == "loaded"
    described(stubber, "loaded")
    assert run(client, AT, load(), MANIFESTS, notes) == "loaded"


def anew(stubber: Stubber) -> None:
    staged(stubber)
    started(stubber, "loaded")
    described(stubber, "loaded")


NOTED = {"batch": 1, "statement": "old", "session": SESSION}


def noted(given: Load) -> Notes:
    """Return the notes of a load that waits for its second batch."""
    batches = [preparation(given), staging(given, MANIFESTS, ROLE), transaction(given)]
    digest = hashlib.sha256(json.dumps(batches).encode()).hexdigest()
    return kept({"digest": digest, **NOTED})


def test_a_load_that_failed_is_started_anew(stubbed: tuple[Any, Stubber]) -> None:
    client, stubber = stubbed
    described(stubber, "old", "FAILED", Error="told already")
    anew(stubber)
    assert run(client, AT, load(), MANIFESTS, noted(load())) == "loaded"


def test_a_load_whose_session_is_gone_is_started_anew(stubbed: tuple[Any, Stubber]) -> None:
    client, stubber = stubbed
    described(stubber, "old")
    stubber.add_client_error("batch_execute_statement", "ValidationException", "Session is not available.")
    anew(stubber)
    assert run(client, AT, load(), MANIFESTS, noted(load())) == "loaded"


def test_notes_of_other_files_are_none(stubbed: tuple[Any, Stubber]) -> None:
    client, stubber = stubbed
    anew(stubber)
    assert run(client, AT, load(), MANIFESTS, noted(load("other"))) == "loaded"


def test_what_is_denied_is_told(stubbed: tuple[Any, Stubber]) -> None:
    client, stubber = stubbed
    stubber.add_client_error("describe_statement", "AccessDeniedException")
    with pytest.raises(ClientError, match="AccessDenied"):
        run(client, AT, load(), MANIFESTS, noted(load()))


def test_a_redrive_is_not_answered_with_the_old_failure(stubbed: tuple[Any, Stubber]) -> None:
    client, stubber = stubbed
    tokens: list[str] = []
    client.meta.events.register_last(
        "before-parameter-build",  # botocore adds the token here, after the handlers of longer names
        lambda params, model, **_: (
            tokens.append(params["ClientToken"]) if model.name == "BatchExecuteStatement" else None
        ),
    )
    for _ in range(2):
        staged(stubber)
        started(stubber, "loaded")
        described(stubber, "loaded")
        run(client, AT, load(), MANIFESTS, kept())
    assert len(set(tokens)) == 6


# The effect: PostgreSQL runs the statements; COPY alone is replaced, by the same columns in the same order


class Postgres:
    """A database, and the files of the loads into it."""

    def __init__(self, uri: str) -> None:
        self.uri = uri
        self.rows: dict[str, list[list[Any]]] = {}
        self.clients: list[DataApi] = []

    def holds(self, given: Load, rows: Sequence[Mapping[str, Any]]) -> Load:
        """Lay the rows down as the files of a load, and return it with them."""
        names = [column.name for column in given.in_path]
        folders: dict[tuple[str, ...], list[Mapping[str, Any]]] = {}
        for one in rows:
            folders.setdefault(tuple(one[name] for name in names), []).append(one)
        files, values = [], {}
        for folder, mine in folders.items():
            file = file_of("a.parquet", len(mine), **dict(zip(names, folder, strict=True)))
            files.append(file)
            values[file.uri] = [[one[column.name] for column in given.in_files] for one in mine]
        given = replace(given, files=files)
        for number, group in enumerate(given.groups().values()):
            uri = manifest_uri(f"{MANIFESTS}{given.job_id}/", number)
            self.rows[uri] = [row for file in group for row in values[file.uri]]
        return given

    def loads(self, given: Load, *rows: Mapping[str, Any]) -> None:
        self.runs(self.holds(given, rows))

    def runs(self, given: Load) -> None:
        client = DataApi(self.uri, self.rows.__getitem__)
        self.clients.append(client)
        run(client, AT, given, f"{MANIFESTS}{given.job_id}/", kept(), sleep=lambda _seconds: None)


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with postgres_server() as uri:
        yield uri


@pytest.fixture
def postgres(server: str, request: pytest.FixtureRequest) -> Iterator[Postgres]:
    with database(server, request.node.name) as uri:
        world = Postgres(uri)
        yield world
        for client in world.clients:
            client.close()


def table(postgres: Postgres, what: str = '"order id", amount') -> list[tuple[Any, ...]]:
    with psycopg.connect(postgres.uri) as connection:
        return [
            (found[0], *map(str, found[1:]))
            for found in connection.execute(f"SELECT {what} FROM orders ORDER BY 1, 2")
        ]


def test_append_adds(postgres: Postgres) -> None:
    postgres.loads(load("j1"), row(1), row(2))
    postgres.loads(load("j2"), row(2, amount="9"))
    assert table(postgres) == [(1, "1.50"), (2, "1.50"), (2, "9.00")]


def test_merge_replaces_equal_keys_and_inserts_the_others(postgres: Postgres) -> None:
    postgres.loads(replace(LOADS["merge"], job_id="j1"), row(1), row(2))
    postgres.loads(replace(LOADS["merge"], job_id="j2"), row(2, amount="9"), row(3, amount="9"))
    assert table(postgres) == [(1, "1.50"), (2, "9.00"), (3, "9.00")]


def test_columns_of_the_folders_are_in_the_table(postgres: Postgres) -> None:
    rows = [row(1), row(2, region=r"it's\eu"), row(3, day="2024-07-03"), row(4, region=HIVE_NULL)]
    postgres.loads(partitioned(), *rows)
    assert table(postgres, '"order id", day, region') == [
        (1, "2024-07-02", "eu"),
        (2, "2024-07-02", r"it's\eu"),
        (3, "2024-07-03", "eu"),
        (4, "2024-07-02", "None"),
    ]


def test_more_partitions_than_a_batch_holds(postgres: Postgres) -> None:
    rows = [row(number, region=f"r{number:03d}") for number in range(30)]
    postgres.loads(partitioned(), *rows)
    assert [found[1] for found in table(postgres, '"order id", region')] == [r["region"] for r in rows]
    assert max(postgres.clients[0].batches) == BATCH_STATEMENTS


def test_overwrite_replaces_the_partitions_that_the_run_brings(postgres: Postgres) -> None:
    by_region = replace(LOADS["overwrite"], partition_by=BY_DAY_AND_REGION)
    postgres.loads(replace(by_region, job_id="j1", run_at="1"), row(1), row(2, region="us"))
    postgres.loads(replace(by_region, job_id="j2", run_at="2"), row(3, amount="9"))
    assert table(postgres) == [(2, "1.50"), (3, "9.00")]


def test_overwrite_by_parts_of_a_date(postgres: Postgres) -> None:
    by_day = replace(LOADS["overwrite"], partition_by=[PartitionPlan("on", "at", "day")])
    first = [row(1), row(2, at="2024-07-02T23:59:59Z"), row(3, at="2024-07-03T00:00:00Z")]
    postgres.loads(replace(by_day, job_id="j1", run_at="1"), *first)
    postgres.loads(replace(by_day, job_id="j2", run_at="2"), row(4, amount="9"))
    assert table(postgres) == [(3, "1.50"), (4, "9.00")]


def test_overwrite_without_partitions_replaces_the_table(postgres: Postgres) -> None:
    postgres.loads(replace(LOADS["overwrite all"], job_id="j1", run_at="1"), row(1), row(2))
    postgres.loads(replace(LOADS["overwrite all"], job_id="j3", run_at="3"), row(3))
    postgres.loads(replace(LOADS["overwrite all"], job_id="j2", run_at="2"), row(4))
    assert table(postgres) == [(3, "1.50")]


def test_an_older_run_that_is_loaded_later_replaces_nothing_of_a_newer_one(postgres: Postgres) -> None:
    postgres.loads(replace(LOADS["overwrite"], job_id="new", run_at="2"), row(1, amount="9"))
    older = replace(LOADS["overwrite"], job_id="old", run_at="1")
    postgres.loads(older, row(2), row(3, region="us"))
    assert table(postgres) == [(1, "9.00"), (3, "1.50")]


@pytest.mark.parametrize("name", ["append", "merge", "append, partitioned", "overwrite"])
def test_the_same_job_twice_changes_nothing(postgres: Postgres, name: str) -> None:
    postgres.loads(LOADS[name], row(1))
    postgres.loads(LOADS[name], row(1, amount="9"), row(7, amount="9"))
    assert table(postgres) == [(1, "1.50")]
    with psycopg.connect(postgres.uri) as connection:
        runs = connection.execute("SELECT job_id FROM ingestion_loads WHERE partition_name = ''").fetchall()
    assert runs == [("job-1",)]


def test_one_job_may_load_two_tables_of_a_schema(postgres: Postgres) -> None:
    postgres.loads(replace(load(), table="other"), row(1))
    postgres.loads(load(), row(1))
    assert table(postgres) == [(1, "1.50")]


def test_loads_at_once(postgres: Postgres) -> None:
    loads = [postgres.holds(load(job), [row(1), row(2), row(3)]) for job in ("same", "same", "same", "other")]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(postgres.runs, loads))
    assert [found[0] for found in table(postgres)] == [1, 1, 2, 2, 3, 3]


def test_a_failure_in_the_middle_leaves_nothing_and_can_be_repeated(postgres: Postgres) -> None:
    postgres.loads(replace(LOADS["merge"], job_id="j1"), row(1))
    with psycopg.connect(postgres.uri) as connection:
        connection.execute("ALTER TABLE orders ADD CONSTRAINT small CHECK (amount < 5)")
    second = postgres.holds(replace(LOADS["merge"], job_id="j2"), [row(1, amount="9"), row(2, amount="9")])
    with pytest.raises(WarehouseError, match="small"):
        postgres.runs(second)
    assert table(postgres) == [(1, "1.50")]
    with psycopg.connect(postgres.uri) as connection:
        connection.execute("ALTER TABLE orders DROP CONSTRAINT small")
    postgres.runs(second)
    assert table(postgres) == [(1, "9.00"), (2, "9.00")]


def test_rows_that_were_not_copied_fail_the_load(postgres: Postgres) -> None:
    given = postgres.holds(load(), [row(1), row(2)])
    file = given.files[0]
    with pytest.raises(WarehouseError, match="division by zero"):
        postgres.runs(replace(given, files=[replace(file, rows=3)]))
    assert table(postgres) == []


def test_a_table_with_other_order_and_more_columns_gets_each_value_in_its_place(postgres: Postgres) -> None:
    with psycopg.connect(postgres.uri) as connection:
        connection.execute(
            'CREATE TABLE orders (note text, amount numeric(12,2), "odd ""name""" text, at timestamptz, '
            'region text, day date, "order id" bigint)'
        )
    postgres.loads(load(), row(1))
    assert table(postgres) == [(1, "1.50")]
