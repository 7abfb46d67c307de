"""Machine -> what it may cost and how close it comes to AWS's limits, for `budget.json`.

In: a pipeline, its machine and its definition. Out: a `Budget`, or a `CompileError` over a limit.
The history and the payload are worst cases, transitions and cost those of a file that goes well.
https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from asl import prices
from asl.ir import Choice, Fail, Machine, Map, Parallel, Retrier, State, Task
from asl.lowering.assets import uris_of_one
from asl.states import successors, walk
from ingestion_assets.asset import IngestionAsset
from ingestion_assets.errors import CompileError
from ingestion_assets.pipeline import Pipeline

DEFINITION_BYTES = 1024 * 1024
HISTORY_EVENTS = 25_000
PAYLOAD_BYTES = 256 * 1024

#: The most that one substituted name or ARN adds.
PLACEHOLDER_BYTES = 170
#: The largest run record (`aws_runtime.records`), and what surrounds it in a Lambda's answer.
RECORD_BYTES, ANSWER_BYTES = 200 * 1024, 512
KEY_BYTES, BUCKET_BYTES, EXECUTION_BYTES, STEM_BYTES = 1024, 63, 80, 60
#: Of the reason of a rejection, with its quotes; and a run's names, counts and status.
REASON_BYTES, COUNTS_BYTES = 4352, 256
#: A folder's value: a date's part is short, any other value is allowed this much.
DATE_BYTES, VALUE_BYTES = 13, 256

#: What one asset of one file is assumed to take.
LAMBDA_SECONDS, GLUE_SECONDS = 1.0, 90.0
S3_WRITES, S3_READS, TRACKING_WRITES = 4, 2, 4


@dataclass(frozen=True, slots=True)
class Budget:
    """What a machine needs.

    Args:
        definition_bytes: Of at most 1 MB.
        history_events: Worst case, of at most 25,000: every retry used, every map at its largest.
        payload_bytes: Worst case of one state's input or output, of at most 256 KiB.
        transitions: Of a file that goes well, with partitions that fit one request.
        dollars_per_million_files: By service, and in total; crawlers apart.
    """

    definition_bytes: int
    history_events: int
    payload_bytes: int
    transitions: int
    dollars_per_million_files: Mapping[str, float]

    def to_json(self) -> dict[str, Any]:
        """Return JSON values, with the limits and assumptions that the figures stand on."""
        return {
            **asdict(self),
            "limits": {
                "definition_bytes": DEFINITION_BYTES,
                "history_events": HISTORY_EVENTS,
                "payload_bytes": PAYLOAD_BYTES,
            },
            "assumptions": {
                "prices": f"{prices.REGION}, {prices.AS_OF}",
                "lambda_seconds": LAMBDA_SECONDS,
                "glue_seconds": GLUE_SECONDS,
                "dollars_per_crawler_start": round(prices.CRAWLER_START, 4),
            },
        }


def budget(pipeline: Pipeline, machine: Machine, definition: Mapping[str, Any]) -> Budget:
    """Compute the budget of a machine.

    Raises:
        CompileError: ASL210 for a definition, ASL211 for a history, ASL212 for a payload that is
            over its limit.
    """
    found = Budget(
        definition_bytes=definition_bytes(definition),
        history_events=2 + history_events(machine.states),
        payload_bytes=payload_bytes(pipeline),
        transitions=transitions(machine.states),
        dollars_per_million_files=dollars(pipeline, machine),
    )
    where = replace(pipeline.where, pipeline=pipeline.name)
    hint = "Split the pipeline: an asset of another pipeline can start from this one's files"
    limits = (
        ("ASL210", "definition has {:,} bytes, AWS takes {:,}", found.definition_bytes, DEFINITION_BYTES),
        ("ASL211", "history may grow to {:,} events, AWS keeps {:,}", found.history_events, HISTORY_EVENTS),
        ("ASL212", "payload may grow to {:,} bytes, AWS passes on {:,}", found.payload_bytes, PAYLOAD_BYTES),
    )
    for code, what, needed, limit in limits:
        if needed > limit:
            raise CompileError(code, where, f"the state machine's {what.format(needed, limit)}", hint)
    return found


def definition_bytes(definition: Mapping[str, Any]) -> int:
    """Return the size of the definition as it is deployed, each placeholder at its longest."""
    text = json.dumps(definition, ensure_ascii=False, separators=(",", ":"))
    return len(text.encode()) + text.count("${") * PLACEHOLDER_BYTES


def history_events(states: Sequence[State]) -> int:
    """Return the most events that the states' longest path writes into an execution's history.

    Every retry of every Task is used, but of a Map's iterations only one's: they are bounded by the
    execution's timeout long before all of them have used theirs.
    """
    return _longest(states, _events)


def _events(state: State) -> int:
    match state:
        case Task():
            submitted = 1 if state.integration.resource.endswith(".sync") else 0
            # Entered and exited; each try is scheduled, started and ended.
            return 2 + (3 + submitted) * _tries(state.retry)
        case Parallel():
            inner = 2 + sum(history_events(branch.states) for branch in state.branches)
            return 2 + inner * _tries(state.retry)
        case Map():
            calm = 2 + _longest(state.processor.states, _calm_events)
            return 4 + (state.max_items - 1) * calm + 2 + history_events(state.processor.states)
        case Fail():
            return 1
        case _:
            return 2


def _calm_events(state: State) -> int:
    """Return the events of a state that succeeds at once."""
    calm = replace(state, retry=()) if isinstance(state, Task) else state
    return _events(calm)


def _tries(retry: tuple[Retrier, ...]) -> int:
    return 1 + sum(retrier.attempts for retrier in retry)


def _longest(states: Sequence[State], weight: Callable[[State], int]) -> int:
    """Return the largest sum of weights along any path; the states' graph has no cycle."""
    named = {state.name: state for state in states}
    best: dict[str, int] = {}
    stack = [states[0].name]
    while stack:
        name = stack[-1]
        waiting = [following for following in successors(named[name]) if following not in best]
        if waiting:
            stack += waiting
            continue
        stack.pop()
        following = max((best[other] for other in successors(named[name])), default=0)
        best[name] = weight(named[name]) + following
    return best[states[0].name]


