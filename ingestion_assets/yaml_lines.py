"""YAML -> plain data, and the line that each key stands on, for errors that point there.

In: the text of a file. Out: its documents. Dates stay texts, as JSON has them, so that a configuration means the
same in both.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

Path = tuple[str | int, ...]
_TIMESTAMP = "tag:yaml.org,2002:timestamp"


class YamlError(ValueError):
    """A text that is no YAML, or says one key twice.

    Args:
        what: One sentence without a full stop.
        line: Where, from 1.
    """

    def __init__(self, what: str, line: int) -> None:
        super().__init__(f"line {line}: {what}")
        self.what = what
        self.line = line


@dataclass(frozen=True, slots=True)
class Document:
    """One document of a file.

    Args:
        data: Its content.
        lines: The line of each key and item, from 1, by its path; the whole document's is that of `()`.
    """

    data: Any
    lines: Mapping[Path, int]

    def line(self, path: Path) -> int:
        """Return the line of `path`, or of what is nearest above it."""
        while path not in self.lines:
            path = path[:-1]
        return self.lines[path]


class _Loader(yaml.SafeLoader):
    """Plain data; dates stay texts."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in found if tag != _TIMESTAMP]
    for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def documents(text: str) -> list[Document]:
    """Read all documents of a text; empty ones are left out.

    Raises:
        YamlError: It is no YAML, or an object has a key twice.
    """
    found = []
    try:
        loader = _Loader(text)
        while loader.check_node():
            node = loader.get_node()
            if node is None:
                continue
            lines = dict(_lines(node, ()))
            data = loader.construct_document(node)
            if data is not None:
                found.append(Document(data, lines))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        what = f"this is no YAML: {error.problem or error.context}"
        raise YamlError(what, mark.line + 1 if mark else 1) from error
    except RecursionError as error:
        raise YamlError("this is no YAML: an alias stands within what it names", 1) from error
    except yaml.YAMLError as error:  # a character that no YAML holds
        raise YamlError(f"this is no YAML: {' '.join(str(error).split())}", 1) from error
    return found


def keys_of(message: str) -> Path:
    """Return the path that a message of `aws_runtime.codec` begins with: `steps[0].cast.dt: …`."""
    said = re.match(r"[\w.\[\]]*", message.partition(":")[0])
    parts = re.findall(r"\[(\d+)\]|([^.\[\]]+)", said.group() if said else "")
    return tuple(int(index) if index else name for index, name in parts)


def _lines(node: yaml.Node, path: Path) -> Iterator[tuple[Path, int]]:
    if not path:
        yield path, node.start_mark.line + 1
    if isinstance(node, yaml.MappingNode):
        seen = set()
        for key, value in node.value:
            name, line = str(key.value), key.start_mark.line + 1
            if name in seen:
                raise YamlError(f"the key {name!r} is there twice", line)
            seen.add(name)
            yield (*path, name), line
            yield from _lines(value, (*path, name))
    elif isinstance(node, yaml.SequenceNode):
        for position, item in enumerate(node.value):
            yield (*path, position), item.start_mark.line + 1
            yield from _lines(item, (*path, position))
