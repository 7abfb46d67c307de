"""The columns of a written file are shown as declared, whichever library wrote it."""

from pathlib import Path

import pandera.polars
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from ingestion_assets.contract import lower_contract
from ingestion_assets.dagster_defs.quarantine import written_schema
from ingestion_assets.dagster_defs.sites import LocalSite
from ingestion_assets.errors import Where

ITEM = pl.Struct({"name": pl.String, "codes": pl.List(pl.Binary)})


class Basket(pandera.polars.DataFrameModel):
    """A column of each kind that has a wide form in Arrow, and one that has none."""

    label: str = pandera.polars.Field(str_length={"min_value": 1})
    items: pl.List(ITEM)  # type: ignore[valid-type]
    raw: bytes
    total: float


def test_polars_and_pyarrow_show_the_same_columns(tmp_path: Path) -> None:
    rows = pl.DataFrame(
        {"label": ["a"], "items": [[{"name": "x", "codes": [b"1"]}]], "raw": [b"z"], "total": ["much"]},
        schema={"label": pl.String, "items": pl.List(ITEM), "raw": pl.Binary, "total": pl.String},
    )
    rows.write_parquet(tmp_path / "wide.parquet")
    item = pa.struct({"name": pa.string(), "codes": pa.list_(pa.binary())})
    narrow = pa.schema(
        {"label": pa.string(), "items": pa.list_(item), "raw": pa.binary(), "total": pa.string()}
    )
    pq.write_table(pa.Table.from_pylist(rows.to_dicts(), schema=narrow), tmp_path / "narrow.parquet")
    contract = lower_contract(Basket, Where("baskets.py", 1))
    shown = [
        written_schema([str(tmp_path / f"{name}.parquet")], LocalSite(tmp_path).open, contract)
        for name in ("wide", "narrow")
    ]
    assert shown[0] == shown[1]
    columns = {column.name: column for column in shown[0].columns}
    assert columns["label"].constraints.other == ["str_length(min_value=1)"]
    assert not columns["items"].constraints.nullable
    assert columns["total"].type == "string"  # as found, for it is not as declared
