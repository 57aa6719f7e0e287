"""A clean-up job deletes what AWS lets it delete: the config that an endpoint is on, or the model that it runs."""

from __future__ import annotations

from datetime import timedelta

import pytest

from airflow_sm_rollout.aws.planning import plan_rollout
from airflow_sm_rollout.core.errors import RolloutGaveUp, RolloutRefused
from airflow_sm_rollout.core.goals import AsBefore, GreenDeployed, OnlyGreen
from airflow_sm_rollout.core.plan.strategy import blue_green
from airflow_sm_rollout.core.rollout import Green, Plan
from convergence.lab import ROLE, USER_ALARM, Lab

pytestmark = pytest.mark.usefixtures("direct")
GREENS = {
    "image": Green(image="green:2", model_data_url="s3://models/green.tar.gz"),
    "model_name": Green(model_name="fraud-v2"),
}


def lab_whose_blues_model_is_gone() -> Lab:
    lab = Lab()
    container = {"Image": "green:2", "ModelDataUrl": "s3://models/green.tar.gz"}
    lab.clients.sagemaker.create_model(ModelName="fraud-v2", PrimaryContainer=container, ExecutionRoleArn=ROLE)
    lab.clients.sagemaker.delete_model(ModelName="fraud-v1")
    return lab


@pytest.mark.parametrize("form", GREENS)
@pytest.mark.parametrize("traffic", ["variants", "endpoints"])
def test_a_blue_whose_model_is_gone_is_refused_at_once_by_the_models_name(form: str, traffic: str) -> None:
    lab = lab_whose_blues_model_is_gone()
    before, began = lab.describe(), lab.now()
    strategy = blue_green(60) if traffic == "endpoints" else lab.strategy
    plan = Plan(strategy, alarms=(USER_ALARM,), traffic=traffic)
    with pytest.raises(RolloutRefused, match="fraud-v1"):
        lab.reach(GreenDeployed(plan_rollout(lab.clients, lab.names, {}, GREENS[form], plan, lab.now())))
    assert lab.now() - began < timedelta(minutes=1)
    assert lab.describe() == before


def without_its_mixed_config(tasks_done: int) -> Lab:
    lab = Lab()
    lab.run(until=tasks_done)
    lab.clients.sagemaker.delete_endpoint_config(EndpointConfigName=lab.names.mixed_config)
    return lab


@pytest.mark.parametrize("tasks_done", range(1, 8))
def test_a_rollback_comes_back_to_blue_though_the_config_that_the_endpoint_is_on_is_gone(tasks_done: int) -> None:
    lab = without_its_mixed_config(tasks_done)
    lab.reach(AsBefore(), patience=timedelta(hours=2))
    assert lab.describe() == lab.before


def test_a_promotion_ends_promoted_or_soon_with_that_configs_name() -> None:
    lab = without_its_mixed_config(7)
    began = lab.now()
    try:
        lab.reach(OnlyGreen(), patience=timedelta(hours=2))
    except RolloutGaveUp as error:
        assert lab.names.mixed_config in str(error)  # noqa: PT017 - either end is good
        assert lab.now() - began < timedelta(minutes=5)
        return
    assert lab.is_promoted(lab.describe())
