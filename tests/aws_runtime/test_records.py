"""Run records: what they say, and that no run makes one too large for a state machine."""

import json
from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aws_runtime import records
from aws_runtime.contract import Contract
from aws_runtime.errors import RejectedFile
from aws_runtime.partitions import HIVE_NULL, partition_folder
from aws_runtime.plan import AssetPlan, FormatPlan, InputPlan, OutputPlan, PartitionPlan
from aws_runtime.records import Batch, FileEntry, places
from aws_runtime.step import StepResult

EMPTY = Contract("Empty", ())
PLAN = AssetPlan(
    "shop",
    "order_lines",
    "m:f",
    (InputPlan("orders", FormatPlan("json"), EMPTY),),
    OutputPlan(EMPTY, (PartitionPlan("dt", "day"),)),
)
AT = places("s3://staging/lines/", "s3://quarantine/", PLAN, "run-1")
#: Characters that grow most when they are escaped, and some that do not.
CHARACTERS = st.sampled_from(["a", '"', "\\", "\n", "\x00", "ü", "订", "🚚", "\ud800"])


def result(violations):
    return StepResult({"orders": 10**12}, 10**12, 10**12, 0, (), (), violations)


def completed(outputs, quarantine=(), violations=None, batch=None):
    return records.completed(
        result(violations or {}), PLAN, AT, "0" * 16, outputs=outputs, quarantine=quarantine, batch=batch
    )


def size(record):
    return max(
        len(json.dumps(record)), len(json.dumps(record, ensure_ascii=False).encode("utf-8", "surrogatepass"))
    )


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_record_is_bounded_whatever_the_run_did(data):
    character = data.draw(CHARACTERS)
    length = data.draw(st.integers(0, 1000))
    count = data.draw(st.sampled_from([0, 1, 99, 101, 5_000, 5_001, 8_000]))
    entries = [
        FileEntry(f"{AT.destination}{partition_folder({'dt': value})}{character * length}", 1, {"dt": value})
        for value in (f"{i}{character * (length // 30)}" for i in range(count))
    ]
    violations = {f"orders.{i}{character * length}": i for i in range(data.draw(st.integers(0, 300)))}
    try:
        record = completed(entries, [entry.uri for entry in entries], violations)
    except RejectedFile as error:
        record = records.rejected(error, PLAN, AT, "0" * 16, [entry.uri for entry in entries])
    else:
        assert record["output_count"] == count
        listed = [pair for chunk in record["partitions"] for pair in zip(*chunk.values(), strict=True)]
        assert listed == sorted(
            ([entry.partition["dt"]], partition_folder(entry.partition)) for entry in entries
        )
        assert all(1 <= len(chunk["paths"]) <= 100 for chunk in record["partitions"])
        assert sum(record["violations"].values()) == sum(violations.values())
        assert set(record["outputs"]) <= {entry.uri for entry in entries}
    assert size(record) < records.RECORD_BYTES
    assert record["status"] == "completed" or record["reason"]["code"] == "TooManyPartitions"


@settings(max_examples=60, deadline=None)
@given(CHARACTERS, st.integers(0, 1_000), CHARACTERS, st.integers(0, 10_000), st.integers(0, 120))
def test_the_record_of_a_batch_is_bounded_whatever_was_rejected(character, length, other, reason, rejected):
    """Everything at its largest at once: as many partitions as are registered, URIs, rules, reasons."""
    days = (str(date(2015, 1, 1) + timedelta(n)) for n in range(3_653))
    entries = [FileEntry(f"{AT.destination}dt={day}/{character * length}", 1, {"dt": day}) for day in days]
    errors = {
        f"{i:016x}": RejectedFile("C" + other * reason, other * reason, f"s3://landing/{character * length}")
        for i in range(rejected)
    }
    violations = {f"orders.{i}{character * length}": i for i in range(300)}
    uris = [f"s3://quarantine/{i}{character * length}" for i in range(200)]
    record = completed(entries, uris, violations, Batch(rejected + 7, 3, errors))
    assert size(record) < records.RECORD_BYTES
    assert (record["files_in"], record["files_superseded"]) == (rejected + 7, 3)
    assert record["files_rejected"] == rejected
    assert list(record["rejected"]) == list(errors)[:50]
    assert all(len(one["message"]) <= 400 and one["code"] for one in record["rejected"].values())
    assert sum(record["violations"].values()) == sum(violations.values())


