"""The pipelines' life on the local AWS: deploy once, upload, follow, and bring back what was written.

In: an export and files. Out: an `Outcome` for each pipeline, and the objects below a folder.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

from examples import Example
from outcome import Outcome
from rich.console import Console

from asl import names
from asl.deploy import configured_runs, deployment, progress, runs, tracking
from asl.deploy import stack as stacks
from asl.deploy.files import expand
from asl.deploy.locate import Deployed, locate
from asl.deploy.target import Target
from aws_runtime.identity import FileIdentity

DOWNLOADS = 8
POLL_SECONDS = 0.3


def deploy(account: Target, stack: str, export: Path, console: Console) -> None:
    """Create the stack of all pipelines."""
    changes = deployment.propose(account, stack, export, {}, lambda line: console.print(f"  {line}"))
    stacks.execute(account, stack)
    routes = deployment.finish(account, stack, export)
    console.print(f"  {len(changes)} resources created, {len(routes)} routes written")


def upload(
    account: Target, stack: str, example: Example, root: Path
) -> tuple[Deployed, tuple[FileIdentity, ...]]:
    """Put an example's sample files where its source receives them, and return those that start executions."""
    deployed = locate(account, stack, example.pipeline)
    if example.follows:
        return deployed, ()
    files = expand((str(example.landing(root)),))
    if example.pipeline.curation is None:
        return deployed, runs.upload(account, deployed, files)
    marks = configured_runs.starting(files, example.pipeline.trigger.suffixes)
    runs.upload(account, deployed, [file for file in files if file not in marks])
    return deployed, runs.upload(account, deployed, marks)


def follow_after(account: Target, deployed: Deployed, *, timeout: float) -> Outcome:
    """Wait for the run that another pipeline's completed run starts."""
    deadline = time.monotonic() + timeout
    while True:
        items = [tracking.plain(item) for item in tracking.everything(account, deployed)]
        if items and all(item["status"] in ("completed", "failed") for item in items):
            break
        if time.monotonic() > deadline:
            return Outcome(0, 0, 0, (), (f"no run of {deployed.pipeline} within {timeout:g} s",))
        time.sleep(POLL_SECONDS)
    return Outcome(
        *(
            sum(int(item.get(name) or 0) for item in items)
            for name in ("rows_in", "rows_out", "rows_quarantined")
        ),
        rejected=(),
        unfinished=tuple(
            f"{item['file_id']}: {item['status']}" for item in items if item["status"] != "completed"
        ),
        executions=len(items),
    )


def rejected_files(account: Target, stack: str, example: Example) -> tuple[str, ...]:
    """Return the keys of the files that a curated pipeline has put aside, as their reasons name them."""
    physical = {logical: found for logical, (_, found) in stacks.resources(account, stack).items()}
    bucket = physical[names.bucket_id(example.pipeline.quarantine.name)]
    api, prefix = account.client("s3"), f"rejected/{example.name}/"
    pages = api.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    keys = [item["Key"] for page in pages for item in page.get("Contents", ())]
    reasons = [key for key in keys if key.endswith("/reason.json")]
    told = [json.loads(api.get_object(Bucket=bucket, Key=key)["Body"].read()) for key in reasons]
    return tuple(sorted(file["key"] for reason in told for file in reason["files"]))


def follow(
    account: Target,
    deployed: Deployed,
    sent: Sequence[FileIdentity],
    *,
    since: datetime,
    timeout: float,
    console: Console,
) -> Outcome:
    """Follow files to their ends; a batch that waits for more files is started as it is."""
    state: tuple[runs.Run, ...] = ()
    flush = deployed.trigger == "batches"
    with progress.shown(console, deployed.pipeline) as display:
        for state in runs.follow(account, deployed, sent, since=since, timeout=timeout, flush=flush):
            display.show(state)
    progress.explain(console, state, deployed.pipeline)
    rejected = [run for run in state if (run.item or {}).get("status") == "rejected"]
    return Outcome(
        rows_in=sum(run.rows("rows_in") for run in state),
        rows_out=sum(run.rows("rows_out") for run in state),
        rows_quarantined=sum(run.rows("rows_quarantined") for run in state),
        rejected=tuple(sorted(run.file.key for run in rejected)),
        unfinished=tuple(
            f"{run.file.key}: {run.status} {run.error or ''}"
            for run in state
            if run.status != runs.SUCCEEDED and run not in rejected
        ),
        executions=len({run.execution for run in state}),
    )


def glue_runs(account: Target, stack: str, example: Example) -> int:
    """Count the Glue job runs of an example's assets."""
    physical = {logical: found for logical, (_, found) in stacks.resources(account, stack).items()}
    jobs = [physical.get(names.job_id(example.name, asset.name)) for asset in example.pipeline.assets]
    api = account.client("glue")
    return sum(len(api.get_job_runs(JobName=job)["JobRuns"]) for job in jobs if job)


def download(account: Target, stack: str, buckets: Sequence[str], root: Path) -> None:
    """Copy the objects of logical buckets to `<root>/<bucket>/<key>`."""
    physical = {logical: found for logical, (_, found) in stacks.resources(account, stack).items()}
    api = account.client("s3")

    def fetch(bucket: str, key: str) -> None:
        path = root / bucket / key
        path.parent.mkdir(parents=True, exist_ok=True)
        api.download_file(physical[names.bucket_id(bucket)], key, str(path))

    with ThreadPoolExecutor(DOWNLOADS) as pool:
        for bucket in buckets:
            pages = api.get_paginator("list_objects_v2").paginate(Bucket=physical[names.bucket_id(bucket)])
            keys = [item["Key"] for page in pages for item in page.get("Contents", ())]
            list(pool.map(fetch, [bucket] * len(keys), keys))
