"""How many S3 requests a file costs: what `asl cost` assumes is what a function does."""

import json

import pytest
from toy_world import counted

from asl.cost.assumptions import Assumptions

ASSUMED = Assumptions()


def landed(world, number):
    row = json.dumps({"id": f"o{number}", "day": "2025-01-17", "n": 1}).encode()
    return world.put(row, key=f"orders/{number}.json")


def requests(calls):
    """Return what S3 bills as writes and as reads."""
    writes = {"PutObject", "CopyObject", "ListObjectsV2", "UploadPart", "CreateMultipartUpload"}
    assert set(calls) <= {*writes, "GetObject", "HeadObject"}
    written = sum(count for name, count in calls.items() if name in writes)
    return written, sum(calls.values()) - written


def test_a_file_by_itself(world):
    one = landed(world, 1)
    with counted(world) as calls:
        world.invoke(world.event(one))
    assert requests(calls) == (
        ASSUMED.s3_writes_per_file + ASSUMED.s3_writes_per_run,
        ASSUMED.s3_reads_per_file,
    )


@pytest.mark.parametrize("files", [1, 10, 25])
def test_a_batch(world, files):
    manifest = world.manifest(*(landed(world, number) for number in range(files)))
    with counted(world) as calls:
        world.invoke(world.batch_event(manifest))
    manifests = 1
    assert requests(calls) == (
        files * ASSUMED.s3_writes_per_file + ASSUMED.s3_writes_per_run,
        files * ASSUMED.s3_reads_per_file + manifests,
    )
