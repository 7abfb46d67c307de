"""`DailyPartitions` -> the day that a file's path tells, and a mistake in its patterns.

In: a declared pattern of folders or names. Out: a date for each path, or none.
"""

from __future__ import annotations

from datetime import date, datetime

from ingestion_assets.asset import DailyPartitions, S3Source
from ingestion_assets.errors import CompileError, Where

#: Days that differ in all parts, and in the digits that each part takes.
_TRIED = (date(2025, 1, 2), date(2024, 12, 31), date(2030, 9, 20), date(2028, 2, 29))


def declared_day(partitions: DailyPartitions, path: str) -> date | None:
    """Read the day from the start of the file's name, or from the folders below the prefix.

    Args:
        partitions: What the source declares.
        path: The key below the source's prefix.
    """
    if partitions.name is not None:
        pattern = partitions.name
        text = path.rpartition("/")[2][: len(partitions.start.strftime(pattern))]
    else:
        pattern = partitions.folder
        depth = pattern.count("/") + 1
        parts = path.split("/")
        text = "/".join(parts[:depth]) if len(parts) > depth else ""
    return _parsed(text, pattern)


def check_days(source: S3Source, where: Where) -> None:
    """Refuse patterns that do not tell a day from every other one.

    Args:
        source: The source.
        where: Where it is declared.

    Raises:
        CompileError: ASL046.
    """
    days = source.partitions
    if days is None:
        return
    field = "folder" if days.name is None else "name"
    pattern = days.folder if days.name is None else days.name
    texts = [day.strftime(pattern) for day in _TRIED]
    fault = ""
    if [_parsed(text, pattern) for text in texts] != list(_TRIED):
        fault = f"tells no day: 2024-12-31 is {texts[1]!r}"
    elif days.name is not None and len({len(text) for text in texts}) > 1:
        fault = f"is not as wide for each day: {texts[0]!r} and {texts[1]!r}"
    elif days.name is not None and "/" in pattern:
        fault = "holds /, which no file's name does"
    if fault:
        raise CompileError(
            "ASL046",
            where,
            f"DailyPartitions({field}={pattern!r}) {fault}",
            "Use %Y, %m and %d, each once",
        )


def _parsed(text: str, pattern: str) -> date | None:
    try:
        return datetime.strptime(text, pattern).date()  # noqa: DTZ007 - a day has no zone
    except ValueError:
        return None
