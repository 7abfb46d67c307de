"""Task arguments -> ARNs in the syntax of `Fn::Sub`."""

from __future__ import annotations

from typing import Any

from asl.ir import Ref, Text

REGIONAL = "arn:${AWS::Partition}:%s:${AWS::Region}:${AWS::AccountId}:%s"


def sub(value: Any) -> str:
    """Spell an argument that names a resource: `${OrdersEtlFunction.Arn}`, or its literal text.

    Raises:
        TypeError: The argument is neither text nor a reference, so no exact ARN follows from it.
    """
    if isinstance(value, Ref):
        return f"${{{value.logical_id}.{value.attribute}}}" if value.attribute else f"${{{value.logical_id}}}"
    if isinstance(value, Text):
        return "".join(part if isinstance(part, str) else sub(part) for part in value.parts)
    if isinstance(value, str):
        return value
    raise TypeError(f"{value!r} names no resource")


def regional(service: str, resource: str) -> str:
    """Return the ARN of a resource in the stack's own region and account."""
    return REGIONAL % (service, resource)
