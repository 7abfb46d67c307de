"""Files that Spark reads or wrote, seen from the driver: on a local disk or in S3.

In: local paths and `s3://` URIs. Out: sizes, first bytes, copies and moves. Spark names its own
part files and leaves the rest to committers; here they get the names that the project promises.
S3 is called by boto3 and not through Hadoop, because Hadoop reads `//` in a key as `/`.
"""

from __future__ import annotations

import io
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

from aws_runtime.engines import InputFile


def in_s3(path: str) -> bool:
    """Whether `path` is a URI of S3 rather than a local path."""
    return path.startswith("s3://")


def _s3(path: str) -> tuple[Any, str, str]:
    # boto3 is imported where S3 is used only: Dagster's local runs need neither.
    from aws_runtime import storage  # noqa: PLC0415 - see above

    return storage.s3(), *storage.parse_uri(path)


def spark_path(path: str) -> str | None:
    """Return `path` as Spark's readers take it, or None where they would not read that very file.

    Spark skips names that begin with `_` or `.`, and Hadoop makes `//` in a key one `/`.
    """
    if Path(path).name.startswith(("_", ".")) or path.endswith("/"):
        return None
    if in_s3(path):
        return None if "//" in path.removeprefix("s3://") else path
    return f"file://{Path(path).absolute()}"


def shown_path(path: str) -> str:
    """Return a path as Spark's `_metadata.file_path` shows it, decoded: `file:/tmp/x`."""
    return path.replace("file:///", "file:/", 1)


def groups(files: Sequence[InputFile]) -> list[list[str]]:
    """Return what each reader reads: one all plain paths, and one each path that looks like a pattern.

    Even told not to expand patterns, Spark 3.5 reads a file twice where one of several paths holds
    a pattern's characters; alone it is read as it is.
    """
    paths = [spark_path(file.path) or file.path for file in files]
    odd = [path for path in paths if re.search(r"[*?{}\[\]\\]", path)]
    plain = [path for path in paths if path not in odd]
    return [*([plain] if plain else []), *([path] for path in odd)]


def size(path: str) -> int:
    """Return the size of a file in bytes."""
    if not in_s3(path):
        return Path(path).stat().st_size
    client, bucket, key = _s3(path)
    return int(client.head_object(Bucket=bucket, Key=key)["ContentLength"])


def head(path: str, most: int) -> bytes:
    """Return the first `most` bytes of a file that has at least one."""
    if not in_s3(path):
        with Path(path).open("rb") as stream:
            return stream.read(most)
    client, bucket, key = _s3(path)
    body: bytes = client.get_object(Bucket=bucket, Key=key, Range=f"bytes=0-{most - 1}")["Body"].read()
    return body


@contextmanager
def opened(path: str, start: int) -> Iterator[BinaryIO]:
    """Open a file for reading from byte `start` on; in S3 no more is sent than is read, or little."""
    if not in_s3(path):
        with Path(path).open("rb") as stream:
            stream.seek(start)
            yield stream
        return
    client, bucket, key = _s3(path)
    if start >= size(path):
        yield io.BytesIO()
        return
    with closing(client.get_object(Bucket=bucket, Key=key, Range=f"bytes={start}-")["Body"]) as body:
        yield cast("BinaryIO", body)


def fetch(path: str, target: Path) -> None:
    """Copy a whole file to `target` on the driver's disk."""
    if in_s3(path):
        client, bucket, key = _s3(path)
        client.download_file(bucket, key, str(target))
    else:
        shutil.copyfile(path, target)


def join(folder: str, *names: str) -> str:
    """Return the path of `names` below `folder`."""
    return "/".join([folder.rstrip("/"), *(name.strip("/") for name in names if name)])


def parquet_below(folder: str) -> list[str]:
    """Return the paths, relative to `folder`, of the Parquet files below it, sorted."""
    if not in_s3(folder):
        root = Path(folder)
        return sorted(found.relative_to(root).as_posix() for found in root.rglob("*.parquet"))
    client, bucket, prefix = _s3(folder.rstrip("/") + "/")
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    keys = (item["Key"] for page in pages for item in page.get("Contents", ()))
    return sorted(key.removeprefix(prefix) for key in keys if key.endswith(".parquet"))


def move_all(pairs: Sequence[tuple[str, str]]) -> None:
    """Give staged files their final names, over what an earlier attempt left there."""
    if not pairs or not in_s3(pairs[0][0]):
        for source, target in pairs:
            Path(target).parent.mkdir(parents=True, exist_ok=True)
            Path(source).replace(target)
        return
    from aws_runtime import storage  # noqa: PLC0415 - see _s3

    def move(pair: tuple[str, str]) -> None:
        bucket, key = storage.parse_uri(pair[0])
        to_bucket, to_key = storage.parse_uri(pair[1])
        # The managed copy, because files of more than 5 GiB are copied in parts only.
        storage.s3().copy({"Bucket": bucket, "Key": key}, to_bucket, to_key)

    storage.each(move, pairs)


def remove(folder: str) -> None:
    """Remove a staging folder and all below it; none is no error."""
    if not in_s3(folder):
        shutil.rmtree(folder, ignore_errors=True)
        return
    client, bucket, prefix = _s3(folder.rstrip("/") + "/")
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        keys = [{"Key": item["Key"]} for item in page.get("Contents", ())]
        if keys:
            client.delete_objects(Bucket=bucket, Delete={"Objects": keys, "Quiet": True})
