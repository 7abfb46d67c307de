"""How a hook takes a private function of the emulator: checked first, then replaced.

The emulator promises nothing about its private names. A hook that silently no longer applied
would make local runs differ from AWS without a word, so a changed name, signature or version
stops the start and says which hook is concerned.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any

Function = Callable[..., Any]


class HookMismatchError(RuntimeError):
    """The emulator is not the one that a hook was written for.

    Args:
        hook: Name of the hook's module.
        problem: What differs.
    """

    def __init__(self, hook: str, problem: str) -> None:
        super().__init__(f"local AWS hook {hook!r} does not fit this emulator: {problem}")
        self.hook = hook
        self.problem = problem


def existing(hook: str, module: ModuleType, name: str, parameters: tuple[str, ...]) -> Function:
    """Return `module.name` after checking that it takes exactly `parameters`.

    Raises:
        HookMismatchError: It is missing, not callable, or takes other parameters.
    """
    function = getattr(module, name, None)
    if not callable(function):
        raise HookMismatchError(hook, f"{module.__name__}.{name} is missing")
    found = tuple(inspect.signature(function).parameters)
    if found != parameters:
        raise HookMismatchError(
            hook, f"{module.__name__}.{name}({', '.join(found)}) was expected to take {parameters}"
        )
    taken: Function = function
    return taken


def replace(
    hook: str,
    module: ModuleType,
    name: str,
    parameters: tuple[str, ...],
    make: Callable[[Function], Function],
) -> None:
    """Replace `module.name` by `make(module.name)`.

    Raises:
        HookMismatchError: See `existing`.
    """
    setattr(module, name, make(existing(hook, module, name, parameters)))


def pinned(distribution: str, constraints: Path) -> str:
    """Return the version of `distribution` in a file of name==version lines."""
    lines = (line.strip().partition("==") for line in constraints.read_text(encoding="utf-8").splitlines())
    return next(wanted for name, _, wanted in lines if name.lower() == distribution)


def require_pinned(distribution: str, constraints: Path) -> None:
    """Check that the installed version is the pinned one.

    Raises:
        HookMismatchError: It is another.
    """
    wanted, found = pinned(distribution, constraints), version(distribution)
    if found != wanted:
        raise HookMismatchError("*", f"{distribution} {found} is installed, the hooks are for {wanted}")
