"""Snowflake: statements in its dialect, keys, and the effect on fakesnow through the connector."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlglot
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from fakesnow_server import running
from sqlglot import exp

from aws_runtime.contract import Column, Contract, DataType, Field
from aws_runtime.partitions import HIVE_NULL
from aws_runtime.plan import PartitionPlan
from aws_runtime.warehouses import snowflake
from aws_runtime.warehouses.load import Load, LoadFile, LoadMode, WarehouseError
from aws_runtime.warehouses.snowflake_sql import COPY_FILES, preparation, sql_type, staging, transaction
from aws_runtime.warehouses.targets import SnowflakeTable

ROOT = "s3://curated/_staging/shop/"
AT = SnowflakeTable(
    account="fakesnow",
    user="LOADER",
    secret="arn:aws:secretsmanager:eu-west-1:123456789012:secret:snowflake",
    warehouse="LOADING",
    database="SHOP",
    stage="raw.staged",
    schema="raw",
)
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
SCHEMA = pa.schema(
    [
        ("order id", pa.int64()),
        ("day", pa.date32()),
        ('odd "name"', pa.string()),
        ("amount", pa.decimal128(12, 2)),
        ("region", pa.string()),
        ("at", pa.timestamp("us", "UTC")),
    ]
)
BY_DAY_AND_REGION = (PartitionPlan("day", "day"), PartitionPlan("region", "region"))
TYPES = {
    **{name: DataType(name) for name in ("boolean", "string", "date", "binary", "float32", "float64")},
    **{f"{sign}int{bits}": DataType(f"{sign}int{bits}") for sign in ("", "u") for bits in (8, 16, 32, 64)},
    "decimal": DataType("decimal", precision=38, scale=10),
    "timestamp": DataType("timestamp"),
    "zoned": DataType("timestamp", timezone="Europe/Paris"),
    "list": DataType("list", item=DataType("string")),
    "struct": DataType("struct", fields=(Field("a", DataType("int32")),)),
}
OVERWRITE = LoadMode.OVERWRITE_PARTITIONS


def load(job: str = "job-1", mode: LoadMode = LoadMode.APPEND, **other: Any) -> Load:
    given = {"files": [LoadFile(f"{ROOT}{job}/output/a.parquet", 1, 1)], **other}
    return Load(job, "raw", "orders", ORDERS, mode=mode, **given)


def partitioned(job: str = "job-1", mode: LoadMode = LoadMode.APPEND, **other: Any) -> Load:
    file = LoadFile(f"{ROOT}{job}/output/a.parquet", 1, 1, {"day": "2024-07-02", "region": r"it's\eu"})
    return load(job, mode, partition_by=BY_DAY_AND_REGION, files=[file], **other)


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

# Statements


@pytest.mark.parametrize("name", LOADS)
def test_every_statement_is_snowflakes_own_sql(name: str) -> None:
    given = LOADS[name]
    statements = [*preparation(given), *staging(given, AT.stage, ROOT), *transaction(given)]
    parsed = [sqlglot.parse_one(sql, dialect="snowflake") for sql in statements]
    assert not any(isinstance(statement, exp.Command) for statement in parsed)
    assert sum(isinstance(statement, exp.Copy) for statement in parsed) == 1
    names = [column.name for column in parsed[0].find_all(exp.ColumnDef)]
    assert names == [column.name.upper() for column in ORDERS.columns]


@pytest.mark.parametrize("name", LOADS)
def test_nothing_within_the_transaction_ends_it(name: str) -> None:
    parsed = [sqlglot.parse_one(sql, dialect="snowflake") for sql in transaction(LOADS[name])]
    assert {type(one) for one in parsed} <= {exp.Update, exp.Delete, exp.Insert, exp.Select}
    assert isinstance(parsed[0], exp.Update)


@pytest.mark.parametrize("name", TYPES)
def test_every_type_is_one_of_snowflakes(name: str) -> None:
    made = sqlglot.parse_one(f"CREATE TABLE t (c {sql_type(TYPES[name])})", dialect="snowflake")
    column = made.find(exp.ColumnDef)
    assert column is not None
    assert isinstance(column.kind, exp.DataType)
    assert column.kind.this is not exp.DataType.Type.USERDEFINED


def test_a_copy_names_no_more_files_than_snowflake_takes() -> None:
    files = [LoadFile(f"{ROOT}j/output/{number}.parquet", 1, 1) for number in range(2 * COPY_FILES + 1)]
    copies = [sql for sql in staging(load(files=files), "s", ROOT) if sql.startswith("COPY")]
    assert [copy.count(".parquet'") for copy in copies] == [COPY_FILES, COPY_FILES, 1]


def test_a_file_beside_the_stage_is_refused() -> None:
    with pytest.raises(ValueError, match="does not lie below"):
        list(staging(load(files=[LoadFile("s3://other/a.parquet", 1, 1)]), "s", ROOT))


# The key


@pytest.fixture(scope="module")
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


def pem(key: rsa.RSAPrivateKey, passphrase: str = "") -> str:
    lock = (
        serialization.BestAvailableEncryption(passphrase.encode())
        if passphrase
        else serialization.NoEncryption()
    )
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, lock).decode()


def der(key: rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def test_a_secret_is_the_key_or_an_object_of_it(key: rsa.RSAPrivateKey) -> None:
    assert snowflake.private_key(pem(key)) == der(key)
    assert snowflake.private_key(pem(key).replace("\n", "\\n")) == der(key)
    assert snowflake.private_key(json.dumps({"private_key": pem(key)})) == der(key)
    locked = json.dumps({"private_key": pem(key, "open sesame"), "passphrase": "open sesame"})
    assert snowflake.private_key(locked) == der(key)


@pytest.mark.parametrize(
    "secret", ["s3cret", "{", "{}", '{"private_key": 1}', '{"private_key": "s3cret"}', ""]
)
def test_what_is_no_key_is_told_without_the_secret(secret: str) -> None:
    with pytest.raises(WarehouseError, match="no private key") as caught:
        snowflake.private_key(secret)
    assert "s3cret" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_key_with_another_passphrase_is_told(key: rsa.RSAPrivateKey) -> None:
    with pytest.raises(WarehouseError, match="no private key"):
        snowflake.private_key(json.dumps({"private_key": pem(key, "one"), "passphrase": "two"}))


# The effect


class Snowflake:
    """A database of the server, and the folder that stands for the stage."""

    def __init__(self, port: int, folder: Path, database: str, key: bytes) -> None:
        self.folder = folder
        self.at = replace(AT, database=database)
        place = {"host": "127.0.0.1", "port": port, "protocol": "http"}
        self.connect = partial(snowflake.session, self.at, key, **place)

    def execute(self, sql: str) -> list[tuple[Any, ...]]:
        with self.connect() as connection, connection.cursor() as cursor:
            found: list[tuple[Any, ...]] = cursor.execute(sql).fetchall()
            return found

    def holds(self, given: Load, rows: Sequence[Mapping[str, Any]]) -> Load:
        """Write the rows as the files of a load, and return it with them."""
        names = [column.name for column in given.in_path]
        folders: dict[tuple[str, ...], list[Mapping[str, Any]]] = {}
        for one in rows:
            folders.setdefault(tuple(one[name] for name in names), []).append(one)
        schema = pa.schema([SCHEMA.field(column.name) for column in given.in_files])
        files = []
        for number, (folder, mine) in enumerate(folders.items()):
            below = f"{self.at.database}/{given.job_id}/output/{number}/a.parquet"
            path = self.folder / "curated" / "_staging" / "shop" / below
            path.parent.mkdir(parents=True, exist_ok=True)
            values = [{n: parsed(schema.field(n).type, one[n]) for n in schema.names} for one in mine]
            pq.write_table(pa.Table.from_pylist(values, schema), path)
            partition = dict(zip(names, folder, strict=True))
            files.append(LoadFile(f"{ROOT}{below}", path.stat().st_size, len(mine), partition))
        return replace(given, files=files)

    def loads(self, given: Load, *rows: Mapping[str, Any]) -> str:
        return self.runs(self.holds(given, rows))

    def runs(self, given: Load) -> str:
        return snowflake.run(self.connect, self.at, given, ROOT)

    def table(self, what: str = '"ORDER ID", amount') -> list[tuple[Any, ...]]:
        found = self.execute(f"SELECT {what} FROM raw.orders ORDER BY 1, 2")
        return [(one[0], *map(str, one[1:])) for one in found]


def parsed(kind: pa.DataType, value: Any) -> Any:
    return pa.scalar(value).cast(kind).as_py() if isinstance(value, str) else value


def row(order: int, **other: Any) -> dict[str, Any]:
    always = {"day": "2024-07-02", 'odd "name"': "a'b", "amount": "1.50", "region": "eu"}
    return {"order id": order, **always, "at": "2024-07-02T10:00:00Z", **other}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, Path]]:
    folder = tmp_path_factory.mktemp("buckets")
    with running(folder) as port:
        yield port, folder


@pytest.fixture
def warehouse(server: tuple[int, Path], key: rsa.RSAPrivateKey, request: pytest.FixtureRequest) -> Snowflake:
    port, folder = server
    name = "".join(letter if letter.isalnum() else "_" for letter in request.node.name.upper())
    world = Snowflake(port, folder, name, der(key))
    world.execute(f"CREATE STAGE staged URL = 'file://{folder}/curated/_staging/shop/'")
    return world


@pytest.mark.fake_snowflake
def test_append_adds(warehouse: Snowflake) -> None:
    assert warehouse.loads(load("j1"), row(1), row(2))
    warehouse.loads(load("j2"), row(2, amount="9.00"))
    assert warehouse.table() == [(1, "1.50"), (2, "1.50"), (2, "9.00")]


@pytest.mark.fake_snowflake
def test_values_are_those_of_the_files(warehouse: Snowflake) -> None:
    warehouse.loads(
        load(), row(1), row(2, amount=None, day=None, region=None, at=None, **{'odd "name"': None})
    )
    assert warehouse.table('"ORDER ID", day, "ODD ""NAME""", amount, region, CAST("AT" AS VARCHAR)') == [
        (1, "2024-07-02", "a'b", "1.50", "eu", "2024-07-02 10:00:00+00"),
        (2, *["None"] * 5),
    ]


