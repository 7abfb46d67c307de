"""What the roles of a curated pipeline's functions around its transform may do, on exact ARNs.

In: a pipeline with a `Curation`. Out: `Permission`s. docs/curation.md says what each function does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from asl import names
from asl.ir import Permission
from asl.permissions import READ, TRACES, WRITE, arn, objects, table_arn, table_name
from asl.warehouse_permissions import warehouses
from ingestion_assets.curation_plan import curated_nodes
from ingestion_assets.pipeline import Pipeline


def step(pipeline: Pipeline, name: str, log_group: str) -> tuple[Permission, ...]:
    """Return what the function of a step may do.

    Args:
        pipeline: The pipeline.
        name: `validate`, `check`, `delta` or `load`.
        log_group: Logical id of the function's.
    """
    logs = Permission(("logs:CreateLogStream", "logs:PutLogEvents"), (f"${{{log_group}.Arn}}",))
    return (*_OF[name](pipeline), logs, TRACES)


def _target(pipeline: Pipeline) -> str:
    return curated_nodes(pipeline)[1].destination.bucket.name


def _staging(pipeline: Pipeline) -> str:
    return objects(_target(pipeline), f"_staging/{pipeline.name}/")


def _runs(pipeline: Pipeline) -> str:
    return objects(_target(pipeline), f"_runs/{pipeline.name}/")


def _listed(*buckets: str) -> Permission:
    # Also, without it, S3 answers 403 instead of 404 for an object that is not there.
    return Permission(
        ("s3:ListBucket",), tuple(sorted({f"${{{names.bucket_id(name)}.Arn}}" for name in buckets}))
    )


def _validate(pipeline: Pipeline) -> tuple[Permission, ...]:
    """Files that landed are copied to staging or to `rejected/`, and removed; notes of both are kept."""
    source, _ = curated_nodes(pipeline)
    landed = objects(source.bucket.name, source.prefix)
    rejected = objects(pipeline.quarantine.name, f"rejected/{pipeline.name}/")
    staging, runs = _staging(pipeline), _runs(pipeline)
    return (
        Permission((*READ, "s3:DeleteObject", "s3:DeleteObjectVersion"), (landed,)),
        Permission((*READ, *WRITE), (staging, rejected)),
        Permission(("s3:GetObject", "s3:PutObject", "s3:DeleteObject"), (runs,)),
        _listed(source.bucket.name, _target(pipeline), pipeline.quarantine.name),
        Permission(("ssm:GetParameter",), (arn("ssm", f"parameter/ingestion/{pipeline.name}/*"),)),
    )


def _check(pipeline: Pipeline) -> tuple[Permission, ...]:
    """Footers of staged files are read, and a report is written."""
    return (
        Permission(READ, (_staging(pipeline),)),
        Permission(("s3:GetObject", "s3:PutObject"), (_runs(pipeline),)),
        _listed(_target(pipeline)),
    )


def _delta(pipeline: Pipeline) -> tuple[Permission, ...]:
    """Staged files are read, and written into the table at the curated prefix."""
    _, asset = curated_nodes(pipeline)
    return (
        Permission(READ, (_staging(pipeline),)),
        Permission(
            (*READ, *WRITE, "s3:DeleteObject"), (objects(_target(pipeline), asset.destination.prefix),)
        ),
        Permission(("s3:GetObject", "s3:PutObject", "s3:DeleteObject"), (_runs(pipeline),)),
        _listed(_target(pipeline)),
    )


def _load(pipeline: Pipeline) -> tuple[Permission, ...]:
    """Staged files are copied to the curated prefix, in the place of others, and registered."""
    _, asset = curated_nodes(pipeline)
    curated = objects(_target(pipeline), asset.destination.prefix)
    database = pipeline.catalog.database or pipeline.name
    catalog = (
        arn("glue", "catalog"),
        arn("glue", f"database/{database}"),
        table_arn(database, table_name(asset)),
    )
    return (
        Permission((*READ, "s3:DeleteObject"), (_staging(pipeline),)),
        # Curated files are tagged as they are written.
        Permission((*READ, *WRITE, "s3:PutObjectTagging", "s3:DeleteObject"), (curated,)),
        Permission(("s3:GetObject", "s3:PutObject", "s3:DeleteObject"), (_runs(pipeline),)),
        _listed(_target(pipeline)),
        Permission(
            (
                "glue:BatchCreatePartition",
                "glue:BatchGetPartition",
                "glue:BatchUpdatePartition",
                "glue:CreateTable",
                "glue:GetTable",
                "glue:UpdateTable",
            ),
            catalog,
        ),
        *warehouses(pipeline),
    )


_OF: Mapping[str, Callable[[Pipeline], tuple[Permission, ...]]] = {
    "validate": _validate,
    "check": _check,
    "delta": _delta,
    "load": _load,
}
