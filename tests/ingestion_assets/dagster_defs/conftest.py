"""Landed order files: good, with bad rows, broken."""

import json
from pathlib import Path
from typing import Any

import pytest


def order(number: int, day: str = "2025-01-17", **changes: Any) -> dict[str, Any]:
    return {
        "order_id": f"o-{number}",
        "order_date": day,
        "total_amount": 9.0,
        "customer": {
            "customer_id": f"c-{number}",
            "name": "Ada",
            "email": "ada@example.org",
            "address": "1 Main St",
        },
        "products": [
            {"product_id": "p-1", "name": "Tea", "category": "drinks", "price": 2.0, "quantity": 3},
            {"product_id": "p-2", "name": "Mug", "category": "kitchen", "price": 3.0, "quantity": 1},
        ],
    } | changes


def land(root: Path, key: str, content: Any) -> Path:
    """Write a landed file; text as it is, anything else as JSON."""
    path = root / "landing" / "orders" / key
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


@pytest.fixture
def landed(tmp_path: Path) -> Path:
    """Two days of `orders_etl`: 4 good lines on the first; on the second 1 bad line, 1 bad record, 1 broken file."""
    root = tmp_path / "data"
    land(root, "2025-01-17/a.json", [order(1), order(2)])
    negative = order(3, "2025-01-18")
    negative["products"][0]["price"] = -1
    uncountable = order(4, "2025-01-18", total_amount="many")
    land(root, "2025-01-18/b.json", "\n".join(map(json.dumps, [negative, uncountable])))
    land(root, "2025-01-18/broken.json", '[{"order_id": "o-9", ')
    return root
