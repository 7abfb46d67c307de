"""DuckDB: the fast and the exact way of reading agree; many partitions, retries and Parquet inputs."""

from __future__ import annotations

import json
from pathlib import Path

import duckdb
import narwhals as nw
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aws_runtime.contract import Column, Contract, DataType, Drift, Field
from aws_runtime.engines import InputFile, Limits, ReadAgain
from aws_runtime.engines.duckdb import open_engine
from aws_runtime.engines.duckdb_explode import one_scan
from aws_runtime.errors import RejectedFile
from aws_runtime.plan import FormatPlan, PartitionPlan

TEXT, NUMBER = DataType("string"), DataType("int64")
ITEM = DataType("struct", fields=(Field("p", TEXT), Field("q", NUMBER)))
CONTRACT = Contract(
    "Record",
    (
        Column("a", TEXT, nullable=True, coerce=True, required=False),
        Column(
            "n", DataType("struct", fields=(Field("x", TEXT),)), nullable=True, coerce=True, required=False
        ),
        Column("l", DataType("list", item=ITEM), nullable=True, coerce=True, required=False),
        Column("d", DataType("date"), nullable=True, coerce=True, required=False),
    ),
    drift=Drift.EVOLVE,
)

leaf = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.just("7"))
value = st.recursive(
    leaf,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from("apqxz"), inner, max_size=3)
    ),
    max_leaves=6,
)
fitting = st.fixed_dictionaries(
    {},
    optional={
        "a": leaf,
        "n": st.fixed_dictionaries({}, optional={"x": leaf, "other": value}),
        "l": st.lists(st.fixed_dictionaries({}, optional={"p": leaf, "q": leaf}), max_size=3),
        "d": st.sampled_from(["2025-01-17", "2025-13-01", None]),
        "z": value,
    },
)
anything = st.one_of(fitting, fitting, st.dictionaries(st.sampled_from("anldz"), value, max_size=4), value)
line = st.one_of(
    anything.map(lambda v: json.dumps(v).encode()),
    anything.map(lambda v: json.dumps(v, ensure_ascii=False).encode(errors="surrogatepass")),
    st.tuples(anything, st.integers(0, 30)).map(lambda t: json.dumps(t[0]).encode()[: t[1]]),
    st.binary(max_size=12).map(lambda b: b.replace(b"\n", b"")),
    st.sampled_from(
        [b"", b'{"a": 1,}', b'{"a": nan}', b'{"a": 1, "a": 2}', b'{"n": {"x": 1, "x": 1}}', b"{} {}"]
    ),
)


def limits(folder: Path, memory: int = 200) -> Limits:
    return Limits(memory * 1024**2, 2, str(folder / "spill"))


def checked(path: Path, folder: Path, *, exact: bool):
    """Rows and quarantine of a file, or the code with which it is rejected."""
    with open_engine(limits(folder)) as engine:
        engine.exact = exact
        while True:
            try:
                frame = engine.read([InputFile(str(path), "uri")], FormatPlan("json"), CONTRACT)
                both = engine.check(frame, CONTRACT, "records")
                return both.valid.order("source_row").fetchall(), both.quarantined.order(
                    "source_row"
                ).fetchall()
            except RejectedFile as error:
                return error.code
            except ReadAgain:
                assert not exact
            except duckdb.InvalidInputException:
                assert not engine.exact
                engine.exact = True


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lines=st.lists(line, min_size=1, max_size=6))
def test_the_fast_and_the_exact_way_agree(lines: list[bytes], tmp_path: Path) -> None:
    # A first line that is sound keeps the layout the same: objects over several lines have no lines.
    path = tmp_path / "records.json"
    path.write_bytes(b"\n".join([b'{"a": "first"}', *lines]))
    fast, exact = checked(path, tmp_path, exact=False), checked(path, tmp_path, exact=True)
    assert fast == exact
    good, bad = fast
    records = 1 + sum(bool(one.strip(b" \t\r\n")) for one in lines)
    positions = sorted([row[-2] for row in good] + [row[2] for row in bad])
    assert positions == list(range(1, records + 1))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(records=st.lists(anything, max_size=5))
