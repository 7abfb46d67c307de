"""Partition values -> folder names, the same on every engine: Hive's, as Athena and Spark know them.

In: a file's partition values by name, unescaped. Out: `dt=2025-01-17/country=C%3A/`, which is the
folder of the file, the end of its S3 key and of its partition's location in the Data Catalog alike.
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


def _escape(text: str) -> str:
    return text.translate(_ESCAPED)
