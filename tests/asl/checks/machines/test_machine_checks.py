"""Each check finds what it is for in a broken machine, and nothing in machines that the compiler makes."""

from __future__ import annotations

import copy

import pytest
from hypothesis import given, settings

from asl.checks.machines import CHECKS, check_machine
from asl.emit.state_machine import definition
from asl.lower import lower_pipeline
from tests.asl.generated import dags, pipeline_of

NESTED = {"a": [], "b": ["a"], "c": ["a"], "d": ["b", "c"], "e": ["b"]}
GOOD = definition(lower_pipeline(pipeline_of(NESTED, glue=frozenset("c"))))


@given(dags(most=6))
@settings(max_examples=25, deadline=None)
def test_compiled_machines_are_clean(dag):
    made = definition(lower_pipeline(pipeline_of(dag, glue=frozenset(list(dag)[:1]))))
    assert check_machine("generated", made.definition, made.substitutions) == ()


def state(machine, name):
    """Return a state, wherever it is."""
    stack = [machine]
    while stack:
        inner = stack.pop()
        for known, found in inner["States"].items():
            if known == name:
                return found
            stack += found.get("Branches", [])
            stack += [found["ItemProcessor"]] if "ItemProcessor" in found else []
    raise KeyError(name)


def put(name, path, value):
    """Return a change that sets a field of a state."""

    def change(machine):
        target = state(machine, name)
        for key in path[:-1]:
            target = target[key]
        target[path[-1]] = value

    return change


def drop(name, *path):
    """Return a change that removes a field of a state."""

    def change(machine):
        target = state(machine, name)
        for key in path[:-1]:
            target = target[key]
        del target[path[-1]]

    return change


def rename(machine):
    machine["States"]["x" * 81] = machine["States"].pop("Begin")
    machine["StartAt"] = "x" * 81


def same_name(machine):
    inner = state(machine, "Register partitions of a")["ItemProcessor"]
    inner["States"] = {"Begin": inner["States"].pop("Add partitions of a")}
    inner["StartAt"] = "Begin"


def distributed(machine):
    register = state(machine, "Register partitions of a")
    register["ItemProcessor"]["ProcessorConfig"] = {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}
    task = register["ItemProcessor"]["States"]["Add partitions of a"]
    task["Arguments"]["DatabaseName"] = "{% $file.bucket %}"


def assign_outer(machine):
    state(machine, "Materialize b")["Assign"]["file"] = "{% 1 %}"


