"""Gap: a state's AWS call skips IAM, and many integrations are approximated or missing.

Here every AWS call of a Task is a real boto3 call to the emulator with the state machine's role,
so that a permission that the role lacks fails the state, as it would on AWS; glue:startJobRun.sync
waits for the run. Error names follow the SDK for Java, as Step Functions' do.
https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html
"""

from __future__ import annotations

import contextvars
import hashlib
import json
import re
import threading
import time
from collections.abc import Callable
from typing import Any

import boto3
from botocore import xform_name
from botocore.config import Config
from botocore.exceptions import ClientError, ParamValidationError
from ministack.core import lambda_runtime
from ministack.services import stepfunctions

from asl.local.patching import Function, existing, replace
from asl.local.sdk_shapes import UnknownFieldError, as_text, from_optimized, from_sdk, to_api
from asl.local.settings import Settings

HOOK = "task_calls"
INTEGRATION = re.compile(
    r"arn:aws:states:::(?P<sdk>aws-sdk:)?(?P<service>[\w-]+):(?P<action>\w+)(?P<mode>\.[\w:]+)?$"
)

#: Left to the emulator: nested executions, callbacks and containers.
EMULATED = frozenset({"states", "ecs", "eks", "codebuild"})
#: Service names in ARNs that botocore spells otherwise.
BOTO_NAMES = {
    "redshiftdata": "redshift-data", "sfn": "stepfunctions", "cloudwatchlogs": "logs",
    "eventbridge": "events", "rdsdata": "rds-data",
}  # fmt: skip
#: Prefix of error names and the exception of an error that the API does not model.
OPTIMIZED_ERRORS = {
    "dynamodb": ("DynamoDB", "AmazonDynamoDBException"),
    "events": ("Events", "AmazonCloudWatchEventsException"),
    "glue": ("Glue", "AWSGlueException"),
    "lambda": ("Lambda", "AWSLambdaException"),
    "sns": ("SNS", "AmazonSNSException"),
    "sqs": ("SQS", "AmazonSQSException"),
}
SDK_PREFIXES = {
    "dynamodb": "DynamoDb",
    "redshift-data": "RedshiftData",
    "events": "EventBridge",
    "logs": "CloudWatchLogs",
}
#: https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html
MAX_PAYLOAD_BYTES = 256 * 1024
POLL_SECONDS = 0.25

_role: contextvars.ContextVar[str | None] = contextvars.ContextVar("role of the state machine", default=None)


def install(settings: Settings) -> None:
    """Remember the running machine's role around each Task, and call boto3 with it."""
    calls = Calls(settings)
    failure: Callable[[str, str], Exception] = stepfunctions._ExecutionError  # noqa: SLF001 - what a hook is for

    def role_of(execution: dict[str, Any]) -> str | None:
        # Plain, ":version", or "name/label" of a distributed map's child.
        head, _, name = execution.get("stateMachineArn", "").partition(":stateMachine:")
        machine = stepfunctions._state_machines.get(f"{head}:stateMachine:{re.split('[:/]', name)[0]}")  # noqa: SLF001
        return (machine or {}).get("roleArn") or _role.get()

    def make_task(original: Function) -> Function:
        def execute_task(state_def: Any, raw_input: Any, execution: Any, ctx: Any) -> Any:
            token = _role.set(role_of(execution))
            try:
                return original(state_def, raw_input, execution, ctx)
            finally:
                _role.reset(token)

        return execute_task

    def make_invoke(original: Function) -> Function:
        def invoke_resource(resource: str, input_data: Any) -> Any:
            match = INTEGRATION.match(resource)
            if match is None or match["service"] in EMULATED or match["mode"] == ".waitForTaskToken":
                return original(resource, input_data)
            try:
                return bounded(calls.run(match, dict(bounded(input_data) or {}), _role.get()))
            except TaskError as error:
                raise failure(error.name, error.cause) from error

        return invoke_resource

    replace(HOOK, stepfunctions, "_execute_task", ("state_def", "raw_input", "execution", "ctx"), make_task)
    replace(HOOK, stepfunctions, "_invoke_resource", ("resource", "input_data"), make_invoke)


class TaskError(Exception):
    """An error as a state machine sees it: its name and its cause."""

    def __init__(self, name: str, cause: str) -> None:
        super().__init__(f"{name}: {cause}")
        self.name = name
        self.cause = cause


def bounded(value: Any) -> Any:
    """Return `value` if it fits a state's payload; the emulator itself has no limit."""
    size = len(json.dumps(value, ensure_ascii=False, default=str).encode())
    if size > MAX_PAYLOAD_BYTES:
        raise TaskError("States.DataLimitExceeded", f"a payload of {size} bytes exceeds {MAX_PAYLOAD_BYTES}")
    return value