def test_steps_add_up():
    one = StepResult({"orders": 3}, 4, 2, 2, (), (), {"a": 1, "b": 2})
    other = StepResult({"orders": 5}, 6, 6, 0, (), (), {"b": 1})
    assert records.summed([one, other], PLAN) == StepResult({"orders": 8}, 10, 8, 2, (), (), {"a": 1, "b": 3})
    assert records.summed([], PLAN) == StepResult({"orders": 0}, 0, 0, 0, (), (), {})


@settings(max_examples=60, deadline=None)
@given(CHARACTERS, st.integers(0, 100_000), CHARACTERS, st.integers(0, 2_000))
def test_a_rejection_is_bounded_whatever_the_reason(character, length, other, keys):
    error = RejectedFile("C" + character * length, character * length, f"s3://landing/{other * keys}")
    record = records.rejected(
        error, PLAN, AT, "0" * 16, [f"s3://quarantine/{i}{other * keys}" for i in range(200)]
    )
    assert size(record) < records.RECORD_BYTES
    assert record["reason"]["code"].startswith("C")


def test_few_files_are_all_listed():
    entries = [
        FileEntry(f"s3://staging/lines/dt=2025-01-17/{i:02}", 1, {"dt": "2025-01-17"}) for i in range(100)
    ]
    record = completed(entries)
    assert record["outputs"] == [entry.uri for entry in entries]
    assert record["partitions"] == [{"values": [["2025-01-17"]], "paths": ["dt=2025-01-17/"]}]


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ("a b", "dt=a b/"),
        ("ü", "dt=ü/"),
        ("50%", "dt=50%25/"),
        ("a/b", "dt=a%2Fb/"),
        ("a=b", "dt=a%3Db/"),
        ("a+b", "dt=a+b/"),
        ("O'Neil", "dt=O%27Neil/"),
        ("\x00\n\x7f", "dt=%00%0A%7F/"),
        (HIVE_NULL, f"dt={HIVE_NULL}/"),
        ("", f"dt={HIVE_NULL}/"),
    ],
)
def test_a_partitions_folder_is_the_one_that_was_written(value, path):
    entry = FileEntry(f"{AT.destination}{partition_folder({'dt': value})}stem.parquet", 1, {"dt": value})
    assert completed([entry])["partitions"] == [{"values": [[value]], "paths": [path]}]


def test_ten_years_of_days_are_registered_in_one_run():
    days = [str(date(2015, 1, 1) + timedelta(n)) for n in range(3_653)]
    entries = [FileEntry(f"{AT.destination}dt={day}/stem.parquet", 1, {"dt": day}) for day in days]
    chunks = completed(entries)["partitions"]
    assert [values for chunk in chunks for values in chunk["values"]] == [[day] for day in days]


def test_too_many_partitions_reject_the_file():
    entries = [
        FileEntry(f"s3://staging/lines/dt={i}/x", 1, {"dt": str(i)})
        for i in range(records.MOST_PARTITIONS + 1)
    ]
    assert len(completed(entries[:-1])["partitions"]) == 50
    with pytest.raises(RejectedFile, match="TooManyPartitions: 5,001 partitions"):
        completed(entries)


def test_the_most_frequent_violations_come_first_and_the_rest_is_summed():
    record = completed((), (), {f"rule{i:02}": i for i in range(1, 61)})
    assert list(record["violations"].items())[:2] == [("rule60", 60), ("rule59", 59)]
    assert record["violations"]["…"] == sum(range(1, 11))


def test_an_asset_without_partitions_registers_none():
    plain = AssetPlan("p", "a", "m:f", (), OutputPlan(EMPTY))
    entry = FileEntry("s3://staging/x", 1, {})
    record = records.completed(result({}), plain, AT, "0" * 16, outputs=[entry], quarantine=())
    assert record["partitions"] == []


@given(st.text(st.characters(), max_size=60), st.integers(10, 80))
def test_shortened_text_is_a_prefix_that_fits(text, most):
    short = records.shortened(text, most)
    assert len(json.dumps(short)) <= most
    assert short == text or (short.endswith("…") and text.startswith(short[:-1]))


@pytest.mark.parametrize("prefix", ["s3://staging/lines", "staging/lines/", "s3:///lines/", "https://x/"])
def test_a_wrong_prefix_is_an_error(prefix):
    with pytest.raises(ValueError, match=r"lines|https"):
        places(prefix, "s3://quarantine/", PLAN, "run-1")
