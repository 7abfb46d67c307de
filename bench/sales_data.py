"""Sales files: a size -> CSV of mixed types under `build/bench`, the same bytes every time, made once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from bench.measure import FOLDER

HEADER = "order_id,sold_at,customer_id,email,country,status,sku,quantity,unit_price,discount,gift,remarks"
COUNTRIES = ("AT", "CH", "DE", "DK", "ES", "FR", "IT", "SE")
STATUSES = ("new", "paid", "packed", "shipped", "returned")
REMARKS = (
    "",
    "",
    "",
    "",
    "",
    "",
    "",
    '"Leave it at the door, please"',
    '"Said ""thanks"" twice"',
    "gift wrap",
)
#: One row in so many is bad, in eight ways by turns; the eighth makes its neighbour bad too.
BAD_EVERY = 50
ROWS_A_WRITE = 20_000


def sales_file(megabytes: int) -> Path:
    """Return the path of a CSV file of about so many MB (10^6 bytes)."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    path = FOLDER / f"sales-{megabytes}mb.csv"
    if path.exists():
        return path
    part = path.with_suffix(".part")
    rows = _rows()
    with part.open("w", encoding="ascii", newline="") as file:
        file.write(f"{HEADER}\n")
        while file.tell() < megabytes * 1_000_000:
            file.write("".join(next(rows) for _ in range(ROWS_A_WRITE)))
    part.rename(path)
    return path


def _rows() -> Iterator[str]:
    number = 0
    while True:
        number += 1
        # A multiplicative hash is enough of a random number, and fast.
        mixed = number * 0x9E3779B97F4A7C15 & 0xFFFFFFFFFFFFFFFF
        low, high = mixed & 0xFFFFFFFF, mixed >> 32
        customer = f"{low % 1_000_000:06d}"
        key, day, hour = number, 13 + high % 5, low % 24
        quantity: object = 1 + high % 50
        price, country = f"{low % 20_000 / 100:.2f}", COUNTRIES[high % 8]
        month, email, buyer = "01", f"customer{customer}@example.com", f"C{customer}"
        if number % BAD_EVERY == 0:
            match number // BAD_EVERY % 8:
                case 0:
                    quantity = -1
                case 1:
                    quantity = "many"
                case 2:
                    month = "13"
                case 3:
                    country = "XX"
                case 4:
                    buyer = ""
                case 5:
                    price = "-5.00"
                case 6:
                    email = "unknown"
                case _:
                    key = number - 1
        yield (
            f"S{key:09d},2025-{month}-{day}T{hour:02d}:{high % 60:02d}:{low % 60:02d},{buyer},{email},{country},"
            f"{STATUSES[low % 5]},SKU-{high % 100_000:06d},{quantity},{price},0.{low % 6}5,"
            f"{'true' if high & 64 else 'false'},{REMARKS[high % 10]}\n"
        )
