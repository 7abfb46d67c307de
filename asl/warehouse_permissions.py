"""What the load function of a curated pipeline may do to warehouses, on exact ARNs where AWS has them.

In: a pipeline with a `Curation`. Out: `Permission`s; none where it names no warehouse. What COPY reads S3 with
is a role of the warehouse's, and no concern of this stack.
"""

from __future__ import annotations

from collections.abc import Iterator

from asl.ir import Permission
from asl.permissions import arn
from aws_runtime.warehouses.targets import RedshiftTable, is_arn
from ingestion_assets.pipeline import Pipeline

#: https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonredshiftdataapi.html
_OWN_STATEMENTS = Permission(
    ("redshift-data:DescribeStatement",),
    ("*",),
    reason="A statement of Redshift's Data API has no ARN; the condition allows the function's own ones",
    conditions=(("StringEquals", "redshift-data:statement-owner-iam-userid", "${!aws:userid}"),),
)


def warehouses(pipeline: Pipeline) -> tuple[Permission, ...]:
    """Return what loading into the declared warehouses needs."""
    curation = pipeline.curation
    if curation is None:
        return ()
    secrets = {table.secret for table in (curation.redshift, curation.snowflake) if table and table.secret}
    return (
        *(_redshift(curation.redshift) if curation.redshift else ()),
        *(Permission(("secretsmanager:GetSecretValue",), (secret,)) for secret in sorted(secrets)),
    )


def _redshift(at: RedshiftTable) -> Iterator[Permission]:
    yield _OWN_STATEMENTS
    if at.cluster:
        yield Permission(
            ("redshift-data:BatchExecuteStatement",), (arn("redshift", f"cluster:{at.cluster}"),)
        )
        if not at.secret:
            # The database's user is then the function's role, which is a name of the database.
            name = arn("redshift", f"dbname:{at.cluster}/{at.database}")
            yield Permission(("redshift:GetClusterCredentialsWithIAM",), (name,))
        return
    workgroup = at.workgroup or ""
    named = is_arn(workgroup)
    actions = ("redshift-data:BatchExecuteStatement",)
    yield Permission(
        actions if at.secret else (*actions, "redshift-serverless:GetCredentials"),
        (workgroup if named else arn("redshift-serverless", "workgroup/*"),),
        reason=""
        if named
        else "A workgroup's ARN has its id, which its name does not tell; give the ARN instead",
    )
