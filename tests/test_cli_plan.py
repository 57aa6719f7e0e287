"""``sm-rollout plan`` says all that is wrong with a plan at once, as a DAG file's parser does."""

from __future__ import annotations

import itertools

import pytest

from airflow_sm_rollout.cli import main

WRONG: dict[str, dict[str, list[str]]] = {
    "canary": {
        "steps": ["50,10", "10", "", "ten", "10,10.0001,100", "[10, 50", "nan,100"],
        "bake": ["10 min", "-1", "nan", "1e300", "60,soon"],
        "step": ["10"],
        "interval": ["60"],
    },
    "linear": {
        "step": ["0.5", "101", "nan", "ten", ""],
        "interval": ["-1", "inf", "a while", ""],
        "steps": ["10,100"],
        "bake": ["60"],
    },
    "blue_green": {"bake": ["-1", "10 min", "60,60"], "steps": ["100"], "step": ["10"], "interval": ["60"]},
}
"""By strategy and option values that are refused; an option of another strategy is."""


def refused(capsys: pytest.CaptureFixture[str], strategy: str, given: dict[str, str], *more: str) -> str:
    options = [f"--{name}={value}" for name, value in given.items()]
    assert main(["plan", "--strategy", strategy, *options, *more]) == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.count("\n") == 1
    return shown.err


@pytest.mark.parametrize("strategy", WRONG)
def test_each_set_of_mistakes_is_said_whole_in_one_line(strategy: str, capsys: pytest.CaptureFixture[str]) -> None:
    wrong, walked = WRONG[strategy], 0
    for count in range(1, len(wrong) + 1):
        for names in itertools.combinations(wrong, count):
            for values in itertools.product(*(wrong[name] for name in names)):
                said = refused(capsys, strategy, dict(zip(names, values, strict=True)))
                assert [name for name in names if f"{name}=" not in said] == [], said
                walked += 1
    with capsys.disabled():
        print(f"\n{walked} plans refused")


def test_what_a_way_to_split_traffic_refuses_is_said_beside_the_rest(capsys: pytest.CaptureFixture[str]) -> None:
    said = refused(
        capsys, "canary", {"bake": "10 min", "steps": "50,10"}, "--traffic=endpoints", "--capacity=when_needed"
    )
    assert said.startswith("sm-rollout plan: 3 options are wrong: (1) ")
    assert all(f"{name}=" in said for name in ("bake", "steps", "capacity"))


def test_a_plan_of_a_component_is_shown_without_saying_that_nothing_is_compared(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["plan", "--traffic", "components", "--strategy", "linear", "--step", "25", "--interval", "300"]) == 0
    assert "a batch at a time needs room" in capsys.readouterr().out


def test_a_plan_by_codedeploy_needs_no_role_to_be_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "--traffic", "codedeploy", "--strategy", "canary", "--steps", "10,100", "--bake", "300"]) == 0
    assert "10 %" in capsys.readouterr().out
