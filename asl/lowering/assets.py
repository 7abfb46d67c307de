"""One asset -> its states: choose a processor, materialize it, then register its partitions.

In: the asset and where its inputs' run records are. Out: states whose last one leads on; the run is
in the asset's variable. A payload never carries rows: the run record of an upstream asset is named
by its S3 URI.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from asl import names
from asl.integrations import glue_batch_create_partition, glue_start_job_run, lambda_invoke, s3_get_object
from asl.ir import Branch, Choice, Map, Ref, Rule, State, Task
from asl.lowering import tracking
from asl.lowering.expressions import BATCH, EXECUTION, FILE, expression, quoted, text_of, variable
from asl.variants import is_function, variants
from ingestion_assets.asset import IngestionAsset
from ingestion_assets.pipeline import Pipeline, S3Batches

#: URIs that a machine passes on and tracks, over all its assets; run records name every file.
MOST_URIS = 100
#: Above the processor's own timeout, so that its own, clearer error comes first.
TIMEOUT_MARGIN_SECONDS = 30
#: A run record holds at most 5,000 partitions in chunks of 100.
MOST_CHUNKS = 50

#: What a machine remembers of a run record beside its lists of URIs.
RUN = ("status", "rows_in", "rows_out", "rows_quarantined", "output_count", "record")
FILE_RUN = (*RUN, "reason", "superseded")
BATCH_RUN = (*RUN, "files_rejected", "files_superseded", "rejected")

#: How Athena and Spark read a partition's files; columns are the table's.
STORAGE = (
    "'InputFormat': 'org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat', "
    "'OutputFormat': 'org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat', "
    "'SerdeInfo': {'SerializationLibrary': 'org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe'}"
)


@dataclass(frozen=True, slots=True)
class Known:
    """What a state can see of the assets that ended before it: JSONata by asset name."""

    runs: Mapping[str, str]

    def with_run(self, asset: str, path: str) -> Known:
        """Return this and one asset more."""
        return Known({**self.runs, asset: path})


def entry_name(asset: IngestionAsset) -> str:
    """Return the name of an asset's first state."""
    return choice_name(asset) if len(variants(asset)) > 1 else _materializing(asset.name)


def choice_name(asset: IngestionAsset) -> str:
    """Return the name of the state that chooses between the function and the job of `auto`."""
    return names.state_name(f"Choose a processor for {asset.name}")


def _materializing(asset: str, on: str = "") -> str:
    return names.state_name(f"Materialize {asset}{on}")


def asset_states(
    pipeline: Pipeline, asset: IngestionAsset, known: Known, following: str | None
) -> tuple[State, ...]:
    """Return the states of one asset; the last one leads to `following`."""
    partitioned = bool(asset.destination.partition_by)
    register = names.state_name(f"Register partitions of {asset.name}")
    after = register if partitioned else following
    first, *others = variants(asset)
    states: tuple[State, ...] = _processed(pipeline, first, known, after, _materializing(asset.name))
    if others:
        (larger,) = others
        on_glue = _processed(pipeline, larger, known, after, _materializing(asset.name, " on Glue"))
        states = (_choose(pipeline, asset, states[0].name, on_glue[0].name), *states, *on_glue)
    if partitioned:
        states = (*states, _register(pipeline, asset, register, following))
    return states


def uris_of_one(pipeline: Pipeline) -> int:
    """Return how many URIs each asset's run keeps in the machine; none where there are too many assets."""
    count = len(pipeline.assets)
    return MOST_URIS // count if count <= MOST_URIS // 2 else 0


def _choose(pipeline: Pipeline, asset: IngestionAsset, small: str, large: str) -> Choice:
    """Return the choice by the bytes of the files that started the execution."""
    given = f"{BATCH}.bytes" if isinstance(pipeline.trigger, S3Batches) else f"{FILE}.size"
    return Choice(
        name=choice_name(asset),
        rules=(Rule(condition=f"{given} > {asset.processor.threshold_bytes}", next=large),),
        default=small,
    )


def _processed(
    pipeline: Pipeline, variant: IngestionAsset, known: Known, following: str | None, name: str
) -> tuple[State, ...]:
    """Return the states that run one variant of an asset."""
    if is_function(variant):
        return (_lambda(pipeline, variant, known, following, name),)
    return _glue(pipeline, variant, known, following, name)


def _request(pipeline: Pipeline, asset: IngestionAsset, known: Known) -> str:
    """Return the materialization's event as one JSONata object."""
    sources = {source.name for source in pipeline.sources}
    inputs = []
    for parameter, upstream in asset.inputs.items():
        given = (
            tracking.arrived(pipeline) if upstream in sources else f"'record': {known.runs[upstream]}.record"
        )
        inputs.append(f"{quoted(parameter)}: {{{given}}}")
    moment = tracking.event_time(pipeline)
    return f"{{'execution': {EXECUTION}, 'event_time': {moment}, 'inputs': {{{', '.join(inputs)}}}}}"


