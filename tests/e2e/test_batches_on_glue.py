"""A batch that takes the Glue job: its files give the rows that each gives alone."""

from __future__ import annotations

import json

import pytest

from tests.e2e.conftest import deploy
from tests.e2e.helpers import here, there
from tests.e2e.test_ndjson_to_parquet import event, write

pytestmark = [pytest.mark.local_aws, pytest.mark.spark, pytest.mark.xdist_group("e2e")]

NAME = "clickstream"


def test_a_batch_through_spark_gives_the_rows_of_its_files(local_aws, tmp_path):
    stack = deploy(local_aws, tmp_path / "build", "batched", "tests.batch_pipelines")
    days = ("2025-03-05", "2025-03-06")
    bad = event("bad", event_type="hover")
    write(
        tmp_path / "in" / "2025-03-05-a b+é.ndjson",
        *(event(n, event_date=days[n % 2]) for n in range(40)),
        bad,
    )
    (tmp_path / "in" / "2025-03-05-b.ndjson").write_text("nothing of this is JSON\n")
    code, found = stack.run(NAME, tmp_path / "in")
    good, rejected = found["2025-03-05-a b+é.ndjson"], found["2025-03-05-b.ndjson"]
    assert (code, good["status"], rejected["status"]) == (1, "SUCCEEDED", "REJECTED")
    assert (good["rows_in"], good["rows_out"], good["rows_quarantined"]) == (41, 40, 1)
    assert "MalformedJson" in rejected["error"]
    path = tmp_path / "in" / "2025-03-05-a b+é.ndjson"
    _, schema, rows = here("ndjson_to_parquet", path, good["file"], tmp_path / "here")
    written, sent = there(stack, good["outputs"])
    assert sent == rows
    assert written.names == schema.names
    code, out = stack.asl("status", NAME, "--stack", stack.name, "--json")
    told = json.loads(out)
    assert (told["counts"], told["batches"]) == ({"completed": 1, "quarantined": 1}, {"completed": 1})
