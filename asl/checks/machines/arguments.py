"""Every Task's Arguments fit the call: names, required ones, and structures, to any depth."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from asl.checks.machines._check import Check, Definition, Finding, is_expression, visits
from asl.checks.machines._models import is_sdk, operation

#: Blobs and texts in which optimized integrations take JSON.
JSON_FIELDS = frozenset({"Payload", "Detail", "Message", "MessageBody", "Input"})

#: JSON values by botocore's type; blobs and timestamps are text of many kinds.
SCALARS: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "long": (int,),
    "float": (int, float),
    "double": (int, float),
}
FREE = frozenset({"blob", "timestamp"})


def find(definition: Definition, substitutions: Mapping[str, str] | None) -> Iterator[Finding]:
    """Yield arguments that the API does not have, lacks, or wants in another form."""
    del substitutions
    for visit in visits(definition):
        resource = str(visit.state.get("Resource", ""))
        model = operation(resource) if visit.state.get("Type") == "Task" else None
        if model is None:
            continue
        given = visit.state.get("Arguments", {})
        if not is_expression(given) and model.input_shape is not None:
            for path, what in _misfits(given, model.input_shape, "Arguments", is_sdk(resource)):
                yield f"{visit.name}, {path}", what


def _spelled(member: str, sdk: bool) -> str:
    return member[:1].upper() + member[1:] if sdk else member


def _misfits(value: Any, shape: Any, path: str, sdk: bool) -> Iterator[Finding]:
    if is_expression(value):
        return
    match shape.type_name, value:
        case "structure", Mapping():
            yield from _structure(value, shape, path, sdk)
        case "map", Mapping():
            for key, item in value.items():
                yield from _misfits(item, shape.value, f"{path}.{key}", sdk)
        case "list", list():
            for index, item in enumerate(value):
                yield from _misfits(item, shape.member, f"{path}[{index}]", sdk)
        case _:
            yield from _scalar(value, shape, path)


def _scalar(value: Any, shape: Any, path: str) -> Iterator[Finding]:
    kind = shape.type_name
    wanted: tuple[type, ...] = SCALARS.get(kind, ())
    if kind in FREE or path.rpartition(".")[2] in JSON_FIELDS:
        return
    if not isinstance(value, wanted) or (isinstance(value, bool) and kind != "boolean"):
        yield path, f"a {kind} is needed"
    elif kind == "string" and shape.enum and str(value) not in list(shape.enum) and "${" not in str(value):
        yield path, f"{value!r} is none of {', '.join(shape.enum)}"


def _structure(value: Mapping[str, Any], shape: Any, path: str, sdk: bool) -> Iterator[Finding]:
    members = {_spelled(name, sdk): member for name, member in shape.members.items()}
    for name in sorted(set(value) - set(members)):
        yield f"{path}.{name}", f"the API has no such field; it has {', '.join(sorted(members)[:12])}"
    for name in sorted({_spelled(required, sdk) for required in shape.required_members} - set(value)):
        yield path, f"the field {name} is required"
    for name, item in value.items():
        if name in members:
            yield from _misfits(item, members[name], f"{path}.{name}", sdk)


CHECK = Check(
    code="ASL319",
    hint="Spell the arguments as the API reference does, in PascalCase for aws-sdk calls",
    doc="https://docs.aws.amazon.com/step-functions/latest/dg/supported-services-awssdk.html",
    find=find,
)
