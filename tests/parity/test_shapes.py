"""Files as they really arrive, broken in every way: DuckDB and Spark give the same answer."""

from __future__ import annotations

import dataclasses
import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zstandard
from step_outcome import assert_equal

from aws_runtime.contract import Contract, Drift
from aws_runtime.engines import InputFile
from aws_runtime.engines import spark_json as reader
from ingestion_assets.pipelines.orders_etl.pipeline import order_lines, pipeline
from ingestion_assets.plan import asset_plan

pytestmark = pytest.mark.spark

PLAN = asset_plan(pipeline, order_lines)
URI = "s3://landing/orders/file"


def order(number: int = 1, **changes: Any) -> dict[str, Any]:
    product = {"product_id": "P", "name": "Cup", "category": "kitchen", "price": 2.5, "quantity": 2}
    customer = {"customer_id": "C", "name": "Zoë", "email": "z@example.com", "address": "x"}
    whole = {
        "order_id": f"O-{number}",
        "order_date": "2025-01-17",
        "total_amount": 5.0,
        "customer": customer,
        "products": [product, product],
    }
    return whole | changes


def lines(*orders: Any) -> bytes:
    return b"".join(o if isinstance(o, bytes) else json.dumps(o).encode() + b"\n" for o in orders)


GOOD = lines(*(order(n) for n in range(1, 6)))
ARRAY = json.dumps([order(1), order(2, products=None), order(3)], indent=1).encode()
DEEP = b"[" * 10_000 + b"]" * 10_000

#: (content, whether the file is rejected, rows written, rows quarantined)
SHAPES: dict[str, tuple[bytes, str | None, int, int]] = {
    "lines": (GOOD, None, 10, 0),
    "blank lines and carriage returns": (GOOD.replace(b"\n", b"\r\n \n\n"), None, 10, 0),
    "last line cut": (GOOD[:-40], None, 8, 1),
    "line cut": (lines(order(1), b'{"order_id": "O-2", "ord\n', order(3)), None, 4, 1),
    "array": (ARRAY, None, 4, 1),
    "array cut": (ARRAY[:-30], "MalformedJson", 0, 0),
    "array with rubbish after": (ARRAY + b" x", "MalformedJson", 0, 0),
    "array of a bad element": (json.dumps([order(1), 17, order(3)]).encode(), None, 4, 1),
    "empty array": (b" [ ] ", None, 0, 0),
    "object": (json.dumps(order(), indent=2).encode(), None, 2, 0),
    "object on one line": (json.dumps(order()).encode(), None, 2, 0),
    "object cut": (json.dumps(order(), indent=2).encode()[:-20], "MalformedJson", 0, 0),
    "objects over several lines": (b"\n".join(json.dumps(order(n), indent=2).encode() for n in (1, 2)), None, 4, 0),
    "0 bytes": (b"", "EmptyFile", 0, 0),
    "white space": (b" \n\n\t ", "EmptyFile", 0, 0),
    "byte order mark": (b"\xef\xbb\xbf" + GOOD, None, 10, 0),
    "UTF-16": (GOOD.decode().encode("utf-16"), None, 10, 0),
    "invalid UTF-8 in a line": (lines(order(1), order(2)).replace(b"O-2", b"O-\xff"), None, 2, 1),
    "invalid UTF-8 in an array": (ARRAY.replace(b"O-2", b"O-\xff"), "MalformedJson", 0, 0),
    "gzip": (gzip.compress(GOOD, mtime=0), None, 10, 0),
    "gzip cut": (gzip.compress(GOOD, mtime=0)[:-20], "CorruptFile", 0, 0),
    "zstd": (zstandard.compress(GOOD), None, 10, 0),
    "zstd broken": (b"\x28\xb5\x2f\xfd" + b"x" * 40, "CorruptFile", 0, 0),
    "no JSON at all": (bytes(range(128, 256)) * 8, "MalformedJson", 0, 0),
    "repeated key": (lines(order(1), json.dumps(order(2)).replace("{", '{"order_id": 1, ', 1).encode() + b"\n"), None, 2, 1),
    "10,000 levels in a line": (lines(order(1), b'{"products": ' + DEEP + b"}\n", order(3)), None, 4, 1),
    "10,000 levels in an extra column": (lines(order(1), b'{"x": ' + DEEP + b"}\n"), None, 2, 1),
    "missing column": (lines(*({"order_id": "1", "products": []} for _ in range(2))), "MissingColumns", 0, 0),
    "missing in one record": (lines(order(1), {"order_id": "O-2"}), None, 2, 1),
    "extra columns": (lines(order(1, channel="web"), order(2, channel="app", tip=1)), None, 4, 0),
    "numbers as text": (lines(order(1, total_amount="5.0"), order(2, total_amount="many")), None, 2, 1),
    "NaN": (lines(order(1), order(2, total_amount=float("nan"))), None, 2, 1),
    "beyond int64": (lines(order(1), order(2, products=[order()["products"][0] | {"quantity": 10**19}])), None, 2, 1),
    "other dates": (lines(order(1), order(2, order_date="17/01/2025"), order(3, order_date="2025-1-7")), None, 2, 2),
    "no products": (lines(order(1), order(2, products=None), order(3, products=[])), None, 2, 2),
    "text for a list": (lines(order(1), order(2, products="none")), None, 2, 1),
    "lone surrogate": (lines(order(1), json.dumps(order(2)).replace("O-2", "\\ud800").encode() + b"\n"), None, 2, 1),
    "trailing comma": (lines(order(1), json.dumps(order(2))[:-1].encode() + b",}\n"), None, 4, 0),
}  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES)
def test_same_answer(shape: str, spark: Any, tmp_path: Path) -> None:
    content, rejected, rows, bad = SHAPES[shape]
    path = tmp_path / "file.json"
    path.write_bytes(content)
    both = assert_equal(PLAN, {"orders": [InputFile(str(path), URI)]}, tmp_path)
    assert both.rejected == (f"{rejected}: {URI}" if rejected else None)
    assert (len(both.rows), len(both.quarantine)) == (rows, bad)


