"""The sample of ndjson_to_parquet is reproducible, and its summary is true of what the pipeline makes of it."""

import json
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq

from ingestion_assets.dagster_defs import materialize_pipeline
from ingestion_assets.pipelines.ndjson_to_parquet.pipeline import pipeline
from ingestion_assets.pipelines.ndjson_to_parquet.sample_data import write_clickstream

LANDING = "input/pipeline/input"


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_same_seed_same_bytes(tmp_path):
    for name, seed in (("a", 7), ("b", 7), ("c", 8)):
        write_clickstream(tmp_path / name, files=4, seed=seed)
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    assert contents(tmp_path / "a") != contents(tmp_path / "c")


def test_days_fill_batches_and_the_last_one_has_files_left_over(tmp_path):
    write_clickstream(tmp_path, files=47, events=(1, 2))
    assert Counter(name[:10] for name in contents(tmp_path)) == {
        "2025-01-17": 10,
        "2025-01-18": 10,
        "2025-01-19": 27,
    }
    write_clickstream(tmp_path / "few", files=4, events=(1, 2))
    assert Counter(name[:10] for name in contents(tmp_path / "few")) == {
        "2025-01-17": 2,
        "2025-01-18": 1,
        "2025-01-19": 1,
    }


def test_the_pipeline_finds_what_the_summary_says(tmp_path):
    made = write_clickstream(tmp_path / LANDING, files=9)
    events = materialize_pipeline(pipeline, tmp_path).assets["events"]
    assert (events.files, len(events.rejected)) == (made.files, made.broken_files)
    assert (events.rows_in, events.rows_quarantined) == (made.records, made.bad_records)
    assert events.rows_out == made.records - made.bad_records


def test_events_are_flattened_and_lie_in_the_folders_of_their_dates(tmp_path):
    event = {
        "event_id": "e-1",
        "event_type": "purchase",
        "event_date": "2025-01-07",
        "occurred_at": "2025-01-07T10:15:02.123Z",
        "user": {"id": "u1", "country": "DE"},
        "device": {"os": "ios", "app_version": "7.1.0"},
        "page": {"path": "/cart", "referrer": None},
        "amount": 12.5,
        "currency": "EUR",
    }
    landing = tmp_path / LANDING
    landing.mkdir(parents=True)
    late = {**event, "event_id": "e-2", "event_type": "view", "event_date": "2025-01-06", "device": None}
    lines = "".join(json.dumps(each) + "\n" for each in (event, late))
    (landing / "2025-01-07-file001.ndjson").write_text(lines)
    events = materialize_pipeline(pipeline, tmp_path).assets["events"]
    rows = {}
    for path in events.outputs:
        folder = Path(path).parent.relative_to(tmp_path / "output/pipeline/output").as_posix()
        assert Path(path).name.startswith("part-")
        assert path.endswith(".snappy.parquet")
        rows[folder] = pq.read_table(path, partitioning=None).to_pylist()
    assert set(rows) == {"year=2025/month=01/day=06", "year=2025/month=01/day=07"}
    (first,), (second,) = rows["year=2025/month=01/day=07"], rows["year=2025/month=01/day=06"]
    assert (first["user_id"], first["country"], first["os"], first["path"]) == ("u1", "DE", "ios", "/cart")
    assert (first["is_purchase"], first["amount"], first["currency"]) == (True, 12.5, "EUR")
    assert first["occurred_at"].isoformat() == "2025-01-07T10:15:02.123000+00:00"
    assert (second["is_purchase"], second["os"], second["app_version"]) == (False, None, None)
