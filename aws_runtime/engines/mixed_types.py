"""Types of one column that differ between the files of one unit: where uniting them would change numbers.

In: the types, file by file. Out: which files hold numbers that the floats of others may not, and the
greatest that they hold. Engines unite integers, decimals and floats as floats, without a word.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from aws_runtime.contract import DataType
from aws_runtime.errors import RejectedFile

#: Integers that every float of that type holds exactly.
_EXACT = {"float32": 2**24, "float64": 2**53}
_BITS = {
    "int8": 7,
    "int16": 15,
    "int32": 31,
    "int64": 63,
    "uint8": 8,
    "uint16": 16,
    "uint32": 32,
    "uint64": 64,
}


def at_risk(types: Sequence[DataType | None]) -> dict[int, int]:
    """Return, by position, the greatest number of units in the last place that is safe in a file.

    Args:
        types: Of one column, in each file; None where it has none.
    """
    floats = [kind.name for kind in types if kind is not None and kind.name in _EXACT]
    if not floats:
        return {}
    most = min(_EXACT[name] for name in floats)
    return {
        position: most
        for position, kind in enumerate(types)
        if kind is not None and (kind.name == "decimal" or 2 ** _BITS.get(kind.name, 0) > most)
    }


def check_greatest(column: str, kind: DataType, greatest: Decimal | int | None, most: int, uri: str) -> None:
    """Refuse a file with a number that would change beside the floats of others.

    Args:
        column: The column's name.
        kind: Its type in this file.
        greatest: Its greatest absolute value there.
        most: As `at_risk` says.
        uri: The file.

    Raises:
        RejectedFile: InexactNumbers.
    """
    if greatest is not None and Decimal(greatest).scaleb(kind.scale or 0) > most:
        what = f"{column} is {kind} here and a float in other files of the run, which holds no {greatest}"
        raise RejectedFile("InexactNumbers", f"{what}: send this file by itself", uri)
