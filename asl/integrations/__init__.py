"""AWS calls that a state can make, one file each with an `INTEGRATION`; adding one is one file.

In: nothing. Out: the declared integrations, and the permissions that a machine's Tasks add up to.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable, Mapping
from functools import cache

from asl.ir import Integration, Machine, Permission, Task
from asl.states import walk


@cache
def integrations() -> Mapping[str, Integration]:
    """Return every integration of this package by its Resource."""
    modules = sorted(
        module.name for module in pkgutil.iter_modules(__path__) if not module.name.startswith("_")
    )
    found = (importlib.import_module(f"{__name__}.{name}").INTEGRATION for name in modules)
    return {integration.resource: integration for integration in found}


def machine_permissions(machine: Machine) -> tuple[Permission, ...]:
    """Return what the machine's role needs for its Tasks, merged by actions, sorted."""
    tasks = (visit.state for visit in walk(machine.states) if isinstance(visit.state, Task))
    return merged(need for task in tasks for need in task.integration.permissions(task.arguments))


def merged(permissions: Iterable[Permission]) -> tuple[Permission, ...]:
    """Return one permission for each set of actions under the same conditions, with all their resources."""
    resources: dict[tuple[tuple[str, ...], str, tuple[tuple[str, str, str], ...]], set[str]] = {}
    for need in permissions:
        key = (tuple(sorted(need.actions)), need.reason, need.conditions)
        resources.setdefault(key, set()).update(need.resources)
    return tuple(
        Permission(actions, tuple(sorted(found)), reason, conditions)
        for (actions, reason, conditions), found in sorted(resources.items())
    )
