"""Python source -> its import statements, by parsing: what a module needs, without running it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Import:
    """One import statement.

    Args:
        line: Where it stands, from 1.
        module: What follows `import` or `from`; empty in `from . import x`.
        names: What follows `import` in a `from` statement; each may be a module itself.
        level: Leading dots.
    """

    line: int
    module: str
    names: tuple[str, ...] = ()
    level: int = 0

    def modules(self, importer: str, file: Path) -> Iterator[str]:
        """Yield the absolute names that this may import, in the module `importer` at `file`."""
        base = self.module
        if self.level:
            parts = importer.split(".")
            kept = len(parts) - self.level + (file.name == "__init__.py")
            base = ".".join([*parts[:kept], *([self.module] if self.module else [])])
        yield base
        for name in self.names:
            yield f"{base}.{name}"


def imports(source: str, file: str) -> tuple[Import, ...]:
    """Return the imports of `source`, in its functions too, except those for type checkers only."""
    return tuple(_walk(ast.parse(source, file)))


def _walk(node: ast.AST) -> Iterator[Import]:
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield Import(node.lineno, alias.name)
    elif isinstance(node, ast.ImportFrom):
        yield Import(node.lineno, node.module or "", tuple(a.name for a in node.names), node.level)
    elif isinstance(node, ast.If) and _type_checking(node.test):
        for statement in node.orelse:
            yield from _walk(statement)
    else:
        for child in ast.iter_child_nodes(node):
            yield from _walk(child)


def _type_checking(test: ast.expr) -> bool:
    name = test.attr if isinstance(test, ast.Attribute) else getattr(test, "id", "")
    return name == "TYPE_CHECKING"