def transitions(states: Sequence[State]) -> int:
    """Return how many states a file that goes well enters."""
    named = {state.name: state for state in states}
    count, name = 0, states[0].name
    following: str | None = name
    while following:
        state = named[following]
        count += 1
        match state:
            case Parallel():
                count += sum(transitions(branch.states) for branch in state.branches)
            case Map():
                count += transitions(state.processor.states)
            case _:
                pass
        following = state.default if isinstance(state, Choice) else getattr(state, "next", None)
    return count


def payload_bytes(pipeline: Pipeline) -> int:
    """Return the largest input or output of a state, in the worst case."""
    runs = sum(_run_bytes(pipeline, asset) for asset in pipeline.assets)
    requests = (_partitions_bytes(asset) for asset in pipeline.assets)
    return max(RECORD_BYTES + ANSWER_BYTES, COUNTS_BYTES + KEY_BYTES + runs, *requests)


def _folder_bytes(asset: IngestionAsset) -> int:
    return sum(
        len(by.name) + 2 + (VALUE_BYTES if by.transform == "identity" else DATE_BYTES)
        for by in asset.destination.partition_by
    )


def _run_bytes(pipeline: Pipeline, asset: IngestionAsset) -> int:
    uris = uris_of_one(pipeline)
    output = BUCKET_BYTES + len(asset.destination.prefix) + _folder_bytes(asset) + STEM_BYTES
    rejected = BUCKET_BYTES + KEY_BYTES + STEM_BYTES
    record = BUCKET_BYTES + len(pipeline.name) + len(asset.name) + EXECUTION_BYTES + 24
    # A run has outputs or a rejected file with its reason, never both.
    return (
        COUNTS_BYTES + len(asset.name) + record + max(uris * output, min(uris, 1) * rejected + REASON_BYTES)
    )


def _partitions_bytes(asset: IngestionAsset) -> int:
    location = BUCKET_BYTES + len(asset.destination.prefix) + _folder_bytes(asset)
    return 100 * (400 + location + _folder_bytes(asset))


def dollars(pipeline: Pipeline, machine: Machine) -> dict[str, float]:
    """Return what a million files cost, by service."""
    assets = pipeline.assets
    functions = [asset for asset in assets if asset.processor.kind == "lambda"]
    jobs = [asset for asset in assets if asset.processor.kind == "glue_pyspark"]
    memory = sum(asset.processor.memory_mb / 1024 for asset in functions)
    workers = sum(asset.processor.workers for asset in jobs)
    catalog = sum(1 for visit in walk(machine.states) if isinstance(visit.state, Map))
    seconds = max(GLUE_SECONDS, prices.GLUE_MINIMUM_SECONDS)
    each = {
        "step_functions": transitions(machine.states) * prices.TRANSITION,
        "lambda": memory * LAMBDA_SECONDS * prices.LAMBDA_GB_SECOND + len(functions) * prices.LAMBDA_REQUEST,
        "glue": workers * seconds / 3600 * prices.GLUE_DPU_HOUR + catalog * prices.CATALOG_REQUEST,
        "eventbridge": 2 * prices.EVENT,
        "dynamodb": TRACKING_WRITES * prices.DYNAMODB_WRITE,
        "s3": len(assets) * (S3_WRITES * prices.S3_WRITE + S3_READS * prices.S3_READ),
    }
    million = {name: round(cost * 1_000_000, 2) for name, cost in each.items()}
    return {**million, "total": round(sum(million.values()), 2)}
