"""Parquet files as people send them: each fault has a reason of its own, found without the data."""

from __future__ import annotations

import datetime as dt
import io
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from aws_runtime.contract import Column, Contract, DataType, Drift
from aws_runtime.curation.columns import check_columns
from aws_runtime.curation.compliance import Drifted, comply
from aws_runtime.curation.footer import TAIL_BYTES, Footer, read_footer
from aws_runtime.curation.paths import partition_values
from aws_runtime.errors import RejectedFile

URI = "s3://landing/orders/file"
TEXT, DAY = DataType("string"), DataType("date")
CONTRACT = Contract(
    "Order",
    (
        Column("customer_id", TEXT),
        Column("amount", DataType("float64"), nullable=True),
        Column("note", TEXT, nullable=True),
        Column("dt", DAY),
        Column("region", TEXT),
    ),
)
ORDERS = pa.table(
    {
        "customer_id": ["a", "b"],
        "amount": [1.0, None],
        "note": [None, "x"],
    }
)
PATH = {"dt": "2024-07-02", "region": "eu"}


def written(table: pa.Table, **options: Any) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(table, buffer, **options)
    return buffer.getvalue()


def ranges(data: bytes, asked: list[int] | None = None) -> Callable[[int, int], bytes]:
    def read(offset: int, length: int) -> bytes:
        if asked is not None:
            asked.append(length)
        return data[offset : offset + length]

    return read


def footer(data: bytes) -> Footer:
    return read_footer(ranges(data), len(data), URI)


def judged(table: pa.Table, drift: Drift = Drift.REORDER, **options: Any) -> Drifted:
    data = written(table, **options)
    found = footer(data)
    drifted = comply(found, PATH, CONTRACT, expected=(), drift=drift, uri=URI)
    check_columns(found, PATH, ranges(data), URI)
    return drifted


def refused(call: Callable[[], object]) -> tuple[str, str]:
    with pytest.raises(RejectedFile) as found:
        call()
    return found.value.code, found.value.reason


def encrypted_columns() -> bytes:
    """Build a file with a plain footer whose magic says that it is encrypted."""
    plain = written(ORDERS)
    return b"PARE" + plain[4:-4] + b"PARE"


GOOD = written(ORDERS)


