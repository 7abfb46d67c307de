"""Names of output files, the same on every engine: Hive's folders, as Athena and Spark know them.

In: a file's partition values by name, unescaped. Out: `dt=2025-01-17/country=C%3A/`, which is the
folder of the file, the end of its S3 key and of its partition's location in the Data Catalog alike;
and `part-<stem>.zstd.parquet`, the file in it.
"""

from __future__ import annotations

from collections.abc import Mapping

#: What Hive calls the partition of null, and so of empty text and of this very text, which have none.
HIVE_NULL = "__HIVE_DEFAULT_PARTITION__"

#: `FileUtils.escapePathName` of Hive, and `ExternalCatalogUtils` of Spark: these, and no letter outside
#: ASCII, no space and no `+`. NUL is added: Hive leaves it as it is, and no file system takes it.
_ESCAPED = {code: f"%{code:02X}" for code in (*range(0x20), *map(ord, "\"#%'*/:=?\\{[]^"), 0x7F)}


def partition_folder(values: Mapping[str, str]) -> str:
    """Return `<name>=<value>/` of each value, in their order; nothing without values."""
    return "".join(f"{_escape(name)}={_escape(value or HIVE_NULL)}/" for name, value in values.items())


def part_name(stem: str, compression: str, number: int = 0) -> str:
    """Return the name of a partition's file: `part-<stem>.zstd.parquet`, the next one `part-<stem>-1.zstd.parquet`.

    Args:
        stem: What all files of one run carry (`aws_runtime.identity.stem`).
        compression: The Parquet codec.
        number: From 0, where an engine writes more than one file a partition.
    """
    return f"part-{stem}{f'-{number}' if number else ''}.{compression}.parquet"


def _escape(text: str) -> str:
    return text.translate(_ESCAPED)
