"""Delta tables in Lambda against a model in plain Python; repeated runs, added columns, writers at once."""

from __future__ import annotations

import datetime as dt
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aws_runtime.contract import Column, Contract, DataType
from aws_runtime.curation.config import WriteMode
from aws_runtime.curation.delta import DeltaCommit, read_delta, write_delta
from aws_runtime.curation.delta_sql import DeltaWriteError

ORDERS = Contract(
    "Orders",
    (
        Column("shop", DataType("string")),
        Column("id", DataType("int64")),
        Column("Name of it", DataType("string"), nullable=True),
        Column("price", DataType("float64"), nullable=True),
    ),
)
KEYS = ("shop", "id")
START = dt.datetime.fromisoformat("2024-07-01T00:00:00")
Row = tuple[Any, ...]

keys = st.tuples(st.sampled_from(["a", "b"]), st.integers(0, 3))
values = st.tuples(st.none() | st.sampled_from(["x", "y"]), st.none() | st.sampled_from([0.0, 1.5]))
runs = st.lists(st.dictionaries(keys, values, max_size=5), min_size=1, max_size=3)


def parquet(folder: Path, name: str, rows: list[Row], columns: str = 'shop, id, "Name of it", price') -> str:
    path = folder / f"{name}.parquet"
    with duckdb.connect() as connection:
        names = columns.split(", ")
        types = ["VARCHAR", "BIGINT", "VARCHAR", "DOUBLE", "INTEGER"][: len(names)]
        listed = ", ".join(f"{n} {t}" for n, t in zip(names, types, strict=True))
        connection.execute(f"CREATE TABLE rows ({listed})")
        if rows:
            connection.executemany(f"INSERT INTO rows VALUES ({', '.join('?' * len(names))})", rows)
        connection.execute(f"COPY rows TO '{path}' (FORMAT parquet)")
    return str(path)


def table(uri: Path | str, columns: str = "*") -> list[Row]:
    with duckdb.connect() as connection:
        found = connection.from_arrow(read_delta(str(uri), f"SELECT {columns} FROM t")).fetchall()
    return sorted(found, key=repr)


def write(folder: Path, job: str, files: list[str], mode: WriteMode, **more: Any) -> DeltaCommit:
    said = {"contract": ORDERS, "keys": KEYS, "event_time": START} | more
    return write_delta(files, table_uri=str(folder / "table"), mode=mode, job_id=job, **said)


def remembered(history: list[Row], run: list[Row], at: dt.datetime) -> list[Row]:
    """Return what SCD2 means, row by row."""
    result = list(history)
    for new in run:
        same = [row for row in result if row[-1] and row[:2] == new[:2]]
        if any(row[:4] == new for row in same):
            continue
        result = [(*row[:5], at, False) if row in same else row for row in result]
        result.append((*new, at, None, True))
    return result


def after(mode: WriteMode, there: list[Row], run: list[Row], at: dt.datetime) -> list[Row]:
    match mode:
        case WriteMode.APPEND:
            return there + run
        case WriteMode.OVERWRITE_PARTITIONS:
            return [row for row in there if row[0] not in {new[0] for new in run}] + run
        case WriteMode.MERGE:
            return list(({row[:2]: row for row in there} | {row[:2]: row for row in run}).values())
        case WriteMode.SCD2:
            return remembered(there, run, at)


@pytest.mark.parametrize("mode", WriteMode)
@settings(max_examples=8, deadline=None)
@given(given_runs=runs)
def test_modes(mode: WriteMode, given_runs: list[dict[Any, Any]]) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder, expected = Path(name), []
        for number, run in enumerate(given_runs):
            rows = [(*key, *value) for key, value in run.items()]
            at = START + dt.timedelta(days=number)
            files = [parquet(folder, str(number), rows)]
            by = ("shop",) if mode is WriteMode.OVERWRITE_PARTITIONS else ()
            first = write(folder, f"job-{number}", files, mode, event_time=at, partition_by=by)
            assert (first.rows, first.repeated) == (len(rows), False)
            expected = after(mode, expected, rows, at)
            assert table(folder / "table") == sorted(expected, key=repr)
            again = write(folder, f"job-{number}", files, mode, event_time=at, partition_by=by)
            assert (again.version, again.repeated) == (first.version, bool(rows))
        assert table(folder / "table") == sorted(expected, key=repr)


