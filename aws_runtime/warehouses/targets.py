"""Where a pipeline loads its runs: the tables of `curation.json`, as plain data.

In: a declaration. Out: the targets that `redshift` and `snowflake` load into; the compiler asks `problem`,
so that what cannot be meant is an error of the declaration and none of a run.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from aws_runtime.warehouses.load import check_name

_ARN = re.compile(r"arn:aws[a-z-]*:[a-z0-9-]+:[a-z0-9-]*:[0-9]*:.+")
_ROLE = re.compile(r"arn:aws[a-z-]*:iam::[0-9]{12}:role/.+")
_SECRET = re.compile(r"arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:.+")
_ACCOUNT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,254}")
_STAGE = re.compile(r"[A-Za-z_][A-Za-z0-9_$]*(\.[A-Za-z_][A-Za-z0-9_$]*){0,2}")


@dataclass(frozen=True, slots=True)
class RedshiftTable:
    """A table of Amazon Redshift, loaded through its Data API.

    Args:
        database: Its name.
        copy_role: ARN of the role that COPY reads S3 with, or `default`, the one of the warehouse.
        workgroup: Name or ARN of a workgroup of Redshift Serverless; or
        cluster: identifier of a provisioned cluster.
        secret: ARN of database credentials in Secrets Manager; None for the function's IAM role.
        schema: Which must exist.
        table: Made when it is not there; empty for the asset's name.
    """

    database: str
    copy_role: str
    workgroup: str | None = None
    cluster: str | None = None
    secret: str | None = None
    schema: str = "public"
    table: str = ""


@dataclass(frozen=True, slots=True)
class SnowflakeTable:
    """A table of Snowflake, loaded through its connector.

    Args:
        account: Account identifier, `myorg-myaccount`.
        user: Who loads, with key-pair authentication.
        secret: ARN of the user's private key in Secrets Manager: the PEM text, or a JSON object of
            `private_key` and, of an encrypted one, `passphrase`.
        warehouse: What computes.
        database: Which must exist.
        stage: External stage, `stage`, `schema.stage` or `database.schema.stage`; its URL is
            `s3://<bucket of the curated files>/_staging/<pipeline>/`.
        schema: Which must exist.
        table: Made when it is not there; empty for the asset's name.
        role: Of the session; empty for the user's own.
    """

    account: str
    user: str
    secret: str
    warehouse: str
    database: str
    stage: str
    schema: str = "PUBLIC"
    table: str = ""
    role: str = ""


def problem(given: RedshiftTable | SnowflakeTable) -> str | None:
    """Return what cannot be meant, as a sentence without its full stop; None where all can."""
    found = _redshift(given) if isinstance(given, RedshiftTable) else _snowflake(given)
    for name in filter(None, (given.schema, given.table)):
        try:
            check_name(name)
        except ValueError as error:
            found = found or str(error)
    if given.secret is not None and not _SECRET.fullmatch(given.secret):
        # Not said what it is: somebody may have put the secret itself here.
        found = found or "secret is no ARN of a secret in Secrets Manager"
    if not (given.schema and given.database):
        found = found or f"{'database' if given.schema else 'schema'} is empty"
    return found and f"{type(given).__name__}: {found}"


def _redshift(given: RedshiftTable) -> str | None:
    if bool(given.workgroup) == bool(given.cluster):
        return "it says either workgroup or cluster, and not both"
    if given.copy_role != "default" and not _ROLE.fullmatch(given.copy_role):
        return f"copy_role {given.copy_role!r} is neither a role's ARN nor 'default'"
    return None


def _snowflake(given: SnowflakeTable) -> str | None:
    for name in ("user", "warehouse"):
        if not getattr(given, name):
            return f"{name} is empty"
    if not _ACCOUNT.fullmatch(given.account) or given.account.endswith(".snowflakecomputing.com"):
        return f"account {given.account!r} is no account identifier, as myorg-myaccount"
    if not _STAGE.fullmatch(given.stage):
        return f"stage {given.stage!r} is no stage's name, as raw.staged_files"
    return None


def is_arn(text: str) -> bool:
    """Tell an ARN from a name."""
    return _ARN.fullmatch(text) is not None
