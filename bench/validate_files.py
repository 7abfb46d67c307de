"""What validating many Parquet files costs a function itself: its processor's time, calls and bytes, without S3.

    python -m bench.validate_files [files]

Requests are answered in this process, by what S3 would answer, so that what is left is the function's own.
"""

from __future__ import annotations

import io
import json
import sys
import threading
import time
from collections import Counter
from datetime import UTC, datetime
from typing import Any
from unittest import mock
from urllib.parse import unquote, urlsplit

import pyarrow as pa
import pyarrow.parquet as pq
from botocore.awsrequest import AWSResponse

from aws_runtime import storage
from aws_runtime.contract import Column, Contract, DataType
from aws_runtime.curation.config import Config
from aws_runtime.curation.declared import Declared
from aws_runtime.curation.job import Job
from aws_runtime.curation.staging import validate
from aws_runtime.plan import PartitionPlan

ROWS = 50_000
PAGE = 1_000
MODIFIED = "2024-07-02T10:00:00.000Z"


class Answers:
    """S3's answers to everything that `Validate` asks."""

    def __init__(self, files: int, body: bytes) -> None:
        self.files, self.body = files, body
        self.calls: Counter[str] = Counter()
        self.read = 0
        self.lock = threading.Lock()

    def send(self, request: Any) -> AWSResponse:
        """Answer one request."""
        url = urlsplit(request.url)
        method, headers = request.method, {k.lower(): _text(v) for k, v in request.headers.items()}
        name = "Copy" if "x-amz-copy-source" in headers else "List" if "list-type" in url.query else method
        if name == "GET" and "range" not in headers:
            return self._answer("GET", 404, b"<Error><Code>NoSuchKey</Code></Error>", url)
        return self._answer(name, 206 if name == "GET" else 200, self._body(name, url, headers), url)

    def _body(self, name: str, url: Any, headers: dict[str, str]) -> bytes:
        if name == "GET":
            start, _, end = headers["range"].removeprefix("bytes=").partition("-")
            return self.body[int(start) : int(end) + 1]
        if name == "Copy":
            return f"<CopyObjectResult><ETag>&quot;e&quot;</ETag><LastModified>{MODIFIED}</LastModified></CopyObjectResult>".encode()
        return self._page(url.query) if name == "List" else b""

    def _page(self, query: str) -> bytes:
        after = next(
            (
                int(unquote(p.partition("=")[2]))
                for p in query.split("&")
                if p.startswith("continuation-token")
            ),
            0,
        )
        numbers = range(after, min(after + PAGE, self.files))
        entries = "".join(
            f"<Contents><Key>orders/dt=2024-07-02/region=eu/{n}.parquet</Key><LastModified>{MODIFIED}</LastModified>"
            f"<ETag>&quot;e&quot;</ETag><Size>{len(self.body)}</Size></Contents>"
            for n in numbers
        )
        more = numbers.stop < self.files
        token = f"<NextContinuationToken>{numbers.stop}</NextContinuationToken>" if more else ""
        return f"<ListBucketResult><IsTruncated>{str(more).lower()}</IsTruncated>{token}{entries}</ListBucketResult>".encode()

    def _answer(self, name: str, status: int, body: bytes, url: Any) -> AWSResponse:
        with self.lock:
            self.calls[name] += 1
            self.read += len(body) if name == "GET" and status == 206 else 0
        size = len(self.body) if name == "HEAD" else len(body)
        told = {
            "ETag": '"e"',
            "x-amz-version-id": "v",
            "x-amz-meta-version": "v",
            "Content-Length": str(size),
        }
        return AWSResponse(url.geturl(), status, told, _Raw(body))


class _Raw(io.BytesIO):
    def stream(self, **_: Any) -> Any:
        yield self.read()


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def job() -> Job:
    """Return a run over the files of the answers."""
    columns = tuple(Column(f"c{n}", DataType("int64")) for n in range(20))
    path = (Column("dt", DataType("date")), Column("region", DataType("string")))
    contract = Contract("Order", (*columns, *path))
    by = (PartitionPlan("dt", "dt"), PartitionPlan("region", "region"))
    told = Declared("shop", "orders", contract, contract, {}, source_prefix="orders/", partition_by=by)
    config = Config("landing", "curated", "orders", required_partitions=("dt", "region"))
    return Job("job-1", datetime.now(UTC), told, config, "s3://quarantine/")


def main(files: int) -> None:
    """Validate so many files and print what it took."""
    buffer = io.BytesIO()
    pq.write_table(pa.table({f"c{n}": range(n, n + ROWS) for n in range(20)}), buffer)
    answers = Answers(files, buffer.getvalue())
    client = storage.s3()
    client._endpoint.http_session = answers  # noqa: SLF001 - where botocore hands requests to a network
    with mock.patch.dict("os.environ", {}):
        began, used = time.perf_counter(), time.process_time()
        answer = validate(job(), None)
        seconds, cpu = time.perf_counter() - began, time.process_time() - used
    calls = sum(answers.calls.values())
    report = {
        "files": answer["files"],
        "bytes_a_file": len(answers.body),
        "bytes_read_a_file": answers.read / files,
        "calls": dict(answers.calls),
        "calls_a_file": calls / files,
        "cpu_seconds": round(cpu, 1),
        "cpu_milliseconds_a_call": round(1000 * cpu / calls, 2),
        "seconds": round(seconds, 1),
    }
    sys.stdout.write(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000)
