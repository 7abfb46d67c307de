"""The intermediate representation: states, machines and references to resources, as frozen data.

In: what `asl.lower` builds from declarations. Out: what passes rewrite and emitters print. Nothing
here behaves; `asl.states` walks it, `asl.emit.state_machine` spells it as Amazon States Language.
https://docs.aws.amazon.com/step-functions/latest/dg/statemachine-structure.html
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ingestion_assets.errors import Where
from ingestion_assets.pipeline import Pipeline


@dataclass(frozen=True, slots=True)
class Ref:
    """A resource of the same template.

    Args:
        logical_id: The resource's id in the template.
        attribute: None for CloudFormation's `Ref`, else the attribute of `Fn::GetAtt`: `Arn`.
    """

    logical_id: str
    attribute: str | None = None


@dataclass(frozen=True, slots=True)
class Text:
    """Text that names resources: `Text(("{% 's3://", Ref("StagingBucket"), "/' & $key %}"))`."""

    parts: tuple[str | Ref, ...]


@dataclass(frozen=True, slots=True)
class Permission:
    """Actions on exact resources.

    Args:
        actions: `service:Action`.
        resources: ARNs in the syntax of `Fn::Sub`: `${LogicalId.Arn}`, `${AWS::Region}`, `${LogicalId}`.
        reason: Why the resource is `*`, where AWS offers nothing narrower.
        conditions: (operator, context key, value), all of which must hold.
    """

    actions: tuple[str, ...]
    resources: tuple[str, ...]
    reason: str = ""
    conditions: tuple[tuple[str, str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Errors:
    """Errors that are tried again in the same way.

    Args:
        names: Error names, as Step Functions reports them.
        attempts: Retries after the first try.
        interval_seconds: Before the first retry; doubles each time.
        max_delay_seconds: Longest pause.
        doc: The AWS page that names them.
    """

    names: tuple[str, ...]
    attempts: int
    interval_seconds: int
    max_delay_seconds: int
    doc: str


@dataclass(frozen=True, slots=True)
class Integration:
    """One AWS call that a Task can make.

    Args:
        name: The file's name in `asl.integrations`.
        resource: The Task's Resource.
        service: botocore's name of the service.
        operation: botocore's name of the operation.
        permissions: Task arguments -> what the machine's role needs for exactly this call.
        transient: What is worth another try.
        timeout_seconds: Of a Task that says nothing else.
        extra_arguments: Parameters of the integration that the operation itself does not have.
        doc: The AWS page of the integration.
    """

    name: str
    resource: str
    service: str
    operation: str
    permissions: Callable[[Mapping[str, Any]], tuple[Permission, ...]]
    transient: tuple[Errors, ...]
    timeout_seconds: int
    doc: str
    extra_arguments: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Retrier:
    """`Retry`: which errors, how often, how far apart (full jitter)."""

    errors: tuple[str, ...]
    attempts: int
    interval_seconds: int
    max_delay_seconds: int
    backoff_rate: float = 2.0


@dataclass(frozen=True, slots=True)
class Catcher:
    """`Catch`: which errors lead where, and what is remembered of them."""

    errors: tuple[str, ...]
    next: str
    assign: Mapping[str, Any] = field(default_factory=dict)
    output: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One AWS call. `next` is None at the end of a machine or branch, here and below.

    Args:
        name: Unique in the whole machine, at most 80 characters.
        integration: The call.
        arguments: What it is told; JSONata between `{%` and `%}`.
        assign: Variables, visible from the next state on.
        output: None passes `$states.result` on.
        retry: In order.
        catch: In order.
        timeout_seconds: None until a pass gives it the integration's.
        comment: For readers of the console.
        next: Name of the next state.
    """

    name: str
    integration: Integration
    arguments: Mapping[str, Any]
    assign: Mapping[str, Any] = field(default_factory=dict)
    output: Any = None
    retry: tuple[Retrier, ...] = ()
    catch: tuple[Catcher, ...] = ()
    timeout_seconds: int | None = None
    comment: str = ""
    next: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One choice.

    Args:
        condition: JSONata without its delimiters.
        next: Name of the state that it leads to.
        assign: Variables.
        output: None passes the input on.
        back: How often it may lead there, where that is a state which comes before; the condition sees to it.
    """

    condition: str
    next: str
    assign: Mapping[str, Any] = field(default_factory=dict)
    output: Any = None
    back: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The first rule that holds, else `default`."""

    name: str
    rules: tuple[Rule, ...]
    default: str
    assign: Mapping[str, Any] = field(default_factory=dict)
    output: Any = None
    comment: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass:
    """Assign variables or shape the output."""

    name: str
    assign: Mapping[str, Any] = field(default_factory=dict)
    output: Any = None
    comment: str = ""
    next: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """Wait for seconds, a number or JSONata."""

    name: str
    seconds: int | str
    comment: str = ""
    next: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Succeed:
    """End well."""

    name: str
    output: Any = None
    comment: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fail:
    """End with an error; both texts may be JSONata."""

    name: str
    error: str
    cause: str
    comment: str = ""