class Calls:
    """boto3 clients by service and role, and the calls that states make with them."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._session = existing(HOOK, lambda_runtime, "execution_credentials", ("config",))
        self._lock = threading.Lock()
        self._clients: dict[tuple[str, str | None], Any] = {}

    def client(self, service: str, role: str | None) -> Any:
        """Return a client that acts as `role` (ARN), or as the account's root without one."""
        with self._lock:  # boto3 clients are thread-safe, their creation is not
            if (service, role) not in self._clients:
                self._clients[service, role] = boto3.session.Session().client(
                    service,
                    region_name=self._settings.region,
                    endpoint_url=self._settings.endpoint,
                    config=Config(
                        retries={"total_max_attempts": 1}, read_timeout=960, max_pool_connections=64
                    ),
                    **self.credentials(role),
                )
            return self._clients[service, role]

    def credentials(self, role: str | None) -> dict[str, str]:
        """Return boto3's credential arguments for a session of `role`."""
        if not role:
            return {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
        label = "role-" + hashlib.sha256(role.encode()).hexdigest()[:16]
        arn = f"arn:aws:lambda:{self._settings.region}:{role.split(':')[4]}:function:{label}"
        session = self._session({"FunctionArn": arn, "Role": role, "FunctionName": label})
        return {name.lower(): value for name, value in session.items() if value}

    def run(self, match: re.Match[str], arguments: dict[str, Any], role: str | None) -> Any:
        """Make the call of one integration; `arguments` are the state's."""
        service = BOTO_NAMES.get(match["service"], match["service"])
        client = self.client(service, role)
        operations = client.meta.service_model.operation_names
        operation = next((name for name in operations if name.lower() == match["action"].lower()), None)
        if operation is None:
            raise TaskError("States.Runtime", f"{match[0]}: no such action")
        if not match["sdk"]:
            _serialize(service, arguments)
        model = client.meta.service_model.operation_model(operation)
        try:
            given = to_api(arguments, model.input_shape)
            return _result(match, client, operation, given, _call(client, operation, given))
        except (UnknownFieldError, ParamValidationError) as error:
            raise TaskError("States.Runtime", str(error)) from error
        except ClientError as error:
            raise _named(match, service, model, error) from error


def _call(client: Any, operation: str, arguments: dict[str, Any]) -> dict[str, Any]:
    response: dict[str, Any] = getattr(client, xform_name(operation))(**arguments)
    response.pop("ResponseMetadata", None)
    return response


def _serialize(service: str, arguments: dict[str, Any]) -> None:
    """Make text of the fields in which optimized integrations accept JSON."""
    if service == "lambda":
        arguments["Payload"] = json.dumps(arguments.get("Payload", {}), ensure_ascii=False)
    elif service == "events":
        arguments["Entries"] = [dict(entry) for entry in arguments.get("Entries", [])]
        for entry in arguments["Entries"]:
            as_text(entry, "Detail")
    elif service == "sns":
        as_text(arguments, "Message")
    elif service == "sqs":
        as_text(arguments, "MessageBody")


def _result(
    match: re.Match[str], client: Any, operation: str, given: dict[str, Any], response: dict[str, Any]
) -> Any:
    """Return what `$states.result` is after a call that was accepted."""
    if match["sdk"]:
        return from_sdk(response)
    if operation == "Invoke":
        body = response["Payload"].read()
        payload = json.loads(body) if body else None
        if response.get("FunctionError"):
            name = payload.get("errorType") if isinstance(payload, dict) else None
            raise TaskError(name or "Lambda.Unknown", json.dumps(payload, ensure_ascii=False))
        version = response.get("ExecutedVersion", "$LATEST")
        return {"ExecutedVersion": version, "Payload": payload, "StatusCode": response["StatusCode"]}
    if operation == "StartJobRun" and match["mode"] == ".sync":
        return _finished_job(client, given["JobName"], response["JobRunId"])
    if operation == "PutEvents" and response.get("FailedEntryCount"):
        raise TaskError("EventBridge.FailedEntry", json.dumps(from_optimized(response)))
    return from_optimized(response)


def _finished_job(client: Any, name: str, run: str) -> Any:
    """Wait for a Glue job run and return it, as `.sync` does."""
    while True:
        job = client.get_job_run(JobName=name, RunId=run)["JobRun"]
        if job["JobRunState"] in ("SUCCEEDED", "STOPPED"):
            return from_optimized(job)
        if job["JobRunState"] in ("FAILED", "TIMEOUT", "ERROR", "EXPIRED"):
            raise TaskError("States.TaskFailed", json.dumps(from_optimized(job)))
        time.sleep(POLL_SECONDS)


def _named(match: re.Match[str], service: str, model: Any, error: Any) -> TaskError:
    """Name a ClientError as Step Functions does: modelled errors by name, others by the service's own."""
    details = error.response["Error"]
    code = re.sub("Fault$", "", details.get("Code", ""))
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    cause = f"{details.get('Message', '')} (Service: {service}, Status Code: {status}, Error Code: {code})"
    if match["sdk"]:
        prefix = SDK_PREFIXES.get(service, service.replace("-", " ").title().replace(" ", ""))
        general = f"{prefix}Exception"
    else:
        prefix, general = OPTIMIZED_ERRORS.get(
            match["service"], (match["service"].title(), "SdkClientException")
        )
    modelled = {re.sub("Fault$", "", shape.name) for shape in model.service_model.error_shapes}
    modelled |= {shape.error_code for shape in model.service_model.error_shapes}
    if code not in modelled and f"{code}Exception" not in modelled:
        return TaskError(f"{prefix}.{general}", cause)
    return TaskError(f"{prefix}.{code if code.endswith('Exception') else code + 'Exception'}", cause)
