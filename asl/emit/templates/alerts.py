"""Alert topics, alarms and dashboards -> CloudFormation."""

from __future__ import annotations

from typing import Any

from asl.emit.iam import HAS_KEY, KEY_ACTIONS, OWN_TOPIC_KEY
from asl.emit.substitution import document, value
from asl.emit.templates.compute import tags
from asl.resources import Alarm, AlertKey, Dashboard, Topic

HAS_EMAIL = "HasAlertEmail"


def alert_key(given: AlertKey) -> dict[str, Any]:
    """Return the key of the alert topics.

    CloudWatch may not use AWS's own key of SNS, so an alarm to a topic under that key is lost.
    https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html
    """
    account = value("arn:${AWS::Partition}:iam::${AWS::AccountId}:root")
    return {
        given.id: {
            "Type": "AWS::KMS::Key",
            "Condition": OWN_TOPIC_KEY,
            "DeletionPolicy": "Delete",
            "UpdateReplacePolicy": "Delete",
            "Properties": {
                "Description": value("Alert topics of ${AWS::StackName}"),
                "EnableKeyRotation": True,
                "KeyPolicy": {
                    "Version": "2012-10-17",
                    "Statement": [
                        {
                            "Sid": "Account",
                            "Effect": "Allow",
                            "Principal": {"AWS": account},
                            "Action": "kms:*",
                            "Resource": "*",
                        },
                        {
                            "Sid": "Alarms",
                            "Effect": "Allow",
                            "Principal": {"Service": "cloudwatch.amazonaws.com"},
                            "Action": list(KEY_ACTIONS),
                            "Resource": "*",
                            "Condition": {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}},
                        },
                    ],
                },
            },
            "Metadata": {"WhyEveryResource": {"kms:*": "In a key's own policy, * is that key"}},
        }
    }


def topic(given: Topic) -> dict[str, Any]:
    """Return the topic, its policy, and its subscriptions: the declared email and the parameter's."""
    arn = {"Ref": given.id}
    made: dict[str, Any] = {
        given.id: {
            "Type": "AWS::SNS::Topic",
            "Properties": {
                "KmsMasterKeyId": {"Fn::If": [HAS_KEY, {"Ref": "KmsKeyArn"}, value("${AlertKey.Arn}")]},
                "Tags": tags(given.pipeline),
            },
        },
        f"{given.id}Policy": {
            "Type": "AWS::SNS::TopicPolicy",
            "Properties": {
                "Topics": [arn],
                "PolicyDocument": {
                    "Version": "2012-10-17",
                    "Statement": [
                        {
                            "Sid": "Alarms",
                            "Effect": "Allow",
                            "Principal": {"Service": "cloudwatch.amazonaws.com"},
                            "Action": "sns:Publish",
                            "Resource": arn,
                            "Condition": {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}},
                        },
                        {
                            "Sid": "TlsOnly",
                            "Effect": "Deny",
                            "Principal": "*",
                            "Action": "sns:Publish",
                            "Resource": arn,
                            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
                        },
                    ],
                },
            },
        },
        f"{given.id}Email": _subscription(arn, {"Ref": "AlertEmail"}) | {"Condition": HAS_EMAIL},
    }
    if given.email:
        made[f"{given.id}DeclaredEmail"] = _subscription(arn, given.email)
    return made


def _subscription(topic_arn: dict[str, Any], address: Any) -> dict[str, Any]:
    return {
        "Type": "AWS::SNS::Subscription",
        "Properties": {"Endpoint": address, "Protocol": "email", "TopicArn": topic_arn},
    }


def alarm(given: Alarm) -> dict[str, Any]:
    """Return an alarm that fires above its threshold and says so once."""
    return {
        given.id: {
            "Type": "AWS::CloudWatch::Alarm",
            "Properties": {
                "AlarmActions": [{"Ref": topic} for topic in given.topics],
                "AlarmDescription": given.description,
                "ComparisonOperator": "GreaterThanThreshold",
                "Dimensions": [
                    {"Name": name, "Value": value(text)} for name, text in sorted(given.dimensions.items())
                ],
                "EvaluationPeriods": given.periods,
                "MetricName": given.metric,
                "Namespace": given.namespace,
                "Period": 300,
                "Statistic": given.statistic,
                "Tags": tags(given.pipeline),
                "Threshold": given.threshold,
                "TreatMissingData": "notBreaching",
            },
        }
    }


def dashboard(given: Dashboard) -> dict[str, Any]:
    """Return a dashboard."""
    return {
        given.id: {
            "Type": "AWS::CloudWatch::Dashboard",
            "Properties": {"DashboardBody": document(given.body), "DashboardName": value(given.name)},
        }
    }
