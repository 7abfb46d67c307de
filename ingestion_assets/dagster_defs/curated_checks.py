"""A run's thresholds -> asset checks: one each, beside those of the contract's rules.

In: a run. Out: results with the figures. They are errors, because a run that breaks one publishes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator

import dagster as dg

from aws_runtime.plan import AssetPlan
from ingestion_assets.dagster_defs.checks import check_results, check_specs
from ingestion_assets.dagster_defs.curated_outcome import CuratedRun

#: Check -> what it asks, and the codes of `aws_runtime.curation.output_rules` that break it.
_THRESHOLDS = {
    "output_files": ("Every written file is Parquet in its partition's folder.", "OutputNotParquet", "OutputPartition"),
    "dq_rules__min_rows": ("The run has as many rows as `dq_rules.min_rows` says.", "TooFewRows"),
    "dq_rules__max_null_pct": ("No column has more nulls than `dq_rules` allow.", "TooManyNulls", "UnknownNulls"),
    "dq_rules__mandatory_columns": ("`dq_rules.mandatory_columns` are there and hold no null.", "MandatoryColumn"),
    "dq_rules__completeness": ("Every partition that `dq_rules.completeness` expects is there.", "IncompletePartitions"),
}  # fmt: skip


def curated_check_specs(plan: AssetPlan, key: dg.AssetKey) -> list[dg.AssetCheckSpec]:
    """Return the specs of every check of a curated asset."""
    thresholds = [
        dg.AssetCheckSpec(name, asset=key, description=description)
        for name, (description, *_) in _THRESHOLDS.items()
    ]
    return [*check_specs(plan, key), *thresholds]


def curated_check_results(
    plan: AssetPlan, key: dg.AssetKey, run: CuratedRun
) -> Iterator[dg.AssetCheckResult]:
    """Yield the result of each check that the run has come to; of a run without files, that of all."""
    if run.empty:
        for spec in curated_check_specs(plan, key):
            yield dg.AssetCheckResult(
                check_name=spec.name, passed=True, description="no new file: nothing was judged"
            )
        return
    rejected = check_results(
        plan, run.ledger, run.samples, run.counted or {"rows_out": 0, "rows_quarantined": 0}
    )
    yield from (
        result for result in rejected if run.counted is not None or result.check_name == "files_readable"
    )
    if run.report is None:
        return
    for name, (_, *codes) in _THRESHOLDS.items():
        broken = [each.message for each in run.report.broken if each.code in codes]
        yield dg.AssetCheckResult(
            check_name=name,
            passed=not broken,
            severity=dg.AssetCheckSeverity.ERROR,
            description="; ".join(broken) or None,
            metadata=dict(_figures(name, run)),
        )


def _figures(name: str, run: CuratedRun) -> Iterator[tuple[str, int | dg.MetadataValue]]:
    """Yield what a threshold is compared with, and what was found."""
    report, rules = run.report, run.config.dq_rules
    if report is None:
        return
    match name:
        case "output_files":
            yield "files", report.files
        case "dq_rules__min_rows":
            yield "rows", report.rows
            yield "min_rows", rules.min_rows
        case "dq_rules__max_null_pct":
            yield "null_shares", null_shares(run)
        case "dq_rules__mandatory_columns":
            yield "mandatory_columns", dg.MetadataValue.json(list(rules.mandatory_columns))
        case "dq_rules__completeness":
            yield "missing", len(report.missing)


def null_shares(run: CuratedRun) -> dg.MetadataValue:
    """Show the share of nulls of each column beside the most that it may have."""
    rules, shares = run.config.dq_rules, run.report.null_pct if run.report else {}
    return dg.MetadataValue.table(
        [
            dg.TableRecord(
                {
                    "column": name,
                    "nulls": f"{share:.2%}",
                    "at_most": f"{rules.max_null_pct_by_column.get(name, rules.max_null_pct):.2%}",
                }
            )
            for name, share in sorted(shares.items())
        ],
        dg.TableSchema([dg.TableColumn("column"), dg.TableColumn("nulls"), dg.TableColumn("at_most")]),
    )
