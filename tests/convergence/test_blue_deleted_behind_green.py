"""Clients are on green, and somebody has deleted the blue that was kept: on the way back they are not sent where nobody answers."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from airflow_sm_rollout.core.errors import RolloutGaveUp
from airflow_sm_rollout.core.goals import AsBefore
from airflow_sm_rollout.sandbox.faults import Fault
from convergence.lab import ENDPOINT
from convergence.lambda_lab import LambdaLab
from convergence.live_lab import LiveLab, SharedLab, delete_endpoint, step

pytestmark = pytest.mark.usefixtures("direct")


def shared() -> LiveLab:
    return SharedLab(delete_blue=False)


MAKERS: list[Callable[[], LiveLab]] = [LiveLab, shared, LambdaLab]
FAILURES = ["denied", "throttle", "expired_credentials"]


def on_green(make: Callable[[], LiveLab]) -> LiveLab:
    """Green has some clients at least; with the last step all of them."""
    lab = make()
    lab.run(until=2)
    assert lab.shares_now().get(lab.names.green_endpoint)
    return lab


def let_nobody_be_sent_to_a_missing_blue(lab: LiveLab) -> list[str]:
    """Notes each moment at which more clients than before are sent to an endpoint that does not answer."""
    found: list[str] = []
    sent_before = lab.shares_now().get(ENDPOINT, 0.0)

    def hook(service: str, operation: str, phase: str) -> None:
        sent = lab.shares_now().get(ENDPOINT, 0.0)
        if phase == "after" and lab.sandbox.endpoints.serving(ENDPOINT) is None and sent > sent_before:
            found.append(f"{service}:{operation}")

    lab.hook = hook
    return found


@pytest.mark.parametrize("make", MAKERS)
def test_blue_is_made_again_before_anybody_is_sent_back_to_it(make: Callable[[], LiveLab]) -> None:
    lab = on_green(make)
    delete_endpoint(lab, ENDPOINT)
    sent = let_nobody_be_sent_to_a_missing_blue(lab)
    lab.roll_back()
    assert sent == []
    assert lab.live() == ENDPOINT
    assert lab.describe_endpoint(ENDPOINT)["EndpointStatus"] == "InService"
    assert lab.describe()["records"] == []


@pytest.mark.parametrize("make", MAKERS)
def test_a_blue_that_is_just_being_deleted_is_waited_for(make: Callable[[], LiveLab]) -> None:
    lab = on_green(make)
    lab.clients.sagemaker.delete_endpoint(EndpointName=ENDPOINT)
    sent = let_nobody_be_sent_to_a_missing_blue(lab)
    lab.roll_back()
    assert sent == []
    assert lab.live() == ENDPOINT


@pytest.mark.parametrize("make", MAKERS)
def test_where_green_does_not_answer_either_nothing_is_waited_for(make: Callable[[], LiveLab]) -> None:
    lab = on_green(make)
    delete_endpoint(lab, ENDPOINT)
    delete_endpoint(lab, lab.names.green_endpoint)
    lab.calls.clear()
    lab.roll_back()
    writes = [call for call in lab.calls if not call.split(":")[1].startswith(("Get", "Describe", "List"))]
    assert writes[0] in ("ssm:PutParameter", "lambda:UpdateAlias")
    assert lab.live() == ENDPOINT


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("failure", FAILURES)
def test_what_sagemaker_does_not_tell_keeps_nobody_on_green(make: Callable[[], LiveLab], failure: str) -> None:
    lab = on_green(make)
    lab.sandbox.faults.add(Fault(failure, "DescribeEndpoint", times=1))
    lab.calls.clear()
    step(lab, AsBefore())
    assert lab.shares_now() == {ENDPOINT: 100.0}
    assert lab.calls[2] == "sagemaker:DescribeEndpoint"
    assert lab.calls[3] in ("ssm:PutParameter", "lambda:UpdateAlias")


@pytest.mark.parametrize("make", MAKERS)
def test_a_blue_that_aws_can_not_start_again_leaves_clients_where_they_are_answered(
    make: Callable[[], LiveLab],
) -> None:
    lab = on_green(make)
    before = lab.shares_now()
    delete_endpoint(lab, ENDPOINT)
    lab.sandbox.faults.add(Fault("no_capacity", "CreateEndpoint"))
    with pytest.raises(RolloutGaveUp, match=f"Clients stay on {lab.names.green_endpoint}.*Delete endpoint {ENDPOINT}"):
        lab.roll_back()
    assert lab.shares_now() == before
    delete_endpoint(lab, ENDPOINT)  # as it was told
    lab.roll_back()
    assert lab.live() == ENDPOINT
    assert lab.describe()["records"] == []


@pytest.mark.parametrize("make", MAKERS)
def test_a_blue_that_aws_can_not_start_again_is_told_where_clients_never_left_it(make: Callable[[], LiveLab]) -> None:
    lab = make()
    lab.run(until=1)
    assert lab.shares_now() == {ENDPOINT: 100.0}
    delete_endpoint(lab, ENDPOINT)
    lab.sandbox.faults.add(Fault("no_capacity", "CreateEndpoint"))
    with pytest.raises(RolloutGaveUp, match=r"is Failed.*a person has to look"):
        lab.roll_back()
    assert lab.describe()["records"] != []
    delete_endpoint(lab, ENDPOINT)
    lab.roll_back()
    assert lab.describe_endpoint(ENDPOINT)["EndpointStatus"] == "InService"
    assert lab.describe()["records"] == []
