"""Seeded order files: a size -> nested NDJSON under `build/bench`, made once."""

from __future__ import annotations

import json
import random
from pathlib import Path

from bench.measure import FOLDER

DATES = [f"2025-01-{day}" for day in range(13, 18)]
CATEGORIES = ("books", "garden", "toys", "kitchen", "office", "sports")
#: One order in so many has a product with a negative price, which its contract refuses.
BAD_EVERY = 1000


def order_file(megabytes: int, seed: int = 20250117) -> Path:
    """Path of an NDJSON file of about so many MB (10^6 bytes)."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    path = FOLDER / f"orders-{megabytes}mb.ndjson"
    if path.exists():
        return path
    part = path.with_suffix(".part")
    rng = random.Random(seed)
    written = number = 0
    with part.open("w", encoding="ascii") as file:
        while written < megabytes * 1_000_000:
            line = json.dumps(_order(rng, number := number + 1)) + "\n"
            written += len(line)
            file.write(line)
    part.rename(path)
    return path


def _order(rng: random.Random, number: int) -> dict[str, object]:
    customer = rng.randrange(1_000_000)
    products = [
        {
            "product_id": f"P{rng.randrange(100_000):06d}",
            "name": f"Product {rng.randrange(10_000)}",
            "category": rng.choice(CATEGORIES),
            "price": round(rng.random() * 100, 2),
            "quantity": rng.randrange(1, 9),
        }
        for _ in range(rng.randrange(1, 6))
    ]
    if number % BAD_EVERY == 0:
        products[0]["price"] = -1.0
    return {
        "order_id": f"O{number:09d}",
        "order_date": rng.choice(DATES),
        "total_amount": round(rng.random() * 500, 2),
        "customer": {
            "customer_id": f"C{customer:06d}",
            "name": f"Customer {customer}",
            "email": f"customer{customer}@example.com",
            "address": f"{rng.randrange(1, 999)} Main Street, Springfield",
        },
        "products": products,
    }
