"""A curated pipeline for the compiler's tests, and its machine's AWS: answers that each test chooses."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pandera.polars as pa

from asl.emit.state_machine import definition
from asl.lower import lower_pipeline
from asl.names import function_id, job_id, sql_job_id, step_id
from ingestion_assets import (
    Bucket,
    Curation,
    Parquet,
    PartitionBy,
    Pipeline,
    Processor,
    S3Event,
    S3Parquet,
    S3Source,
)
from ingestion_assets.asset import IngestionAsset
from ingestion_assets.errors import Where
from tests.asl.curated_transforms import stock
from tests.asl.interpreter import Execution, StatesError, execute

NAME = "shop"


class Row(pa.DataFrameModel):
    """A key, and the column of the folder."""

    sku: str
    dt: str


def curated(**changes: Any) -> Pipeline:
    """Declare a pipeline; `changes` are of the `Pipeline`."""
    source = S3Source("files", Bucket("landing"), "in/", Parquet(), Row, where=Where("files.py", 1))
    asset = IngestionAsset(
        name="stock",
        transform=stock,
        inputs={"files": "files"},
        contract=Row,
        destination=S3Parquet(Bucket("lake"), "stock/", (PartitionBy("dt"),)),
        processor=Processor(kind="configured", threshold_bytes=1000),
        owners=(),
        tags={},
        description="What is there.",
        where=Where("assets.py", 2, asset="stock"),
    )
    given: dict[str, Any] = {
        "name": NAME,
        "sources": (source,),
        "assets": (asset,),
        "trigger": S3Event("files", ("_SUCCESS",)),
        "curation": Curation(),
        "where": Where("pipeline.py", 7),
    }
    return Pipeline(**{**given, **changes})


JOB = {
    "status": "valid",
    "job_id": "run-1",
    "dataset": "stock",
    "processor_type": "auto",
    "threshold_bytes": 1000,
    "bytes": 900,
    "files": 3,
    "files_rejected": 0,
    "manifest": "s3://lake/_runs/shop/stock/run-1/manifest.json",
    "config": "s3://lake/_runs/shop/stock/run-1/config.json",
    "curation": {"destination": "s3://lake/_staging/shop/run-1/output/", "steps": []},
}
RECORD = {
    "status": "completed",
    "rows_in": 5,
    "rows_out": 3,
    "rows_quarantined": 2,
    "files_in": 1,
    "files_rejected": 0,
    "rejected": {},
    "quarantine": ["s3://quarantine/rows/shop/stock/x.parquet"],
    "record": "s3://lake/_runs/shop/stock/run-1.json",
}
CHECKED = {
    "status": "valid",
    "rows": 3,
    "files": 1,
    "null_pct": {},
    "missing": [],
    "report": "s3://r",
    "code": "",
    "message": "",
}
LOADED = {
    "status": "loaded",
    "outputs": ["s3://lake/stock/dt=1/part-x.zstd.parquet"],
    "output_count": 1,
    "rows": 3,
    "partitions": ["dt=1"],
    "manifest": "s3://lake/_runs/shop/stock/run-1/outputs.json",
    "catalog": {},
    "warehouses": [],
}


@dataclass
class World:
    """Answers the machine's Tasks, and remembers them.

    Args:
        answers: What a function or job answers otherwise: of `validate`, `transform`, `check`, `load`; an
            exception is raised.
        failing: States that fail, with their error each time, or with the errors of their first calls.
        completed: Whether the run's item says so already.
    """

    answers: Mapping[str, Any] = field(default_factory=dict)
    failing: Mapping[str, StatesError | list[StatesError]] = field(default_factory=dict)
    completed: bool = False
    calls: list[tuple[str, Any]] = field(default_factory=list)

    def __call__(self, name: str, resource: str, arguments: Any) -> Any:
        self.calls.append((name, arguments))
        fault = self.failing.get(name)
        if isinstance(fault, list):
            fault = fault.pop(0) if fault else None
        if fault is not None:
            raise fault
        if resource.endswith("lambda:invoke"):
            return {"Payload": self._function(arguments["FunctionName"])}
        if resource.endswith("dynamodb:updateItem"):
            if self.completed and "ConditionExpression" in arguments:
                raise StatesError(
                    "DynamoDB.ConditionalCheckFailedException", "The conditional request failed"
                )
            return {}
        if resource.endswith("s3:getObject"):
            return {"Body": json.dumps(self._answer("transform", RECORD))}
        return {}

    def _function(self, arn: str) -> Any:
        functions = {
            step_id(NAME, "stock", "validate"): ("validate", JOB),
            function_id(NAME, "stock"): ("transform", RECORD),
            step_id(NAME, "stock", "check"): ("check", CHECKED),
            step_id(NAME, "stock", "load"): ("load", LOADED),
        }
        return self._answer(*functions[arn.removeprefix("${").removesuffix("Arn}")])

    def _answer(self, step: str, usual: dict[str, Any]) -> Any:
        return {**usual, **self.answers.get(step, {})}

    def asked(self, state: str) -> Any:
        """Return the arguments of a state's only call."""
        (found,) = [arguments for name, arguments in self.calls if name == state]
        return found

    def told(self, state: str) -> Any:
        """Return the message, or the event, that a state has sent."""
        arguments = self.asked(state)
        if "Message" in arguments:
            return json.loads(arguments["Message"])
        return arguments["Entries"][0]["Detail"]

    def jobs(self) -> list[str]:
        """Return which jobs were run: `pyspark`, `sql`."""
        kinds = {job_id(NAME, "stock"): "pyspark", sql_job_id(NAME, "stock"): "sql"}
        return [kinds[a["JobName"][2:-1]] for _, a in self.calls if "JobName" in a]

    def tracked(self) -> list[str]:
        """Return the statuses that were written, in order."""
        values = [a["ExpressionAttributeValues"] for _, a in self.calls if "UpdateExpression" in a]
        return [each[":status"]["S"] for each in values]


EVENT = {
    "time": "2025-01-17T10:15:02Z",
    "detail": {
        "bucket": {"name": "landing-1"},
        "object": {"key": "in/_SUCCESS", "size": 0, "etag": "e7a9", "version-id": "v.1", "sequencer": "0066"},
    },
}


def run(given: Any = EVENT, **how: Any) -> tuple[Execution, World]:
    """Execute the machine once."""
    world = World(**how)
    return execute(definition(lower_pipeline(curated())).definition, given, world), world