BROKEN = [
    ("a transition to nowhere", "ASL310", put("Begin", ["Next"], "Nowhere")),
    ("a state that nothing leads to", "ASL310", lambda m: m["States"].update(Lost={"Type": "Succeed"})),
    ("no start", "ASL310", lambda m: m.pop("StartAt")),
    ("an unknown type", "ASL310", put("Begin", ["Type"], "Do")),
    ("a name of 81 characters", "ASL311", rename),
    ("a name used inside and outside", "ASL311", same_name),
    ("no query language", "ASL312", lambda m: m.pop("QueryLanguage")),
    ("a JSONPath field", "ASL312", put("Announce", ["ResultPath"], "$.x")),
    ("a JSONPath member", "ASL312", put("Announce", ["Arguments", "x.$"], "$.y")),
    ("an expression within a text", "ASL312", put("Alert", ["Arguments", "Subject"], "Hi {% $file.key %}")),
    ("an unbalanced expression", "ASL313", put("Begin", ["Assign", "file"], "{% {'a': 1 %}")),
    ("an operator without operand", "ASL313", put("Announce", ["Output"], "{% $file & %}")),
    ("a newer operator", "ASL314", put("Announce", ["Output"], "{% $file.x ?? 1 %}")),
    ("an elvis", "ASL314", put("Announce", ["Output"], "{% $file.x ?: 1 %}")),
    ("eval", "ASL314", put("Announce", ["Output"], "{% $eval('1') %}")),
    ("an unassigned variable", "ASL315", put("Announce", ["Output"], "{% $nobody.x %}")),
    ("a variable in its own state", "ASL315", put("Begin", ["Assign", "twice"], "{% $file_id & $file_id %}")),
    ("a variable of another way", "ASL315", put("Already ingested", ["Output"], "{% $failure %}")),
    ("a function that nobody has", "ASL315", put("Announce", ["Output"], "{% $coalesce($file, 1) %}")),
    ("a variable inside a branch", "ASL315", put("Announce", ["Output"], "{% $b_run %}")),
    ("an outer variable in a distributed map", "ASL315", distributed),
    ("an outer variable assigned inside", "ASL316", assign_outer),
    ("a reserved name", "ASL316", put("Begin", ["Assign", "states"], "{% 1 %}")),
    ("a result without a call", "ASL317", put("Begin", ["Output"], "{% $states.result %}")),
    ("an error outside of a Catch", "ASL317", put("Announce", ["Output"], "{% $states.errorOutput %}")),
    ("a result in arguments", "ASL317", put("Alert", ["Arguments", "Message"], "{% $states.result %}")),
    (
        "a misspelt action",
        "ASL318",
        put("Start crawler", ["Resource"], "arn:aws:states:::aws-sdk:glue:startCrawl"),
    ),
    ("no such service", "ASL318", put("Start crawler", ["Resource"], "arn:aws:states:::aws-sdk:nope:get")),
    (
        "an undeclared call",
        "ASL318",
        put("Start crawler", ["Resource"], "arn:aws:states:::aws-sdk:glue:getCrawler"),
    ),
    ("a misspelt argument", "ASL319", put("Start crawler", ["Arguments", "CrawlerName"], "x")),
    ("a missing argument", "ASL319", drop("Start crawler", "Arguments", "Name")),
    ("a nested misspelling", "ASL319", put("Announce", ["Arguments", "Entries", 0, "Details"], "x")),
    ("a number for a text", "ASL319", put("Start crawler", ["Arguments", "Name"], 3)),
    (
        "a value that is none of the API's",
        "ASL319",
        put("Track started", ["Arguments", "ReturnValues"], "EVERYTHING"),
    ),
    ("no timeout", "ASL320", drop("Announce", "TimeoutSeconds")),
    ("no timeout of the machine", "ASL320", lambda m: m.pop("TimeoutSeconds")),
    ("no retry", "ASL321", drop("Materialize b", "Retry")),
    ("no jitter", "ASL321", drop("Materialize b", "Retry", 0, "JitterStrategy")),
    ("no longest pause", "ASL321", drop("Materialize b", "Retry", 0, "MaxDelaySeconds")),
    ("no catch", "ASL322", drop("Announce", "Catch")),
    (
        "a catch of little",
        "ASL322",
        put("Announce", ["Catch", 0, "ErrorEquals"], ["Events.ThrottlingException"]),
    ),
    ("no limit of concurrency", "ASL323", drop("Register partitions of a", "MaxConcurrency")),
    ("too much at once", "ASL323", put("Register partitions of a", ["MaxConcurrency"], 41)),
    ("a placeholder for nothing", "ASL324", put("Alert", ["Arguments", "TopicArn"], "${Nothing}")),
]


@pytest.mark.parametrize(("what", "code", "change"), BROKEN, ids=[row[0] for row in BROKEN])
def test_a_broken_machine_is_found(what, code, change):
    del what
    machine = copy.deepcopy(dict(GOOD.definition))
    change(machine)
    found = check_machine("generated", machine, GOOD.substitutions)
    assert code in {each.code for each in found}, found


def test_every_check_is_tried():
    assert {check.code for check in CHECKS} == {code for _, code, _ in BROKEN}
    assert len({check.code for check in CHECKS}) == len(CHECKS)


def test_a_finding_says_where_and_how_to_mend_it():
    machine = copy.deepcopy(dict(GOOD.definition))
    put("Announce", ["Output"], "{% $nobody %}")(machine)
    (found,) = check_machine("generated", machine, GOOD.substitutions)
    assert found.where == "generated: Announce, Output"
    assert found.what == "$nobody is not assigned on every way to this state"
    assert found.hint
    assert found.doc.startswith("https://")


def test_operators_in_texts_are_no_operators():
    machine = copy.deepcopy(dict(GOOD.definition))
    put("Announce", ["Output"], "{% 'really?? yes ?: no' %}")(machine)
    assert check_machine("generated", machine, GOOD.substitutions) == ()
