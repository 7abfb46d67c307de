"""Buckets -> CloudFormation: versioned, encrypted, private, TLS only, kept when the stack goes."""

from __future__ import annotations

from typing import Any

from asl.emit.iam import HAS_KEY
from asl.resources import Bucket, Notification


def bucket(given: Bucket) -> dict[str, Any]:
    """Return the bucket and its policy.

    A trigger bucket sends its events to EventBridge, where a rule chooses among them, or to queues.
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
        "NotificationConfiguration": _notifications(given),
        "OwnershipControls": {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]},
        "PublicAccessBlockConfiguration": {
            "BlockPublicAcls": True,
            "BlockPublicPolicy": True,
            "IgnorePublicAcls": True,
            "RestrictPublicBuckets": True,
        },
        "VersioningConfiguration": {"Status": "Enabled"},
    }
    if not properties["NotificationConfiguration"]:
        del properties["NotificationConfiguration"]
    # S3 tries each queue when it is told to notify it, so the queue's policy comes first.
    policies = sorted({f"{told.queue}Policy" for told in given.notifications})
    arn = {"Fn::GetAtt": [given.id, "Arn"]}
    return {
        given.id: {
            "Type": "AWS::S3::Bucket",
            **({"DependsOn": policies} if policies else {}),
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


def _notifications(given: Bucket) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if given.events:
        found["EventBridgeConfiguration"] = {"EventBridgeEnabled": True}
    if given.notifications:
        found["QueueConfigurations"] = [_notification(told) for told in given.notifications]
    return found


def _notification(told: Notification) -> dict[str, Any]:
    rules = [
        {"Name": name, "Value": text}
        for name, text in (("prefix", told.prefix), ("suffix", told.suffix))
        if text
    ]
    return {
        "Event": "s3:ObjectCreated:*",
        **({"Filter": {"S3Key": {"Rules": rules}}} if rules else {}),
        "Queue": {"Fn::GetAtt": [told.queue, "Arn"]},
    }


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
