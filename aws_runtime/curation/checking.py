"""Validate output: what a run staged against its thresholds, by footers and paths; no row is read.

In: the run and the files document of its run record. Out: the answer of the state `Validate output`,
and the whole report beside the run's other documents. An output that breaks a rule is an answer, no error.
"""

from __future__ import annotations

from typing import Any

from aws_runtime import storage
from aws_runtime.codec import encode
from aws_runtime.curation.job import Job
from aws_runtime.curation.judging import judge_staged, thresholds
from aws_runtime.curation.output_rules import OutputFile, OutputReport, judge_output
from aws_runtime.errors import RejectedFile
from aws_runtime.events import S3Object

#: Of the lists that a state machine hands on; the report has all.
LISTED, MESSAGE_CHARACTERS = 100, 2_000


class RunRecordError(Exception):
    """The run record, or the list of its files, is missing or is not that of a run of this job."""


def staged_files(job: Job, record: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return a run's record and the files that it staged.

    Raises:
        RunRecordError: One of both is missing, or a file lies outside of the run's staging.
    """
    found = storage.get_json(record)
    if found is None:
        raise RunRecordError(f"{record}: there is no such run record")
    if found["status"] == "rejected":
        return found, []
    files = storage.get_json(found["files"])
    if files is None:
        raise RunRecordError(f"{found['files']}: the list of the run's files is missing")
    outputs: list[dict[str, Any]] = files["outputs"]
    for entry in outputs:
        if not entry["uri"].startswith(f"{job.staging}output/"):
            raise RunRecordError(f"{entry['uri']} lies outside of the staging of {job.id}")
    return found, outputs


def check_output(job: Job, record: str) -> dict[str, Any]:
    """Judge what a run staged, and write the report `output.json`.

    Raises:
        RunRecordError: There is nothing to judge by.
    """
    found, outputs = staged_files(job, record)
    files = storage.each(lambda entry: _read(job, entry["uri"]), outputs) if outputs else []
    own = found["rows_out"] if "rows_staged" in found else None
    report = judge_output(files, thresholds(job.config), job.partitions, own)
    broken = [encode(one) for one in report.broken]
    if found["status"] == "rejected":
        broken.insert(0, found["reason"])
    rejected = found.get("files_rejected", 0)
    if found["status"] != "rejected" and rejected:
        what = f"the transform rejected {rejected:,} of the run's units: {found.get('rejected')}"
        broken.insert(0, {"code": "UnitsRejected", "message": what})
    storage.put_json(f"{job.runs}output.json", {**encode(report), "broken": broken})
    return _answer(job, report, broken)


def _read(job: Job, uri: str) -> OutputFile:
    below = uri.removeprefix(f"{job.staging}output/")
    try:
        item = storage.describe(S3Object(*storage.parse_uri(uri)))
    except RejectedFile as error:
        return OutputFile(uri, None, {}, f"{error.code}: {error.reason}")

    def read(start: int, length: int) -> bytes:
        return storage.read_range(item, start, length)

    return judge_staged(job.declared, below, uri, size=item.size or 0, read=read)


def _answer(job: Job, report: OutputReport, broken: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "status": "broken" if broken else "valid",
        "rows": report.rows,
        "files": report.files,
        "null_pct": dict(sorted(report.null_pct.items())[:LISTED]),
        "missing": [dict(one) for one in report.missing[:LISTED]],
        "report": f"{job.runs}output.json",
        "code": broken[0]["code"] if broken else "",
        "message": "; ".join(one["message"] for one in broken)[:MESSAGE_CHARACTERS],
    }
