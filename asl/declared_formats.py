"""What a source's format may say: options that contradict themselves, or that no reader knows.

In: a source. Out: nothing, or ASL045 for the first option that cannot be read by.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator

from aws_runtime.formats.csv_bytes import Options
from ingestion_assets.asset import S3Source
from ingestion_assets.errors import CompileError, Where
from ingestion_assets.formats import Csv, Json


def check_format(source: S3Source, where: Where) -> None:
    """Check the options of a source's format; their types are right already.

    Raises:
        CompileError: ASL045.
    """
    given = source.format
    wrong = _csv(given) if isinstance(given, Csv) else _json(given) if isinstance(given, Json) else ()
    for what, hint in wrong:
        raise CompileError("ASL045", where, what, hint)


def _json(given: Json) -> Iterator[tuple[str, str]]:
    for name in ("max_depth", "max_record_bytes"):
        if getattr(given, name) < 1:
            yield f"Json({name}={getattr(given, name)}) accepts no record", "Use a number of at least 1"


def _csv(given: Csv) -> Iterator[tuple[str, str]]:
    if given.delimiter != "auto" and not _one(given.delimiter):
        yield f"Csv(delimiter={given.delimiter!r}) is not one character", "Use one ASCII character, or 'auto'"
    if given.quote and not _one(given.quote):
        yield f"Csv(quote={given.quote!r}) is not one character", "Use one ASCII character, or '' for none"
    if given.quote == given.delimiter:
        yield f"Csv's quote and delimiter are both {given.quote!r}", "Change one of them"
    for name in ("encoding", "fallback_encoding"):
        codec = getattr(given, name)
        if not (_known(codec) or (name == "encoding" and codec == "auto")):
            yield f"Csv({name}={codec!r}) is no text encoding", "Use a Python codec's name, as 'windows-1252'"
    if given.skip_lines < 0 or given.max_record_bytes < 1:
        yield "Csv skips fewer than no lines, or accepts no record", "Mend skip_lines or max_record_bytes"
    try:
        _ = Options(
            decimal=given.decimal,
            thousands=given.thousands,
            date_format=given.date_format,
            timestamp_format=given.timestamp_format,
        ).habits
    except ValueError as error:
        yield f"Csv: {error}", "Say how these files write numbers and dates, as '%d.%m.%Y'"


def _one(text: str) -> bool:
    """Whether it is one byte that can stand between fields."""
    return len(text) == 1 and text.isascii() and text not in "\r\n\0"


def _known(name: str) -> bool:
    try:
        # Codecs of bytes, as `zlib`, decode no text.
        "".encode(name)
    except (LookupError, ValueError):
        return False
    return codecs.lookup(name).name != "idna"
