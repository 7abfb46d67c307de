"""Contract rules -> asset checks: one a rule, and what a run found out about each.

In: an asset's plan. Out: check specs at definition time, and check results from a ledger. A row
that breaks a rule is in quarantine, not in the asset, so its check fails as a warning and blocks
nothing; a file that was rejected whole is an error; lost rows block what is downstream.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import dagster as dg

from aws_runtime.contract import Contract, Severity
from aws_runtime.plan import AssetPlan
from ingestion_assets.dagster_defs.ledger import Ledger
from ingestion_assets.dagster_defs.quarantine import Sample, samples_table

FILES_READABLE = "files_readable"
RECORDS_READABLE = "records_readable"
ROWS_CONSERVED = "rows_conserved"
MOST_LISTED = 100


@dataclass(frozen=True, slots=True)
class RuleCheck:
    """One rule as a check.

    Args:
        name: Of the check: letters, digits and `_`.
        id: In a ledger's violations: `stage.rule`.
        rule: The rule's id, as the quarantine's reasons are about it.
        stage: The input or the asset that it judges.
        column: What it is about: one column, or several together.
        description: What the rule asks.
        severity: ERROR quarantines, WARN only counts.
    """

    name: str
    id: str
    rule: str
    stage: str
    column: str
    description: str
    severity: Severity


def rule_checks(plan: AssetPlan) -> tuple[RuleCheck, ...]:
    """Return one check for each rule of the asset's contract and of its sources' contracts."""
    stages = [(plan.asset, plan.output.contract)]
    stages += [(given.name, given.contract) for given in plan.inputs if given.origin == "source"]
    checks: dict[str, RuleCheck] = {}
    for stage, contract in stages:
        for rule, column, description, severity in _rules(contract):
            name = rule if stage == plan.asset else f"{stage}.{rule}"
            check = RuleCheck(check_name(name), f"{stage}.{rule}", rule, stage, column, description, severity)
            checks.setdefault(check.name, check)
    return tuple(checks.values())


def check_name(rule: str) -> str:
    """Spell a rule's id as Dagster allows: `price__greater_than_or_equal_to`, `a_b__unique`."""
    column, _, kind = rule.rpartition(".")
    return "__".join(re.sub(r"\W+", "_", part).strip("_") for part in (column, kind) if part)


def _rules(contract: Contract) -> Iterator[tuple[str, str, str, Severity]]:
    for column in contract.columns:
        name, error = column.name, Severity.ERROR
        if column.coerce:
            yield f"{name}.coerce", name, f"{name} can be read as {column.type}", error
        if not column.nullable:
            yield f"{name}.not_null", name, f"{name} is not null", error
        if column.unique:
            yield f"{name}.unique", name, f"each {name} occurs once in a file", error
        for rule in column.rules:
            arguments = ", ".join(f"{key}={value!r}" for key, value in rule.args.items())
            yield rule.id, name, f"{name}: {rule.check}({arguments})", rule.severity
    for columns in contract.unique:
        together = ",".join(columns)
        yield f"({together}).unique", together, f"{together} occur together once in a file", Severity.ERROR


def check_specs(plan: AssetPlan, key: dg.AssetKey) -> list[dg.AssetCheckSpec]:
    """Return the specs of every check of one asset."""
    whole = [
        dg.AssetCheckSpec(
            ROWS_CONSERVED,
            asset=key,
            blocking=True,
            description="Rows in = rows written + rows in quarantine, counted again in the files themselves.",
        ),
        dg.AssetCheckSpec(
            FILES_READABLE,
            asset=key,
            description="Every landed file can be ingested; those that cannot are kept, with their reasons.",
        ),
        dg.AssetCheckSpec(
            RECORDS_READABLE,
            asset=key,
            description="Every record of every file can be read; those that cannot are in quarantine.",
        ),
    ]
    return whole + [
        dg.AssetCheckSpec(
            check.name,
            asset=key,
            description=check.description,
            metadata={"rule": check.id, "severity": check.severity.value},
        )
        for check in rule_checks(plan)
    ]


def check_results(
    plan: AssetPlan, ledger: Ledger, samples: Sequence[Sample], counted: Mapping[str, int]
) -> Iterator[dg.AssetCheckResult]:
    """Yield the result of every check of one run.

    Args:
        plan: The asset.
        ledger: What the run did.
        samples: Rows of the quarantine.
        counted: `rows_out` and `rows_quarantined` as counted in the files written.
    """
    yield _rows_conserved(ledger, counted)
    yield _files_readable(ledger)
    checks = rule_checks(plan)
    known = {check.id for check in checks}
    unread = {rule: count for rule, count in ledger.violations.items() if rule not in known}
    yield _counted(
        RECORDS_READABLE, sum(unread.values()), [s for s in samples if not _about(s, checks)], unread
    )
    for check in checks:
        about = [sample for sample in samples if _about(sample, [check])]
        yield _counted(check.name, ledger.violations.get(check.id, 0), about, {})


def _about(sample: Sample, checks: Iterable[RuleCheck]) -> bool:
    """Whether a quarantined row's reasons speak of a rule's column."""
    return any(
        sample.stage == check.stage
        and any(re.match(rf"\(?{re.escape(check.column)}\b", reason) for reason in sample.reasons)
        for check in checks
    )


def _rows_conserved(ledger: Ledger, counted: Mapping[str, int]) -> dg.AssetCheckResult:
    recorded = {"rows_out": ledger.rows_out, "rows_quarantined": ledger.rows_quarantined}
    passed = recorded == dict(counted) and ledger.rows_in == sum(counted.values())
    return dg.AssetCheckResult(
        check_name=ROWS_CONSERVED,
        passed=passed,
        severity=dg.AssetCheckSeverity.ERROR,
        description=f"{ledger.rows_in:,} rows in = {counted['rows_out']:,} written + "
        f"{counted['rows_quarantined']:,} in quarantine"
        if passed
        else f"{ledger.rows_in:,} rows in, but the files hold {counted['rows_out']:,} written and "
        f"{counted['rows_quarantined']:,} in quarantine",
        metadata={"rows_in": ledger.rows_in, **counted},
    )


def _files_readable(ledger: Ledger) -> dg.AssetCheckResult:
    rejected = ledger.rejected
    table = [
        dg.TableRecord({"file": r.uri, "code": r.code, "reason": r.message}) for r in rejected[:MOST_LISTED]
    ]
    return dg.AssetCheckResult(
        check_name=FILES_READABLE,
        passed=not rejected,
        severity=dg.AssetCheckSeverity.ERROR,
        description=f"{len(rejected):,} of {ledger.files:,} files rejected"
        if rejected
        else f"all {ledger.files:,} files read",
        metadata={"rejected": len(rejected), "files": ledger.files}
        | ({"rejected_files": dg.MetadataValue.table(table)} if table else {}),
    )


def _counted(
    name: str, violations: int, samples: Sequence[Sample], rules: Mapping[str, int]
) -> dg.AssetCheckResult:
    metadata: dict[str, dg.MetadataValue | int] = {"violations": violations}
    if violations and samples:
        metadata["samples"] = samples_table(samples)
    if violations and rules:
        metadata["by_rule"] = dg.MetadataValue.json(dict(rules))
    return dg.AssetCheckResult(
        check_name=name,
        passed=violations == 0,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{violations:,} rows" if violations else "no row breaks it",
        metadata=metadata,
    )
