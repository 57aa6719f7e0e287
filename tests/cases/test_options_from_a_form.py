"""A form's fields reach options by templates, as text or as what they are. Both mean the same, or are refused by the option."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_sm_rollout import PlanError, canary_rollout
from airflow_sm_rollout.core.rollout import Green, Plan

BASE: dict[str, Any] = {
    "endpoint_name": "fraud",
    "image": "green:2",
    "model_data_url": "s3://models/green.tar.gz",
    "steps": [25, 100],
    "bake": 60,
    "alarms": ["fraud-business"],
    "limits": {"min_requests": 0},
}
TAKEN: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "a list of steps": ({"it": [25, 100]}, {"steps": "{{ params.it }}", "max_steps": 2}),
    "a list of alarms": ({"it": ["fraud-business"]}, {"alarms": "{{ params.it }}"}),
    "no alarms": ({"it": None}, {"alarms": "{{ params.it }}"}),
    "an environment": ({"it": {"LEVEL": "debug", "N": "4"}}, {"environment": "{{ params.it }}"}),
    "an environment as lines": ({"it": ["LEVEL=debug", "N=4"]}, {"environment": "{{ params.it }}"}),
    "a number inside": ({"it": "4"}, {"environment": {"N": "{{ params.it }}"}}),
    "an endpoint": ({"it": "fraud"}, {"endpoint_name": "{{ params.it }}"}),
    "no instance type": ({"it": None}, {"instance_type": "{{ params.it }}"}),
    "no default alarms": ({}, {"default_alarms": False}),
    "own default alarms": (
        {},
        {"default_alarms": {"max_error_percent": 1.0, "min_requests": 1}, "limits": None, "when_inconclusive": "go_on"},
    ),
    "an environment's lines": ({}, {"environment": ["LEVEL=debug"]}),
    "a number in an environment": ({}, {"environment": {"WORKERS": 4}}),
}
REFUSED: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "no bake": ({"it": None}, {"bake": "{{ params.it }}"}, "bake"),
    "a line without a value": ({"it": ["LEVEL"]}, {"environment": "{{ params.it }}"}, "environment"),
    "a variable twice": ({"it": ["A=1", "A=2"]}, {"environment": "{{ params.it }}"}, "environment"),
    "lines that are numbers": ({"it": [7]}, {"environment": "{{ params.it }}"}, "environment"),
}


def read(params: dict[str, Any], options: dict[str, Any], native: bool) -> tuple[Green, Plan]:
    """What ``snapshot`` makes of the options, once they are rendered for a run."""
    with DAG("form", schedule=None, params=params, render_template_as_native_obj=native) as dag:
        canary_rollout(**{**BASE, **options})
    snapshot: Any = dag.get_task("canary.snapshot")
    snapshot.render_template_fields({"params": params}, dag.get_template_env())
    return snapshot.read_options()  # type: ignore[no-any-return]


@pytest.mark.parametrize("name", TAKEN)
def test_what_a_form_gives_means_the_same_as_text_and_as_what_it_is(name: str) -> None:
    assert read(*TAKEN[name], native=False) == read(*TAKEN[name], native=True)


@pytest.mark.parametrize("native", [False, True], ids=["text", "native"])
@pytest.mark.parametrize("name", REFUSED)
def test_what_can_not_be_is_refused_by_the_option(name: str, native: bool) -> None:
    params, options, option = REFUSED[name]
    with pytest.raises(PlanError, match=option):
        read(params, options, native)


def test_lines_are_the_environment_that_they_say() -> None:
    for name in ("an environment", "an environment as lines"):
        green, _ = read(*TAKEN[name], native=True)
        assert green.environment == {"LEVEL": "debug", "N": "4"}
    green, _ = read({}, {"environment": ["URL=s3://a?b=c", " EMPTY ="]}, native=False)
    assert green.environment == {"URL": "s3://a?b=c", "EMPTY": ""}
