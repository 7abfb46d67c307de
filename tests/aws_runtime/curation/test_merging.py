"""Rows of a run meet those of a table in files: DuckDB, on local folders."""

from __future__ import annotations

import dataclasses
import datetime as dt
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from aws_runtime.curation.config import WriteMode
from aws_runtime.curation.merging import Keyed, TableDiffers, local_files, meet
from aws_runtime.engines import InputFile, Limits
from aws_runtime.errors import RejectedFile
from aws_runtime.plan import AssetPlan
from aws_runtime.step import StepResult, run_step

AT = dt.datetime(2024, 7, 2, tzinfo=dt.UTC)


def plan(
    engine: str = "duckdb", *, by: tuple[str, ...] = ("dt",), types: dict[str, str] | None = None
) -> AssetPlan:
    kinds = {"dt": "date", "id": "string", "amount": "float64"} | (types or {})
    columns = [
        {"name": name, "type": {"name": kind}, "nullable": name not in ("dt", "id"), "coerce": True}
        for name, kind in kinds.items()
    ]
    contract = {"name": "Order", "columns": columns}
    return AssetPlan.from_json(
        {
            "pipeline": "shop",
            "asset": "orders",
            "transform": "test_merging:same",
            "inputs": [{"name": "landed", "format": {"name": "parquet"}, "contract": contract}],
            "output": {
                "contract": contract,
                "partition_by": [{"name": name, "column": name} for name in by],
            },
            "engine": engine,
        }
    )


def same(landed: Any) -> Any:
    return landed


def run(
    folder: Path,
    rows: list[dict[str, Any]],
    how: Keyed,
    number: int = 0,
    of: AssetPlan | None = None,
) -> StepResult:
    """Merge rows into the table `folder/table` as a whole life does: write beside, then replace the partitions."""
    asset = of or plan()
    source = folder / f"{number}.parquet"
    pq.write_table(pa.Table.from_pylist(rows), source)
    table, new = folder / "table", folder / f"new-{number}"
    replaced: list[str] = []

    def met(engine: Any, result: StepResult) -> StepResult:
        existing = local_files(table, result.files, asset.output.contract, asset.output.partition_by)
        replaced.extend(file.path for file in existing)
        found = meet(
            engine,
            asset,
            how,
            incoming=result.files,
            existing=existing,
            destination=str(new),
            scratch=str(folder / "scratch"),
            stem=f"run-{number}",
        )
        assert found.rows_staged == found.rows_existing + result.rows_out - found.rows_merged
        return dataclasses.replace(result, files=found.files, met={"rows_merged": found.rows_merged})

    result = run_step(
        asset,
        {"landed": [InputFile(str(source), "s3://landing/orders.parquet")]},
        destination=str(folder / f"incoming-{number}"),
        quarantine=str(folder / "quarantine"),
        stem=f"run-{number}",
        limits=Limits(512 * 2**20, 2, str(folder)),
        meet=met,
    )
    for path in replaced:
        Path(path).unlink()
    for file in result.files:
        target = table / Path(file.path).relative_to(new)
        target.parent.mkdir(parents=True, exist_ok=True)
        Path(file.path).replace(target)
    return result


def content(folder: Path) -> list[dict[str, Any]]:
    found = []
    for path in sorted((folder / "table").rglob("*.parquet")):
        partition = dict(part.split("=") for part in path.parent.relative_to(folder / "table").parts)
        found += [{**partition, **row} for row in pq.ParquetFile(path).read().to_pylist()]
    return sorted(found, key=repr)


def order(day: int, name: str, amount: float | None, **more: Any) -> dict[str, Any]:
    return {"dt": dt.date(2024, 7, day), "id": name, "amount": amount, **more}


MERGE = Keyed(WriteMode.MERGE, ("dt", "id"), AT)


def scd2(day: int) -> Keyed:
    return Keyed(WriteMode.SCD2, ("dt", "id"), dt.datetime(2024, 7, day, tzinfo=dt.UTC))


def test_merge_updates_inserts_and_keeps(tmp_path: Path) -> None:
    run(tmp_path, [order(1, "a", 1.0), order(1, "b", 2.0), order(2, "a", 3.0)], MERGE, 0)
    untouched = sorted((tmp_path / "table/dt=2024-07-02").iterdir())
    again = run(tmp_path, [order(1, "b", None), order(1, "c", 4.0)], MERGE, 1)
    assert content(tmp_path) == [
        {"dt": "2024-07-01", "id": "a", "amount": 1.0},
        {"dt": "2024-07-01", "id": "b", "amount": None},
        {"dt": "2024-07-01", "id": "c", "amount": 4.0},
        {"dt": "2024-07-02", "id": "a", "amount": 3.0},
    ]
    assert sorted((tmp_path / "table/dt=2024-07-02").iterdir()) == untouched
    assert (again.rows_in, again.rows_out, again.met["rows_merged"]) == (2, 2, 1)


def test_merge_into_a_table_without_partitions(tmp_path: Path) -> None:
    asset = plan(by=())
    run(tmp_path, [order(1, "a", 1.0), order(2, "a", 2.0)], MERGE, 0, asset)
    run(tmp_path, [order(2, "a", 3.0)], MERGE, 1, asset)
    assert [(row["dt"].day, row["amount"]) for row in content(tmp_path)] == [(1, 1.0), (2, 3.0)]


