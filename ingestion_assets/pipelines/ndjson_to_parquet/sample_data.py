"""Seeded clickstream files as collectors would write them, good and bad: for the demo and tests.

    python -m ingestion_assets.pipelines.ndjson_to_parquet.sample_data --files 47

In: a seed. Out: files `<out>/2025-01-17-file001.ndjson`, the same bytes for the same arguments.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

from ingestion_assets.sample_files import Sample, command_line, write_landed

Event = dict[str, Any]

FIRST_DAY = date(2025, 1, 17)
PATHS = ("/", "/search", "/product/espresso-cups", "/product/desk-lamp", "/cart", "/größen", "/checkout")
REFERRERS = (None, None, "https://search.example/?q=lamp", "https://news.example/a/b")
DEVICES = (("ios", "7.1.0"), ("android", "7.0.3"), ("web", None))


def _event(rng: random.Random, name: str, day: date) -> Event:
    # Some apps were offline and send what happened the day before.
    happened = day - timedelta(days=rng.choices((0, 1), weights=(30, 1))[0])
    at = datetime.combine(happened, time(), UTC) + timedelta(milliseconds=rng.randrange(86_400_000))
    kind = rng.choices(("view", "search", "cart", "purchase"), weights=(20, 6, 4, 1))[0]
    os, version = rng.choice(DEVICES)
    event: Event = {
        "event_id": name,
        "event_type": kind,
        "event_date": happened.isoformat(),
        "occurred_at": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "user": {"id": f"u{rng.randrange(1, 9_000):05d}", "country": rng.choice(("DE", "FR", "US", None))},
        "device": {"os": os, "app_version": version},
        "page": {"path": rng.choice(PATHS), "referrer": rng.choice(REFERRERS)},
    }
    if kind in ("cart", "purchase"):
        event |= {
            "amount": round(rng.uniform(5, 900), 2),
            "currency": rng.choice(("EUR", "USD", "CHF")),
        }
    return event


def _set(value: Any, *path: str) -> Callable[[Event], None]:
    def spoil(event: Event) -> None:
        inner = event
        for name in path[:-1]:
            inner = inner[name]
        inner[path[-1]] = value

    return spoil


#: Each spoils a good event, so that exactly this record must end in quarantine.
MISTAKES: tuple[Callable[[Event], None], ...] = (
    _set("", "event_id"),
    _set("hover", "event_type"),
    _set(None, "event_date"),
    _set("17.01.2025", "event_date"),
    _set("2025-01-17T10:15:02", "occurred_at"),
    _set(None, "user"),
    _set("Germany", "user", "country"),
    _set("product/1", "page", "path"),
    _set(-1, "amount"),
    _set("free", "amount"),
    _set("BTC", "currency"),
)


def _lines(rng: random.Random, file: int, count: int, day: date) -> Iterator[tuple[str, bool]]:
    """Yield lines, and whether each must end in quarantine."""
    for number in range(count):
        event = _event(rng, f"e-{file:05d}-{number:05d}", day)
        bad = rng.random() < 0.01
        if bad:
            rng.choice(MISTAKES)(event)
        yield json.dumps(event, ensure_ascii=False), bad
    if rng.random() < 0.1:  # a collector that was stopped while it wrote
        yield '{"event_id": "e-cut", "event_type": "vi', True


def _day_of(index: int, files: int, days: int) -> int:
    """Give every day but the last a multiple of ten files, where there are enough for that."""
    each = files // days // 10 * 10
    return min(index // each, days - 1) if each else index * days // files


def write_clickstream(
    folder: Path, files: int = 47, seed: int = 7, days: int = 3, events: tuple[int, int] = (50, 400)
) -> Sample:
    """Write `files` files of `days` dates into `folder`; one of them is no text at all.

    Args:
        folder: Created if absent; files of the same names are overwritten.
        files: At least 1.
        seed: The same seed writes the same bytes.
        days: Dates, from 2025-01-17 on.
        events: Fewest and most events of a file.
    """
    rng = random.Random(seed)  # noqa: S311 - sample data, not a secret
    records = bad_records = 0
    of_day = [0] * days
    for index in range(files):
        number = _day_of(index, files, days)
        day = FIRST_DAY + timedelta(days=number)
        of_day[number] += 1
        made = list(_lines(rng, index, rng.randint(*events), day))
        content = "".join(f"{line}\n" for line, _ in made).encode()
        if index == files // 2:
            content = rng.randbytes(4_096)
        else:
            records += len(made)
            bad_records += sum(bad for _, bad in made)
        landed = datetime.combine(day, time(1), UTC) + timedelta(minutes=index)
        write_landed(folder / f"{day.isoformat()}-file{of_day[number]:03d}.ndjson", content, landed)
    return Sample(files, 1, records, bad_records)


if __name__ == "__main__":
    command_line(write_clickstream, "data/input/pipeline/input", 47)
