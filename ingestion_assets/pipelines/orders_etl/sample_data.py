"""Seeded order files as shops would send them, good and bad: for the demo, tests and a first look.

    python -m ingestion_assets.pipelines.orders_etl.sample_data --out data/landing/orders --files 300

In: a seed. Out: files under `<out>/<landing day>/`, the same bytes for the same arguments. Neither
shipped to AWS nor imported by the pipeline.
"""

from __future__ import annotations

import argparse
import json
import os
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

Order = dict[str, Any]

FIRST_DAY = date(2025, 1, 13)
FIRST_NAMES = ("Ada", "Björn", "Chloé", "Dmitri", "Esra", "Fatou", "Grace", "Hiro", "Inés", "Jürgen", "Zoë")
LAST_NAMES = ("Álvarez", "Berg", "Costa", "Dubois", "Eriksen", "Fischer", "García", "Hansen", "Ito", "O'Neil")
STREETS = ("Harbour Street", "Rue de la Paix", "Königsallee", "Mill Lane", "Via Roma", "Kungsgatan")
CITIES = ("Lisbon", "Lyon", "Köln", "Leeds", "Turin", "Malmö")
CATALOGUE = (
    ("Espresso cups", "kitchen", 24.9),
    ("Cast-iron pan", "kitchen", 59.0),
    ("Linen sheets", "home", 89.5),
    ("Desk lamp", "home", 42.0),
    ("Field notebook", "stationery", 7.95),
    ("Fountain pen", "stationery", 31.2),
    ("Trail shoes", "sports", 119.0),
    ("Yoga mat", "sports", 29.99),
    ("Novel, paperback", "books", 11.5),
    ("Atlas of the sea", "books", 48.0),
)


@dataclass(frozen=True, slots=True)
class Summary:
    """What was written: whole files, broken ones among them, and what the readable ones hold.

    Args:
        files: Files written, broken ones included.
        broken_files: Files that cannot be read at all.
        orders: Records in the readable files, unreadable lines included.
        lines: Rows that these records make: one a product, one where there is none or no record.
        bad_lines: Of those, the rows that must end in quarantine.
    """

    files: int
    broken_files: int
    orders: int
    lines: int
    bad_lines: int


def _order(rng: random.Random, number: int, day: date) -> Order:
    customer = rng.randrange(1, 2_000)
    first, last = rng.choice(FIRST_NAMES), rng.choice(LAST_NAMES)
    products: list[dict[str, Any]] = []
    for _ in range(rng.choices((1, 2, 3, 4, 5), weights=(5, 4, 3, 2, 1))[0]):
        item = rng.randrange(len(CATALOGUE))
        name, category, price = CATALOGUE[item]
        products.append(
            {
                "product_id": f"P-{item + 1:04d}",
                "name": name,
                "category": category,
                "price": round(price * rng.choice((1, 1, 1, 0.9, 0.8)), 2),
                "quantity": rng.choices((1, 2, 3, 6), weights=(8, 4, 2, 1))[0],
            }
        )
    return {
        "order_id": f"O-{number:07d}",
        "order_date": (day - timedelta(days=rng.choices((0, 1, 2), weights=(8, 3, 1))[0])).isoformat(),
        "total_amount": round(sum(p["price"] * p["quantity"] for p in products), 2),
        "customer": {
            "customer_id": f"C-{customer:05d}",
            "name": f"{first} {last}",
            "email": f"customer{customer}@example.com",
            "address": f"{rng.randrange(1, 200)} {rng.choice(STREETS)}, {rng.choice(CITIES)}",
        },
        "products": products,
    }


def _first_product(key: str, value: Any) -> Callable[[Order], int]:
    def spoil(order: Order) -> int:
        order["products"][0][key] = value
        return 1

    return spoil


def _whole_order(key: str, value: Any) -> Callable[[Order], int]:
    """Spoil a value of the order's own, which condemns each of its lines."""

    def spoil(order: Order) -> int:
        order[key] = value
        return len(order["products"])

    return spoil


def _record(key: str, value: Any) -> Callable[[Order], int]:
    """Spoil a value so that the record cannot be read as an order: one row in quarantine."""

    def spoil(order: Order) -> int:
        order[key] = value
        order["unreadable"] = True
        return 1

    return spoil


def _no_products(order: Order) -> int:
    order["products"] = []
    return 1


