"""What somebody deletes of the function in front is made again where it can be known, and told at once where it can't."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from airflow_sm_rollout.core.errors import RolloutGaveUp
from airflow_sm_rollout.core.goals import AsBefore, OnlyGreen
from convergence.deploy_lab import DeployLab
from convergence.lab import ENDPOINT
from convergence.lambda_lab import PLACE, TIMEOUT_SECONDS, LambdaLab, second_lambda_rollout
from convergence.test_lambda_rollout import change_function, variables

pytestmark = pytest.mark.usefixtures("direct")

SOON = timedelta(minutes=5)


def with_all_traffic(make: Callable[[], LambdaLab] = LambdaLab) -> LambdaLab:
    """Green has 100 %, and is not promoted."""
    lab = make()
    for task in lab.tasks()[:-1]:
        task()
    assert lab.live() == lab.names.green_endpoint
    return lab


def delete_version(lab: LambdaLab, endpoint: str) -> None:
    number = lab.version_of(endpoint)
    lab.clients.functions.delete_function(FunctionName=PLACE.function, Qualifier=number)


def delete_alias(lab: LambdaLab) -> None:
    lab.clients.functions.delete_alias(FunctionName=PLACE.function, Name=PLACE.alias)


def is_like_before(lab: LambdaLab) -> bool:
    """Whether all is as before, but for the number and the description of blue's version."""
    now, before = lab.describe(), lab.before
    blue, was = now["versions"][now["alias"]["FunctionVersion"]], before["versions"][before["alias"]["FunctionVersion"]]
    told = {name for name in was if was[name] != blue.get(name)}
    assert told <= {"Version", "FunctionArn", "Description"}
    left = {"versions": None, "alias": {**now["alias"], "FunctionVersion": None}}
    assert now["versions"].keys() == {"$LATEST", *(before["versions"].keys() - {was["Version"]}), blue["Version"]}
    return {**now, **left} == {**before, "versions": None, "alias": {**before["alias"], "FunctionVersion": None}}


def when_asked_to(operation: str, happens: Callable[[], None]) -> Callable[[str, str, str], None]:
    """Something happens right after the first call of an operation."""
    left = [happens]

    def hook(service: str, called: str, phase: str) -> None:
        if (called, phase) == (operation, "after") and left:
            left.pop()()

    return hook


@pytest.mark.parametrize("make", [LambdaLab, second_lambda_rollout, DeployLab])
@pytest.mark.parametrize("is_lost", [False, True])
def test_blues_version_is_published_again_and_takes_all_calls(make: Callable[[], LambdaLab], is_lost: bool) -> None:
    lab = with_all_traffic(make)
    delete_version(lab, lab.blue_endpoint)
    if is_lost:
        lab.clients.ssm.delete_parameter(Name=lab.names.record)
    lab.reach(AsBefore(), SOON)
    assert is_like_before(lab)
    assert any("in the place of version" in line for line in lab.told)


def test_a_version_with_the_functions_older_code_is_not_taken_for_blues() -> None:
    lab = LambdaLab()
    change_function(lab, Timeout=9)
    lab.clients.functions.publish_version(FunctionName=PLACE.function)
    change_function(lab, Timeout=TIMEOUT_SECONDS)
    lab.before = lab.describe()
    lab = with_all_traffic(lambda: lab)
    delete_version(lab, ENDPOINT)
    lab.reach(AsBefore(), SOON)
    assert is_like_before(lab)


@pytest.mark.parametrize("make", [LambdaLab, DeployLab])
def test_where_blues_version_can_t_be_known_a_person_is_told_at_once_and_can_end_it(
    make: Callable[[], LambdaLab],
) -> None:
    lab = with_all_traffic(make)
    change_function(lab, Environment=variables(ENDPOINT, "debug"))
    delete_version(lab, ENDPOINT)
    with pytest.raises(
        RolloutGaveUp,
        match=r"version 1 .* does not exist any more .* \$LATEST differs .* in Environment\.LEVEL\. The alias",
    ):
        lab.reach(AsBefore(), SOON)
    assert lab.live() == lab.names.green_endpoint
    number = lab.clients.functions.publish_version(FunctionName=PLACE.function)["Version"]
    lab.put_alias(FunctionVersion=number, RoutingConfig={"AdditionalVersionWeights": {}})
    lab.reach(AsBefore(), SOON)
    now = lab.describe()
    assert (lab.live(), now["alias"]["FunctionVersion"]) == (ENDPOINT, number)
    assert {**now, "versions": None, "alias": None} == {**lab.before, "versions": None, "alias": None}


@pytest.mark.parametrize("make", [LambdaLab, DeployLab])
@pytest.mark.parametrize("tasks_done", [1, 2, 3, 4])
def test_an_alias_is_made_again_on_the_way_back(make: Callable[[], LambdaLab], tasks_done: int) -> None:
    lab = make()
    lab.run(until=tasks_done)
    delete_alias(lab)
    lab.reach(AsBefore(), SOON)
    assert lab.describe() == lab.before


def test_an_alias_is_made_again_though_blues_version_went_with_it() -> None:
    lab = with_all_traffic()
    delete_alias(lab)
    delete_version(lab, ENDPOINT)
    lab.reach(AsBefore(), SOON)
    assert is_like_before(lab)


@pytest.mark.parametrize("make", [LambdaLab, DeployLab])
def test_behind_a_promotion_the_alias_is_made_again_on_green(make: Callable[[], LambdaLab]) -> None:
    lab = with_all_traffic(make)
    lab.hook = when_asked_to("PutParameter", lambda: delete_alias(lab))
    lab.reach(OnlyGreen(), SOON)
    assert lab.live() == lab.names.green_endpoint
    assert lab.function().aliases[PLACE.alias].description.endswith("what clients call")


def test_a_function_that_is_gone_is_told_with_what_to_deploy() -> None:
    lab = with_all_traffic()
    lab.clients.functions.delete_function(FunctionName=PLACE.function)
    with pytest.raises(RolloutGaveUp, match=r"function scorer does not exist any more .* whose ENDPOINT is fraud, and"):
        lab.reach(AsBefore(), SOON)
