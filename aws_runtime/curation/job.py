"""What every step of a curation knows: the declaration's part, the run's configuration, where things go.

In: `curation.json` of the function's zip, the environment, and the execution's input. Out: a checked
`Job`, or a `ConfigError` before anything is touched.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from aws_runtime import storage
from aws_runtime.codec import decode, encode
from aws_runtime.contract import Contract
from aws_runtime.curation import keyed
from aws_runtime.curation.config import (
    Config,
    ConfigError,
    TableFormat,
    merged,
    parse,
    said_by,
)
from aws_runtime.curation.config_checks import check_dataset, check_declared, check_table
from aws_runtime.curation.declared import Declared
from aws_runtime.events import S3Object
from aws_runtime.identity import parse_event_time

#: Fields of an object, and how an event calls them.
_EVENT = {
    "key": "key",
    "version_id": "version-id",
    "etag": "etag",
    "size": "size",
    "sequencer": "sequencer",
}
#: Reads an SSM parameter; None when there is none.
ReadParameter = Callable[[str], str | None]


@dataclass(frozen=True, slots=True)
class Job:
    """One run.

    Args:
        id: The execution's name, or that of the run which it resumes.
        event_time: When it was asked for.
        declared: The declaration's part.
        config: Merged and checked; its buckets are physical ones.
        quarantine: S3 prefix ending in `/`.
        resumed: Whether an earlier execution has begun it: its files are where that one has left them.
    """

    id: str
    event_time: datetime
    declared: Declared
    config: Config
    quarantine: str
    resumed: bool = False

    @property
    def staging(self) -> str:
        """Prefix of everything that the run stages."""
        return f"s3://{self.config.target_bucket}/_staging/{self.declared.pipeline}/{self.id}/"

    @property
    def runs(self) -> str:
        """Prefix of the run's documents."""
        name = f"{self.declared.pipeline}/{self.config.dataset}/{self.id}"
        return f"s3://{self.config.target_bucket}/_runs/{name}/"

    @property
    def curated(self) -> str:
        """Prefix of the curated files."""
        return f"s3://{self.config.target_bucket}/{self.declared.target_prefix}"

    @property
    def table_contract(self) -> Contract:
        """Columns of the curated table: the contract's, and those of the write mode."""
        contract = self.declared.output_contract
        return replace(contract, columns=keyed.output_columns(self.config.write_mode, contract))

    @property
    def merges_files(self) -> bool:
        """Whether its rows meet those of curated files before they are published."""
        return self.config.table_format is TableFormat.FILES and self.config.write_mode in keyed.KEYED

    @property
    def rejected(self) -> str:
        """Prefix of rejected files."""
        return f"{self.quarantine}rejected/{self.declared.pipeline}/"

    @property
    def partitions(self) -> tuple[str, ...]:
        """Partition columns of the curated files."""
        return tuple(each.name for each in self.declared.partition_by)


def declared(text: str) -> Declared:
    """Read `curation.json`.

    Raises:
        ValueError: It is not as agreed, naming the key.
    """
    return decode(Declared, json.loads(text))


