"""Buckets -> CloudFormation: versioned, encrypted, private, TLS only, kept when the stack goes."""

from __future__ import annotations

from typing import Any

from asl.emit.iam import HAS_KEY, NO_VALUE
from asl.resources import Bucket


def bucket(given: Bucket) -> dict[str, Any]:
    """Return the bucket and its policy.

    A trigger bucket sends its events to EventBridge, where a rule chooses among them.
    """
    encryption = {
        "Fn::If": [
            HAS_KEY,
            {
                "BucketKeyEnabled": True,
                "ServerSideEncryptionByDefault": {
                    "SSEAlgorithm": "aws:kms",
                    "KMSMasterKeyID": {"Ref": "KmsKeyArn"},
                },
            },
            {"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}},
        ]
    }
    properties: dict[str, Any] = {
        "BucketName": {"Fn::Sub": physical_name(given.name)},
        "BucketEncryption": {"ServerSideEncryptionConfiguration": [encryption]},
        "LifecycleConfiguration": {"Rules": _lifecycle(given)},
        "NotificationConfiguration": {"EventBridgeConfiguration": {"EventBridgeEnabled": True}}
        if given.events
        else NO_VALUE,
        "OwnershipControls": {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]},
        "PublicAccessBlockConfiguration": {
            "BlockPublicAcls": True,
            "BlockPublicPolicy": True,
            "IgnorePublicAcls": True,
            "RestrictPublicBuckets": True,
        },
        "VersioningConfiguration": {"Status": "Enabled"},
    }
    if not given.events:
        del properties["NotificationConfiguration"]
    arn = {"Fn::GetAtt": [given.id, "Arn"]}
    return {
        given.id: {
            "Type": "AWS::S3::Bucket",
            "DeletionPolicy": "Retain",
            "UpdateReplacePolicy": "Retain",
            "Properties": properties,
        },
        f"{given.id}Policy": {
            "Type": "AWS::S3::BucketPolicy",
            "Properties": {
                "Bucket": {"Ref": given.id},
                "PolicyDocument": {
                    "Version": "2012-10-17",
                    "Statement": [
                        {
                            "Sid": "TlsOnly",
                            "Effect": "Deny",
                            "Principal": "*",
                            "Action": "s3:*",
                            "Resource": [arn, {"Fn::Sub": f"${{{given.id}.Arn}}/*"}],
                            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
                        }
                    ],
                },
            },
        },
    }


def physical_name(name: str) -> str:
    """Return the template of a bucket's physical name; at most 63 characters once filled in."""
    return f"${{AWS::StackName}}-{name}-${{AWS::AccountId}}"


def _lifecycle(given: Bucket) -> list[dict[str, Any]]:
    return [
        {
            "Id": "abort-incomplete-uploads",
            "Status": "Enabled",
            "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": given.aborts_uploads_after_days},
        },
        {
            "Id": "expire-noncurrent-versions",
            "Status": "Enabled",
            "NoncurrentVersionExpiration": {"NoncurrentDays": given.expires_noncurrent_after_days},
        },
        # A delete marker without versions behind it only slows listings down.
        {
            "Id": "expire-delete-markers",
            "Status": "Enabled",
            "ExpiredObjectDeleteMarker": True,
        },
    ]
