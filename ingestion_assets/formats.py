"""How the bytes of a source become records; each class names a module of `aws_runtime.formats`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal


@dataclass(frozen=True, slots=True)
class Json:
    """JSON: an array of objects, a single object, or one object a line (NDJSON), told by content.

    Args:
        compression: `auto` reads gzip and zstd, told by their magic bytes; `none` rejects both.
        max_depth: Deepest nesting accepted; deeper records are quarantined or the file rejected.
        max_record_bytes: Longest record accepted.
    """

    name: ClassVar[str] = "json"
    compression: Literal["auto", "none"] = "auto"
    max_depth: int = 100
    max_record_bytes: int = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Parquet:
    """Parquet files, told by their magic bytes."""

    name: ClassVar[str] = "parquet"


@dataclass(frozen=True, slots=True)
class Csv:
    """Delimited text with quotes as RFC 4180 has them: CRLF or LF, quoted fields may hold line breaks.

    Text becomes the contract's types as every source's does (docs/contracts.md); `thousands`,
    `decimal`, `date_format` and `timestamp_format` say how people write numbers and dates in
    these files. An empty field is null, quoted or not.

    Args:
        header: Whether the first line names the columns; without one, fields are the contract's
            columns in order.
        delimiter: One character, or `auto`: comma, semicolon, tab or pipe, told by the first line.
        quote: One character; empty for none.
        encoding: A Python codec's name, or `auto`: byte order mark, then UTF-16 by its zero bytes, then
            UTF-8, and what is not valid UTF-8 is read as `fallback_encoding`.
        fallback_encoding: For `auto`.
        compression: `auto` reads gzip and zstd, told by their magic bytes; `none` rejects both.
        null_values: Texts that mean null, beside the empty field.
        decimal: The decimal separator of numbers.
        thousands: The separator of groups of three digits; empty for none.
        date_format: strftime pattern of dates made of %d %m %Y and literals; empty for ISO 8601.
        timestamp_format: strftime pattern of timestamps, with %H %M %S too; empty for ISO 8601.
        skip_lines: Lines before the header (or before the data).
        max_record_bytes: Longest record accepted.
    """

    name: ClassVar[str] = "csv"
    header: bool = True
    delimiter: str = "auto"
    quote: str = '"'
    encoding: str = "auto"
    fallback_encoding: str = "windows-1252"
    compression: Literal["auto", "none"] = "auto"
    null_values: tuple[str, ...] = ()
    decimal: Literal[".", ","] = "."
    thousands: Literal["", ",", ".", " ", "'"] = ""
    date_format: str = ""
    timestamp_format: str = ""
    skip_lines: int = 0
    max_record_bytes: int = 16 * 1024 * 1024


Format = Csv | Json | Parquet
