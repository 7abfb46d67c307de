"""Lambda: write what a run staged into its Delta table, once. In: `{"load": …}`. Out: `written`.

Environment: POWERTOOLS_SERVICE_NAME. `curation.json` lies at the root of the function's zip.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from aws_lambda_powertools import Logger

from aws_runtime.codec import decode
from aws_runtime.curation import delta_run
from aws_runtime.curation.declared import Declared
from aws_runtime.curation.delta import write_delta

#: Another run's writing takes minutes; the state machine waits better than a function, but begins anew.
PATIENCE_SECONDS = 60.0

logger = Logger()


@cache
def load_declared() -> Declared:
    """Read `curation.json` from the root of the function's code, without what checks configurations."""
    root = os.environ.get("LAMBDA_TASK_ROOT") or Path(__file__).parents[2]
    return decode(Declared, json.loads((Path(root) / "curation.json").read_text(encoding="utf-8")))


@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """Write a run into its table; a retry ends the same.

    Raises:
        ValueError: The event is not as agreed.
        DeltaWriteError: The table or the rows do not fit; nothing was written.
        PartitionsBusy: Another run is writing into the table; a retry waits for it.
    """
    told, run = load_declared(), delta_run.asked(event)
    logger.append_keys(pipeline=told.pipeline, asset=told.asset)
    logger.set_correlation_id(run.job_id)
    done = delta_run.once(run, lambda ready: _write(run, told, ready), patience=PATIENCE_SECONDS)
    logger.info("written", extra={"table": run.table, "version": done.version, "changed": done.changed})
    return {"status": "written", "table": run.table, "version": done.version}


def _write(run: delta_run.DeltaRun, told: Declared, ready: Callable[[], None]) -> None:
    staged = delta_run.staged(run)
    write_delta(
        staged.files,
        expected=staged.rows,
        table_uri=run.table,
        contract=told.output_contract,
        mode=run.mode,
        keys=run.keys,
        partition_by=[by.name for by in told.partition_by],
        job_id=run.job_id,
        event_time=run.moment,
        ready=ready,
    )
