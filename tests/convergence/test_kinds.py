"""Each kind of endpoint in each way to split traffic: a good green is promoted, a bad one rolled back exactly, or it is refused by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from airflow_sm_rollout.aws.planning import plan_rollout
from airflow_sm_rollout.core.errors import RolloutRefused
from airflow_sm_rollout.core.goals import GreenDeployed
from airflow_sm_rollout.core.observation import Endpoint, Variant
from airflow_sm_rollout.core.rollout import Green, Rollout
from convergence.guardrails_lab import GuardrailsLab
from convergence.kinds_lab import MAX_CONCURRENCY, REFUSED, TAKEN, ServerlessBlue, ServerlessKeptLab, ServerlessLiveLab
from convergence.lab import BLUE_CONFIG, BLUE_INSTANCES, ENDPOINT, ROLE, Lab
from convergence.lambda_lab import LambdaLab
from convergence.live_lab import LiveLab, SharedLab

ROLLED_BACK_FROM = (1, -1)
"""Behind so many tasks: green deployed, and all but promoted."""


@pytest.mark.parametrize("kind", TAKEN)
def test_a_good_green_is_promoted_and_nothing_else_is_left(kind: str) -> None:
    lab = TAKEN[kind]()
    lab.run()
    assert lab.is_promoted(lab.describe())
    assert not lab.under_capacity
    assert {round(share, 6) for share in lab.shares} <= lab.planned_shares


@pytest.mark.parametrize("tasks_done", ROLLED_BACK_FROM)
@pytest.mark.parametrize("kind", TAKEN)
def test_a_bad_green_is_rolled_back_exactly(kind: str, tasks_done: int) -> None:
    lab = TAKEN[kind]()
    lab.run(until=tasks_done)
    lab.roll_back()
    assert lab.describe() == lab.before
    assert not lab.under_capacity


@pytest.mark.parametrize("kind", REFUSED)
def test_what_a_way_cannot_do_is_refused_by_name_before_anything_is_changed(kind: str) -> None:
    make, words = REFUSED[kind]
    lab = make()
    with pytest.raises(RolloutRefused) as caught:
        lab.plan()
    assert words in str(caught.value)
    assert str(caught.value).endswith("Nothing was changed")
    assert lab.describe() == lab.before


def serverless_of(lab: Lab, endpoint: str) -> dict[str, Any]:
    [variant] = lab.describe_endpoint(endpoint)["ProductionVariants"]
    assert variant["CurrentServerlessConfig"] == variant["DesiredServerlessConfig"]
    return dict(variant["CurrentServerlessConfig"])


def test_a_serverless_green_has_the_concurrency_that_blue_has_now() -> None:
    lab = ServerlessLiveLab()
    lab.run(until=1)
    wanted = {"MemorySizeInMB": 2048, "MaxConcurrency": MAX_CONCURRENCY, "ProvisionedConcurrency": BLUE_INSTANCES}
    assert serverless_of(lab, lab.names.green_endpoint) == wanted


def test_concurrency_that_is_provisioned_for_blue_meanwhile_is_provisioned_for_green_before_it_gets_the_traffic() -> (
    None
):
    lab = ServerlessLiveLab()
    lab.run(until=2)
    provision(lab, 7)
    lab.run()
    assert serverless_of(lab, lab.names.green_endpoint)["ProvisionedConcurrency"] == 7


def provision(lab: Lab, concurrency: int) -> None:
    change = {"VariantName": "AllTraffic", "ServerlessUpdateConfig": {"ProvisionedConcurrency": concurrency}}
    lab.clients.sagemaker.update_endpoint_weights_and_capacities(
        EndpointName=ENDPOINT, DesiredWeightsAndCapacities=[change]
    )
    lab.pass_time(200)


@pytest.mark.parametrize("changed", [{"ProvisionedConcurrency": 2}, {"MaxConcurrency": 8}])
def test_a_rollback_puts_blues_concurrency_back(changed: dict[str, int]) -> None:
    lab = ServerlessKeptLab()
    lab.run(until=1)
    change = {"VariantName": "AllTraffic", "ServerlessUpdateConfig": changed}
    lab.clients.sagemaker.update_endpoint_weights_and_capacities(
        EndpointName=ENDPOINT, DesiredWeightsAndCapacities=[change]
    )
    lab.pass_time(200)
    lab.roll_back()
    assert lab.describe() == lab.before


def test_provisioned_concurrency_rests_while_the_rollout_runs() -> None:
    lab = ServerlessKeptLab()
    lab.run(until=1)
    [target] = lab.clients.autoscaling.describe_scalable_targets(**ServerlessBlue.scales)["ScalableTargets"]
    assert all(target["SuspendedState"].values())
    assert not lab.sandbox.scaling.scale(ENDPOINT, "AllTraffic", 2)


class OnDemandLab(ServerlessKeptLab):
    """Serverless without anything provisioned."""

    def _make_blue(self) -> None:
        variant = {"VariantName": "AllTraffic", "ModelName": "fraud-v1"}
        self._put(ProductionVariants=[{**variant, "ServerlessConfig": {"MemorySizeInMB": 1024, "MaxConcurrency": 5}}])

    def _scale_blue(self) -> None:
        pass

    def _let_blue_scale(self) -> None:
        pass

    def watch(self) -> None:
        pass


@pytest.mark.parametrize("ends", [lambda lab: lab.run(), lambda lab: (lab.run(until=3), lab.roll_back())])
def test_a_serverless_blue_without_provisioned_concurrency_ends_as_any_other(ends: Callable[[LiveLab], object]) -> None:
    lab = OnDemandLab()
    ends(lab)
    after = lab.describe()
    assert after == lab.before or lab.is_promoted(after)


def test_a_serverless_endpoint_is_described_by_what_it_has() -> None:
    variant = Variant("AllTraffic", 1, 1, 3, 3, max_concurrency=10)
    lab = ServerlessKeptLab()
    endpoint = Endpoint(ENDPOINT, "arn", "InService", "c", (variant,), lab.now())
    assert endpoint.describe().endswith("(AllTraffic 100 % on 3 provisioned concurrency)")
    assert lab.plan().blue.capacity == "4 provisioned of 10 concurrent calls"


def many_models(make: Callable[[], Lab]) -> tuple[Lab, Rollout]:
    """Blue hosts many models, and so does green, which the user has made."""
    lab = make()
    plan, owner = lab.plan().plan, {"dag_id": "dag", "run_id": "run"}
    container = {"Image": "many:1", "ModelDataUrl": "s3://models/", "Mode": "MultiModel"}
    for name, prefix in (("many-v1", "blue/"), ("many-v2", "green/")):
        lab.clients.sagemaker.create_model(
            ModelName=name,
            PrimaryContainer={**container, "ModelDataUrl": f"s3://models/{prefix}"},
            ExecutionRoleArn=ROLE,
        )
    put_model_into_production(lab, "many-v1")
    return lab, plan_rollout(lab.clients, lab.names, owner, Green(model_name="many-v2"), plan, lab.now())


def put_model_into_production(lab: Lab, model: str) -> None:
    sagemaker = lab.clients.sagemaker
    [variant] = sagemaker.describe_endpoint_config(EndpointConfigName=BLUE_CONFIG)["ProductionVariants"]
    sagemaker.create_endpoint_config(EndpointConfigName="many", ProductionVariants=[{**variant, "ModelName": model}])
    sagemaker.update_endpoint(EndpointName=ENDPOINT, EndpointConfigName="many", RetainAllVariantProperties=True)
    lab.pass_time(200)
    lab.before = lab.describe()


@pytest.mark.parametrize("make", [Lab, SharedLab, LambdaLab, GuardrailsLab])
def test_an_endpoint_with_many_models_gets_another_folder_of_them_and_keeps_its_own(make: Callable[[], Lab]) -> None:
    lab, rollout = many_models(make)
    lab.reach(GreenDeployed(rollout))
    config = lab.clients.sagemaker.describe_endpoint_config(EndpointConfigName=green_config(lab))
    assert config["ProductionVariants"][-1]["ModelName"] == "many-v2"
    lab.roll_back()
    assert lab.describe() == lab.before


def green_config(lab: Lab) -> str:
    """The config that green is on, or is to be."""
    configs = [each["EndpointConfigName"] for each in lab.clients.sagemaker.list_endpoint_configs()["EndpointConfigs"]]
    return next(name for name in (lab.names.mixed_config, lab.names.final_config) if name in configs)


def test_several_variants_are_refused_by_their_names() -> None:
    lab = SharedLab()
    sagemaker = lab.clients.sagemaker
    [variant] = sagemaker.describe_endpoint_config(EndpointConfigName=BLUE_CONFIG)["ProductionVariants"]
    two = [variant, {**variant, "VariantName": "Other"}]
    sagemaker.create_endpoint_config(EndpointConfigName="two", ProductionVariants=two)
    sagemaker.update_endpoint(EndpointName=ENDPOINT, EndpointConfigName="two")
    lab.pass_time(200)
    with pytest.raises(RolloutRefused, match=r"2 production variants \(AllTraffic, Other\), and green is one model"):
        lab.plan()
