"""Everything is JSONata: no field of JSONPath, and expressions are whole strings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from asl.checks.machines._check import Check, Definition, Finding, is_expression, visits

JSONPATH_FIELDS = ("InputPath", "OutputPath", "Parameters", "ResultPath", "ResultSelector", "ItemsPath")


def find(definition: Definition, substitutions: Mapping[str, str] | None) -> Iterator[Finding]:
    """Yield fields of JSONPath, and delimiters in the middle of a text."""
    del substitutions
    if definition.get("QueryLanguage") != "JSONata":
        yield "", "the machine's QueryLanguage is not JSONata"
    for visit in visits(definition):
        for field in JSONPATH_FIELDS:
            if field in visit.state:
                yield visit.name, f"{field} belongs to JSONPath"
        own = {key: value for key, value in visit.state.items() if key not in {"Branches", "ItemProcessor"}}
        for path, key, value in _members(own, ""):
            if key.endswith(".$"):
                yield f"{visit.name}, {path}", f"{key} belongs to JSONPath"
            if isinstance(value, str) and not is_expression(value) and ("{%" in value or "%}" in value):
                yield f"{visit.name}, {path}", "an expression that is not the whole text is not evaluated"


def _members(value: Any, path: str) -> Iterator[tuple[str, str, Any]]:
    match value:
        case Mapping():
            for key, item in value.items():
                inner = f"{path}.{key}".lstrip(".")
                yield inner, str(key), item
                yield from _members(item, inner)
        case list() | tuple():
            for index, item in enumerate(value):
                yield f"{path}[{index}]", "", item
                yield from _members(item, f"{path}[{index}]")
        case _:
            return


CHECK = Check(
    code="ASL312",
    hint="Say it in JSONata: Arguments, Output and Assign, an expression being a whole text in {% %}",
    doc="https://docs.aws.amazon.com/step-functions/latest/dg/transforming-data.html",
    find=find,
)
