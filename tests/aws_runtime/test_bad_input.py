"""Bad input of every kind gets a clear answer and loses nothing: quarantined or rejected, and counted."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from aws_runtime.contract import Drift
from aws_runtime.engines import InputFile, Limits
from aws_runtime.errors import RejectedFile
from aws_runtime.plan import FormatPlan
from aws_runtime.step import run_step
from ingestion_assets.pipelines.orders_etl.pipeline import order_lines, pipeline
from ingestion_assets.plan import asset_plan

PLAN = asset_plan(pipeline, order_lines)
PRODUCT = {"product_id": "P1", "name": "Pen", "category": "office", "price": 1.5, "quantity": 2}
ORDER = {
    "order_id": "O1",
    "order_date": "2025-01-17",
    "total_amount": 3.0,
    "customer": {"customer_id": "C1", "name": "Ann", "email": "ann@example.com", "address": "1 Main St"},
    "products": [PRODUCT],
}


def order(**changes: object) -> dict:
    return ORDER | changes


def product(**changes: object) -> dict:
    return order(products=[PRODUCT | changes])


def text(*records: object) -> bytes:
    return "".join(json.dumps(r) + "\n" for r in records).encode()


class Outcome:
    """What one run gave: rows, quarantine and the ledger."""

    def __init__(self, result) -> None:
        self.result = result
        self.rows = pl.concat([pl.read_parquet(f.path) for f in result.files]) if result.files else None
        self.bad = [r for f in result.quarantine for r in pl.read_parquet(f.path).iter_rows(named=True)]

    @property
    def reasons(self) -> list[str]:
        return [reason for row in self.bad for reason in row["reasons"]]


@pytest.fixture
def ingest(tmp_path):
    def run(data: bytes, *, drift: Drift | None = None, memory: int = 200, **options: object) -> Outcome:
        source = tmp_path / "orders file.json"
        source.write_bytes(data)
        given = PLAN.inputs[0]
        contract = replace(given.contract, drift=drift) if drift else given.contract
        form = FormatPlan("json", {**given.format.options, **options})
        plan = replace(PLAN, inputs=(replace(given, format=form, contract=contract),))
        result = run_step(
            plan,
            {"orders": [InputFile(str(source), "s3://landing/orders/file.json")]},
            destination=str(tmp_path / "out"),
            quarantine=str(tmp_path / "bad"),
            stem="20250117T000000Z-0",
            limits=Limits(memory * 1024**2, 2, str(tmp_path / "spill")),
        )
        outcome = Outcome(result)
        assert result.rows_in == result.rows_out + result.rows_quarantined
        assert result.rows_out == (0 if outcome.rows is None else outcome.rows.height)
        assert result.rows_quarantined == len(outcome.bad)
        assert all(row["reasons"] for row in outcome.bad)
        assert list((tmp_path / "spill").iterdir()) == []
        return outcome

    return run


def rejected(ingest, data: bytes, **options: object) -> RejectedFile:
    with pytest.raises(RejectedFile) as caught:
        ingest(data, **options)
    assert caught.value.uri == "s3://landing/orders/file.json"
    return caught.value


BAD_LINES = {
    "truncated": (json.dumps(ORDER)[:60].encode(), "record: not valid JSON"),
    "not_json": (b"hello", "record: not valid JSON"),
    "number": (b"5", "record: 5 is not an object"),
    "null": (b"null", "record: null is not an object"),
    "list": (b"[1]", "record: a list is not an object"),
    "two_objects": (b'{"order_id": "1"}{"order_id": "2"}', "record: not valid JSON"),
    "invalid_utf8": (b'{"order_id": "\xff"}', "record: invalid UTF-8 at byte 15"),
    "lone_surrogate": (b'{"order_id": "\\ud800"}', "record: not valid JSON"),
    "control_character": (b'{"order_id": "a\tb"}', "record: not valid JSON"),
    "zero_byte": (b'{"order_id": "a\x00b"}', "record: not valid JSON"),
    "deep_lists": (b'{"order_id": ' + b"[" * 10_000 + b"]" * 10_000 + b"}", "record: nested 10001 levels"),
    "deep_objects": (b'{"x": ' * 10_000 + b"1" + b"}" * 10_000, "record: nested 10000 levels"),
    "deep_and_cut": (b'{"order_id": ' + b"[" * 10_000, "record: nested 10001 levels"),
    "repeated_key": (b'{"order_id": "1", "order_id": "2"}', "order_id: appears twice"),
    "repeated_key_inside": (
        b'{"products": [{"price": 1}, {"price": 1, "price": 2}]}',
        "products[1].price: appears twice",
    ),
    "scalar_for_object": (text(order(customer=5)).strip(), "customer: 5 is not an object"),
    "text_for_list": (text(order(products="P1")).strip(), 'products: "P1" is not a list'),
    "object_for_list": (text(order(products=PRODUCT)).strip(), "products: an object is not a list"),
    "scalar_in_list": (text(order(products=[PRODUCT, 7])).strip(), "products[1]: 7 is not an object"),
}


@pytest.mark.parametrize("case", BAD_LINES)
def test_a_broken_line_is_quarantined_and_the_others_go_on(ingest, case: str) -> None:
    line, reason = BAD_LINES[case]
    outcome = ingest(text(ORDER) + b"\n" + line + b"\r\n" + text(order(order_id="O2")))
    assert outcome.rows["order_id"].to_list() == ["O1", "O2"]
    (row,) = outcome.bad
    assert row["reasons"][0].startswith(reason)
    assert row["reasons"][0].endswith("(line 3)")
    assert (row["stage"], row["source_row"]) == ("orders", 2)
    assert row["source_uri"] == "s3://landing/orders/file.json"
    assert row["record"] == line.decode(errors="backslashreplace")
    assert outcome.result.records_in == {"orders": 3}
    assert outcome.result.violations == {"orders.record.malformed": 1}


def test_a_line_longer_than_allowed_is_quarantined(ingest) -> None:
    long = text(order(order_id="x" * 5000))
    outcome = ingest(text(ORDER) + long + text(ORDER), max_record_bytes=2000)
    assert outcome.rows.height == 2
    assert outcome.reasons == ["record: longer than 2000 bytes (line 2)"]


BAD_VALUES = {
    "numeric_text": (product(quantity="many"), ["products[0].quantity: 'many' is not int64"]),
    "beyond_int64": (
        product(quantity=9223372036854775808),
        ["products[0].quantity: '9223372036854775808' is not int64"],
    ),
    "fraction": (product(quantity=1.5), ["products[0].quantity: '1.5' is not int64"]),
    "slashes": (order(order_date="2025/01/17"), ["order_date: '2025/01/17' is not date"]),
    "american": (order(order_date="01-17-2025"), ["order_date: '01-17-2025' is not date"]),
    "no_such_day": (order(order_date="2025-02-30"), ["order_date: '2025-02-30' is not date"]),
    "timestamp": (
        order(order_date="2025-01-17T10:00:00Z"),
        ["order_date: '2025-01-17T10:00:00Z' is not date"],
    ),
    "empty_date": (order(order_date=""), ["order_date: '' is not date"]),
    "boolean_amount": (order(total_amount=True), ["total_amount: 'true' is not float64"]),
    "object_amount": (order(total_amount={"eur": 1}), ["""total_amount: '{"eur":1}' is not float64"""]),
    "nan": (order(total_amount=float("nan")), ["total_amount: 'NaN' is not float64"]),
    "infinity": (order(total_amount=float("-inf")), ["total_amount: '-Infinity' is not float64"]),
}


@pytest.mark.parametrize("case", BAD_VALUES)
def test_a_value_that_is_not_of_its_type_quarantines_its_record(ingest, case: str) -> None:
    record, reasons = BAD_VALUES[case]
    outcome = ingest(text(ORDER, record))
    assert outcome.rows.height == 1
    assert outcome.reasons == reasons
    assert [(r["stage"], r["source_row"]) for r in outcome.bad] == [("orders", 2)]
    assert json.loads(outcome.bad[0]["record"])["order_id"] == "O1"


@pytest.mark.parametrize("products", [None, []])
def test_an_order_without_products_is_quarantined_as_a_line(ingest, products) -> None:
    outcome = ingest(text(ORDER, order(products=products)))
    assert outcome.rows.height == 1
    assert outcome.reasons == ["product_id: is null", "price: is null", "quantity: is null"]
    assert [(r["stage"], r["source_row"]) for r in outcome.bad] == [("order_lines", 2)]


def test_numbers_as_text_are_numbers(ingest) -> None:
    outcome = ingest(text(order(total_amount="3.0", products=[PRODUCT | {"quantity": "12", "price": "1e1"}])))
    assert outcome.rows.select("total_amount", "quantity", "price").rows() == [(3.0, 12, 10.0)]


def test_fields_missing_in_one_record_are_null(ingest) -> None:
    record = {"order_id": "O2", "order_date": "2025-01-17", "products": [PRODUCT]}
    outcome = ingest(text(ORDER, record))
    assert outcome.rows.height == 1
    assert outcome.reasons == ["total_amount: is null", "customer_id: is null"]


def test_columns_missing_in_every_record_reject_the_file(ingest) -> None:
    record = {k: v for k, v in ORDER.items() if k not in ("customer", "products")}
    error = rejected(ingest, text(record, record))
    assert (error.code, error.reason) == ("MissingColumns", "no record has customer, products")


def test_extra_columns_are_counted_under_evolve_and_rejected_under_strict(ingest) -> None:
    data = text(ORDER, order(note="gift"), order(note="x", tags=[]))
    outcome = ingest(data, drift=Drift.EVOLVE)
    assert outcome.rows.height == 3
    assert outcome.result.violations == {"orders.extra_column.note": 2, "orders.extra_column.tags": 1}
    error = rejected(ingest, data, drift=Drift.STRICT)
    assert (error.code, error.reason) == ("UnexpectedColumns", "records have note, tags")


@pytest.mark.parametrize("data", [b"", b" \n\t\r\n", b"\xef\xbb\xbf", b"\xef\xbb\xbf \n"])
def test_a_file_without_content_is_rejected(ingest, data: bytes) -> None:
    assert rejected(ingest, data).code == "EmptyFile"


def test_an_empty_array_is_no_rows(ingest) -> None:
    outcome = ingest(b" [ ] ")
    assert (outcome.result.records_in, outcome.result.rows_in, outcome.result.files) == ({"orders": 0}, 0, ())


LAYOUTS = {
    "lines": text(ORDER, ORDER),
    "lines_without_end": text(ORDER, ORDER).strip(),
    "array": json.dumps([ORDER, ORDER]).encode(),
    "pretty_array": json.dumps([ORDER, ORDER], indent=2).encode(),
    "pretty_objects": json.dumps(ORDER, indent=2).encode() + b"\n" + json.dumps(ORDER, indent=2).encode(),
}
ENCODINGS = {
    "plain": lambda data: data,
    "mark": lambda data: b"\xef\xbb\xbf" + data,
    "gzip": gzip.compress,
    "two_gzips": lambda data: gzip.compress(data[:50]) + gzip.compress(data[50:]),
    "gzipped_mark": lambda data: gzip.compress(b"\xef\xbb\xbf" + data),
    "utf_16": lambda data: data.decode().encode("utf-16"),
    "utf_16_unmarked": lambda data: data.decode().encode("utf-16-be"),
    "utf_32": lambda data: data.decode().encode("utf-32"),
}


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_in_every_encoding(ingest, layout: str, encoding: str) -> None:
    outcome = ingest(ENCODINGS[encoding](LAYOUTS[layout]))
    assert outcome.rows["customer_name"].to_list() == ["Ann", "Ann"]
    assert outcome.bad == []


def test_a_single_object_is_one_record(ingest) -> None:
    for data in (json.dumps(ORDER), json.dumps(ORDER, indent=4)):
        assert ingest(data.encode()).result.records_in == {"orders": 1}


ARRAY = json.dumps([ORDER, ORDER]).encode()
REJECTED = {
    "array_cut": (ARRAY[:300], "MalformedJson", "at byte"),
    "array_unclosed": (ARRAY[:-1], "MalformedJson", f"at byte {len(ARRAY)}, line 1"),
    "array_and_more": (ARRAY + b" x", "MalformedJson", f"Extra data at byte {len(ARRAY) + 2}"),
    "array_invalid_utf8": (ARRAY[:20] + b"\xff" + ARRAY[20:], "MalformedJson", "invalid UTF-8 at byte 21"),
    "object_cut": (json.dumps(ORDER, indent=2).encode()[:-2], "MalformedJson", "line"),
    "one_bad_line": (json.dumps(ORDER).encode()[:-2], "MalformedJson", "at byte"),
    "text": (b"order_id,order_date\nO1,2025-01-17\n", "MalformedJson", "record: not valid JSON"),
    "deep_array": (b"[" * 10_000 + b"]" * 10_000, "MalformedJson", "nested 9999 levels"),
    "deep_array_cut": (b"[" * 10_000, "MalformedJson", "nested"),
    "gzip_cut": (gzip.compress(text(ORDER))[:-9], "CorruptFile", "gzip"),
    "gzip_broken": (gzip.compress(text(ORDER))[:20] + b"x" * 60, "CorruptFile", "gzip"),
    "zstd cut": (b"\x28\xb5\x2f\xfd" + b"x" * 20, "CorruptFile", "zstd"),
    "utf_16_cut": (
        "\ufeff".encode("utf-16-le") + text(ORDER).decode().encode("utf-16-le")[:-1],
        "WrongEncoding",
        "bytes",
    ),
}


@pytest.mark.parametrize("case", REJECTED)
def test_a_file_that_cannot_be_read_is_rejected_with_its_reason(ingest, case: str) -> None:
    data, code, reason = REJECTED[case]
    error = rejected(ingest, data)
    assert error.code == code
    assert reason in error.reason


def test_compression_that_the_source_does_not_declare_is_rejected(ingest) -> None:
    assert rejected(ingest, gzip.compress(text(ORDER)), compression="none").code == "CompressedFile"


@pytest.mark.parametrize("element", [b"5", b"null", b'"x"', b'{"order_id": "1", "order_id": "2"}', b"[1]"])
def test_a_broken_element_of_an_array_is_quarantined(ingest, element: bytes) -> None:
    good = json.dumps(ORDER, indent=1).encode()
    outcome = ingest(b"[" + good + b",\n" + element + b",\n" + good + b"]")
    assert outcome.rows.height == 2
    assert [row["source_row"] for row in outcome.bad] == [2]
    assert json.loads(outcome.bad[0]["record"]) == json.loads(element)


def test_positions_are_right_across_many_threads_and_buffers(ingest) -> None:
    count = 60_000
    records = [
        order(order_id=f"O{i}", products=[PRODUCT | {"quantity": i % 1000}]) for i in range(1, count + 1)
    ]
    outcome = ingest(text(*records), max_record_bytes=100_000)
    assert outcome.rows.height + len(outcome.bad) == count
    assert sorted(row["source_row"] for row in outcome.bad) == list(range(1000, count + 1, 1000))
    assert {json.loads(r["record"])["order_id"] for r in outcome.bad} == {
        f"O{r['source_row']}" for r in outcome.bad
    }


def test_a_file_larger_than_memory(ingest, tmp_path: Path) -> None:
    line = text(ORDER)
    count = 220 * 1024**2 // len(line)
    outcome = ingest(line * count + b"{broken\n", memory=150)
    assert outcome.result.rows_out == count
    assert outcome.result.rows_quarantined == 1
    assert outcome.bad[0]["source_row"] == count + 1
