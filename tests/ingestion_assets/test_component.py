"""`defs.yaml` without Python: the same declaration as by hand, every mistake with its line, and it compiles."""

from __future__ import annotations

import re
from dataclasses import fields, replace
from datetime import date
from pathlib import Path
from typing import Annotated

import narwhals as nw
import pandera.polars as pa
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import ingestion_assets as ia
from asl import declarations
from asl.compiler import compile_pipelines
from ingestion_assets.as_is import as_is
from ingestion_assets.component import CONFIGURED, FILE, OWN, pipelines_of_yaml
from ingestion_assets.contract import lower_contract
from ingestion_assets.errors import CompileError, Where
from ingestion_assets.pipelines import discover
from ingestion_assets.plan import asset_plan
from ingestion_assets.yaml_columns import YamlColumn
from ingestion_assets.yaml_lines import YamlError, documents, keys_of

COMPONENTS = {pipeline.name: pipeline for pipeline in discover("tests.components")}
SHIPMENTS = (Path(__file__).parents[1] / "components" / "shipments" / FILE).read_text(encoding="utf-8")


def read(folder: Path, text: str):
    file = folder / FILE
    file.write_text(text, encoding="utf-8")
    return pipelines_of_yaml(file)


def mistake(folder: Path, text: str) -> CompileError:
    with pytest.raises(CompileError) as caught:
        read(folder, text)
    assert "\n" not in str(caught.value)
    return caught.value


Fee = Annotated[pl.Decimal, 10, 2]


class LandedShipments(pa.DataFrameModel):
    """Columns of defs.yaml."""

    shipment_id: str = pa.Field(nullable=True)
    weight_kg: float = pa.Field(nullable=True)
    fee: Fee = pa.Field(nullable=True)
    express: bool = pa.Field(nullable=True)
    dt: pl.Date
    depot: str

    class Config:
        coerce = True


class Shipments(pa.DataFrameModel):
    """Columns of defs.yaml."""

    shipment_id: str = pa.Field(str_matches="^S[0-9]{6}$", unique=True)
    weight_kg: float = pa.Field(nullable=True, ge=0, le=30000, description="As weighed at the gate")
    fee: Fee = pa.Field(nullable=True)
    express: bool
    dt: pl.Date = pa.Field(ge=date(2020, 1, 1))
    depot: str = pa.Field(isin=["ams", "ber", "lis"])

    class Config:
        coerce = True


def test_it_is_what_one_would_write_by_hand():
    made = COMPONENTS["shipments"]
    where = Where("pipeline.py", 1)
    source = ia.S3Source(
        name="landed_shipments",
        bucket=ia.Bucket("depot-landing"),
        prefix="shipments/",
        format=ia.Parquet(),
        contract=LandedShipments,
        owners=("team:logistics",),
        description="Files of shipments as they land.",
    )
    asset = ia.ingestion_asset(
        contract=Shipments,
        destination=ia.S3Parquet(
            ia.Bucket("depot-curated"), "shipments/", (ia.PartitionBy("dt"), ia.PartitionBy("depot"))
        ),
        processor=ia.Processor(kind="configured"),
        inputs={"landed": "landed_shipments"},
        name="shipments",
        owners=["team:logistics"],
    )(as_is)
    wanted = ia.Pipeline(
        name="shipments",
        sources=(source,),
        assets=(replace(asset, description="Shipments of all depots, Parquet to a curated zone."),),
        trigger=ia.S3Event("landed_shipments", ("_SUCCESS",)),
        curation=made.curation,
        owners=("team:logistics",),
        description="Shipments of all depots, Parquet to a curated zone.",
    )
    for model, other in ((made.sources[0].contract, LandedShipments), (made.assets[0].contract, Shipments)):
        assert lower_contract(model, where) == lower_contract(other, where)
    same = replace(
        made,
        sources=(replace(made.sources[0], contract=LandedShipments),),
        assets=(replace(made.assets[0], contract=Shipments),),
    )
    assert same == wanted


