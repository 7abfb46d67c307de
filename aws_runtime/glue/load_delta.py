"""Glue job, asked to load: write what a run staged into its Delta table, once.

In: a session, the asset's plan and the event `{"load": …}`. Out: `delta.json` (`aws_runtime.curation.delta_run`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from aws_runtime.curation import delta_log, delta_run
from aws_runtime.curation.delta_spark import write_delta
from aws_runtime.plan import AssetPlan

#: A job waits for another run's writing: starting anew costs more. Longer than a dead run's lease.
PATIENCE_SECONDS = 1500.0


def load(spark: Any, plan: AssetPlan, event: Mapping[str, Any]) -> delta_run.Written:
    """Write a run into its table; a retry ends the same.

    Raises:
        ValueError: The event is not as agreed.
        DeltaWriteError: The table or the rows do not fit; nothing was written.
        PartitionsBusy: Another run is still writing into the table.
    """
    run = delta_run.asked(event)

    def write(ready: Callable[[], None]) -> None:
        staged = delta_run.staged(run)
        write_delta(
            spark,
            (run.staging,) if staged.alone and staged.files else staged.files,
            base=run.staging,
            expected=staged.rows,
            table_uri=run.table,
            exists=delta_log.newest(run.table) is not None,
            contract=plan.output.contract,
            mode=run.mode,
            keys=run.keys,
            partition_by=[by.name for by in plan.output.partition_by],
            job_id=run.job_id,
            event_time=run.moment,
            ready=ready,
        )

    return delta_run.once(run, write, patience=PATIENCE_SECONDS)
