"""An in-process AWS for one test, and the environment of a Lambda function."""

import sys

import pytest
import toy_engine
from toy_world import fresh_world

from aws_runtime import storage
from aws_runtime.handlers import materialize as handler_module


@pytest.fixture
def account(monkeypatch, tmp_path):
    """The process's environment, as a Lambda function has it."""
    for name, value in {
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "2048",
        "POWERTOOLS_SERVICE_NAME": "shop",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setitem(sys.modules, "aws_runtime.engines.toy", toy_engine)
    monkeypatch.setattr(handler_module, "load_plan", handler_module.load_plan)
    storage.s3.cache_clear()
    yield
    storage.s3.cache_clear()


@pytest.fixture
def world(account):
    with fresh_world() as made:
        yield made