def test_a_real_configuration_is_taken_key_by_key(tmp_path):
    columns = (
        "    columns: {customer_id: string, order_id: string, amount: float64, dt: date, region: string}\n"
    )
    given = """
    source_bucket: my-landing-zone
    target_bucket: my-curated-zone
    expected_schema: ["customer_id", "order_id", "amount", "dt"]
    required_partitions: ["dt", "region"]
    dq_rules: {"min_rows": 1000, "max_null_pct": 0.05, "mandatory_columns": ["customer_id", "amount"]}
    processor_type: glue_pyspark
    output_format: parquet
"""
    (pipeline,) = read(
        tmp_path,
        "type: ingestion_assets.dagster_defs.CuratedPipeline\nattributes:\n    name: fixture\n"
        + columns
        + given,
    )
    assert pipeline.curation.defaults == {
        "source_bucket": "my-landing-zone",
        "target_bucket": "my-curated-zone",
        "expected_schema": ["customer_id", "order_id", "amount", "dt"],
        "required_partitions": ["dt", "region"],
        "dq_rules": {"min_rows": 1000, "max_null_pct": 0.05, "mandatory_columns": ["customer_id", "amount"]},
        "processor_type": "glue_pyspark",
        "output_format": "parquet",
    }


def test_a_query_beside_it_is_the_transform():
    pipeline = COMPONENTS["parcels"]
    plan = asset_plan(pipeline, pipeline.assets[0])
    assert "TRIM(parcel)" in plan.sql
    assert pipeline.trigger.suffixes == ()
    assert [column.name for column in plan.inputs[0].contract.columns] == ["parcel", "grams", "dt"]


def test_it_compiles_and_ships_the_stock_transform():
    build = compile_pipelines(list(COMPONENTS.values()))
    bundle = next(
        item.bundle for each in build.compiled for item in each.assets if each.pipeline.name == "shipments"
    )
    assert b"def as_is" in bundle.files["pipeline_code/shipments/as_is.py"]
    kinds = {resource["Type"] for resource in build.template["Resources"].values()}
    assert {"AWS::StepFunctions::StateMachine", "AWS::Glue::Job"} <= kinds


def test_the_stock_transform_changes_nothing():
    frame = nw.from_native(pl.LazyFrame({"a": [1, None]})).lazy()
    assert as_is(frame) is frame


@pytest.mark.parametrize(
    ("old", "new", "line", "said"),
    [
        ("  name: shipments", "  nam: shipments", 4, "nam: unknown key. Did you mean name?"),
        ("  source_bucket: depot-landing\n", "", 3, "source_bucket: missing"),
        (
            "{type: float64,",
            "{type: float,",
            12,
            "columns.weight_kg.type: 'float' is no type; did you mean float64?",
        ),
        ("unique: true", "unik: true", 11, "columns.shipment_id.unik: unknown key; did you mean 'unique'?"),
        ("express: boolean", "express: 7", 14, "columns.express: expected a type or an object, got int"),
        ("2020-01-01", "yesterday", 15, "columns.dt.ge: 'yesterday' is no date; write 2024-07-01"),
        ("ge: 0,", "ge: heavy,", 12, "Shipments.weight_kg has the check"),
        ("ge: 0,", "ge: '',", 12, "Shipments.weight_kg has the check"),
        ("min_rows: 1,", "min_row: 1,", 18, "dq_rules: unknown key 'min_row'"),
        ("0.5", "50", 18, "dq_rules.max_null_pct: 50 is no share between 0 and 1; 5 % is 0.05"),
        ("processor_type: auto", "processor_type: spark", 19, "processor_type: 'spark' is none of"),
        ("owners: [", "owners: team:x #[", 6, "owners: expected list, got str"),
        ("  output_format: parquet", "  sql: no.sql", 20, "sql: there is no file no.sql beside defs.yaml"),
        ("depot: {type", "dt: {type", 16, "the key 'dt' is there twice"),
        ("columns:\n", "columns: [\n", 12, "this is no YAML"),
        ("[dt, depot]\n  col", "[dt, day]\n  col", 9, "required_partitions: 'day' is not in columns"),
        ("    express: boolean", "    7: boolean", 14, "columns: 7 is no text; write it in quotes"),
        ("decimal(10,2)", "decimal(40,2)", 13, "columns.fee.type: decimal(40,2) has not 1 to 38 digits"),
    ],
)
def test_a_mistake_is_one_line_with_its_place(tmp_path, monkeypatch, old, new, line, said):
    monkeypatch.chdir(tmp_path)
    assert SHIPMENTS.count(old) == 1
    error = mistake(tmp_path, SHIPMENTS.replace(old, new))
    assert said in str(error)
    assert (error.where.file, error.where.line) == ("defs.yaml", line)


