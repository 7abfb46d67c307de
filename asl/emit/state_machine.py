"""IR -> Amazon States Language (JSONata), as JSON values.

In: a `Machine`. Out: the definition, and what its `${…}` placeholders stand for, as text in the
syntax of `Fn::Sub`. The same machine gives the same bytes: states stand in their own order, fields
in the order in which one reads a state. https://states-language.net/spec.html
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from asl.ir import (
    Catcher,
    Choice,
    Fail,
    Machine,
    Map,
    Parallel,
    Pass,
    Ref,
    Retrier,
    Rule,
    State,
    Task,
    Text,
    Wait,
)


@dataclass(frozen=True, slots=True)
class Definition:
    """What a template needs of a machine.

    Args:
        definition: In Amazon States Language; resources are `${LogicalIdAttribute}`.
        substitutions: What each placeholder stands for: `${LogicalId.Attribute}`.
    """

    definition: Mapping[str, Any]
    substitutions: Mapping[str, str]


@dataclass(slots=True)
class _Emitter:
    substitutions: dict[str, str] = field(default_factory=dict)

    def value(self, value: Any) -> Any:
        """Spell arguments, replacing references by placeholders."""
        match value:
            case Ref(logical_id, attribute):
                placeholder = logical_id + (attribute or "").replace(".", "")
                target = f"{logical_id}.{attribute}" if attribute else logical_id
                self.substitutions[placeholder] = f"${{{target}}}"
                return f"${{{placeholder}}}"
            case Text(parts):
                return "".join(part if isinstance(part, str) else self.value(part) for part in parts)
            case Mapping():
                return {key: self.value(item) for key, item in value.items()}
            case list() | tuple():
                return [self.value(item) for item in value]
            case _:
                return value

    def states(self, states: Sequence[State]) -> dict[str, Any]:
        """Return `StartAt` and `States`."""
        return {"StartAt": states[0].name, "States": {state.name: self.state(state) for state in states}}

    def state(self, state: State) -> dict[str, Any]:
        """Return one state."""
        spelled: dict[str, Any] = {"Type": type(state).__name__}
        if state.comment:
            spelled["Comment"] = state.comment
        spelled |= self._specific(state)
        if isinstance(state, Task | Choice | Pass | Parallel | Map) and state.assign:
            spelled["Assign"] = self.value(state.assign)
        if not isinstance(state, Fail | Wait) and state.output is not None:
            spelled["Output"] = self.value(state.output)
        if isinstance(state, Task | Parallel | Map):
            if state.retry:
                spelled["Retry"] = [_retrier(retrier) for retrier in state.retry]
            if state.catch:
                spelled["Catch"] = [self._catcher(catcher) for catcher in state.catch]
        if isinstance(state, Task | Pass | Wait | Parallel | Map):
            spelled |= {"Next": state.next} if state.next else {"End": True}
        return spelled

    def _specific(self, state: State) -> dict[str, Any]:
        spelled: dict[str, Any] = {}
        match state:
            case Task():
                spelled = {"Resource": state.integration.resource, "Arguments": self.value(state.arguments)}
                if state.timeout_seconds is not None:
                    spelled["TimeoutSeconds"] = state.timeout_seconds
            case Choice():
                spelled = {"Choices": [self._rule(rule) for rule in state.rules], "Default": state.default}
            case Wait():
                spelled = {"Seconds": state.seconds}
            case Fail():
                spelled = {"Error": self.value(state.error), "Cause": self.value(state.cause)}
            case Parallel():
                spelled = {"Branches": [self.states(branch.states) for branch in state.branches]}
            case Map():
                spelled = self._map(state)
        return spelled

    def _rule(self, rule: Rule) -> dict[str, Any]:
        spelled = {"Condition": f"{{% {rule.condition} %}}", "Next": rule.next}
        if rule.assign:
            spelled["Assign"] = self.value(rule.assign)
        if rule.output is not None:
            spelled["Output"] = self.value(rule.output)
        return spelled

    def _map(self, state: Map) -> dict[str, Any]:
        mode = (
            {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"} if state.distributed else {"Mode": "INLINE"}
        )
        spelled: dict[str, Any] = {}
        if state.item_reader is not None:
            spelled["ItemReader"] = self.value(state.item_reader)
        else:
            spelled["Items"] = self.value(state.items)
        if state.item_selector is not None:
            spelled["ItemSelector"] = self.value(state.item_selector)
        spelled["ItemProcessor"] = {"ProcessorConfig": mode, **self.states(state.processor.states)}
        spelled["MaxConcurrency"] = state.max_concurrency
        if state.distributed:
            spelled |= {"Label": state.label} if state.label else {}
            spelled["ToleratedFailurePercentage"] = state.tolerated_failure_percentage
        return spelled

    def _catcher(self, catcher: Catcher) -> dict[str, Any]:
        spelled: dict[str, Any] = {"ErrorEquals": list(catcher.errors), "Next": catcher.next}
        if catcher.assign:
            spelled["Assign"] = self.value(catcher.assign)
        if catcher.output is not None:
            spelled["Output"] = self.value(catcher.output)
        return spelled


def _retrier(retrier: Retrier) -> dict[str, Any]:
    return {
        "ErrorEquals": list(retrier.errors),
        "IntervalSeconds": retrier.interval_seconds,
        "MaxAttempts": retrier.attempts,
        "BackoffRate": retrier.backoff_rate,
        "MaxDelaySeconds": retrier.max_delay_seconds,
        "JitterStrategy": "FULL",
    }


def definition(machine: Machine) -> Definition:
    """Spell a machine."""
    emitter = _Emitter()
    spelled = {
        **({"Comment": machine.comment} if machine.comment else {}),
        "QueryLanguage": "JSONata",
        "TimeoutSeconds": machine.timeout_seconds,
        **emitter.states(machine.states),
    }
    return Definition(spelled, dict(sorted(emitter.substitutions.items())))
