"""Machine -> what it may cost and how close it comes to AWS's limits, for `budget.json`.

In: a pipeline, its machine and its definition. Out: a `Budget`, or a `CompileError` over a limit.
The history and the payload are worst cases, transitions and cost those of an execution that goes well.
https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from asl import prices
from asl.cost.door import MESSAGES, TRACKED_WRITES, batch_writes
from asl.cost.path import path
from asl.ir import Choice, Fail, Machine, Map, Parallel, Retrier, State, Task
from asl.lowering.assets import MOST_URIS, uris_of_one
from asl.lowering.curation import STEP_MEMORY_MB
from asl.states import successors
from asl.triggers import by_rule, step_ids
from asl.variants import is_function, runner_id, variant_for, variants
from ingestion_assets.asset import IngestionAsset
from ingestion_assets.errors import CompileError
from ingestion_assets.pipeline import Pipeline, S3Batches

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
#: Of a curated run: a summary without its lists, and the URIs of quarantined rows (`aws_runtime.records`).
SUMMARY_BYTES, QUARANTINE_BYTES = 1024, 12 * 1024
#: Of a batch: the digests, codes and messages of fifty rejected files.
REJECTED_BYTES = 50 * 540
#: A folder's value: a date's part is short, any other value is allowed this much.
DATE_BYTES, VALUE_BYTES = 13, 256

#: What one asset of one file is assumed to take.
LAMBDA_SECONDS, GLUE_SECONDS = 1.0, 90.0
S3_WRITES, S3_READS = 4, 2
#: What a message at the front door is assumed to take, up to ten together.
DOOR_SECONDS, DOOR_GB = 0.4, 0.5


@dataclass(frozen=True, slots=True)
class Budget:
    """What a machine needs.

    Args:
        definition_bytes: Of at most 1 MB.
        history_events: Worst case, of at most 25,000: every retry used, every map at its largest.
        payload_bytes: Worst case of one state's input or output, of at most 256 KiB.
        transitions: Of an execution that goes well, with partitions that fit one request.
        files: Of an execution.
        dollars_per_million_files: By service, and in total; crawlers apart.
        dollars_per_million_files_on_glue: The same for files above the thresholds of `auto`; None
            where no processor is `auto`.
    """

    definition_bytes: int
    history_events: int
    payload_bytes: int
    transitions: int
    files: int
    dollars_per_million_files: Mapping[str, float]
    dollars_per_million_files_on_glue: Mapping[str, float] | None

    def to_json(self) -> dict[str, Any]:
        """Return JSON values, with the limits and assumptions that the figures stand on."""
        return {
            **{name: value for name, value in asdict(self).items() if value is not None},
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
    decided = any(len(variants(asset)) > 1 for asset in pipeline.assets)
    found = Budget(
        definition_bytes=definition_bytes(definition),
        history_events=2 + history_events(machine.states),
        payload_bytes=payload_bytes(pipeline),
        transitions=path(machine.states, runners(pipeline, large=False)).transitions,
        files=files_of_one(pipeline),
        dollars_per_million_files=dollars(pipeline, machine),
        dollars_per_million_files_on_glue=dollars(pipeline, machine, large=True) if decided else None,
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
    """Return the largest sum of weights along any path, with every way back gone as often as it may be."""
    named = {state.name: state for state in states}
    whole = _heaviest(named, states[0].name, None, weight)
    for state in states:
        for rule in state.rules if isinstance(state, Choice) else ():
            if rule.back:
                whole += rule.back * _heaviest(named, rule.next, state.name, weight)
    return whole


def _heaviest(named: Mapping[str, State], start: str, end: str | None, weight: Callable[[State], int]) -> int:
    """Return the largest sum along a path from `start`, to `end` or to any last state; no way back is gone.

    Raises:
        ValueError: A state leads back to itself, and no rule says how often.
    """
    best: dict[str, float] = {}
    stack, under_way = [start], set[str]()
    while stack:
        name = stack[-1]
        ahead = () if name == end else _ahead(named[name])
        waiting = [following for following in ahead if following not in best]
        if waiting:
            under_way.add(name)
            if found := under_way & set(waiting):
                raise ValueError(f"{min(found)} leads back to itself, and no rule says how often")
            stack += waiting
            continue
        stack.pop()
        under_way.discard(name)
        last = 0 if end in (None, name) else float("-inf")
        best[name] = weight(named[name]) + max((best[other] for other in ahead), default=last)
    return max(0, int(best[start])) if best[start] > float("-inf") else 0


def _ahead(state: State) -> tuple[str, ...]:
    if isinstance(state, Choice):
        state = replace(state, rules=tuple(rule for rule in state.rules if not rule.back))
    return successors(state)


def runners(pipeline: Pipeline, *, large: bool) -> list[str]:
    """Return the logical ids of what runs the assets of small files, or of large ones."""
    return [runner_id(pipeline.name, variant_for(asset, large=large), asset) for asset in pipeline.assets]


def payload_bytes(pipeline: Pipeline) -> int:
    """Return the largest input or output of a state, in the worst case."""
    if pipeline.curation:
        return max(RECORD_BYTES + ANSWER_BYTES, *(_summary_bytes(pipeline, each) for each in pipeline.assets))
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
        COUNTS_BYTES
        + (REJECTED_BYTES if isinstance(pipeline.trigger, S3Batches) else 0)
        + len(asset.name)
        + record
        + max(uris * output, min(uris, 1) * rejected + REASON_BYTES)
    )


def _summary_bytes(pipeline: Pipeline, asset: IngestionAsset) -> int:
    """Return the most that a curated run's summary holds: the first outputs, and the first partitions."""
    folder = _folder_bytes(asset)
    output = BUCKET_BYTES + len(asset.destination.prefix) + folder + STEM_BYTES
    source = BUCKET_BYTES + KEY_BYTES
    record = BUCKET_BYTES + len(pipeline.name) + len(asset.name) + EXECUTION_BYTES + 24
    return SUMMARY_BYTES + source + 2 * record + MOST_URIS * (output + folder) + QUARANTINE_BYTES


