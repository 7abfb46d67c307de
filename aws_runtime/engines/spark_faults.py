"""What Spark ends with -> the file that is to blame, if one is.

In: an error of a job, and how its files are read. Out: `RejectedFile` where the bytes of one of them cannot
be read, or else the error as it was: what S3, the network or a worker did is no fault of a file.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from aws_runtime.engines import SOURCE_URI, InputFile
from aws_runtime.engines.spark_dialect import SPARK
from aws_runtime.errors import RejectedFile

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

#: (files, whether to pass over what cannot be read) -> their rows.
Read = Callable[..., "DataFrame"]

#: The head of each error in Java's stack trace: its class and what it says.
_CAUSE = re.compile(
    r"(?:^Caused by: |^: |: )((?:[a-z]\w*\.)+\w*(?:Exception|Error))(?:: (.*))?$", re.MULTILINE
)
_WRAPPER = "org.apache.spark."
#: Errors of calls, machines and time.
_NOT_THE_FILE = re.compile(
    r"com\.amazonaws|software\.amazon|java\.net\.|javax\.net|org\.apache\.http|OutOfMemoryError|java\.nio\.file"
    r"|FileNotFound|org\.apache\.hadoop\.security|Timeout|Interrupted|AccessDenied|No space left"
)
#: Types that Spark has no counterpart for, as it says when it reads a schema.
_TYPE = re.compile(r"(?:Illegal Parquet type|Parquet type not (?:yet )?supported): ([^\n.]+)")
#: Files that are looked at by themselves; one is enough to reject a unit.
_SUSPECTS = 5


@contextmanager
def broken_files_told(given: Sequence[tuple[Sequence[InputFile], Read]]) -> Iterator[None]:
    """Turn what Spark says of a file that it cannot read into a reason.

    Args:
        given: The Parquet files that are read inside, and what reads them.

    Raises:
        RejectedFile: CorruptFile or UnknownLogicalType; else what was raised.
    """
    from py4j.protocol import Py4JJavaError  # noqa: PLC0415 - the compiler has no pyspark

    try:
        yield
    except Py4JJavaError as error:
        if _NOT_THE_FILE.search(_causes(str(error))) or "arquet" not in str(error):
            raise
        for files, read in given:
            found = _broken(files, read)
            if found is not None:
                raise found from error
        raise


def _causes(said: str) -> str:
    """Return the classes and messages of a stack trace, without its lines of code."""
    return "\n".join(line for line in said.splitlines() if not line.startswith(("\tat ", "\t...")))


def _broken(files: Sequence[InputFile], read: Read) -> RejectedFile | None:
    """Return the reason of the first file that cannot be read by itself."""
    suspects = files if len(files) == 1 else _suspects(files, read)
    return next((found for file in suspects if (found := _read_through(file, read))), None)


def _suspects(files: Sequence[InputFile], read: Read) -> Sequence[InputFile]:
    """Return the files of which fewer rows can be read than their footers count."""
    from py4j.protocol import Py4JJavaError  # noqa: PLC0415 - the compiler has no pyspark

    try:
        counted = read(files, ignore=False).groupBy(SOURCE_URI).count().collect()
        readable = _hashed(read(files, ignore=True)).collect()
    except Py4JJavaError:
        return files  # not even their schemas
    rows = {row[0]: row[1] for row in readable}
    short = {row[0] for row in counted if rows.get(row[0], 0) < row[1]}
    return [file for file in files if file.uri in short][:_SUSPECTS]


def _hashed(frame: DataFrame) -> DataFrame:
    """Read every page: the rows of each file, and a digest of all values so that none is passed over."""
    from pyspark.sql import functions as f  # noqa: PLC0415 - the compiler has no pyspark

    values = ", ".join(SPARK.quote(name) for name in frame.columns)
    return frame.groupBy(SOURCE_URI).agg(f.count("*"), f.expr(f"bit_xor(xxhash64({values}))"))


def _read_through(file: InputFile, read: Read) -> RejectedFile | None:
    from py4j.protocol import Py4JJavaError  # noqa: PLC0415 - the compiler has no pyspark

    try:
        _hashed(read([file], ignore=False)).collect()
    except Py4JJavaError as error:
        said = _causes(str(error))
        if _NOT_THE_FILE.search(said):
            return None
        kind = _TYPE.search(said)
        if kind:
            return RejectedFile("UnknownLogicalType", f"Spark cannot read {kind.group(1).strip()}", file.uri)
        causes = [(c, what) for c, what in _CAUSE.findall(said) if not c.startswith(_WRAPPER)]
        name, what = next((one for one in causes if one[1]), (causes or [("no reason", "")])[0])
        return RejectedFile("CorruptFile", f"a page cannot be read: {what or name}"[:500], file.uri)
    return None