@pytest.mark.fake_snowflake
def test_merge_replaces_equal_keys_and_inserts_the_others(warehouse: Snowflake) -> None:
    warehouse.loads(replace(LOADS["merge"], job_id="j1"), row(1), row(2))
    warehouse.loads(replace(LOADS["merge"], job_id="j2"), row(2, amount="9.00"), row(3, amount="9.00"))
    assert warehouse.table() == [(1, "1.50"), (2, "9.00"), (3, "9.00")]


@pytest.mark.fake_snowflake
def test_columns_of_the_folders_are_in_the_table(warehouse: Snowflake) -> None:
    rows = [row(1), row(2, region=r"it's\eu"), row(3, day="2024-07-03"), row(4, region=HIVE_NULL)]
    warehouse.loads(partitioned(), *rows)
    assert warehouse.table('"ORDER ID", day, region') == [
        (1, "2024-07-02", "eu"),
        (2, "2024-07-02", r"it's\eu"),
        (3, "2024-07-03", "eu"),
        (4, "2024-07-02", "None"),
    ]


@pytest.mark.fake_snowflake
def test_overwrite_replaces_the_partitions_that_the_run_brings(warehouse: Snowflake) -> None:
    warehouse.loads(replace(LOADS["overwrite"], job_id="j1", run_at="1"), row(1), row(2, region="us"))
    warehouse.loads(replace(LOADS["overwrite"], job_id="j2", run_at="2"), row(3, amount="9.00"))
    assert warehouse.table() == [(2, "1.50"), (3, "9.00")]


