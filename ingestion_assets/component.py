"""`defs.yaml` -> `Pipeline`: a curated pipeline without Python (docs/component.md).

In: the attributes of a component, with the keys of a run's configuration. Out: the same declaration that
`pipeline.py` would make; Dagster's component (`ingestion_assets.dagster_defs.component`) and `asl` build both by it.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from aws_runtime.codec import decode
from aws_runtime.curation.config import Config, ConfigError, parse
from aws_runtime.warehouses.targets import RedshiftTable, SnowflakeTable
from ingestion_assets import as_is
from ingestion_assets.asset import Bucket, IngestionAsset, PartitionBy, Processor, S3Parquet, S3Source
from ingestion_assets.contract import lower_contract
from ingestion_assets.curation import Curation
from ingestion_assets.errors import CompileError, Where, relative
from ingestion_assets.formats import Parquet
from ingestion_assets.pipeline import Alerts, Catalog, Pipeline, S3Event
from ingestion_assets.yaml_columns import ColumnError, column_of, model_of
from ingestion_assets.yaml_lines import Document, YamlError, documents, keys_of

#: How a `defs.yaml` names the component; the class lives where Dagster may be imported.
TYPES = (
    "ingestion_assets.dagster_defs.CuratedPipeline",
    "ingestion_assets.dagster_defs.component.CuratedPipeline",
)
FILE = "defs.yaml"
_HINT = "docs/component.md has every key"


@dataclass(frozen=True, slots=True)
class YamlProcessor:
    """What runs the transform, as `Processor`; `processor_type` chooses."""

    memory_mb: int = 2048
    storage_mb: int = 2048
    timeout_seconds: int = 300
    workers: int = 2


@dataclass(frozen=True, slots=True)
class Attributes:
    """The keys of a component that are no run's configuration.

    Args:
        name: Of the pipeline.
        columns: Of the curated rows: name -> type, or an object (`ingestion_assets.yaml_columns.YamlColumn`).
        source_columns: Of the landed rows; by default `columns`, nullable and without checks.
        source_prefix: Where files land, ending in `/`; by default `<name>/`.
        target_prefix: Where they are published; by default `<name>/`.
        suffixes: A key that ends so starts a run: of a marker over all files below its folder; of none, every
            file's.
        sql: A file beside this one: the transform as one SELECT of Spark SQL over the table `landed`.
        owners: Emails or `team:name`.
        description: Of the pipeline.
        table: Name of the Glue table; by default the dataset's.
        database: Of the Data Catalog; by default the pipeline's name.
        quarantine_bucket: Of rejected files and quarantined rows.
        email: Address of alerts.
        processor: Memory, disk, time and workers.
        redshift: Where each run is loaded too.
        snowflake: Likewise.
    """

    name: str
    columns: Mapping[str, Any]
    source_columns: Mapping[str, Any] = field(default_factory=dict)
    source_prefix: str = ""
    target_prefix: str = ""
    suffixes: tuple[str, ...] = ("_SUCCESS",)
    sql: str = ""
    owners: tuple[str, ...] = ()
    description: str = ""
    table: str = ""
    database: str = ""
    quarantine_bucket: str = "quarantine"
    email: str = ""
    processor: YamlProcessor = YamlProcessor()
    redshift: RedshiftTable | None = None
    snowflake: SnowflakeTable | None = None


#: Keys without which there is no pipeline.
REQUIRED = ("name", "source_bucket", "target_bucket", "columns")
OWN = tuple(each.name for each in fields(Attributes))
CONFIGURED = tuple(each.name for each in fields(Config))


@dataclass(frozen=True, slots=True)
class _Place:
    """The attributes of a component and where they stand."""

    file: Path
    document: Document
    attributes: Mapping[str, Any]

    def where(self, *keys: str | int) -> Where:
        name = self.attributes.get("name")
        line = self.document.line(("attributes", *keys))
        return Where(relative(str(self.file)), line, name if isinstance(name, str) else None)

    def wrong(self, what: str, *keys: str | int, hint: str = _HINT) -> CompileError:
        return CompileError("ASL055", self.where(*keys), what, hint)


def pipelines_of_yaml(file: Path) -> tuple[Pipeline, ...]:
    """Return the pipelines of a `defs.yaml`; components of other types are nobody's here.

    Raises:
        CompileError: ASL055, naming the line.
    """
    place = Where(relative(str(file)), 1)
    try:
        found = documents(file.read_text(encoding="utf-8"))
    except YamlError as error:
        raise CompileError("ASL055", Where(place.file, error.line), error.what, "Mend that line") from error
    except UnicodeDecodeError as error:
        raise CompileError(
            "ASL055", place, f"this is no UTF-8: {error.reason}", "Save it as UTF-8"
        ) from error
    return tuple(
        pipeline_of(document.data.get("attributes"), file, document)
        for document in found
        if isinstance(document.data, Mapping) and document.data.get("type") in TYPES
    )


def pipeline_of(attributes: Any, file: Path, document: Document | None = None) -> Pipeline:
    """Return the pipeline that a component's attributes declare.

    Args:
        attributes: As YAML has them.
        file: The `defs.yaml`; SQL files lie beside it.
        document: Its lines; by default those of the file's document with the same `name`.

    Raises:
        CompileError: ASL055, naming the line.
    """
    if document is None:
        document = _document(attributes, file)
    if not isinstance(attributes, Mapping):
        place = _Place(file, document, {})
        raise place.wrong("attributes: expected an object")
    place = _Place(file, document, attributes)
    _known(place)
    try:
        own = decode(Attributes, {key: attributes[key] for key in attributes if key in OWN})
    except ValueError as error:
        raise place.wrong(str(error), *keys_of(str(error))) from None
    config = _config(place)
    return _pipeline(place, own, config)


def _document(attributes: Any, file: Path) -> Document:
    name = attributes.get("name") if isinstance(attributes, Mapping) else None
    for document in documents(file.read_text(encoding="utf-8")):
        given = document.data.get("attributes") if isinstance(document.data, Mapping) else None
        if isinstance(given, Mapping) and given.get("name") == name:
            return document
    return Document({}, {(): 1})


def _known(place: _Place) -> None:
    known = (*OWN, *CONFIGURED)
    for key in place.attributes:
        if key not in known:
            near = difflib.get_close_matches(str(key), known, 1)
            hint = f"Did you mean {near[0]}?" if near else f"Known: {', '.join(known)}"
            raise place.wrong(f"{key}: unknown key", str(key), hint=hint)
    for key in REQUIRED:
        if key not in place.attributes:
            raise place.wrong(f"{key}: missing")


def _config(place: _Place) -> Config:
    given = {key: place.attributes[key] for key in place.attributes if key in CONFIGURED}
    try:
        return parse(given)
    except ConfigError as error:
        said = str(error).partition("; said by")[0]
        raise place.wrong(said, *keys_of(said)) from None


def _pipeline(place: _Place, own: Attributes, config: Config) -> Pipeline:
    dataset = config.dataset or own.name
    curated = "".join(word.capitalize() for word in dataset.split("_"))
    contract = _contract(place, "columns", curated, own.columns)
    for key, known in (("columns", own.columns), ("source_columns", own.source_columns or own.columns)):
        for name in config.required_partitions:
            if name not in known:
                raise place.wrong(
                    f"required_partitions: {name!r} is not in {key}",
                    "required_partitions",
                    hint="Add it there",
                )
    landed_columns = own.source_columns or {
        name: {**_plain(given), "nullable": name not in config.required_partitions}
        for name, given in own.columns.items()
    }
    columns = "source_columns" if own.source_columns else "columns"
    source = S3Source(
        name=f"landed_{dataset}",
        bucket=Bucket(config.source_bucket),
        prefix=own.source_prefix or f"{own.name}/",
        format=Parquet(),
        contract=_contract(place, columns, f"Landed{curated}", landed_columns),
        owners=own.owners,
        description=f"Files of {dataset} as they land.",
        where=place.where("source_prefix"),
    )
    asset = IngestionAsset(
        name=dataset,
        transform=as_is.as_is,
        inputs={"landed": source.name},
        contract=contract,
        destination=S3Parquet(
            bucket=Bucket(config.target_bucket),
            prefix=own.target_prefix or f"{own.name}/",
            partition_by=tuple(PartitionBy(name) for name in config.required_partitions),
            table=own.table or None,
        ),
        processor=Processor(
            kind="configured", threshold_bytes=config.threshold_bytes, **asdict(own.processor)
        ),
        owners=own.owners,
        tags={},
        description=own.description or "The rows as they landed.",
        where=place.where("columns"),
    )
    given = {key: place.attributes[key] for key in place.attributes if key in CONFIGURED}
    return Pipeline(
        name=own.name,
        sources=(source,),
        assets=(asset,),
        trigger=S3Event(source.name, own.suffixes),
        quarantine=Bucket(own.quarantine_bucket),
        alerts=Alerts(own.email or None),
        catalog=Catalog(own.database or None),
        curation=Curation(given, _sql(place, own), own.redshift, own.snowflake),
        owners=own.owners,
        description=own.description,
        where=place.where("name"),
    )


def _plain(given: Any) -> dict[str, Any]:
    """Return a column without its checks, which are the curated rows' own."""
    return {"type": given if isinstance(given, str) else given["type"]}


def _contract(place: _Place, key: str, name: str, columns: Mapping[str, Any]) -> type[Any]:
    for column in columns:
        if not isinstance(column, str):
            raise place.wrong(f"{key}: {column!r} is no text; write it in quotes", key, str(column))
    try:
        read = {each: column_of(each, given) for each, given in columns.items()}
        model = model_of(name, read, f"Columns of {place.file.name}.", place.where(key))
    except ColumnError as error:
        said = str(error)
        raise place.wrong(f"{key}.{said}", key, *keys_of(said)) from None
    try:
        lower_contract(model, place.where(key))
    except CompileError as error:
        column = error.what.removeprefix(f"{name}.").partition(" ")[0]
        where = place.where(key, column)
        raise CompileError(error.code, where, error.what, error.hint) from None
    return model


def _sql(place: _Place, own: Attributes) -> Path | None:
    if not own.sql:
        return None
    file = place.file.parent / own.sql
    if not file.is_file():
        raise place.wrong(
            f"sql: there is no file {own.sql} beside {place.file.name}", "sql", hint="Mend its name"
        )
    return file
