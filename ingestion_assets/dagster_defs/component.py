"""Dagster's component: a `defs.yaml` -> the definitions of a curated pipeline, without Python (docs/component.md).

In: the component's attributes, as Dagster reads them. Out: the `Definitions` of the pipeline that
`ingestion_assets.component` makes of them, which is the one that `asl` compiles.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from datetime import date
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Any, Literal, Self, get_origin, get_type_hints

import dagster as dg
from pydantic import BaseModel, ConfigDict, Field, create_model

from aws_runtime.curation.config import Config
from ingestion_assets.component import FILE, REQUIRED, Attributes, pipeline_of
from ingestion_assets.dagster_defs.build import build_definitions
from ingestion_assets.pipeline import Pipeline


class CuratedPipeline(dg.Component):
    """A pipeline that validates, transforms, validates again and loads, declared by configuration alone."""

    def __init__(self, pipeline: Pipeline) -> None:
        self.pipeline = pipeline

    @classmethod
    def get_model_cls(cls) -> type[BaseModel]:
        """Return the attributes' schema, for Dagster's own checks of YAML; what they mean is checked by `load`."""
        return _model()

    @classmethod
    def load(cls, attributes: BaseModel | None, context: dg.ComponentLoadContext) -> Self:
        """Declare the pipeline.

        Raises:
            CompileError: What the attributes get wrong, with file and line.
        """
        given = attributes.model_dump(exclude_unset=True) if attributes is not None else None
        resolved = context.resolution_context.at_path("attributes").resolve_value(given)
        file = context.path if context.path.is_file() else context.path / FILE
        return cls(pipeline_of(_plain(resolved), Path(file)))

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:  # noqa: ARG002 - Dagster's interface
        """Build what `dagster dev` shows of it."""
        return build_definitions([self.pipeline])


@cache
def _model() -> type[BaseModel]:
    """Return a model of the same keys as the dataclasses that the attributes are decoded into.

    Its fields say what kind each value is, and no more: a value that Dagster changed would not be the user's.
    """
    kinds: dict[str, Any] = {}
    for declared in (Config, Attributes):
        hints = get_type_hints(declared)
        for each in dataclasses.fields(declared):
            default = ... if each.name in REQUIRED else None
            kinds[each.name] = (_kind(hints[each.name], required=default is ...), Field(default))
    made: type[BaseModel] = create_model(
        "CuratedPipelineAttributes", __config__=ConfigDict(extra="forbid"), **kinds
    )
    return made


def _kind(hint: Any, *, required: bool) -> Any:
    origin = get_origin(hint)
    if origin is tuple:
        kind: Any = list[Any]
    elif isinstance(hint, type) and issubclass(hint, Enum):
        kind = Literal[tuple(str(member.value) for member in hint)]
    elif origin is None and hint in (str, bool, int):
        kind = hint
    else:
        kind = dict[str, Any]
    return kind if required else kind | None


def _plain(value: Any) -> Any:
    """Return what JSON has of a value that YAML has: dates are texts."""
    if isinstance(value, Mapping):
        return {str(key): _plain(member) for key, member in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(member) for member in value]
    return value.isoformat() if isinstance(value, date) else value
