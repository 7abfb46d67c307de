"""What a step can end with, other than success."""

from __future__ import annotations


class RejectedFile(Exception):  # noqa: N818 - an answer about the data, not a fault
    """A whole file that cannot be ingested; it is kept, tracked and alerted, never dropped.

    Args:
        code: Stable name of the reason, CamelCase: `MalformedJson`, `MissingColumns` ….
        reason: One sentence for a person, with the position in the file where one is known.
        uri: The file.
    """

    def __init__(self, code: str, reason: str, uri: str) -> None:
        super().__init__(f"{code}: {reason} ({uri})")
        self.code = code
        self.reason = reason
        self.uri = uri


class RowsNotConserved(Exception):  # noqa: N818 - says what is wrong
    """Rows in differ from rows out plus rows quarantined: a fault of ours, never of the data."""


class TransformError(Exception):
    """A transform that raises, returns no frame, or lacks a column: a fault of the code, never of the data."""


class TableChanged(Exception):  # noqa: N818 - says what is wrong
    """Partitions do not hold what the run has read: another one has replaced them; start the run again."""
