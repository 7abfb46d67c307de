"""The CloudFormation stack: what would change, make it so, say what failed, take it away.

In: a template's URL or text and its parameters. Every change goes through a change set, so that
what is shown is what happens.
https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/using-cfn-updating-stacks-changesets.html
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from botocore.exceptions import ClientError

from asl.deploy.errors import OperationError
from asl.deploy.target import Target

#: A template passed as text may have so many bytes; a larger one goes to S3.
#: https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html
MAX_TEMPLATE_BODY = 51_200
CHANGE_SET = "asl-deploy"
NO_CHANGES = re.compile(r"didn't contain changes|no updates are to be performed|no changes", re.IGNORECASE)
#: Said of a resource that was well, when another one failed.
CANCELLED = re.compile(r"resource (creation|update|deletion) cancelled", re.IGNORECASE)
Action = Literal["create", "update", "replace", "delete"]


@dataclass(frozen=True, slots=True)
class Change:
    """What happens to one resource.

    Args:
        action: `replace` makes a new one and deletes the old one.
        logical_id: In the template.
        type: `AWS::S3::Bucket` ….
        physical_id: Of the resource there is, if any.
    """

    action: Action
    logical_id: str
    type: str
    physical_id: str = ""


@dataclass(frozen=True, slots=True)
class Template:
    """A template as CloudFormation takes it: a URL in S3, or the text if it is small."""

    url: str = ""
    body: str = ""

    def arguments(self) -> dict[str, str]:
        """Return the API's arguments."""
        return {"TemplateURL": self.url} if self.url else {"TemplateBody": self.body}


Watch = Callable[[str, str, str], None]


def silent(logical_id: str, kind: str, status: str) -> None:
    """Show nothing."""
    del logical_id, kind, status


def describe(target: Target, name: str) -> dict[str, Any] | None:
    """Return the stack's description, or None where there is no such stack."""
    try:
        stacks = target.client("cloudformation").describe_stacks(StackName=name)["Stacks"]
    except ClientError as error:
        if "does not exist" in error.response["Error"]["Message"]:
            return None
        raise
    return stacks[0] if stacks and stacks[0]["StackStatus"] != "DELETE_COMPLETE" else None


def outputs(target: Target, name: str) -> dict[str, str]:
    """Return the stack's outputs by key.

    Raises:
        OperationError: ASL410 when it is not deployed.
    """
    found = describe(target, name)
    if found is None:
        raise OperationError(
            "ASL410",
            f"the stack {name!r} is not deployed to {target.name}",
            f"asl deploy --target {target.name}",
        )
    return {output["OutputKey"]: output["OutputValue"] for output in found.get("Outputs", [])}


def resources(target: Target, name: str) -> dict[str, tuple[str, str]]:
    """Return (type, physical id) of the stack's resources by logical id."""
    pages = target.client("cloudformation").get_paginator("list_stack_resources").paginate(StackName=name)
    return {
        resource["LogicalResourceId"]: (resource["ResourceType"], resource.get("PhysicalResourceId", ""))
        for page in pages
        for resource in page["StackResourceSummaries"]
    }


def propose(
    target: Target, name: str, template: Template, parameters: Mapping[str, str]
) -> tuple[Change, ...]:
    """Make the change set and return its changes; empty when there is nothing to do.

    Raises:
        OperationError: ASL411 when the stack cannot be changed now, ASL412 when CloudFormation
            refuses the template.
    """
    api = target.client("cloudformation")
    kind = _kind_of_change(target, name)
    _drop(target, name)
    try:
        api.create_change_set(
            StackName=name,
            ChangeSetName=CHANGE_SET,
            ChangeSetType=kind,
            Capabilities=["CAPABILITY_NAMED_IAM"],
            Parameters=[
                {"ParameterKey": key, "ParameterValue": value} for key, value in sorted(parameters.items())
            ],
            **template.arguments(),
        )
    except ClientError as error:
        raise _refused(error.response["Error"]["Message"]) from error
    changes = _await_change_set(target, name)
    return tuple(sorted(changes, key=lambda change: (change.type, change.logical_id)))


def execute(target: Target, name: str, watch: Watch = silent) -> None:
    """Execute the change set of `propose` and wait for its end.

    Raises:
        OperationError: ASL413 naming the resource that failed first and why.
    """
    api = target.client("cloudformation")
    seen = {event["EventId"] for event in _events(target, name)}
    api.execute_change_set(StackName=name, ChangeSetName=CHANGE_SET)
    status = _follow(target, name, seen, watch)
    if status not in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
        raise _failure(target, name, status, seen)


def discard(target: Target, name: str) -> None:
    """Delete the change set of `propose`, and the empty stack that it made for a first deployment."""
    _drop(target, name)
    found = describe(target, name)
    if found and found["StackStatus"] == "REVIEW_IN_PROGRESS":
        target.client("cloudformation").delete_stack(StackName=name)