def test_components_of_others_are_left_alone(tmp_path):
    other = "type: dagster.PythonScriptComponent\nattributes: {execution: {path: x.py}}\n---\n"
    assert [p.name for p in read(tmp_path, other + SHIPMENTS)] == ["shipments"]
    assert read(tmp_path, other) == ()
    assert read(tmp_path, "") == ()


def test_lines_are_those_of_the_file_in_a_second_document_too(tmp_path):
    error = mistake(tmp_path, "type: other\n---\n" + SHIPMENTS.replace("auto", "spark"))
    assert error.where.line == 21


def test_a_folder_with_both_is_found_twice(tmp_path, monkeypatch):
    folder = tmp_path / "both_kinds" / "one"
    folder.mkdir(parents=True)
    for path in (folder.parent, folder):
        (path / "__init__.py").touch()
    (folder / FILE).write_text(SHIPMENTS)
    monkeypatch.syspath_prepend(tmp_path)
    assert [p.name for p in discover("both_kinds")] == ["shipments"]


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(alphabet="ab c-:#'\"\n{", max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.text(alphabet="abc", min_size=1, max_size=3), inner, max_size=3)
        ),
        max_leaves=10,
    )
)
@settings(max_examples=100, deadline=None)
def test_yaml_reads_what_was_written_and_knows_a_line_for_every_key(data):
    import yaml  # noqa: PLC0415 - only here

    text = yaml.safe_dump(data, default_flow_style=False)
    found = documents(text)
    if data is None:
        assert found == []
        return
    (document,) = found
    assert document.data == data
    rows = text.split("\n")
    for path, line in document.lines.items():
        if path and isinstance(path[-1], str):
            assert path[-1] in rows[line - 1]


def test_yaml_keeps_dates_as_texts():
    assert documents("day: 2024-07-01")[0].data == {"day": "2024-07-01"}


@pytest.mark.parametrize("text", ["a: [", "a: &a [*a]", "\x00", "a: 1\na: 2"])
def test_what_is_no_yaml_is_said(text):
    with pytest.raises(YamlError):
        documents(text)


def test_paths_of_messages():
    assert keys_of("steps[0].cast.dt: 'x' is no type") == ("steps", 0, "cast", "dt")
    assert keys_of("Attributes: missing key") == ("Attributes",)


def _paths(value, path=()):
    """Yield the path of everything in a document."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from _paths(inner, (*path, key))


GIVEN = documents(SHIPMENTS)[0].data["attributes"]
ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 10**20),
    st.floats(),
    st.sampled_from(["", "é", "dt", "int64", "a/b", "{{ env.X }}", "2024-07-01"]),
    st.lists(st.sampled_from(["dt", "", 7, None]), max_size=2),
    st.dictionaries(
        st.sampled_from(["type", "ge", "dt", "", "rename"]), st.sampled_from(["string", 7, None]), max_size=2
    ),
)


@given(st.sampled_from(sorted(_paths(GIVEN), key=str)), ODD)
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_said_wrongly_is_one_line(tmp_path, path, odd):
    import copy  # noqa: PLC0415 - only here

    import yaml  # noqa: PLC0415 - as above

    changed = {"type": "ingestion_assets.dagster_defs.CuratedPipeline", "attributes": copy.deepcopy(GIVEN)}
    inner = changed
    for key in ("attributes", *path[:-1]):
        inner = inner[key]
    if path:
        inner[path[-1]] = odd
    else:
        changed["attributes"] = odd
    text = yaml.safe_dump(changed, sort_keys=False, allow_unicode=True)
    said = None
    try:
        declarations.check(read(tmp_path, text))
    except CompileError as error:
        said = error
    # Nothing but a CompileError, and that in one line of this file.
    assert said is None or ("\n" not in str(said) and said.where.file.endswith(FILE))
    assert said is None or 1 <= said.where.line <= len(text.split("\n"))


def test_the_page_has_every_key():
    page = (Path(__file__).parents[2] / "docs" / "component.md").read_text(encoding="utf-8")
    keys = (*OWN, *CONFIGURED, *(each.name for each in fields(YamlColumn)))
    assert [key for key in keys if not re.search(rf"`{key}(`|:)", page)] == []
