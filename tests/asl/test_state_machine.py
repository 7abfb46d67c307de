"""How each kind of state is spelled, and drawn."""

from __future__ import annotations

import json

import pytest

from asl.emit.graph import assets_mermaid, machine_mermaid
from asl.emit.state_machine import definition
from asl.integrations import lambda_invoke
from asl.ir import (
    Branch,
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
    Succeed,
    Task,
    Text,
    Wait,
)
from asl.lower import lower_pipeline
from ingestion_assets.errors import Where
from tests.asl.generated import pipeline_of, random_dag

END = Branch((Succeed(name="s"),))
TABLE = [
    (Pass(name="x", assign={"a": 1}), {"Type": "Pass", "Assign": {"a": 1}, "End": True}),
    (Wait(name="x", seconds=5, next="y"), {"Type": "Wait", "Seconds": 5, "Next": "y"}),
    (Succeed(name="x", output={}), {"Type": "Succeed", "Output": {}}),
    (Fail(name="x", error="E", cause="C"), {"Type": "Fail", "Error": "E", "Cause": "C"}),
    (
        Choice(name="x", rules=(Rule(condition="$a = 1", next="y", output={"o": 1}),), default="z"),
        {
            "Type": "Choice",
            "Choices": [{"Condition": "{% $a = 1 %}", "Next": "y", "Output": {"o": 1}}],
            "Default": "z",
        },
    ),
    (
        Parallel(name="x", branches=(END,), next="y"),
        {
            "Type": "Parallel",
            "Branches": [{"StartAt": "s", "States": {"s": {"Type": "Succeed"}}}],
            "Next": "y",
        },
    ),
    (
        Map(name="x", items="{% $i %}", processor=END, max_concurrency=3),
        {
            "Type": "Map",
            "Items": "{% $i %}",
            "ItemProcessor": {
                "ProcessorConfig": {"Mode": "INLINE"},
                "StartAt": "s",
                "States": {"s": {"Type": "Succeed"}},
            },
            "MaxConcurrency": 3,
            "End": True,
        },
    ),
    (
        Map(name="x", items=None, item_reader={"Resource": "r"}, processor=END, distributed=True, label="L"),
        {
            "Type": "Map",
            "ItemReader": {"Resource": "r"},
            "ItemProcessor": {
                "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
                "StartAt": "s",
                "States": {"s": {"Type": "Succeed"}},
            },
            "MaxConcurrency": 1,
            "Label": "L",
            "ToleratedFailurePercentage": 0,
            "End": True,
        },
    ),
    (
        Task(
            name="x",
            integration=lambda_invoke.INTEGRATION,
            arguments={"FunctionName": Ref("F", "Arn"), "Payload": Text(("{% '", Ref("B"), "' %}"))},
            retry=(Retrier(("E",), 3, 1, 9),),
            catch=(Catcher(("States.ALL",), "y", assign={"e": 1}, output={}),),
            timeout_seconds=9,
            comment="why",
        ),
        {
            "Type": "Task",
            "Comment": "why",
            "Resource": "arn:aws:states:::lambda:invoke",
            "Arguments": {"FunctionName": "${FArn}", "Payload": "{% '${B}' %}"},
            "TimeoutSeconds": 9,
            "Retry": [
                {
                    "ErrorEquals": ["E"],
                    "IntervalSeconds": 1,
                    "MaxAttempts": 3,
                    "BackoffRate": 2.0,
                    "MaxDelaySeconds": 9,
                    "JitterStrategy": "FULL",
                }
            ],
            "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "y", "Assign": {"e": 1}, "Output": {}}],
            "End": True,
        },
    ),
]


def machine(*states):
    return Machine(
        name="m", logical_id="M", states=states, timeout_seconds=60, comment="c", where=Where("f.py", 1)
    )


@pytest.mark.parametrize(("state", "spelled"), TABLE, ids=lambda value: type(value).__name__)
def test_a_state_is_spelled(state, spelled):
    assert definition(machine(state)).definition["States"] == {"x": spelled}


def test_a_machine_starts_with_its_first_state_and_names_its_resources():
    made = definition(machine(TABLE[-1][0]))
    assert list(made.definition) == ["Comment", "QueryLanguage", "TimeoutSeconds", "StartAt", "States"]
    assert made.definition["StartAt"] == "x"
    assert made.substitutions == {"B": "${B}", "FArn": "${F.Arn}"}


def test_the_same_declaration_gives_the_same_bytes():
    first, second = (
        json.dumps(definition(lower_pipeline(pipeline_of(random_dag(40, seed=2)))).definition)
        for _ in range(2)
    )
    assert first == second


def test_drawings_show_every_state_and_asset():
    pipeline = pipeline_of({"a": [], "b": ["a"], "c": ["a"]})
    drawn = machine_mermaid(lower_pipeline(pipeline))
    for shown in ('["Materialize b"]', "subgraph s", '{"Is a rejected?"}', "-.->|any error|", "-->|yes|"):
        assert shown in drawn
    assert drawn.count("subgraph") == drawn.count("end\n")
    assert assets_mermaid(pipeline).splitlines() == [
        "flowchart LR",
        '  source_files[("landing/generated/")]',
        '  asset_a["a<br/>lambda"]',
        '  asset_b["b<br/>lambda"]',
        '  asset_c["c<br/>lambda"]',
        "  source_files --> asset_a",
        "  asset_a --> asset_b",
        "  asset_a --> asset_c",
    ]
