"""``traffic="lambda"`` names a function: what is wrong with it is said when the DAG file is read."""

from __future__ import annotations

import json
from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_sm_rollout import SnapshotOperator, blue_green_rollout, canary_rollout
from airflow_sm_rollout.cli import main
from airflow_sm_rollout.core.errors import PlanError
from airflow_sm_rollout.core.plan.function import FunctionAlias, parse_function

IN_FRONT = {"traffic": "lambda", "function": "scorer"}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"traffic": "lambda"}, "function=None is not possible: with traffic='lambda' the name of the function"),
        ({"function": "scorer"}, "function='scorer' is not possible: left out with traffic='variants'"),
        ({"traffic": "endpoints", "function": "scorer"}, "left out with traffic='endpoints'"),
        ({"alias": "live"}, "alias='live' is not possible: left out, or given with function"),
        ({"variable": "URL"}, "variable='URL' is not possible: left out, or given with function"),
        ({**IN_FRONT, "function": "arn:aws:lambda:us-east-1:1:function:scorer"}, "no ARN"),
        ({**IN_FRONT, "function": 7}, "function=7 is not possible"),
        ({**IN_FRONT, "alias": "12"}, "alias='12' is not possible: the name of an alias"),
        ({**IN_FRONT, "alias": "$LATEST"}, r"alias='\$LATEST' is not possible"),
        ({**IN_FRONT, "variable": "A-B"}, "variable='A-B' is not possible"),
        ({**IN_FRONT, "capacity": "when_needed"}, "capacity='when_needed' is not possible"),
        ({**IN_FRONT, "shadow": {"bake": 60}}, "with 'lambda' green can't be a shadow of blue"),
        ({**IN_FRONT, "functions": "x"}, "did you mean function"),
        ({**IN_FRONT, "alias": "1", "variable": "-"}, r"2 options are wrong: \(1\) alias='1'.*\(2\) variable='-'"),
    ],
)
def test_what_is_wrong_is_said_when_the_dag_file_is_read(options: dict[str, Any], words: str) -> None:
    with DAG("d", schedule=None), pytest.raises(PlanError, match=words):
        canary_rollout(endpoint_name="wine", model_name="v2", steps=[10, 100], **options)  # type: ignore[arg-type]


def test_each_strategy_takes_a_function_and_a_template_of_it_is_looked_at_when_it_is_rendered() -> None:
    with DAG("d", schedule=None):
        blue_green_rollout(endpoint_name="wine", model_name="v2", group_id="a", **IN_FRONT)  # type: ignore[arg-type]
        canary_rollout(endpoint_name="wine", model_name="v2", group_id="b", traffic="lambda", function="{{ params.f }}")
        task = SnapshotOperator(
            task_id="s", endpoint_name="wine", model_name="v2", strategy={"name": "canary"}, traffic="{{ params.t }}"
        )
    assert {"function", "alias", "variable"} <= set(task.template_fields)
    task.traffic, task.function, task.alias = "lambda", "scorer", ""
    assert task.read_options()[1].function == FunctionAlias("scorer", "live", "ENDPOINT_NAME")
    task.function = "None"
    with pytest.raises(PlanError, match="function=None"):
        task.read_options()


@pytest.mark.parametrize("nothing", [None, "", "None", " "])
def test_a_text_that_means_nothing_names_no_function(nothing: str | None) -> None:
    assert parse_function(nothing, nothing, nothing) is None


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("iam-policy", "wine", "--traffic", "lambda"), "function=None is not possible"),
        (("iam-policy", "wine", "--traffic", "lambda", "--function", "a:b"), "function='a:b' is not possible"),
        (("iam-policy", "wine", "--traffic", "lambda", "--function", "f", "--clients"), "lambda:InvokeFunction"),
    ],
)
def test_a_policy_needs_the_functions_name(
    arguments: tuple[str, ...], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 1
    assert words in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [("iam-policy", "wine", "--traffic", "lambda", "--function", "f"), ("guardian", "--policy", "--function", "f")],
)
def test_a_policy_allows_to_delete_versions_and_never_the_function(
    arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 0
    statements = json.loads(capsys.readouterr().out)["Statement"]
    deleting = [
        resource for each in statements if "lambda:DeleteFunction" in each["Action"] for resource in each["Resource"]
    ]
    assert [resource.rpartition(":function:")[2] for resource in deleting] == ["f:*"]


def test_the_steps_of_a_plan_need_no_functions_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(("plan", "--traffic", "lambda", "--steps", "10,100")) == 0
    assert "10 %" in capsys.readouterr().out
