"""A small interpreter of JSONata state machines: strict where AWS is, without waiting.

In: a definition, an input and a function that answers Tasks. Out: status, output and error. An
expression that yields nothing fails its state; a branch sees the variables around it and keeps its
own; retries are not tried. https://docs.aws.amazon.com/step-functions/latest/dg/workflow-variables.html
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from jsonata import Jsonata

Answer = Callable[[str, str, Any], Any]
"""State's name, Resource and Arguments -> result."""


class StatesError(Exception):
    """An error as a state machine sees it."""

    def __init__(self, name: str, cause: str = "") -> None:
        super().__init__(f"{name}: {cause}")
        self.name, self.cause = name, cause


@dataclass
class Execution:
    """How an execution went: its status, output or error, and the states that it entered."""

    status: str
    output: Any = None
    error: str | None = None
    cause: str | None = None
    entered: list[str] = field(default_factory=list)


def execute(definition: Mapping[str, Any], given: Any, answer: Answer, name: str = "run-1") -> Execution:
    """Run a definition to its end."""
    execution = Execution("SUCCEEDED")
    context = {
        "Execution": {
            "Id": f"arn:aws:states:eu-west-1:123456789012:execution:machine:{name}",
            "Name": name,
            "Input": given,
            "StartTime": "2025-01-17T10:15:03.000Z",
        }
    }
    try:
        execution.output = _Runner(answer, context, execution.entered).run(definition, given, {})
    except StatesError as error:
        execution.status, execution.error, execution.cause = "FAILED", error.name, error.cause
    return execution


@dataclass
class _Runner:
    answer: Answer
    context: dict[str, Any]
    entered: list[str]

    def run(self, machine: Mapping[str, Any], given: Any, around: Mapping[str, Any]) -> Any:
        variables, name = dict(around), machine["StartAt"]
        while True:
            state = machine["States"][name]
            self.entered.append(name)
            following, given = self._state(name, state, given, variables)
            if following is None:
                return given
            name = following

    def _state(self, name: str, state: Any, given: Any, variables: dict[str, Any]) -> tuple[str | None, Any]:
        states = {
            "input": given,
            "context": {**self.context, "State": {"Name": name, "EnteredTime": "2025-01-17T10:15:04.500Z"}},
        }
        try:
            if state["Type"] == "Choice":
                return self._choice(state, states, variables)
            if state["Type"] == "Fail":
                said = [self._value(state[part], states, variables) for part in ("Error", "Cause")]
                raise StatesError(*said)  # noqa: TRY301 - caught below only where the state has a Catch, which Fail has not
            result = self._result(name, state, states, variables)
            has_result = state["Type"] in {"Task", "Parallel", "Map"}
            after = {**states, "result": result} if has_result else states
            output = result if has_result else given
            if "Output" in state:
                output = self._value(state["Output"], after, variables)
            variables.update(self._value(state.get("Assign", {}), after, dict(variables)))
        except StatesError as error:
            for catcher in state.get("Catch", ()):
                if {error.name, "States.ALL"} & set(catcher["ErrorEquals"]):
                    caught = {**states, "errorOutput": {"Error": error.name, "Cause": error.cause}}
                    output = self._value(catcher.get("Output", caught["errorOutput"]), caught, variables)
                    variables.update(self._value(catcher.get("Assign", {}), caught, dict(variables)))
                    return catcher["Next"], output
            raise
        return state.get("Next"), output

    def _choice(self, state: Any, states: Any, variables: dict[str, Any]) -> tuple[str, Any]:
        for rule in state["Choices"]:
            if self._value(rule["Condition"], states, variables) is True:
                return rule["Next"], self._leave(rule, states, variables)
        return state["Default"], self._leave(state, states, variables)

    def _leave(self, part: Any, states: Any, variables: dict[str, Any]) -> Any:
        output = self._value(part["Output"], states, variables) if "Output" in part else states["input"]
        variables.update(self._value(part.get("Assign", {}), states, dict(variables)))
        return output

    def _result(self, name: str, state: Any, states: Any, variables: dict[str, Any]) -> Any:
        match state["Type"]:
            case "Task":
                arguments = self._value(state["Arguments"], states, variables)
                return json.loads(json.dumps(self.answer(name, state["Resource"], arguments)))
            case "Parallel":
                return [self.run(branch, states["input"], variables) for branch in state["Branches"]]
            case "Map":
                items = self._value(state["Items"], states, variables)
                return [self.run(state["ItemProcessor"], item, variables) for item in items]
            case "Pass" | "Succeed":
                return None
            case other:
                raise AssertionError(f"{name}: {other} is not interpreted")

    def _value(self, value: Any, states: Any, variables: Mapping[str, Any]) -> Any:
        if isinstance(value, Mapping):
            return {key: self._value(item, states, variables) for key, item in value.items()}
        if isinstance(value, list):
            return [self._value(item, states, variables) for item in value]
        if isinstance(value, str) and value.startswith("{%"):
            return evaluate(value[2:-2], {**variables, "states": states})
        return value


def evaluate(text: str, variables: Mapping[str, Any]) -> Any:
    """Evaluate one expression.

    Raises:
        StatesError: States.QueryEvaluationError, when it fails or yields nothing.
    """
    expression = Jsonata(text)
    expression.register_lambda("parse", json.loads)
    try:
        value = expression.evaluate(None, dict(variables))
    except Exception as error:
        raise StatesError("States.QueryEvaluationError", str(error)) from error
    if value is None:
        raise StatesError("States.QueryEvaluationError", f"{text} yields nothing")
    return json.loads(json.dumps(value))