@pytest.mark.parametrize(
    ("data", "code", "reason"),
    [
        (b"", "EmptyFile", "0 bytes"),
        (b"customer_id,amount\na,1\n", "NotParquet", "begins with b'cust' instead of PAR1"),
        (b"PAR1", "CorruptFile", "4 bytes are too few"),
        (GOOD[:-10], "CorruptFile", "footer is missing"),
        (GOOD[: len(GOOD) // 2] + b"PAR1", "CorruptFile", "was it cut short?"),
        (GOOD[:-60] + bytes(52) + GOOD[-8:], "CorruptFile", "cannot be read"),
        (encrypted_columns(), "EncryptedFile", "footer is encrypted"),
    ],
    ids=["empty", "text", "magic only", "truncated", "cut and signed", "footer overwritten", "encrypted"],
)
def test_a_file_without_a_footer_says_why(data: bytes, code: str, reason: str) -> None:
    found, said = refused(lambda: footer(data))
    assert found == code
    assert reason in said


def test_a_footer_is_read_without_the_data() -> None:
    rows = pa.table({"text": [f"{n:032d}" for n in range(200_000)]})
    data = written(rows, compression="none", use_dictionary=False)
    asked: list[int] = []
    found = read_footer(ranges(data, asked), len(data), URI)
    assert (found.rows, found.size) == (200_000, len(data))
    assert sum(asked) <= TAIL_BYTES + 4
    assert len(data) > 50 * sum(asked)


def test_a_long_footer_takes_one_range_more() -> None:
    wide = pa.table({f"c{n}": [n] for n in range(2_000)})
    data = written(wide)
    asked: list[int] = []
    assert len(read_footer(ranges(data, asked), len(data), URI).columns) == 2_000
    assert len(asked) == 3


def test_row_groups_that_lie_outside_of_the_file_are_refused() -> None:
    data = written(pa.table({"text": [f"{n:032d}" for n in range(1_000)]}), compression="none")
    shorter = data[:4] + data[len(data) // 2 :]
    code, reason = refused(lambda: footer(shorter))
    assert code == "InconsistentRowGroups"
    assert "outside of the file" in reason


def test_statistics_are_those_of_all_row_groups() -> None:
    table = pa.table({"n": [3, 1, None, 7], "day": [dt.date(2024, 7, d) for d in (1, 2, 3, 4)]})
    found = footer(written(table, row_group_size=1))
    assert found.row_groups == (1, 1, 1, 1)
    assert (found.ranges["n"].nulls, found.ranges["n"].least, found.ranges["n"].greatest) == (1, 1, 7)
    assert found.ranges["day"].least == dt.date(2024, 7, 1)


def test_a_file_that_keeps_the_contract_passes() -> None:
    assert judged(ORDERS) == Drifted()
    assert judged(ORDERS.select(["note", "customer_id", "amount"])) == Drifted()


def with_column(name: str, values: object) -> pa.Table:
    position = ORDERS.schema.get_field_index(name)
    if position < 0:
        return ORDERS.append_column(name, values)
    return ORDERS.set_column(position, name, values)


INT96 = with_column("note", pa.array([0, 1], pa.timestamp("ns")))


@pytest.mark.parametrize(
    ("table", "options", "code", "reason"),
    [
        (ORDERS.slice(0, 0), {}, "NoRows", "no rows"),
        (
            ORDERS.append_column("note", pa.array(["x", "y"])),
            {},
            "DuplicateColumns",
            "'note' appears twice",
        ),
        (with_column("Note", pa.array(["x", "y"])), {}, "AmbiguousColumns", "differ by case only"),
        (with_column("Region", pa.array(["eu", "eu"])), {}, "AmbiguousColumns", "the path's 'region'"),
        (
            ORDERS.rename_columns(["customer_id", "Amount", "note"]),
            {},
            "CaseDiffers",
            "the contract's 'amount'",
        ),
        (
            with_column("note", pa.array([{"a": 1, "A": 2}] * 2)),
            {},
            "DuplicateColumns",
            "the field 'A' twice",
        ),
        (with_column("region", pa.array([["eu"]] * 2)), {}, "NestedColumn", "flat type string"),
        (pa.table({f"c{n}": [1] for n in range(6_000)}), {}, "TooManyColumns", "6,000 columns"),
        (INT96, {"use_deprecated_int96_timestamps": True}, "LegacyTimestamps", "note is stored as INT96"),
        (ORDERS.drop_columns(["customer_id"]), {}, "MissingColumns", "lacks customer_id"),
        (with_column("extra", pa.array([1, 2])), {}, "UnexpectedColumns", "does not know extra"),
        (with_column("note", pa.array([{"a": 1}] * 2)), {}, "NestedColumn", "flat type string"),
        (with_column("amount", pa.array(["1", "2"])), {}, "WrongType", "amount is string"),
        (
            with_column("region", pa.array(["eu", "us"])),
            {},
            "ContradictingPartition",
            "region=eu, the file holds us",
        ),
        (with_column("region", pa.array(["eu", None])), {}, "NullPartition", "null in 1 rows"),
    ],
)
def test_a_file_that_breaks_it_says_how(
    table: pa.Table, options: dict[str, Any], code: str, reason: str
) -> None:
    found, said = refused(lambda: judged(table, **options))
    assert found == code
    assert reason in said


def test_a_partition_column_in_the_file_may_repeat_the_path() -> None:
    day = pa.array([dt.date(2024, 7, 2)] * 2)
    assert judged(with_column("dt", day).append_column("region", pa.array(["eu"] * 2))) == Drifted()


def test_drift_policies() -> None:
    swapped = ORDERS.select(["amount", "customer_id", "note"])
    extra = with_column("extra", pa.array([1, 2]))
    fewer = ORDERS.drop_columns(["note"])
    assert refused(lambda: judged(swapped, Drift.STRICT))[0] == "ReorderedColumns"
    assert refused(lambda: judged(extra, Drift.STRICT))[0] == "UnexpectedColumns"
    assert judged(extra, Drift.EVOLVE) == Drifted(extra=("extra",))
    assert refused(lambda: judged(fewer, Drift.EVOLVE))[0] == "MissingColumns"
    assert judged(fewer, Drift.PERMISSIVE) == Drifted(missing=("note",))
    needed = ORDERS.drop_columns(["customer_id"])
    assert refused(lambda: judged(needed, Drift.PERMISSIVE))[0] == "MissingColumns"


def test_columns_may_be_expected_by_name_alone() -> None:
    found = footer(written(ORDERS))
    with_unknown = ("customer_id", "amount", "note", "dt", "order_id")
    said = refused(lambda: comply(found, PATH, CONTRACT, expected=with_unknown, drift=Drift.REORDER, uri=URI))
    assert said[0] == "MissingColumns"
    assert "order_id" in said[1]


@pytest.mark.parametrize(
    ("key", "code"),
    [
        ("orders/region=eu/a.parquet", "MissingPartition"),
        ("orders/region=eu/dt=2024-07-02/a.parquet", "UnexpectedPartition"),
        ("orders/dt=2024-07-02/region=eu/hour=01/a.parquet", "UnexpectedPartition"),
        ("orders/dt=2024-13-45/region=eu/a.parquet", "InvalidPartition"),
        ("orders/dt=2024-W27-2/region=eu/a.parquet", "InvalidPartition"),
        ("orders/dt=2024-07-02/region=a%0Ab/a.parquet", "InvalidPartition"),
        ("orders/dt=2024-07-02/region=%FF/a.parquet", "InvalidPartition"),
        ("orders/dt=2024-07-02/region=%2E%2E/a.parquet", "InvalidPartition"),
        (f"orders/dt=2024-07-02/region={'ü' * 130}/a.parquet", "InvalidPartition"),
        ("orders/dt=20240702/region=eu/a.parquet", "InvalidPartition"),
        ("orders/dt=../../x/region=eu/a.parquet", "InvalidPartition"),
        ("orders/dt=2024-07-02/region=..%2F..%2Fx/a.parquet", "InvalidPartition"),
        ("orders/dt=2024-07-02/region=/a.parquet", "NullPartition"),
        ("orders/dt=2024-07-02/region=__HIVE_DEFAULT_PARTITION__/a.parquet", "NullPartition"),
        ("orders/2024/dt=2024-07-02/region=eu/a.parquet", "InvalidPartition"),
        ("orders/a.parquet", "MissingPartition"),
    ],
)
def test_a_wrong_path_says_how(key: str, code: str) -> None:
    types = {"dt": DAY, "region": TEXT}
    found = refused(lambda: partition_values(key, "orders/", ("dt", "region"), types, uri=URI))
    assert found[0] == code


def test_partition_values_are_unescaped() -> None:
    key = "orders/dt=2024-07-02/region=a%3Ab c+d/x=y.parquet"
    found = partition_values(key, "orders/", ("dt", "region"), {"dt": DAY}, uri=URI)
    assert found == {"dt": "2024-07-02", "region": "a:b c+d"}


@pytest.mark.parametrize(
    ("array", "wanted", "read"),
    [
        (pa.array([1]), "float64", True),
        (pa.array([1.5]), "int64", True),
        (pa.array([True]), "int32", True),
        (pa.array(["1"]), "date", True),
        (pa.array([dt.date(2024, 7, 2)]), "timestamp", True),
        (pa.array([dt.date(2024, 7, 2)]), "string", True),
        (pa.nulls(1), "float64", True),
        # Spark ends at these, or spells them otherwise than DuckDB.
        (pa.array([1]), "date", False),
        (pa.array([dt.date(2024, 7, 2)]), "int64", False),
        (pa.array([b"1"]), "string", False),
        (pa.array([1.5]), "string", False),
        (pa.array([1], pa.timestamp("us", "UTC")), "string", False),
        (pa.nulls(1), "date", False),
    ],
    ids=str,
)
def test_what_a_contract_coerces(array: pa.Array, wanted: str, *, read: bool) -> None:
    contract = Contract("One", (Column("x", DataType(wanted), nullable=True, coerce=True),))
    found = footer(written(pa.table({"x": array})))

    def judge() -> None:
        comply(found, {}, contract, expected=(), drift=Drift.STRICT, uri=URI)

    if read:
        judge()
    else:
        assert refused(judge)[0] == "WrongType"
