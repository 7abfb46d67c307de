"""An exported folder -> a deployed stack: artifacts, then the change set, its execution, then routes."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

from asl.deploy import artifacts, preflight, routes, stack
from asl.deploy.artifacts import ARTIFACTS_PARAMETER, Artifact
from asl.deploy.layers import layer, read_pins
from asl.deploy.routes import RouteChange
from asl.deploy.stack import Change
from asl.deploy.target import Target

Say = Callable[[str], None]


def propose(
    target: Target, name: str, build: Path, parameters: Mapping[str, str], say: Say
) -> tuple[Change, ...]:
    """Upload what the stack needs and return what deploying it would change.

    Args:
        target: Where to.
        name: Of the stack.
        build: An exported folder.
        parameters: The template's, without the artifacts bucket.
        say: Told what is being done, a line at a time.

    Raises:
        OperationError: ASL411 to ASL415, ASL418, ASL419.
    """
    exported = artifacts.exported(build)
    preflight.check(target, name, build, parameters)
    bucket = artifacts.bucket_name(target, name)
    artifacts.ensure_bucket(target, bucket)
    made = _layers(target, bucket, build, say)
    count = artifacts.upload(
        target, bucket, (*exported, *made), lambda artifact: say(f"uploaded {artifact.key}")
    )
    say(f"{count} of {len(exported) + len(made)} artifacts were new in s3://{bucket}")
    template = artifacts.template(target, bucket, build / "template.json")
    return stack.propose(target, name, template, {**parameters, ARTIFACTS_PARAMETER: bucket})


def finish(target: Target, name: str, build: Path) -> tuple[RouteChange, ...]:
    """Do what a template cannot, after its change set was executed or was empty: write the routes.

    Raises:
        ClientError: A table of routes cannot be read or written; deploying again goes on from there.
    """
    return routes.apply(target, name, build)


def _layers(target: Target, bucket: str, build: Path, say: Say) -> tuple[Artifact, ...]:
    """Build the layers that the bucket lacks."""
    manifest = json.loads((build / artifacts.MANIFEST).read_text(encoding="utf-8"))
    made = []
    for entry in manifest["layers"]:
        if artifacts.exists(target, bucket, entry["key"]):
            continue
        say(f"building the {entry['engine']} layer")
        pins = read_pins(entry["engine"], build / entry["requirements"])
        made.append(Artifact(layer(target, pins, build / "layers"), entry["key"]))
    return tuple(made)
