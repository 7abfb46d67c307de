"""Seeded sales exports as branches would send them, good and bad: for the demo, tests and a first look.

    python -m ingestion_assets.pipelines.csv_to_parquet.sample_data --files 60

In: a seed. Out: files under `<out>/<landing day>/`, the same bytes for the same arguments.
"""

from __future__ import annotations

import csv
import gzip
import io
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

from ingestion_assets.sample_files import Sample, command_line, write_landed

FIRST_DAY = date(2025, 1, 29)
HEADER = (
    "Order ID", "Order Date", "Sold At", "Branch", "Country", "Product", "Units", "Unit Price", "Discount %",
    "Remarks",
)  # fmt: skip
PRODUCTS = (
    ("Espresso cups", 24.9),
    ("Cast-iron pan", 59.0),
    ("Desk lamp, brass", 42.0),
    ('Monitor 27"', 1249.5),
    ("Fountain pen", 31.2),
    ("Bücherregal", 189.0),
    ("Crème brûlée set", 34.95),
)
REMARKS = (
    "",
    "",
    "",
    "-",
    "gift",
    "n/a",
    'called "urgent"',
    "ring twice;\nleave at the door",
    "Grüße an Zoë",
)


@dataclass(frozen=True, slots=True)
class Branch:
    """A branch and how its till writes CSV."""

    name: str
    country: str
    delimiter: str = ";"
    encoding: str = "utf-8"
    newline: str = "\r\n"
    compressed: bool = False


BRANCHES = (
    Branch("Berlin", "DE"),
    Branch("Köln", "DE", encoding="windows-1252"),
    Branch("Wien", "AT", delimiter=",", encoding="utf-8-sig"),
    Branch("Zürich", "CH", delimiter="\t", encoding="utf-16"),
    Branch("Bern", "CH", newline="\n"),
    Branch("Lyon", "FR", delimiter="|", newline="\n"),
    Branch("Torino", "IT", compressed=True),
    Branch("Malmö", "SE", delimiter=",", newline="\n"),
)
SHOP = Branch("online", "DE")
Row = list[str]


def number(value: float, digits: int = 2) -> str:
    """Write a number as these branches do: `1.249,50`."""
    return f"{value:,.{digits}f}".translate(str.maketrans(",.", ".,"))


def _row(rng: random.Random, order: int, day: date, branch: Branch) -> Row:
    product, price = rng.choice(PRODUCTS)
    sold = datetime.combine(day, time(8), UTC) + timedelta(seconds=rng.randrange(36_000))
    return [
        f"S-{order:07d}",
        f"{day:%d.%m.%Y}",
        f"{sold:%d.%m.%Y %H:%M:%S}",
        rng.choice((branch.name, f"{branch.name} ")),
        branch.country,
        product,
        number(rng.choices((1, 2, 5, 1_200), weights=(9, 5, 2, 0.1))[0], 0),
        number(price),
        rng.choice(("", "0", "0,0", "10", "12,5")),
        rng.choice(REMARKS),
    ]


def _set(heading: str, value: str) -> Callable[[Row], None]:
    def spoil(row: Row) -> None:
        row[HEADER.index(heading)] = value

    return spoil


#: Each spoils a good row, so that exactly this row must end in quarantine.
MISTAKES: tuple[Callable[[Row], None], ...] = (
    _set("Order ID", ""),
    _set("Order ID", "17"),
    _set("Order Date", "2025-01-17"),
    _set("Order Date", "31.02.2025"),
    _set("Sold At", "noon"),
    _set("Country", "XX"),
    _set("Units", "0"),
    _set("Units", "many"),
    _set("Unit Price", "-4,50"),
    _set("Unit Price", "12.50"),  # a point groups three digits
    _set("Discount %", "120"),
    # Not behind a line break: of a record that is none, each line counts by itself.
    lambda row: row.__setitem__(slice(len(row) - 1, None), ["", "one field too many"]),
    lambda row: row.__delitem__(slice(4, None)),
)


def _rows(
    rng: random.Random, first: int, count: int, day: date, branch: Branch
) -> Iterator[tuple[Row, bool]]:
    """Yield rows, and whether each must end in quarantine."""
    for offset in range(count):
        row = _row(rng, first + offset, day, branch)
        bad = rng.random() < 0.02
        if bad:
            rng.choice(MISTAKES)(row)
        yield row, bad


def _encode(rows: list[Row], branch: Branch, header: Row) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=branch.delimiter, lineterminator=branch.newline)
    writer.writerows([header, *rows])
    content = text.getvalue().encode(branch.encoding)
    return gzip.compress(content, mtime=0) if branch.compressed else content


def write_sales(folder: Path, files: int = 60, seed: int = 7, days: int = 5, big_rows: int = 0) -> Sample:
    """Write `files` exports over `days` landing days below `folder`.

    Three of them are broken as a whole: one without the order's number, a compressed one cut short in
    transit, and a spreadsheet under the name of a CSV.

    Args:
        folder: Created if absent; files of the same names are overwritten.
        files: At least 4.
        seed: The same seed writes the same bytes.
        days: Landing days, from 2025-01-29 on.
        big_rows: Rows of one more file, the web shop's, on the last day; 0 for none.
    """
    rng = random.Random(seed)  # noqa: S311 - sample data, not a secret
    records = bad_records = 0
    broken = {files // 4: "headless", files // 2: "cut", 3 * files // 4: "spreadsheet"}
    for index in range(files):
        day = FIRST_DAY + timedelta(days=index * days // files)
        branch = BRANCHES[index % len(BRANCHES)]
        made = list(_rows(rng, index * 1_000 + 1, rng.randrange(20, 120), day, branch))
        header, rows = list(HEADER), [row for row, _ in made]
        if index % 5 == 2:  # the order of columns is each branch's own
            order = rng.sample(range(len(HEADER)), len(HEADER))
            header = [header[i] for i in order]
            rows = [[row[i] for i in order] if len(row) == len(order) else row for row in rows]
        content = _encode(rows, branch, header)
        landed = datetime.combine(day, time(21), UTC) + timedelta(minutes=index)
        name = f"{branch.name.lower()}-{index + 1:03d}.csv{'.gz' if branch.compressed else ''}"
        if index in broken:
            name, content = f"broken-{index + 1:03d}.csv", _broken(rng, broken[index], rows, branch)
        else:
            records += len(made)
            bad_records += sum(bad for _, bad in made)
        write_landed(folder / day.isoformat() / name, content, landed)
    if big_rows:
        day = FIRST_DAY + timedelta(days=days - 1)
        made = list(_rows(rng, files * 1_000 + 1, big_rows, day, SHOP))
        content = _encode([row for row, _ in made], SHOP, list(HEADER))
        write_landed(folder / day.isoformat() / "online.csv", content, datetime.combine(day, time(23), UTC))
        records, bad_records = records + big_rows, bad_records + sum(bad for _, bad in made)
    return Sample(files + bool(big_rows), len(broken), records, bad_records)


def _broken(rng: random.Random, kind: str, rows: list[Row], branch: Branch) -> bytes:
    if kind == "headless":
        return _encode([row[1:] for row in rows], Branch(branch.name, branch.country), list(HEADER[1:]))
    if kind == "cut":
        return gzip.compress(_encode(rows, Branch(branch.name, branch.country), list(HEADER)), mtime=0)[:-40]
    return b"PK\x03\x04" + rng.randbytes(4_096)


if __name__ == "__main__":
    command_line(write_sales, "data/pre-workflow-ingestion/sales", 60)
