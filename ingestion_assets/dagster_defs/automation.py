"""Declarations -> jobs and sensors: all assets at once, and each day as its files land.

In: a pipeline. Out: the job `<pipeline>_all`, which materializes all assets for one day or many, and
the sensor `<pipeline>_landed`, stopped by default, which asks for a day when its files change.
"""

# No `from __future__ import annotations`: Dagster reads the parameters' types of ops and sensors.
import hashlib
import json
from collections.abc import Iterator, Sequence
from typing import Any

import dagster as dg

from ingestion_assets.dagster_defs.assets import landed_files
from ingestion_assets.dagster_defs.curated_assets import on_aws
from ingestion_assets.dagster_defs.sites import LandedFile, LocalSite
from ingestion_assets.dagster_defs.specs import asset_key, trigger_source
from ingestion_assets.dagster_defs.storage import Storage
from ingestion_assets.pipeline import Pipeline

#: Runs that one evaluation of a sensor asks for; the rest follow at the next.
MOST_RUNS = 50


def all_job(pipeline: Pipeline) -> Any:  # of a class that Dagster does not export
    """Return the job over all assets of the pipeline, for the days that are asked for."""
    return dg.define_asset_job(
        f"{pipeline.name}_all",
        selection=dg.AssetSelection.assets(*(asset_key(pipeline, asset) for asset in pipeline.assets)),
        description="Every asset of the pipeline, for one day or a range of days in one run.",
        tags={"pipeline": pipeline.name},
    )


def landed_sensor(pipeline: Pipeline, job: Any) -> dg.SensorDefinition:
    """Return the sensor that starts a run for each day whose files are new or changed.

    The cursor holds a digest of the files' versions by day, so that an evaluation that was cut off
    is repeated, and the run key holds the same digest, so that its runs are not.
    """

    @dg.sensor(
        name=f"{pipeline.name}_landed",
        job=job,
        minimum_interval_seconds=30,
        default_status=dg.DefaultSensorStatus.STOPPED,
        description="A run for each day whose landed files are new or changed.",
    )
    def landed(context: dg.SensorEvaluationContext, storage: Storage) -> dg.SensorResult | dg.SkipReason:
        seen: dict[str, str] = json.loads(context.cursor) if context.cursor else {}
        site = storage.site()
        if pipeline.curation is not None and not isinstance(site, LocalSite):
            return dg.SkipReason(on_aws(pipeline))
        days = landed_files(pipeline, site)[trigger_source(pipeline).name]
        changed = list(_changed(days, seen))[:MOST_RUNS]
        if not changed:
            return dg.SkipReason("no file is new or changed")
        requests = [
            dg.RunRequest(run_key=f"{pipeline.name}:{day}:{digest}", partition_key=day or None)
            for day, digest in changed
        ]
        return dg.SensorResult(run_requests=requests, cursor=json.dumps({**seen, **dict(changed)}))

    return landed


def _changed(days: dict[str | None, list[LandedFile]], seen: dict[str, str]) -> Iterator[tuple[str, str]]:
    for day, files in sorted(days.items(), key=lambda item: item[0] or ""):
        digest = _digest(files)
        if seen.get(day or "") != digest:
            yield day or "", digest


def _digest(files: Sequence[LandedFile]) -> str:
    """Return the version of the only file, or a digest of all files' versions."""
    if len(files) == 1:
        return f"{files[0].key}@{files[0].version}"
    text = "\n".join(sorted(f"{file.key}@{file.version}" for file in files))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
