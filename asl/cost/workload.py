"""What arrives: text from the command line -> a `Workload`."""

from __future__ import annotations

import re
from dataclasses import dataclass

#: AWS's own pricing examples count a month as this many hours.
HOURS_A_MONTH = 730
_SECONDS = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400, "month": HOURS_A_MONTH * 3600}
PERIODS = tuple(_SECONDS)
#: Decimal units, as S3 and disks count; binary ones with an i.
_UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_UNITS |= {"KIB": 2**10, "MIB": 2**20, "GIB": 2**30, "TIB": 2**40}
_SIZE = re.compile(r"\s*([0-9][0-9_,]*(?:\.[0-9]+)?|\.[0-9]+)\s*([A-Za-z]*)\s*")
#: S3's largest object. https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html
LARGEST_BYTES = 50 * 10**12


@dataclass(frozen=True, slots=True)
class Workload:
    """Files that arrive evenly over time.

    Args:
        files: How many in a period.
        size: Bytes of each.
        per: The period, one of `PERIODS`.
    """

    files: float
    size: int
    per: str = "hour"

    @property
    def a_second(self) -> float:
        """Files a second."""
        return self.files / _SECONDS[self.per]

    @property
    def a_month(self) -> float:
        """Files in a month of 730 hours."""
        return self.files * _SECONDS["month"] / _SECONDS[self.per]


def parse_size(text: str) -> int:
    """Return the bytes that a size means: `3.5MB`, `3.5 MiB`, `1_000_000`.

    Raises:
        ValueError: The text is no size, with what it should look like.
    """
    found = _SIZE.fullmatch(text)
    unit = found[2].upper() if found else None
    if found is None or unit not in _UNITS:
        raise ValueError(f"{text!r} is no size; write 3.5MB, 800KB, 2GiB or a number of bytes")
    size = round(float(re.sub("[_,]", "", found[1])) * _UNITS[unit])
    if not 1 <= size <= LARGEST_BYTES:
        raise ValueError(f"{text!r} is not between 1 byte and 50 TB, which is what an S3 object can have")
    return size


def spell_size(size: float) -> str:
    """Spell bytes with three digits: 3.50 MB."""
    for unit in ("B", "KB", "MB", "GB", "TB"):
        if size < 999.5 or unit == "TB":
            break
        size /= 1000
    digits = 0 if unit == "B" or size >= 99.95 else 1
    return f"{size:,.{digits}f} {unit}"
