"""Options as people write them in a hurry: what looks like another meaning is taken with that one, or refused."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_sm_rollout import PlanError, SnapshotOperator, canary_rollout, linear_rollout
from airflow_sm_rollout.core.plan.strategy import linear

GREEN: dict[str, Any] = {"endpoint_name": "wine", "model_name": "wine-v2"}
PACKAGE = {"endpoint_name": "wine", "model_package_arn": "arn:aws:sagemaker:eu-west-1:123456789012:model-package/g/1"}
FLAGS = ("delete_blue", "end_early", "require_proof", "deferrable", "require_approved")


def group(**options: Any) -> DAG:
    with DAG("rough", schedule=None) as dag:
        canary_rollout(**{**(PACKAGE if "require_approved" in options else GREEN), **options})
    return dag


def flag_of(dag: DAG, name: str) -> bool:
    of_shift, snapshot = dag.get_task("canary.shift_10"), dag.get_task("canary.snapshot")
    holder = of_shift if name == "deferrable" else snapshot if hasattr(snapshot, name) else snapshot.evidence
    return bool(getattr(holder, name))


@pytest.mark.parametrize("name", FLAGS)
@pytest.mark.parametrize(
    ("said", "meant"), [(True, True), (False, False), ("False", False), ("true", True), (" FALSE", False)]
)
def test_a_flag_that_comes_as_text_means_what_it_says(name: str, said: Any, meant: bool) -> None:
    assert flag_of(group(**{name: said}), name) is meant


@pytest.mark.parametrize("name", FLAGS)
@pytest.mark.parametrize("said", ["no", "yes", "0", 2, 1.0, [], "{{ params.it }}"])
def test_what_is_neither_yes_nor_no_is_refused_and_never_taken_for_yes(name: str, said: Any) -> None:
    with pytest.raises(PlanError) as refusal:
        group(**{name: said})
    assert refusal.value.option == name


@pytest.mark.parametrize("option", ["bake", "timeout", "drain", "extend_by"])
@pytest.mark.parametrize("value", [timedelta.max, 1e12, timedelta(days=400), "99999999999"])
def test_a_time_whose_end_is_no_date_is_refused(option: str, value: Any) -> None:
    with pytest.raises(PlanError) as refusal:
        group(**{option: value})
    assert refusal.value.option == option


def test_no_way_back_is_given_no_time() -> None:
    with pytest.raises(PlanError, match=r"^timeout=0 is not possible: above 0"):
        group(timeout=0)


@pytest.mark.parametrize(
    "steps", [{10, 100}, {10: 60, 100: 60}, [True, 100], [10, 10.0001, 100], [99.9999, 100], [0.0004, 100]]
)
def test_shares_without_an_order_or_too_near_to_tell_apart_are_refused(steps: Any) -> None:
    with pytest.raises(PlanError, match=r"^steps="):
        group(steps=steps)


def test_a_linear_rollout_of_any_step_has_names_for_all_of_its_tasks() -> None:
    steps = [thousandths / 1000 for thousandths in range(1000, 100_001, 97)]
    steps += [
        100 / count + error for count in range(1, 101) for error in (0, 1e-6, -1e-6) if 1 <= 100 / count + error <= 100
    ]
    for step in steps:
        planned = linear(step).steps
        shares = [each.share for each in planned]
        assert len({each.label for each in planned}) == len(planned), step
        assert shares == sorted(shares)
        assert shares[-1] == 100
    print(f"{len(steps)} steps walked")
    with DAG("thirds", schedule=None) as dag:
        linear_rollout(step=33.333333, **GREEN)
    assert [each for each in dag.task_ids if "shift" in each] == [
        f"linear.shift_{each}" for each in ("33_333", "66_667", "100")
    ]


@pytest.mark.parametrize("count", ["3", 3, 3.0])
def test_the_most_steps_may_come_as_text(count: Any) -> None:
    dag = group(steps="{{ params.steps }}", max_steps=count)
    assert sum("shift" in name for name in dag.task_ids) == 3


@pytest.mark.parametrize("count", [2.5, True, None, 0, 1001, 10**9, float("nan"), [3], "{{ params.most }}"])
def test_the_most_steps_are_a_number_that_airflow_can_hold(count: Any) -> None:
    with pytest.raises(PlanError) as refusal:
        group(steps="{{ params.steps }}", max_steps=count)
    assert refusal.value.option == "max_steps"


@pytest.mark.parametrize("name", ["", "a.b", "x" * 201, "a b", None, 7, "a/b", "a\n"])
def test_a_groups_name_that_airflow_takes_for_none_is_refused_by_its_option(name: Any) -> None:
    with pytest.raises(PlanError) as refusal:
        group(group_id=name)
    assert refusal.value.option == "group_id"


@pytest.mark.parametrize("given", ["x", 7, [("retries", 1)]])
def test_default_arguments_that_are_no_mapping_are_refused(given: Any) -> None:
    with pytest.raises(PlanError, match=r"^default_args="):
        group(default_args=given)


@pytest.mark.parametrize(
    "strategy", [{"name": ["canary"]}, {"name": None}, {"name": "canary", 7: 1}, {}, [("name", "canary")]]
)
def test_a_strategy_of_no_name_or_of_odd_options_is_refused(strategy: Any) -> None:
    with DAG("strategy", schedule=None), pytest.raises(PlanError, match=r"^strategy="):
        SnapshotOperator(task_id="snapshot", strategy=strategy, **GREEN)