def _run(pipeline: Pipeline, record: str) -> str:
    """Return the part of a run record that the machine remembers."""
    most = uris_of_one(pipeline)
    first = "" if most >= MOST_URIS else f"[[0..{most - 1}]]"
    lists = ", ".join(
        f"'{name}': [($record.{name}){first}]" if most else f"'{name}': []"
        for name in ("outputs", "quarantine")
    )
    kept = BATCH_RUN if isinstance(pipeline.trigger, S3Batches) else FILE_RUN
    plain = ", ".join(f"'{name}': $record.{name}" for name in kept)
    return f"($record := {record}; {{{plain}, {lists}}})"


def _remembered(pipeline: Pipeline, asset: IngestionAsset, record: str) -> dict[str, Any]:
    """Return `assign` and `output` of the state whose result holds the run record."""
    return {
        "assign": {variable(asset.name)[1:]: expression(_run(pipeline, record))},
        "output": {"partitions": expression(f"[{record}.partitions]")}
        if asset.destination.partition_by
        else {},
    }


def _lambda(
    pipeline: Pipeline, asset: IngestionAsset, known: Known, following: str | None, name: str
) -> Task:
    return Task(
        name=name,
        integration=lambda_invoke.INTEGRATION,
        arguments={
            "FunctionName": Ref(names.function_id(pipeline.name, asset.name), "Arn"),
            "Payload": expression(_request(pipeline, asset, known)),
        },
        timeout_seconds=asset.processor.timeout_seconds + TIMEOUT_MARGIN_SECONDS,
        comment=asset.description.partition("\n")[0],
        next=following,
        **_remembered(pipeline, asset, "$states.result.Payload"),
    )


def _glue(
    pipeline: Pipeline, asset: IngestionAsset, known: Known, following: str | None, name: str
) -> tuple[Task, Task]:
    # A job has no answer: it writes its run record, which is read back.
    reading = names.state_name(f"Read the run of {asset.name}")
    run = Task(
        name=name,
        integration=glue_start_job_run.INTEGRATION,
        arguments={
            "JobName": Ref(names.job_id(pipeline.name, asset.name)),
            "Arguments": {"--event": expression(f"$string({_request(pipeline, asset, known)})")},
        },
        # Only what is read by nobody is dropped: a job's run description is of no use further on.
        output={},
        timeout_seconds=asset.processor.timeout_seconds + TIMEOUT_MARGIN_SECONDS,
        comment=asset.description.partition("\n")[0],
        next=reading,
    )
    prefix = quoted(f"_runs/{pipeline.name}/{asset.name}/")
    read = Task(
        name=reading,
        integration=s3_get_object.INTEGRATION,
        arguments={
            "Bucket": Ref(names.bucket_id(asset.destination.bucket.name)),
            "Key": expression(f"{prefix} & {EXECUTION} & '.json'"),
        },
        next=following,
        **_remembered(pipeline, asset, "$parse($states.result.Body)"),
    )
    return run, read


def _register(pipeline: Pipeline, asset: IngestionAsset, name: str, following: str | None) -> Map:
    """Return the map over the run's partitions, 100 at a time."""
    destination = asset.destination
    # The folder is told as it was written: what escapes a value is the engines' affair alone.
    partitions = text_of(
        "[$map($states.input.values, function($values, $index) { "
        "{'Values': $values, 'StorageDescriptor': {'Location': 's3://",
        Ref(names.bucket_id(destination.bucket.name)),
        f"/{quoted(destination.prefix)[1:]} & $states.input.paths[$index], {STORAGE}}}}} }})]",
    )
    # Partitions of an earlier file exist already, which is as it should be. Refusing in the output
    # rather than in two more states costs nothing, and every transition of every file is paid for.
    refused = (
        "($refused := [$states.result.Errors[ErrorDetail.ErrorCode != 'AlreadyExistsException']"
        ".(ErrorDetail.ErrorCode & ': ' & ErrorDetail.ErrorMessage)]; "
        "$count($refused) = 0 ? {} : $error('Partitions refused: ' & $substring($join($refused, '; '), 0, 2000)))"
    )
    create = Task(
        name=names.state_name(f"Add partitions of {asset.name}"),
        integration=glue_batch_create_partition.INTEGRATION,
        arguments={
            "DatabaseName": Ref(names.database_id(pipeline.catalog.database or pipeline.name)),
            "TableName": Ref(names.table_id(pipeline.name, asset.name)),
            "PartitionInputList": partitions,
        },
        output=expression(refused),
    )
    return Map(
        name=name,
        items=expression("$states.input.partitions"),
        processor=Branch((create,)),
        max_items=MOST_CHUNKS,
        output={},
        comment="At once queryable, without waiting for a crawler",
        next=following,
    )