def _no_customer(order: Order) -> int:
    order["customer"] = None
    return len(order["products"])


def _huge_quantity(order: Order) -> int:
    order["products"][0]["quantity"] = 10**19  # one digit more than int64 holds
    order["unreadable"] = True
    return 1


#: Each takes a good order, spoils it, and says how many of its rows must end in quarantine.
MISTAKES: tuple[Callable[[Order], int], ...] = (
    _first_product("price", -4.5),
    _first_product("product_id", None),
    _first_product("quantity", 0),
    _whole_order("order_id", ""),
    _whole_order("total_amount", -1),
    _record("order_date", "17/01/2025"),
    _record("total_amount", "a lot"),
    _no_products,
    _no_customer,
    _huge_quantity,
)


def _orders(rng: random.Random, first_number: int, count: int, day: date) -> Iterator[tuple[Order, int, int]]:
    """Yield (order, rows that it makes, rows that must end in quarantine)."""
    for offset in range(count):
        order = _order(rng, first_number + offset, day)
        bad = rng.choice(MISTAKES)(order) if rng.random() < 0.02 else 0
        rows = 1 if order.pop("unreadable", False) else max(len(order["products"]), 1)
        yield order, rows, bad


def _encode(orders: list[Order], shape: str) -> bytes:
    if shape == "array":
        text = json.dumps(orders, ensure_ascii=False, indent=1)
    elif shape == "object":
        text = json.dumps(orders[0], ensure_ascii=False, indent=2)
    else:
        text = "".join(json.dumps(order, ensure_ascii=False) + "\n" for order in orders)
    return text.encode()


def write_orders(folder: Path, files: int = 300, seed: int = 7, days: int = 5) -> Summary:
    """Write `files` order files over `days` landing days below `folder`.

    Two of them are broken as a whole: an array cut short in transit and a file that is no text.

    Args:
        folder: Created if absent; files of the same names are overwritten.
        files: At least 3.
        seed: The same seed writes the same bytes.
        days: Landing days, from 2025-01-13 on.
    """
    rng = random.Random(seed)  # noqa: S311 - sample data, not a secret
    orders_total = lines = bad_lines = 0
    broken = {files // 3: "truncated", (2 * files) // 3: "binary"}
    for index in range(files):
        day = FIRST_DAY + timedelta(days=index * days // files)
        path = folder / day.isoformat() / f"orders-{index + 1:04d}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        shape = rng.choices(("ndjson", "array", "object"), weights=(5, 4, 1))[0]
        count = 1 if shape == "object" else rng.randrange(20, 120)
        made = list(_orders(rng, index * 1_000 + 1, count, day))
        content = _encode([order for order, _, _ in made], shape)
        landed = datetime.combine(day, time(6), UTC) + timedelta(minutes=index)
        if index in broken:
            cut = _encode([order for order, _, _ in made], "array")[: -len(content) // 3]
            _write(path, cut if broken[index] == "truncated" else rng.randbytes(4_096), landed)
            continue
        orders_total += len(made)
        lines += sum(rows for _, rows, _ in made)
        bad_lines += sum(bad for _, _, bad in made)
        if shape == "ndjson" and rng.random() < 0.1:
            content += b'{"order_id": "O-cut", "order_date": "2025-01-\n'
            orders_total, lines, bad_lines = orders_total + 1, lines + 1, bad_lines + 1
        _write(path, content, landed)
    return Summary(files, len(broken), orders_total, lines, bad_lines)


def _write(path: Path, content: bytes, landed: datetime) -> None:
    """Write a file as if it had landed then, so that outputs named after it are the same ones too."""
    path.write_bytes(content)
    os.utime(path, (landed.timestamp(), landed.timestamp()))


def main() -> None:
    """Write the files and print what they hold."""
    parser = argparse.ArgumentParser(description="Write seeded sample order files.")
    parser.add_argument("--out", type=Path, default=Path("data/landing/orders"))
    parser.add_argument("--files", type=int, default=300)
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    made = write_orders(options.out, options.files, options.seed)
    print(  # noqa: T201 - a command line's answer
        f"{made.files} files ({made.broken_files} broken) below {options.out}: "
        f"{made.orders} orders, {made.lines} lines, {made.bad_lines} of them bad"
    )


if __name__ == "__main__":
    main()
