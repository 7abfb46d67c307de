"""Functions, layers, Glue jobs and their logs -> CloudFormation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from asl.emit.iam import HAS_VPC, NO_VALUE
from asl.emit.substitution import value, values
from asl.resources import Function, GlueJob, Layer, LogGroup

#: The Lambda runtime that bundles and layers are built for.
RUNTIME, ARCHITECTURE = "python3.13", "arm64"
#: Spark 3.5.6, Python 3.11, Java 17. https://docs.aws.amazon.com/glue/latest/dg/release-notes.html
GLUE_VERSION = "5.1"


def function(given: Function) -> dict[str, Any]:
    """Return a Lambda function; concurrency is left to the account, so that nothing is throttled idle."""
    vpc = {
        "Fn::If": [
            HAS_VPC,
            {"SubnetIds": {"Ref": "VpcSubnetIds"}, "SecurityGroupIds": {"Ref": "VpcSecurityGroupIds"}},
            NO_VALUE,
        ]
    }
    return {
        given.id: {
            "Type": "AWS::Lambda::Function",
            "Properties": {
                "Architectures": [ARCHITECTURE],
                "Code": {"S3Bucket": {"Ref": "ArtifactsBucket"}, "S3Key": given.key},
                "Description": given.description,
                "Environment": {"Variables": values(given.environment)},
                "EphemeralStorage": {"Size": given.storage_mb},
                "Handler": given.handler,
                "Layers": [{"Ref": given.layer}],
                "LoggingConfig": {"LogGroup": {"Ref": given.log_group}},
                "MemorySize": given.memory_mb,
                "Role": value(f"${{{given.role}.Arn}}"),
                "Runtime": RUNTIME,
                "Tags": tags(given.pipeline, given.tags),
                "Timeout": given.timeout_seconds,
                "TracingConfig": {"Mode": "Active"},
                **({"VpcConfig": vpc} if given.in_vpc else {}),
            },
        }
    }


def layer(given: Layer) -> dict[str, Any]:
    """Return a layer; a new zip is a new version, and functions move to it in the same update."""
    return {
        given.id: {
            "Type": "AWS::Lambda::LayerVersion",
            "Properties": {
                "CompatibleArchitectures": [ARCHITECTURE],
                "CompatibleRuntimes": [RUNTIME],
                "Content": {"S3Bucket": {"Ref": "ArtifactsBucket"}, "S3Key": given.key},
                "Description": f"Distributions: {given.engine}",
            },
        }
    }


def log_group(given: LogGroup) -> dict[str, Any]:
    """Return a log group; made before its function, or Lambda would make one without retention."""
    return {
        given.id: {
            "Type": "AWS::Logs::LogGroup",
            "DeletionPolicy": "Delete",
            "UpdateReplacePolicy": "Delete",
            "Properties": {
                "LogGroupName": value(given.name),
                "RetentionInDays": given.retention_days,
                "Tags": tags(given.pipeline),
            },
        }
    }


def glue_job(given: GlueJob) -> dict[str, Any]:
    """Return a Glue Spark job.

    Retries are the state machine's: it knows which errors are transient, Glue repeats them all.
    """
    return {
        given.id: {
            "Type": "AWS::Glue::Job",
            "Properties": {
                "Command": {
                    "Name": "glueetl",
                    "PythonVersion": "3",
                    "ScriptLocation": value(f"s3://${{ArtifactsBucket}}/{given.script_key}"),
                },
                "DefaultArguments": values(given.arguments),
                "Description": given.description,
                "ExecutionProperty": {"MaxConcurrentRuns": given.concurrent_runs},
                "GlueVersion": GLUE_VERSION,
                "MaxRetries": 0,
                "NumberOfWorkers": given.workers,
                "Role": value(f"${{{given.role}.Arn}}"),
                "Tags": {"pipeline": given.pipeline, **given.tags},
                "Timeout": given.timeout_minutes,
                "WorkerType": "G.1X",
            },
        }
    }


def tags(pipeline: str, more: Mapping[str, str] | None = None) -> list[dict[str, str]]:
    """Return the tags of a resource, for cost allocation."""
    return [
        {"Key": key, "Value": text} for key, text in sorted({"pipeline": pipeline, **(more or {})}.items())
    ]