def test_an_array_gives_the_rows_of_its_lines(records: list, tmp_path: Path) -> None:
    array, lines = tmp_path / "array.json", tmp_path / "lines.json"
    array.write_text(json.dumps([{"a": "first"}, *records]))
    lines.write_text("\n".join(json.dumps(r) for r in [{"a": "first"}, *records]))
    good, bad = checked(array, tmp_path, exact=False)
    same, refused = checked(lines, tmp_path, exact=False)
    assert good == same
    assert [row[:3] for row in bad] == [row[:3] for row in refused]


def written(
    folder: Path, rows: list[dict], by: tuple[PartitionPlan, ...], contract: Contract, memory: int = 200
):
    source = folder / "rows.json"
    source.write_text("\n".join(json.dumps(r) for r in rows))
    with open_engine(limits(folder, memory)) as engine:
        frame = engine.read([InputFile(str(source), "uri")], FormatPlan("json"), contract)
        return engine.write(
            checked={"rows": engine.check(frame, contract, "rows")},
            output_stage="rows",
            contract=contract,
            partition_by=by,
            compression="zstd",
            destination=str(folder / "out"),
            quarantine=str(folder / "bad"),
            stem="stem",
        )


DATED = Contract("Dated", (Column("id", NUMBER, coerce=True), Column("d", TEXT, nullable=True, coerce=True)))
BY_D = (PartitionPlan("p", "d"),)


def test_a_message_that_duckdb_cuts_within_a_character_is_no_error(tmp_path: Path) -> None:
    """The reader quotes the first bytes of a record of another shape, wherever they end."""
    path = tmp_path / "cut.json"
    for padding in range(4):
        record = {"n": [None, [None, 1.0493272639893431e124], {"a": "x" * padding + "\U00010000" * 60}]}
        path.write_text(json.dumps(record, ensure_ascii=False))
        assert checked(path, tmp_path, exact=False) == checked(path, tmp_path, exact=True)


@pytest.mark.parametrize(
    ("transform", "folder"),
    [
        ("year", "2025"),
        ("month", "2025-01"),
        ("month_of_year", "01"),
        ("day", "2025-01-07"),
        ("day_of_month", "07"),
    ],
)
def test_a_partition_is_a_part_of_a_date_and_its_file_tells_stem_and_codec(
    tmp_path: Path, transform: str, folder: str
) -> None:
    by = (PartitionPlan("p", "d", transform),)
    contract = Contract("Row", (Column("d", DataType("date"), coerce=True),))
    source = tmp_path / "a.json"
    source.write_text('{"d": "2025-01-07"}')
    with open_engine(limits(tmp_path)) as engine:
        read = engine.read([InputFile(str(source), "a")], FormatPlan("json"), contract)
        written = engine.write(
            checked={"o": engine.check(read, contract, "o")},
            output_stage="o",
            contract=contract,
            partition_by=by,
            compression="snappy",
            destination=str(tmp_path / "out"),
            quarantine=str(tmp_path / "bad"),
            stem="s",
        )
    assert [f.path for f in written.files] == [f"{tmp_path}/out/p={folder}/part-s.snappy.parquet"]
    assert written.files[0].partition == {"p": folder}


def test_partition_values_are_escaped_and_null_has_its_own(tmp_path: Path) -> None:
    values = ["a/b", "a b", "50%", "x=y", "Zürich", None]
    result = written(tmp_path, [{"id": i, "d": v} for i, v in enumerate(values)], BY_D, DATED)
    assert {f.partition["p"] for f in result.files} == {*values[:-1], "__HIVE_DEFAULT_PARTITION__"}
    names = {Path(f.path).relative_to(tmp_path / "out").as_posix() for f in result.files}
    assert names == {
        "p=a%2Fb/part-stem.zstd.parquet",
        "p=a b/part-stem.zstd.parquet",
        "p=50%25/part-stem.zstd.parquet",
        "p=x%3Dy/part-stem.zstd.parquet",
        "p=Zürich/part-stem.zstd.parquet",
        "p=__HIVE_DEFAULT_PARTITION__/part-stem.zstd.parquet",
    }
    assert not [p for p in (tmp_path / "out").iterdir() if p.name.startswith(".")]


