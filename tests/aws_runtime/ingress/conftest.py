"""The environment of the functions of the front door."""

import pytest

from aws_runtime.ingress import aws


@pytest.fixture
def account(monkeypatch):
    """The process's environment, as a Lambda function has it, without an endpoint."""
    for name, value in {
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "POWERTOOLS_SERVICE_NAME": "shop",
        "POWERTOOLS_LOG_LEVEL": "CRITICAL",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    monkeypatch.setattr(aws.time, "sleep", lambda _: None)
    aws.client.cache_clear()
    yield
    aws.client.cache_clear()
