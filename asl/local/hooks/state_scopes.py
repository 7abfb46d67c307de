"""Gap: Parallel, distributed Map and Succeed know no JSONata fields, and branches share variables.

Here `Arguments`, `Output` and `Assign` of a Parallel are evaluated, a Succeed's `Output` and
ItemReader arguments too, and a branch or iteration has variables of its own, so that a value assigned inside is not visible
outside. https://docs.aws.amazon.com/step-functions/latest/dg/workflow-variables.html
"""

from __future__ import annotations

from typing import Any

from ministack.services import stepfunctions

from asl.local.patching import Function, existing, replace
from asl.local.settings import Settings

HOOK = "state_scopes"
CONTEXT = ("state_def", "raw_input", "execution", "ctx")
RESULT = ("raw_input", "ctx", "result", "error_output")

_language = existing(HOOK, stepfunctions, "_state_query_language", ("state_def", "ctx"))
_template = existing(HOOK, stepfunctions, "_apply_jsonata_template", ("value", *RESULT))
_assign = existing(HOOK, stepfunctions, "_apply_state_assign", ("state_def", *RESULT))


def install(settings: Settings) -> None:
    """Evaluate the missing fields; give each branch a scope."""
    del settings
    distributed = ("state_def", "raw_input", "effective", "iterator", "execution", "ctx")
    machine = ("states", "start_at", "input_data", "execution", "ctx")
    replace(HOOK, stepfunctions, "_run_parallel_branches", CONTEXT, _parallel)
    replace(HOOK, stepfunctions, "_run_distributed_map", distributed, _distributed)
    replace(HOOK, stepfunctions, "_read_map_items", ("reader", "effective", "ctx"), _reader)
    replace(HOOK, stepfunctions, "_run_sub_machine", machine, _scope)
    replace(HOOK, stepfunctions, "_apply_output_path", ("state_def", "data", "ctx"), _succeed)


def _finish(state: Any, raw_input: Any, ctx: Any, result: Any) -> Any:
    """Evaluate Output, then Assign; both see `$states.result`."""
    output = _template(state["Output"], raw_input, ctx, result) if "Output" in state else result
    _assign(state, raw_input, ctx, result=result)
    return output


def _parallel(original: Function) -> Function:
    def run_parallel_branches(state_def: Any, raw_input: Any, execution: Any, ctx: Any) -> Any:
        if _language(state_def, ctx) != "JSONata":
            return original(state_def, raw_input, execution, ctx)
        given = raw_input
        if "Arguments" in state_def:
            given = _template(state_def["Arguments"], raw_input, ctx)
        results, following = original(state_def, given, execution, ctx)
        return _finish(state_def, raw_input, ctx, results), following

    return run_parallel_branches


def _distributed(original: Function) -> Function:
    def run_distributed_map(*given: Any) -> Any:
        state_def, raw_input, *_, ctx = given
        results, following = original(*given)
        if _language(state_def, ctx) == "JSONata":
            results = _finish(state_def, raw_input, ctx, results)
        return results, following

    return run_distributed_map


def _reader(original: Function) -> Function:
    def read_map_items(reader: Any, effective: Any, ctx: Any) -> Any:
        if "Arguments" in reader:
            rest = {key: value for key, value in reader.items() if key != "Arguments"}
            reader = {**rest, "Parameters": _template(reader["Arguments"], effective, ctx)}
        return original(reader, effective, ctx)

    return read_map_items


def _succeed(original: Function) -> Function:
    def apply_output_path(state_def: Any, data: Any, ctx: Any = None) -> Any:
        if state_def.get("Type") == "Succeed" and _language(state_def, ctx) == "JSONata":
            return _template(state_def["Output"], data, ctx) if "Output" in state_def else data
        return original(state_def, data, ctx)

    return apply_output_path


def _scope(original: Function) -> Function:
    def run_sub_machine(states: Any, start_at: Any, input_data: Any, execution: Any, ctx: Any) -> Any:
        inner = {**ctx, "variables": dict(ctx.get("variables", {}))}
        return original(states, start_at, input_data, execution, inner)

    return run_sub_machine