def test_scd2_keeps_history_and_repeats_without_harm(tmp_path: Path) -> None:
    run(tmp_path, [order(1, "a", 1.0), order(1, "b", 2.0)], scd2(2), 0)
    run(tmp_path, [order(1, "a", 5.0), order(1, "b", 2.0)], scd2(3), 1)
    after = content(tmp_path)
    third = dt.datetime.fromisoformat("2024-07-03")
    assert [(r["id"], r["amount"], r["valid_to"], r["is_current"]) for r in after] == [
        ("a", 1.0, third, False),
        ("a", 5.0, None, True),
        ("b", 2.0, None, True),
    ]
    again = run(tmp_path, [order(1, "a", 5.0), order(1, "b", 2.0)], scd2(3), 2)
    assert content(tmp_path) == after
    assert again.met["rows_merged"] == 2


def test_moments_are_utc_wherever_the_run_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    zone = dt.timezone(dt.timedelta(hours=5))
    how = Keyed(WriteMode.SCD2, ("dt", "id"), dt.datetime(2024, 7, 2, 3, tzinfo=zone))
    run(tmp_path, [order(1, "a", 1.0)], how)
    assert content(tmp_path)[0]["valid_from"] == dt.datetime.fromisoformat("2024-07-01T22:00")


def test_a_key_that_comes_twice_rejects_the_run(tmp_path: Path) -> None:
    run(tmp_path, [order(1, "a", 1.0)], MERGE, 0)
    before = content(tmp_path)
    with pytest.raises(RejectedFile, match="2 rows of the run have the key dt=2024-07-01, id=b") as caught:
        run(tmp_path, [order(1, "b", 1.0), order(1, "b", 1.0), order(1, "c", 1.0)], MERGE, 1)
    assert caught.value.code == "DuplicateKeys"
    assert content(tmp_path) == before


def test_scd2_refuses_to_write_before_what_is_known(tmp_path: Path) -> None:
    run(tmp_path, [order(1, "a", 1.0)], scd2(5), 0)
    run(tmp_path, [order(1, "a", 1.0), order(1, "b", 1.0)], scd2(4), 1)  # changes nothing that is known
    with pytest.raises(RejectedFile, match="id=a than the run's, of 2024-07-04") as caught:
        run(tmp_path, [order(1, "a", 2.0)], scd2(4), 2)
    assert caught.value.code == "LateRun"


def put(folder: Path, **columns: list[Any]) -> None:
    target = folder / "table/dt=2024-07-01/old.parquet"
    target.parent.mkdir(parents=True)
    pq.write_table(pa.table(columns), target)


@pytest.mark.parametrize(
    ("columns", "how", "said"),
    [
        ({"id": ["a"], "amount": [1.0], "more": [1]}, MERGE, "has the column 'more'"),
        ({"amount": [1.0]}, MERGE, "lacks the column 'id'"),
        ({"id": ["a"], "amount": ["much"]}, MERGE, "cast the table"),
        ({"id": ["a"], "amount": [1.0]}, scd2(2), "lacks the column 'valid_from'"),
    ],
)
def test_a_table_of_another_shape_is_left_alone(
    columns: dict[str, list[Any]], how: Keyed, said: str, tmp_path: Path
) -> None:
    put(tmp_path, **columns)
    before = content(tmp_path)
    with pytest.raises(TableDiffers, match=said):
        run(tmp_path, [order(1, "a", 2.0)], how)
    assert content(tmp_path) == before


def test_a_file_of_the_table_that_is_no_parquet_is_told(tmp_path: Path) -> None:
    put(tmp_path, id=["a"], amount=[1.0])
    (tmp_path / "table/dt=2024-07-01/old.parquet").write_text("id,amount\n")
    with pytest.raises(TableDiffers, match=r"old\.parquet: NotParquet"):
        run(tmp_path, [order(1, "a", 2.0)], MERGE)


def test_columns_that_came_later_are_null_and_narrow_numbers_widen(tmp_path: Path) -> None:
    put(tmp_path, id=["a", "b"], amount=pa.array([1, 2], pa.int32()))
    run(tmp_path, [order(1, "a", 2.5, note="x")], MERGE, of=plan(types={"note": "string"}))
    found = [(row["id"], row["amount"], row["note"]) for row in content(tmp_path)]
    assert found == [("a", 2.5, "x"), ("b", 2.0, None)]


def test_rows_of_the_table_that_are_neither_current_nor_not_stay(tmp_path: Path) -> None:
    when = dt.datetime.fromisoformat("2024-07-01")
    put(tmp_path, id=["a"], amount=[1.0], valid_from=[when], valid_to=pa.array([None], pa.timestamp("us")),
        is_current=pa.array([None], pa.bool_()))  # fmt: skip
    run(tmp_path, [order(1, "a", 2.0)], scd2(2))
    assert [(row["amount"], row["is_current"]) for row in content(tmp_path)] == [(1.0, None), (2.0, True)]


def test_two_current_rows_of_one_key_are_told(tmp_path: Path) -> None:
    when = [dt.datetime.fromisoformat("2024-07-01")] * 2
    put(tmp_path, id=["a", "a"], amount=[1.0, 2.0], valid_from=when, valid_to=pa.nulls(2, pa.timestamp("us")),
        is_current=[True, True])  # fmt: skip
    with pytest.raises(TableDiffers, match="2 rows of the key dt=2024-07-01, id=a are current"):
        run(tmp_path, [order(1, "a", 2.0)], scd2(2))


def test_no_rows_touch_nothing(tmp_path: Path) -> None:
    run(tmp_path, [order(1, "a", 1.0)], MERGE, 0)
    before = content(tmp_path)
    source = [dict(order(1, "a", 1.0), id=None)]
    result = run(tmp_path, source, MERGE, 1)
    assert (result.rows_in, result.rows_out, result.rows_quarantined, result.files) == (1, 0, 1, ())
    assert content(tmp_path) == before
