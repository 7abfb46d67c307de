"""What encoding a file's first bytes tell: marks, and the zero bytes of UTF-16 and UTF-32."""

from __future__ import annotations

import codecs

# UTF-32 first: its little-endian mark begins with UTF-16's.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def told_encoding(head: bytes) -> str | None:
    """The encoding that the first four bytes tell; None for one that has ASCII in single bytes.

    Without a mark, the first character is taken to be ASCII, so zero bytes around it tell (RFC 4627, 3).
    """
    for mark, name in _MARKS:
        if head.startswith(mark):
            return name
    if len(head) >= 4 and head[0] == head[1] == head[2] == 0:
        return "utf-32-be"
    if len(head) >= 4 and head[0] and head[1] == head[2] == head[3] == 0:
        return "utf-32-le"
    if len(head) >= 2 and head[0] == 0 and head[1]:
        return "utf-16-be"
    if len(head) >= 2 and head[0] and head[1] == 0:
        return "utf-16-le"
    return None
