"""A configuration -> one execution of a curated pipeline's machine, followed to its end.

In: the deployed pipeline and the execution's input, as a user has it. Out: `ConfiguredRun` after each
look: the states that it has entered, and at its end what it did or why it failed.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from asl.deploy import tracking
from asl.deploy.errors import OperationError
from asl.deploy.files import LocalFile
from asl.deploy.locate import Deployed
from asl.deploy.run import RUNNING, SUCCEEDED
from asl.deploy.target import Target

#: https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html
INPUT_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class ConfiguredRun:
    """One execution.

    Args:
        name: Its name, which is the run's `job_id`.
        execution: ARN.
        status: RUNNING, or the execution's own final status.
        states: Names of the states entered so far, in order.
        summary: Its output, once it has succeeded.
        error: Why it failed.
    """

    name: str
    execution: str
    status: str = RUNNING
    states: tuple[str, ...] = ()
    summary: Mapping[str, Any] | None = None
    error: str | None = None

    @property
    def well(self) -> bool:
        """Whether it succeeded."""
        return self.status == SUCCEEDED

    def to_json(self) -> dict[str, Any]:
        """Return what `asl run --json` prints of it."""
        return {
            "name": self.name,
            "status": self.status,
            "states": list(self.states),
            "summary": self.summary,
            "error": self.error,
        }


def read_configuration(path: Path) -> dict[str, Any]:
    """Read the execution's input.

    Raises:
        OperationError: ASL424, when the file is no JSON object, or larger than an execution takes.
    """
    try:
        given = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise OperationError("ASL424", f"{path} is no JSON: {error}", "Write one JSON object") from None
    if not isinstance(given, dict):
        raise OperationError("ASL424", f"{path} holds a {type(given).__name__}", "Write one JSON object")
    if len(json.dumps(given).encode()) > INPUT_BYTES:
        raise OperationError(
            "ASL424", f"{path} is larger than {INPUT_BYTES:,} bytes", "Keep the configuration in SSM"
        )
    return given


def starting(files: Sequence[LocalFile], suffixes: Sequence[str]) -> tuple[LocalFile, ...]:
    """Return the files whose arrival starts a run by itself."""
    return tuple(file for file in files if not suffixes or file.relative_key.endswith(tuple(suffixes)))


def start(target: Target, deployed: Deployed, configuration: Mapping[str, Any]) -> ConfiguredRun:
    """Start one execution with `configuration` as its input."""
    name = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{uuid4().hex[:8]}"
    found = target.client("stepfunctions").start_execution(
        stateMachineArn=deployed.machine, name=name, input=json.dumps(configuration)
    )
    return ConfiguredRun(name, found["executionArn"])


def follow(
    target: Target,
    deployed: Deployed,
    run: ConfiguredRun,
    *,
    timeout: float,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[ConfiguredRun]:
    """Yield the run after each look, until it has ended or `timeout` seconds passed."""
    deadline, pause = clock() + timeout, 0.3 if target.is_local else 2.0
    while True:
        found = target.client("stepfunctions").describe_execution(executionArn=run.execution)
        run = replace(run, status=found["status"], states=_entered(target, run.execution))
        if run.status != RUNNING:
            yield _ended(target, deployed, run, found)
            return
        if clock() >= deadline:
            yield replace(run, error=f"still running after {timeout:g} s")
            return
        yield run
        sleep(pause)


def _entered(target: Target, execution: str) -> tuple[str, ...]:
    pages = target.client("stepfunctions").get_paginator("get_execution_history")
    found = pages.paginate(executionArn=execution, includeExecutionData=False)
    events = (event for page in found for event in page["events"])
    return tuple(e["stateEnteredEventDetails"]["name"] for e in events if "stateEnteredEventDetails" in e)


def _ended(target: Target, deployed: Deployed, run: ConfiguredRun, found: Mapping[str, Any]) -> ConfiguredRun:
    if run.status == SUCCEEDED:
        return replace(run, summary=json.loads(found.get("output") or "{}"))
    items = tracking.raw_items(target, deployed.table, [{"file_id": {"S": f"run/{run.name}"}}])
    said = tracking.reason(tracking.plain(items[0])) if items else None
    plain = ": ".join(tracking.plainly(found[part]) for part in ("error", "cause") if found.get(part))
    return replace(run, error=said or plain or run.status)
