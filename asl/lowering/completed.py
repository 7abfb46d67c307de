"""An execution for another pipeline's completed run -> what is particular to it: who is the run, is there a file?

In: the event `Ingestion Completed` (docs/curation.md). Out: states and expressions that `files.py` puts in the
place of a file's. The run's manifest stands for the file, so that tracking, the sweeper and a redrive, whose event
names the manifest as S3 would, are the same.
"""

from __future__ import annotations

from asl.ir import Choice, Pass, Rule
from asl.lowering import endings
from asl.lowering.endings import BEGIN
from asl.lowering.expressions import EVENT, FILE, FILE_ID, NOW, VERSION, expression, quoted
from asl.lowering.updates import ARN, STARTED_AT
from ingestion_assets.pipeline import Pipeline, PipelineCompleted

ASKING = "Was anything published?"
NOTHING = "Nothing was published"

#: When the other run ended: the same in each event of it, unlike the time of the event.
TIME = f"{FILE}.event_time"
#: Where its manifest is.
MANIFEST = f"'s3://' & {FILE}.bucket & '/' & {FILE}.key"


def begin(trigger: PipelineCompleted, following: str) -> Pass:
    """Return the state that tells whose run it is; a redrive's event names the manifest and the job."""
    detail = f"{EVENT}.detail"
    item = f"{detail}.object"
    of_manifest = f"$exists({detail}.manifest) ? $substringAfter({detail}.manifest, 's3://') : ''"
    place = f"$exists({item}) ? {detail}.bucket.name & '/' & {item}.key : {of_manifest}"
    job = f"$exists({detail}.job_id) ? {detail}.job_id : {item}.`version-id`"
    time = f"$exists({detail}.finished_at) ? {detail}.finished_at : {EVENT}.time"
    return Pass(
        name=BEGIN,
        assign={
            FILE[1:]: expression(
                f"($place := {place}; {{'bucket': $substringBefore($place, '/'), "
                f"'key': $substringAfter($place, '/'), 'etag': '', 'size': 0, 'event_time': {time}}})"
            ),
            FILE_ID[1:]: expression(f"{quoted(trigger.pipeline + '/')} & ({job})"),
            VERSION[1:]: expression(job),
        },
        output={},
        next=following,
    )


def asking(pipeline: Pipeline, following: str) -> tuple[Choice, Pass]:
    """Return the choice whether there is anything to read, and the summary of a run without rows."""
    counted = f"{EVENT}.detail.output_count"
    zeros = ", ".join(f"'{name}': 0" for name in ("rows_in", "rows_out", "rows_quarantined", "output_count"))
    summary = (
        f"{{'file_id': {FILE_ID}, 'status': 'completed', 'pipeline': '{pipeline.name}', {zeros}, "
        "'outputs': [], 'quarantine': [], 'records': [], 'superseded': false, "
        f"'execution_arn': {ARN}, 'started_at': {STARTED_AT}, 'finished_at': {NOW}}}"
    )
    return (
        Choice(
            name=ASKING,
            rules=(
                Rule(
                    condition=f"{FILE}.key = '' or ($exists({counted}) and {counted} = 0)",
                    next=NOTHING,
                ),
            ),
            default=following,
        ),
        Pass(
            name=NOTHING,
            assign={"summary": expression(summary)},
            output={},
            next=endings.after_assets(pipeline),
        ),
    )