def test_a_column_is_added(tmp_path: Path) -> None:
    write(tmp_path, "one", [parquet(tmp_path, "one", [("a", 1, "x", 1.5)])], WriteMode.MERGE)
    wider = Contract("Orders", (*ORDERS.columns, Column("pieces", DataType("int32"), nullable=True)))
    file = parquet(tmp_path, "two", [("b", 2, None, 0.0, 7)], 'shop, id, "Name of it", price, pieces')
    done = write(tmp_path, "two", [file], WriteMode.MERGE, contract=wider)
    assert done.added_columns == ("pieces",)
    assert table(tmp_path / "table") == [("a", 1, "x", 1.5, None), ("b", 2, None, 0.0, 7)]


def test_partitions_stand_in_the_folders(tmp_path: Path) -> None:
    folder = tmp_path / "shop=a%3Ab"
    folder.mkdir()
    file = parquet(folder, "part", [("ignored", 1, "x", 1.5)])
    write(tmp_path, "one", [file], WriteMode.APPEND, partition_by=("shop",))
    assert table(tmp_path / "table") == [("a:b", 1, "x", 1.5)]


@pytest.mark.parametrize(
    ("rows", "more", "said"),
    [
        ([("a", 1, "x", 1.5), ("a", 1, "y", 1.5)], {}, "2 rows of the key shop=a, id=1"),
        ([(None, 1, "x", 1.5)], {}, "1 rows of the run have no value of the key"),
        ([("a", 1, "x", 1.5)], {"keys": ("nobody",)}, "the key 'nobody' is no column of Orders"),
        ([("a", 1, "x", 1.5)], {"keys": ()}, "merge needs keys"),
        ([("a", 1, "x", 1.5)], {"partition_by": ("shop",)}, "is partitioned by nothing, not by"),
    ],
)
def test_what_does_not_fit_changes_nothing(
    tmp_path: Path, rows: list[Row], more: dict[str, Any], said: str
) -> None:
    write(tmp_path, "one", [parquet(tmp_path, "one", [("a", 1, "x", 1.5)])], WriteMode.MERGE)
    with pytest.raises(DeltaWriteError, match=said):
        write(tmp_path, "two", [parquet(tmp_path, "two", rows)], WriteMode.MERGE, **more)
    assert table(tmp_path / "table") == [("a", 1, "x", 1.5)]


def test_a_run_that_changed_nothing_is_remembered(tmp_path: Path) -> None:
    old = [parquet(tmp_path, "old", [("a", 1, "x", 1.5)])]
    write(tmp_path, "one", old, WriteMode.SCD2)
    write(tmp_path, "two", old, WriteMode.SCD2)
    write(tmp_path, "three", [parquet(tmp_path, "new", [("a", 1, "y", 1.5)])], WriteMode.SCD2)
    assert write(tmp_path, "two", old, WriteMode.SCD2).repeated
    assert table(tmp_path / "table", '"Name of it", is_current') == [("x", False), ("y", True)]


@pytest.mark.parametrize("mode", [WriteMode.APPEND, WriteMode.MERGE, WriteMode.SCD2])
def test_writers_at_once(tmp_path: Path, mode: WriteMode) -> None:
    """Six jobs, each written twice at the same time: each arrives, and once."""
    files = {n: parquet(tmp_path, str(n), [("a", n, "x", 1.5)]) for n in range(6)}

    def one(number: int) -> DeltaCommit:
        return write(tmp_path, f"job-{number % 6}", [files[number % 6]], mode)

    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(one, range(12)))
    assert sum(commit.repeated for commit in done) == 6
    assert table(tmp_path / "table", "id") == [(n,) for n in range(6)]