def with_drift(drift: Drift) -> Any:
    given = PLAN.inputs[0]
    contract: Contract = dataclasses.replace(given.contract, drift=drift)
    return dataclasses.replace(PLAN, inputs=(dataclasses.replace(given, contract=contract),))


@pytest.mark.parametrize("drift", list(Drift))
def test_same_answer_to_other_columns(drift: Drift, spark: Any, tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    without = {key: value for key, value in order(2, channel="web").items() if key != "total_amount"}
    path.write_bytes(lines(without))
    both = assert_equal(with_drift(drift), {"orders": [InputFile(str(path), URI)]}, tmp_path)
    assert (both.rejected is None) == (drift is Drift.PERMISSIVE)


def test_positions_hold_across_splits(spark: Any, tmp_path: Path) -> None:
    broken = {40: b'{"cut\n', 90: b"17\n", 199: b'{"order_id": 1, "order_id": 2}\n'}
    made = [broken.get(n, b"\n" if n % 17 == 0 else lines(order(n))) for n in range(1, 200)]
    made += [lines(order(500, order_date="no"))]
    first, second = tmp_path / "one + two%20=é.json", tmp_path / "second.json"
    first.write_bytes(b"".join(made))
    second.write_bytes(lines(order(1), b"oops\n"))
    inputs = {"orders": [InputFile(str(first), URI), InputFile(str(second), f"{URI}-2")]}
    before = spark.conf.get("spark.sql.files.maxPartitionBytes")
    spark.conf.set("spark.sql.files.maxPartitionBytes", 4_000)
    try:
        both = assert_equal(PLAN, inputs, tmp_path)
    finally:
        spark.conf.set("spark.sql.files.maxPartitionBytes", before)
    assert len(both.quarantine) == 5


def test_names_that_spark_skips_are_read(spark: Any, tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("_hidden.json", ".dot.json", "[glob]*.json", "{a,b}?.json")]
    for path in paths:
        path.write_bytes(GOOD)
    both = assert_equal(PLAN, {"orders": [InputFile(str(p), str(p)) for p in paths]}, tmp_path)
    assert len(both.rows) == 40


def test_a_retry_overwrites_its_own_files(spark: Any, tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    path.write_bytes(lines(order(1), order(2, order_date="2025-01-18"), b"oops\n"))
    inputs = {"orders": [InputFile(str(path), URI)]}
    first = assert_equal(PLAN, inputs, tmp_path)
    left = sorted(p.relative_to(tmp_path) for p in (tmp_path / "spark").rglob("*") if "spill" not in p.parts)
    assert assert_equal(PLAN, inputs, tmp_path) == first
    again = sorted(p.relative_to(tmp_path) for p in (tmp_path / "spark").rglob("*") if "spill" not in p.parts)
    assert again == left
    assert not [p for p in again if "staging" in str(p)]


def test_large_files_that_are_not_lines_are_rejected(
    spark: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "WHOLE_BYTES", 1_000)
    from step_outcome import outcome  # noqa: PLC0415 - beside the two that compare

    answer: Callable[[bytes], Any] = lambda content: (  # noqa: E731 - used twice, here only
        (tmp_path / "file.json").write_bytes(content),
        outcome(PLAN, "spark", {"orders": [InputFile(str(tmp_path / "file.json"), URI)]}, tmp_path),
    )[1]
    assert answer(ARRAY * 1).rejected == f"FileTooLarge: {URI}"
    assert answer(gzip.compress(GOOD * 50, mtime=0)).rejected == f"FileTooLarge: {URI}"
    assert len(answer(GOOD * 50).rows) == 500