def open_job(
    event: Mapping[str, Any],
    told: Declared,
    environment: Mapping[str, str],
    parameter: ReadParameter,
) -> tuple[Job, S3Object | None]:
    """Merge and check the configuration of a run; returns the object that started it, if one did.

    The input may name a run that failed, `"resume": "<job_id>"`: its files are taken up where they are,
    under the configuration of this execution.

    Args:
        event: `{"execution", "event_time", "input"}`.
        told: The declaration's part.
        environment: Of the function.
        parameter: Reads SSM.

    Raises:
        ConfigError: The configuration cannot be meant.
        ValueError: The event is not as agreed.
    """
    given = event["input"]
    if not isinstance(given, Mapping):
        raise ConfigError(f"input: expected an object, got {type(given).__name__}")
    arrived, resumed = _arrived(given), _resumed(given)
    asked: Mapping[str, Any] = {} if arrived else {k: v for k, v in given.items() if k != "resume"}
    defaults = {"dataset": told.asset, "required_partitions": list(_identities(told)), **told.defaults}
    with said_by(defaults, {}, asked):
        dataset = check_dataset(merged(defaults, asked)["dataset"])
    said = _parameter(f"/ingestion/{told.pipeline}/{dataset}", parameter)
    with said_by(defaults, said, asked):
        if said.get("dataset", dataset) != dataset:
            raise ConfigError(f"dataset: the parameter of {dataset!r} cannot name another one")
        config = _resolved(parse(defaults, said, {**asked, "dataset": dataset}), told, environment)
        check_declared(config, told)
        check_table(config, told)
    if arrived and arrived.bucket != config.source_bucket:
        raise ConfigError(
            f"source_bucket: the event tells of {arrived.bucket}, not of {config.source_bucket}"
        )
    if arrived and not arrived.key.startswith(told.source_prefix):
        raise ConfigError(f"{arrived.identity.uri} does not lie below {told.source_prefix}")
    moment = parse_event_time(str(event["event_time"]))
    name = resumed or str(event["execution"])
    return Job(name, moment, told, config, environment["QUARANTINE"], bool(resumed)), arrived


def reopened(uri: str, told: Declared, environment: Mapping[str, str]) -> Job:
    """Open a run that `Validate` has begun, by its `config.json`.

    Raises:
        ValueError: There is no such document.
    """
    document = storage.get_json(uri)
    if document is None:
        raise ValueError(f"{uri}: there is no such configuration")
    moment = parse_event_time(document["event_time"])
    config = decode(Config, document["config"])
    return Job(document["job_id"], moment, told, config, environment["QUARANTINE"])


def document(job: Job) -> dict[str, Any]:
    """Return what `reopened` reads."""
    return {"job_id": job.id, "event_time": job.event_time.isoformat(), "config": encode(job.config)}


def _arrived(given: Mapping[str, Any]) -> S3Object | None:
    """Return the object of an event of EventBridge; None where the input is a configuration.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html
    """
    detail = given.get("detail")
    if not isinstance(detail, Mapping) or "object" not in detail:
        return None
    item, bucket = detail["object"], detail.get("bucket")
    if not isinstance(item, Mapping) or not isinstance(bucket, Mapping):
        raise ConfigError("input: an event of S3 has objects as detail.bucket and detail.object")
    said = {"bucket": bucket.get("name"), **{field: item.get(name) for field, name in _EVENT.items()}}
    try:
        return decode(S3Object, said)
    except ValueError as error:
        raise ConfigError(f"input: an event of S3 whose detail is none: {error}") from None


def _resumed(given: Mapping[str, Any]) -> str:
    """Return the run to take up again, as the input names it; empty for none."""
    name = given.get("resume", "")
    # https://docs.aws.amazon.com/step-functions/latest/apireference/API_StartExecution.html
    if not isinstance(name, str) or (name and not re.fullmatch(r"[A-Za-z0-9_.=+@-]{1,80}", name)):
        raise ConfigError(f"resume: {name!r} is no job_id, which is an execution's name")
    return name


def _parameter(name: str, read: ReadParameter) -> Mapping[str, Any]:
    text = read(name)
    if text is None:
        return {}
    try:
        found = json.loads(text)
    except ValueError as error:
        raise ConfigError(f"the parameter {name} is not JSON: {error}") from None
    if not isinstance(found, dict):
        raise ConfigError(f"the parameter {name} must hold a JSON object")
    return found


def _identities(told: Declared) -> tuple[str, ...]:
    return tuple(each.name for each in told.partition_by if each.transform == "identity")


def _resolved(config: Config, told: Declared, environment: Mapping[str, str]) -> Config:
    physical = {logical: environment[variable] for logical, variable in told.buckets.items()}

    def bucket(key: str) -> str:
        name: str = getattr(config, key)
        if name in physical:
            return physical[name]
        if name in physical.values():
            return name
        raise ConfigError(f"{key}: {name!r} is no bucket of this pipeline; there are {', '.join(physical)}")

    found = {key: bucket(key) for key in ("source_bucket", "target_bucket")}
    return decode(Config, {**encode(config), **found})