@pytest.mark.fake_snowflake
def test_overwrite_by_parts_of_a_date(warehouse: Snowflake) -> None:
    by_day = replace(LOADS["overwrite"], partition_by=[PartitionPlan("on", "at", "day")])
    first = [row(1), row(2, at="2024-07-02T23:59:59Z"), row(3, at="2024-07-03T00:00:00Z")]
    warehouse.loads(replace(by_day, job_id="j1", run_at="1"), *first)
    warehouse.loads(replace(by_day, job_id="j2", run_at="2"), row(4, amount="9.00"))
    assert warehouse.table() == [(3, "1.50"), (4, "9.00")]


@pytest.mark.fake_snowflake
def test_an_older_run_that_is_loaded_later_replaces_nothing_of_a_newer_one(warehouse: Snowflake) -> None:
    warehouse.loads(replace(LOADS["overwrite"], job_id="new", run_at="2"), row(1, amount="9.00"))
    warehouse.loads(replace(LOADS["overwrite"], job_id="old", run_at="1"), row(2), row(3, region="us"))
    assert warehouse.table() == [(1, "9.00"), (3, "1.50")]


@pytest.mark.fake_snowflake
@pytest.mark.parametrize("name", ["append", "merge", "append, partitioned", "overwrite", "overwrite all"])
def test_the_same_job_twice_changes_nothing(warehouse: Snowflake, name: str) -> None:
    warehouse.loads(LOADS[name], row(1))
    warehouse.loads(LOADS[name], row(1, amount="9.00"), row(7, amount="9.00"))
    assert warehouse.table() == [(1, "1.50")]
    runs = warehouse.execute("SELECT job_id FROM raw.ingestion_loads WHERE partition_name = ''")
    assert sorted(runs) == [("",), ("job-1",)]