@dataclass(frozen=True, slots=True)
class Branch:
    """The states of a Parallel's branch or a Map's item, in order; the first one starts."""

    states: tuple[State, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parallel:
    """Run branches side by side; `$states.result` is the list of their outputs, in order."""

    name: str
    branches: tuple[Branch, ...]
    assign: Mapping[str, Any] = field(default_factory=dict)
    output: Any = None
    retry: tuple[Retrier, ...] = ()
    catch: tuple[Catcher, ...] = ()
    comment: str = ""
    next: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Map:
    """Run `processor` for each item.

    Args:
        name: Unique in the whole machine.
        items: JSONata that yields an array.
        item_selector: Input of each item; None gives the item itself.
        processor: The item's states.
        max_concurrency: Items at once (inline: at most 40).
        max_items: The most items that can come, for the budget.
        distributed: Child executions instead of inline iterations.
        item_reader: Of a distributed map, where items come from.
        label: Of a distributed map, prefix of its children's names.
        tolerated_failure_percentage: Of a distributed map.
        assign: Variables, visible from the next state on.
        output: None passes `$states.result` on.
        retry: In order.
        catch: In order.
        comment: For readers of the console.
        next: Name of the next state.
    """

    name: str
    items: Any
    processor: Branch
    item_selector: Any = None
    max_concurrency: int = 1
    max_items: int = 1
    distributed: bool = False
    item_reader: Mapping[str, Any] | None = None
    label: str = ""
    tolerated_failure_percentage: int = 0
    assign: Mapping[str, Any] = field(default_factory=dict)
    output: Any = None
    retry: tuple[Retrier, ...] = ()
    catch: tuple[Catcher, ...] = ()
    comment: str = ""
    next: str | None = None


State = Task | Choice | Pass | Wait | Succeed | Fail | Parallel | Map


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """What a check or the compiler has to say about a valid or invalid artefact.

    Args:
        code: `ASL` and three digits; `docs/errors.md` explains each.
        where: A declaration, or a place in an artefact.
        what: One sentence without a full stop.
        hint: How to mend it.
        severity: `error` or `warning`.
        doc: The AWS page behind it.
    """

    code: str
    where: Where | str
    what: str
    hint: str
    severity: str = "error"
    doc: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """A state machine (JSONata).

    Args:
        name: Of the pipeline that it runs.
        logical_id: Its id in the template.
        states: In order; the first one starts.
        timeout_seconds: Of one execution.
        comment: For readers of the console.
        where: The pipeline's declaration.
        diagnostics: Warnings of the lowering: needless waits that fork and join cannot avoid.
    """

    name: str
    logical_id: str
    states: tuple[State, ...]
    timeout_seconds: int
    comment: str
    where: Where
    diagnostics: tuple[Diagnostic, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class App:
    """Everything that one template deploys.

    Args:
        pipelines: By name.
        machines: One for each pipeline, in the same order.
        resources: What else the template holds (`asl.resources`).
    """

    pipelines: tuple[Pipeline, ...]
    machines: tuple[Machine, ...]
    resources: tuple[Any, ...] = ()