def test_thousands_of_partitions_in_bounded_memory(tmp_path: Path) -> None:
    rows = [{"id": i, "d": f"day-{i % 4_000}"} for i in range(6_000)]
    result = written(tmp_path, rows, BY_D, DATED, memory=400)
    assert result.rows_out == 6_000
    assert len({f.partition["p"] for f in result.files}) == 4_000
    some = [f for f in result.files if f.partition["p"] == "day-77"]
    assert sorted(pl.concat([pl.read_parquet(f.path, hive_partitioning=False) for f in some])["id"]) == [
        77,
        4_077,
    ]


def test_a_retry_overwrites_its_own_files_and_removes_what_it_no_longer_writes(tmp_path: Path) -> None:
    rows = [{"id": i, "d": "x"} for i in range(10)]
    written(tmp_path, [*rows, {"id": None}], BY_D, DATED)
    leftover = tmp_path / "out" / "p=x" / "part-stem-1.zstd.parquet"
    leftover.write_bytes(b"of an earlier attempt")
    other = tmp_path / "out" / "p=x" / "another.parquet"
    other.write_bytes(b"of another file")
    result = written(tmp_path, rows, BY_D, DATED)
    assert sorted(p.name for p in (tmp_path / "out" / "p=x").iterdir()) == [
        "another.parquet",
        "part-stem.zstd.parquet",
    ]
    assert (result.rows_out, list((tmp_path / "bad").iterdir())) == (10, [])


def test_columns_are_those_of_the_contract_alone(tmp_path: Path) -> None:
    (file,) = written(tmp_path, [{"id": 1, "d": "x", "more": 1}], (), replace_drift(DATED)).files
    assert pl.read_parquet_schema(file.path) == {"id": pl.Int64(), "d": pl.String()}
    assert Path(file.path) == tmp_path / "out" / "part-stem.zstd.parquet"


def replace_drift(contract: Contract) -> Contract:
    return Contract(contract.name, contract.columns, drift=Drift.EVOLVE)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "EmptyFile"),
        (b"hello, world", "NotParquet"),
        (b"PAR1", "CorruptFile"),
        (b"PAR1" + b"x" * 50, "CorruptFile"),
        (b"PARE" + b"x" * 50 + b"PARE", "EncryptedFile"),
        (b"PAR1" + b"x" * 50 + b"PAR1", "CorruptFile"),
    ],
)
def test_what_is_not_parquet_is_rejected(tmp_path: Path, data: bytes, code: str) -> None:
    path = tmp_path / "rows.parquet"
    path.write_bytes(data)
    with open_engine(limits(tmp_path)) as engine, pytest.raises(RejectedFile) as caught:
        engine.read([InputFile(str(path), "s3://b/rows.parquet")], FormatPlan("parquet"), DATED)
    assert caught.value.code == code


def test_the_faster_explode_gives_the_rows_of_narwhals_own() -> None:
    connection = duckdb.connect()
    relation = connection.sql(
        """SELECT * FROM (VALUES (1, [10, 20], 'a'), (2, [], 'b'), (3, NULL, 'c'), (4, [NULL, 30], 'd'))
        AS t(id, "the items", other)"""
    )
    frame = nw.from_native(relation)
    own = nw.to_native(frame.explode("the items"))
    with one_scan():
        ours = nw.to_native(frame.explode("the items"))
    assert ours.columns == own.columns == ["id", "the items", "other"]
    assert ours.types == own.types
    assert sorted(ours.fetchall(), key=str) == sorted(own.fetchall(), key=str)
    assert "UNION" in own.sql_query().upper()
    assert "UNION" not in ours.sql_query().upper()