def destroy(target: Target, name: str, watch: Watch = silent) -> bool:
    """Delete the stack and wait; return whether there was one.

    Raises:
        OperationError: ASL413 naming the resource that could not be deleted.
    """
    found = describe(target, name)
    if found is None:
        return False
    seen = {event["EventId"] for event in _events(target, name)}
    target.client("cloudformation").delete_stack(StackName=found["StackId"])
    status = _follow(target, found["StackId"], seen, watch)
    if status != "DELETE_COMPLETE":
        raise _failure(target, found["StackId"], status, seen)
    return True


def _kind_of_change(target: Target, name: str) -> str:
    found = describe(target, name)
    if found is None or found["StackStatus"] == "REVIEW_IN_PROGRESS":
        return "CREATE"
    status = found["StackStatus"]
    if status == "ROLLBACK_COMPLETE":  # a first deployment that failed; it can only be deleted
        destroy(target, name)
        return "CREATE"
    if not status.endswith("_COMPLETE"):
        raise OperationError(
            "ASL411", f"the stack {name!r} is {status}", "Wait for its end, or repair it by hand"
        )
    return "UPDATE"


def _drop(target: Target, name: str) -> None:
    try:
        target.client("cloudformation").delete_change_set(StackName=name, ChangeSetName=CHANGE_SET)
    except ClientError as error:
        if "does not exist" not in error.response["Error"]["Message"]:
            raise


def _refused(reason: str) -> OperationError:
    return OperationError(
        "ASL412", f"CloudFormation refuses the template: {reason}", "asl validate checks it offline"
    )


def _await_change_set(target: Target, name: str) -> list[Change]:
    changes: list[Change] = []
    following: dict[str, str] = {}
    while True:
        page = target.client("cloudformation").describe_change_set(
            StackName=name, ChangeSetName=CHANGE_SET, **following
        )
        if page["Status"] == "FAILED":
            if NO_CHANGES.search(page.get("StatusReason", "")):
                return []
            raise _refused(page.get("StatusReason", "without a reason"))
        if not page["Status"].endswith("_COMPLETE"):
            time.sleep(_interval(target))
            continue
        changes += [
            _change(entry["ResourceChange"]) for entry in page["Changes"] if "ResourceChange" in entry
        ]
        if not page.get("NextToken"):
            return changes
        following = {"NextToken": page["NextToken"]}


def _change(entry: Mapping[str, Any]) -> Change:
    actions: dict[str, Action] = {"Add": "create", "Remove": "delete"}
    action = actions.get(entry["Action"], "update")
    if entry.get("Replacement") == "True":
        action = "replace"
    return Change(
        action, entry["LogicalResourceId"], entry["ResourceType"], entry.get("PhysicalResourceId") or ""
    )


def _events(target: Target, name: str) -> list[dict[str, Any]]:
    """Return the stack's events, oldest first; none before it exists."""
    try:
        pages = list(
            target.client("cloudformation").get_paginator("describe_stack_events").paginate(StackName=name)
        )
    except ClientError as error:
        if "does not exist" in error.response["Error"]["Message"]:
            return []
        raise
    return [event for page in pages for event in page["StackEvents"]][::-1]


def _follow(target: Target, name: str, seen: set[str], watch: Watch) -> str:
    """Report new events until the stack rests; return its status."""
    shown = set(seen)
    while True:
        found = target.client("cloudformation").describe_stacks(StackName=name)["Stacks"]
        status: str = found[0]["StackStatus"] if found else "DELETE_COMPLETE"
        for event in _events(target, name):
            if event["EventId"] not in shown:
                shown.add(event["EventId"])
                watch(
                    event["LogicalResourceId"], event.get("ResourceType", ""), event.get("ResourceStatus", "")
                )
        if not status.endswith("_IN_PROGRESS"):
            return status
        time.sleep(_interval(target))


def _failure(target: Target, name: str, status: str, seen: set[str]) -> OperationError:
    """Name the first resource that failed by itself."""
    failed = [
        event
        for event in _events(target, name)
        if event["EventId"] not in seen and event.get("ResourceStatus", "").endswith("FAILED")
    ]
    own = [event for event in failed if not CANCELLED.search(event.get("ResourceStatusReason", ""))]
    if not own:
        found = describe(target, name) or {}
        reason = found.get("StackStatusReason", "without a reason")
        return OperationError(
            "ASL413", f"the stack {name!r} ended {status}: {reason}", "See the stack's events"
        )
    first = own[0]
    return OperationError(
        "ASL413",
        f"{first['LogicalResourceId']} ({first['ResourceType']}) failed: "
        f"{first.get('ResourceStatusReason', 'without a reason')}; the stack {name!r} is {status}",
        "Mend the declaration that makes this resource, then deploy again",
    )


def _interval(target: Target) -> float:
    return 0.1 if target.is_local else 3.0