def _partitions_bytes(asset: IngestionAsset) -> int:
    location = BUCKET_BYTES + len(asset.destination.prefix) + _folder_bytes(asset)
    return 100 * (400 + location + _folder_bytes(asset))


def dollars(pipeline: Pipeline, machine: Machine, *, large: bool = False) -> dict[str, float]:
    """Return what a million files cost, by service.

    Args:
        pipeline: Its batches are taken to be full.
        machine: The pipeline's.
        large: Whether files are above the thresholds of `auto`.
    """
    runs = [variant_for(asset, large=large) for asset in pipeline.assets]
    functions = [asset for asset in runs if is_function(asset)]
    jobs = [asset for asset in runs if not is_function(asset)]
    went = path(machine.states, runners(pipeline, large=large))
    seconds = max(GLUE_SECONDS, prices.GLUE_MINIMUM_SECONDS)
    execution = Counter(
        {
            "step_functions": went.transitions * prices.TRANSITION,
            "lambda": went.calls["lambda_invoke"] * prices.LAMBDA_REQUEST,
            "glue": sum(asset.processor.workers for asset in jobs) * seconds / 3600 * prices.GLUE_DPU_HOUR
            + went.calls["glue_batch_create_partition"] * prices.CATALOG_REQUEST,
            "eventbridge": prices.EVENT,
        }
    )
    memory = sum(asset.processor.memory_mb / 1024 for asset in functions)
    memory += len(step_ids(pipeline)) * STEP_MEMORY_MB / 1024
    file = Counter(
        {
            "lambda": memory * LAMBDA_SECONDS * prices.LAMBDA_GB_SECOND,
            "s3": len(runs) * (S3_WRITES * prices.S3_WRITE + S3_READS * prices.S3_READ),
        }
    )
    file.update(_arrival(pipeline))
    files = files_of_one(pipeline)
    million = {
        name: round((execution[name] / files + file[name]) * 1_000_000, 2)
        for name in ("step_functions", "lambda", "glue", "eventbridge", "sqs", "dynamodb", "s3")
    }
    return {**million, "total": round(sum(million.values()), 2)}


def files_of_one(pipeline: Pipeline) -> int:
    """Return how many files an execution is for; batches are taken to be full."""
    return pipeline.trigger.files if isinstance(pipeline.trigger, S3Batches) else 1


def _arrival(pipeline: Pipeline) -> dict[str, float]:
    """Return what a file costs before its execution, and until it is tracked as done."""
    if by_rule(pipeline):
        return {"eventbridge": prices.EVENT, "dynamodb": TRACKED_WRITES * prices.DYNAMODB_WRITE}
    files = files_of_one(pipeline)
    messages = min(MESSAGES, files)
    writes = TRACKED_WRITES if files == 1 else batch_writes(files, messages) / files
    invocation = prices.LAMBDA_REQUEST + DOOR_SECONDS * DOOR_GB * prices.LAMBDA_GB_SECOND
    return {
        # Sent by S3; received and deleted, up to ten together.
        "sqs": (1 + 2 / messages) * prices.PRICES["queue_request"].each,
        "lambda": invocation / messages,
        "dynamodb": writes * prices.DYNAMODB_WRITE,
        # The manifest.
        "s3": (prices.S3_WRITE + prices.S3_READ) / files if isinstance(pipeline.trigger, S3Batches) else 0.0,
    }
