"""Which models the demo rolls out."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from airflow_sm_rollout.cli import _DEMO_MODELS
from airflow_sm_rollout.core.plan.tolerances import Tolerances
from airflow_sm_rollout.demo.scripts import NoSuchDemo, find_script
from airflow_sm_rollout.demo.trials import GOOD_AND_BAD, ONE_MACHINE, TRIALS


def test_the_command_line_knows_every_trial() -> None:
    assert tuple(TRIALS) == _DEMO_MODELS


@pytest.mark.parametrize("name", TRIALS)
def test_the_sample_dags_get_tolerances_that_are_possible(name: str) -> None:
    given = json.loads(TRIALS[name].environment["SM_ROLLOUT_TOLERANCES"])
    assert Tolerances.from_dict(given).false_rollback == 0.01


@pytest.mark.parametrize("name", ["slow", "subtle"])
def test_a_model_that_takes_longer_to_tell_gets_a_canary_with_longer_bakes(name: str) -> None:
    script = TRIALS[name].adapt(find_script("canary", "variants"))
    steps = [float(share) for share in script.plan["steps"].split(",")]
    assert list(script.shares.values()) == steps
    assert len(script.plan["bake"].split(",")) == len(steps)
    with pytest.raises(NoSuchDemo, match=f"the {name} model is shown by a canary"):
        TRIALS[name].adapt(find_script("blue_green", "variants"))


def test_the_containers_have_the_tolerances_of_one_machine_too() -> None:
    compose = (Path(__file__).parents[2] / "docker-compose.yaml").read_text()
    [written] = re.findall(r"SM_ROLLOUT_TOLERANCES: '(.*)'", compose)
    assert json.loads(written) == ONE_MACHINE


def test_the_good_and_the_bad_model_are_shown_by_every_script_as_it_is() -> None:
    script = find_script("blue_green", "endpoints")
    assert GOOD_AND_BAD.adapt(script) is script
