"""Seeded deliveries of orders in Parquet, good and bad: for the demo, tests and a first look.

    python -m ingestion_assets.pipelines.parquet_ingestion.sample_data --files 20

In: a seed. Out: files `<out>/dt=2024-07-01/region=eu/orders-001.parquet`, the same bytes for the same
arguments, and last the marker `<out>/_SUCCESS`.
"""

from __future__ import annotations

import io
import random
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ingestion_assets.sample_files import Sample, command_line, write_landed

Row = dict[str, Any]

FIRST_DAY = date(2024, 7, 1)
REGIONS = ("eu", "us", "apac")
#: Says that a delivery is complete, as Spark and Hadoop do.
MARKER = "_SUCCESS"
COLUMNS = {"customer_id": pa.string(), "order_id": pa.string(), "amount": pa.float64()}


def _row(rng: random.Random, order: int, unpriced: float) -> Row:
    # Some shops fill fields up with blanks.
    customer = rng.choice(("{}", "{}", "{} ", "  {}")).format(f"C{rng.randrange(1, 4_000):05d}")
    amount = None if rng.random() < unpriced else round(rng.uniform(3, 1_200), 2)
    return {"customer_id": customer, "order_id": f"O-{order:07d}", "amount": amount}


def _set(column: str, value: Any) -> Callable[[Row], None]:
    def spoil(row: Row) -> None:
        row[column] = value

    return spoil


#: Each spoils a good row, so that exactly this row must end in quarantine.
MISTAKES: tuple[Callable[[Row], None], ...] = (
    _set("customer_id", None),
    _set("customer_id", "17"),
    _set("customer_id", "C1234é"),
    _set("order_id", None),
    _set("order_id", "   "),
    _set("amount", -0.01),
)


def _rows(rng: random.Random, first: int, count: int, unpriced: float) -> Iterator[tuple[Row, bool]]:
    """Yield rows, and whether each must end in quarantine."""
    for offset in range(count):
        row = _row(rng, first + offset, unpriced)
        bad = rng.random() < 0.02
        if bad:
            rng.choice(MISTAKES)(row)
        yield row, bad


def _encode(rows: list[Row], index: int, day: date | None) -> bytes:
    """Write a file as its sender would: the columns' order, the codec and the row groups are each one's own.

    Args:
        rows: Of the file.
        index: Of the file; decides how it is written.
        day: Value of a column `dt` in the file, beside the folder's; None for no such column.
    """
    names = list(COLUMNS)
    names = names[index % 3 :] + names[: index % 3]
    table = pa.table({name: pa.array([row.get(name) for row in rows], COLUMNS[name]) for name in names})
    if day is not None:
        table = table.append_column("dt", pa.array([day] * len(rows), pa.date32()))
    return _parquet(table, compression=("snappy", "zstd", "gzip", "none")[index // 2 % 4], row_group_size=64)


def _parquet(table: pa.Table, **options: Any) -> bytes:
    content = io.BytesIO()
    pq.write_table(table, content, **options)
    return content.getvalue()


def _broken(rows: list[Row], kind: str, day: date) -> tuple[str, bytes]:
    """Return the `dt` folder's value and the content of a file that must be rejected whole."""
    good = _encode(rows, 0, None)
    match kind:
        case "text":
            lines = [",".join(COLUMNS), *(f"{row['customer_id']},{row['order_id']}," for row in rows)]
            return day.isoformat(), "\n".join(lines).encode()
        case "cut":
            return day.isoformat(), good[: len(good) // 2]
        case "folder":
            return f"{day:%Y}-13-45", good
        case "columns":
            return day.isoformat(), _parquet(pa.table({"order_id": [row["order_id"] for row in rows]}))
        case _:
            return day.isoformat(), _encode(rows, 0, day + timedelta(days=1))


#: A text under the name of a Parquet file, one cut short in transit, a folder that is no day, one without
#: two of its columns, and one whose column `dt` says another day than its folder.
BROKEN = ("text", "cut", "folder", "columns", "contradiction")


def write_deliveries(
    folder: Path,
    files: int = 20,
    seed: int = 7,
    *,
    days: int = 3,
    rows: tuple[int, int] = (90, 130),
    unpriced: float = 0.0,
) -> Sample:
    """Write `files` files below `<folder>/dt=…/region=…/`, and the marker that they are complete.

    Five of them are broken as a whole (`BROKEN`). From 20 files on, more than 1,200 rows are good.

    Args:
        folder: Created if absent; files of the same names are overwritten.
        files: At least 6.
        seed: The same seed writes the same bytes.
        days: Folders `dt=…`, from 2024-07-01 on.
        rows: Fewest and most rows of a file.
        unpriced: Share of the orders whose amount is null; a rule of a run's configuration may forbid it.
    """
    rng = random.Random(seed)  # noqa: S311 - sample data, not a secret
    records = bad_records = 0
    broken = {(2 * at + 1) * files // (2 * len(BROKEN)): kind for at, kind in enumerate(BROKEN)}
    for index in range(files):
        day, region = FIRST_DAY + timedelta(days=index * days // files), REGIONS[index % len(REGIONS)]
        made = list(_rows(rng, index * max(1_000, rows[1]) + 1, rng.randint(*rows), unpriced))
        content = [row for row, _ in made]
        if index in broken:
            dt, body = _broken(content, broken[index], day)
        else:
            # Some senders name the day in the file too.
            dt, body = day.isoformat(), _encode(content, index, day if index % 4 == 1 else None)
            records += len(made)
            bad_records += sum(bad for _, bad in made)
        landed = datetime.combine(day, time(21), UTC) + timedelta(minutes=index)
        write_landed(
            folder / f"dt={dt}" / f"region={region}" / f"orders-{index + 1:03d}.parquet", body, landed
        )
    last = datetime.combine(FIRST_DAY + timedelta(days=days), time(), UTC)
    write_landed(folder / MARKER, b"", last)
    return Sample(files, len(broken), records, bad_records)


if __name__ == "__main__":
    command_line(write_deliveries, "data/my-landing-zone/orders", 20)
