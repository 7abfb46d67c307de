"""Mermaid drawings of a pipeline's assets and of its state machine. In: IR. Out: text.

https://mermaid.js.org/syntax/flowchart.html
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from asl.ir import Choice, Fail, Machine, Map, Parallel, State, Succeed, Task
from asl.lower import dependencies
from ingestion_assets.pipeline import Pipeline


def assets_mermaid(pipeline: Pipeline) -> str:
    """Draw sources, assets and where they go."""
    sources = {source.name for source in pipeline.sources}
    dependencies(pipeline)  # raises for inputs that do not exist
    lines = ["flowchart LR"]
    lines += [
        f'  {_id("source", s.name)}[("{_text(f"{s.bucket.name}/{s.prefix}")}")]' for s in pipeline.sources
    ]
    for asset in pipeline.assets:
        lines.append(f'  {_id("asset", asset.name)}["{_text(asset.name)}<br/>{asset.processor.kind}"]')
    for asset in pipeline.assets:
        for name in asset.inputs.values():
            kind = "source" if name in sources else "asset"
            lines.append(f"  {_id(kind, name)} --> {_id('asset', asset.name)}")
    return "\n".join(lines) + "\n"


def machine_mermaid(machine: Machine) -> str:
    """Draw states and transitions; those of errors are dotted."""
    lines = ["flowchart TD", "  begin((start))"]
    ids = _numbered(machine.states)
    lines.append(f"  begin --> {ids[machine.states[0].name]}")
    lines += _draw(machine.states, ids, 1)
    return "\n".join(lines) + "\n"


def _numbered(states: Sequence[State]) -> dict[str, str]:
    found: dict[str, str] = {}
    stack = list(reversed(states))
    while stack:
        state = stack.pop()
        found[state.name] = f"s{len(found)}"
        match state:
            case Parallel():
                stack += [inner for branch in reversed(state.branches) for inner in reversed(branch.states)]
            case Map():
                stack += list(reversed(state.processor.states))
            case _:
                pass
    return found


def _draw(states: Sequence[State], ids: dict[str, str], depth: int) -> Iterator[str]:
    pad = "  " * depth
    for state in states:
        me = ids[state.name]
        match state:
            case Parallel():
                yield f'{pad}subgraph {me}["{_text(state.name)}"]'
                for branch in state.branches:
                    yield from _draw(branch.states, ids, depth + 1)
                yield f"{pad}end"
            case Map():
                yield f'{pad}subgraph {me}["{_text(state.name)} (each)"]'
                yield from _draw(state.processor.states, ids, depth + 1)
                yield f"{pad}end"
            case Choice():
                yield f'{pad}{me}{{"{_text(state.name)}"}}'
            case Succeed() | Fail():
                yield f'{pad}{me}(["{_text(state.name)}"])'
            case _:
                yield f'{pad}{me}["{_text(state.name)}"]'
    for state in states:
        yield from (f"{pad}{line}" for line in _arrows(state, ids))


def _arrows(state: State, ids: dict[str, str]) -> Iterator[str]:
    me = ids[state.name]
    if isinstance(state, Choice):
        yield from (f"{me} -->|yes| {ids[rule.next]}" for rule in state.rules)
        yield f"{me} -->|no| {ids[state.default]}"
    elif not isinstance(state, Succeed | Fail) and state.next:
        yield f"{me} --> {ids[state.next]}"
    if isinstance(state, Task | Parallel | Map):
        for catcher in state.catch:
            yield f"{me} -.->|{_errors(catcher.errors)}| {ids[catcher.next]}"


def _errors(errors: tuple[str, ...]) -> str:
    return _text("any error" if errors == ("States.ALL",) else errors[0].rpartition(".")[2])


def _id(kind: str, name: str) -> str:
    return f"{kind}_{name}"


def _text(text: str) -> str:
    return text.replace('"', "#quot;")