@pytest.mark.fake_snowflake
def test_a_load_of_the_same_job_while_one_runs_is_told_and_changes_nothing_later(
    warehouse: Snowflake,
) -> None:
    """DuckDB refuses the second transaction, which Snowflake would let wait for the first one's end."""
    warehouse.loads(load("before"), row(1))
    given = warehouse.holds(load("same"), [row(2)])
    met: list[str] = []

    def meanwhile() -> None:
        with pytest.raises(WarehouseError) as caught:
            warehouse.runs(given)
        met.append(str(caught.value))

    snowflake.run(partial(intercepted, warehouse, "COMMIT", meanwhile), warehouse.at, given, ROOT)
    assert "onflict" in met[0]
    warehouse.runs(given)
    assert warehouse.table() == [(1, "1.50"), (2, "1.50")]


@contextmanager
def intercepted(warehouse: Snowflake, at: str, action: Callable[[], None]) -> Iterator[Any]:
    """Open a session that does something else before one of its statements."""
    with warehouse.connect() as connection:
        opened = connection.cursor

        def cursor() -> Any:
            made = opened()
            execute = made.execute

            def hooked(sql: str, **named: Any) -> Any:
                if sql == at:
                    action()
                return execute(sql, **named)

            made.execute = hooked
            return made

        connection.cursor = cursor
        yield connection


@pytest.mark.fake_snowflake
def test_a_failure_in_the_middle_leaves_nothing_and_can_be_repeated(warehouse: Snowflake) -> None:
    warehouse.loads(replace(LOADS["merge"], job_id="j1"), row(1))
    second = warehouse.holds(replace(LOADS["merge"], job_id="j2"), [row(1, amount="9.00")])
    broken = replace(
        second,
        contract=replace(ORDERS, columns=(*ORDERS.columns, Column("new", DataType("string"), nullable=True))),
    )
    with pytest.raises(WarehouseError, match=r"(?i)new"):
        warehouse.runs(broken)
    assert warehouse.table() == [(1, "1.50")]
    warehouse.runs(second)
    assert warehouse.table() == [(1, "9.00")]


@pytest.mark.fake_snowflake
def test_rows_that_were_not_copied_fail_the_load(warehouse: Snowflake) -> None:
    given = warehouse.holds(load(), [row(1), row(2)])
    with pytest.raises(WarehouseError, match="copied 2 rows of 3"):
        warehouse.runs(replace(given, files=[replace(given.files[0], rows=3)]))
    assert warehouse.table() == []


@pytest.mark.fake_snowflake
def test_a_load_that_takes_too_long_leaves_nothing(warehouse: Snowflake) -> None:
    given = warehouse.holds(load(), [row(1)])
    # The statements: three that make tables, two that stage, a count, BEGIN, the lock.
    times = iter([0.0] * 8 + [99.0] * 100)
    with pytest.raises(WarehouseError, match="more than 10 s"):
        snowflake.run(
            warehouse.connect, warehouse.at, given, ROOT, timeout_seconds=10, clock=lambda: next(times)
        )
    assert warehouse.table() == []
    warehouse.runs(given)
    assert warehouse.table() == [(1, "1.50")]


@pytest.mark.fake_snowflake
def test_nobody_who_answers_is_told(key: rsa.RSAPrivateKey) -> None:
    with pytest.raises(WarehouseError, match="Snowflake"):
        snowflake.session(AT, der(key), host="127.0.0.1", port=1, protocol="http", login_timeout=1)
