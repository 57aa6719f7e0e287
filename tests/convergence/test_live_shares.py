"""Two endpoints behind a live pointer: green gets its clients share by share."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext

import pytest

from airflow_sm_rollout.core.errors import RolloutGaveUp
from airflow_sm_rollout.core.goals import AsBefore, GreenShare, OnlyGreen
from airflow_sm_rollout.core.outcome import Outcome
from convergence.lab import ENDPOINT, USER_ALARM, Killed
from convergence.live_lab import (
    LiveLab,
    SharedLab,
    count_of,
    delete_endpoint,
    scale,
    second_rollout,
    with_pointer,
)
from convergence.test_exits import ring
from convergence.test_lost_record import begun, delete_record


@pytest.mark.parametrize("make", [SharedLab, with_pointer])
def test_green_gets_its_shares_one_by_one_and_blue_is_gone_at_the_end(make: Callable[[], SharedLab]) -> None:
    lab = make()
    lab.run()
    assert lab.is_promoted(lab.describe())
    assert not lab.under_capacity
    assert [share for share, before in zip(lab.shares, [-1.0, *lab.shares], strict=False) if share != before] == [
        0,
        10,
        100,
    ]


@pytest.mark.parametrize("share", [0.1, 1, 100 / 3, 50, 99.9])
def test_any_share_is_reached_by_one_write_and_no_endpoint_is_changed(share: float) -> None:
    lab = SharedLab()
    lab.run(until=1)
    endpoints = lab.describe()["endpoints"]
    lab.calls.clear()
    assert f"green has {share:g} % of the traffic" in lab.reach(GreenShare(share)).reason
    assert lab.shares_now() == {ENDPOINT: 100 - share, lab.names.green_endpoint: share}
    assert lab.describe()["endpoints"] == endpoints
    writes = [call for call in lab.calls if not call.split(":")[1].startswith(("Describe", "Get", "List"))]
    assert writes == ["ssm:PutParameter"] * 2  # that green is about to get traffic, and the pointer
    lab.calls.clear()
    lab.reach(GreenShare(share))
    assert "ssm:PutParameter" not in lab.calls


@pytest.mark.parametrize("share", [0.1, 10, 50, 100])
@pytest.mark.parametrize("make", [LiveLab, second_rollout])
def test_from_any_share_one_write_brings_all_clients_back(make: Callable[[], LiveLab], share: float) -> None:
    lab = make()
    blue = lab.blue_endpoint
    lab.run(until=1)
    lab.reach(GreenShare(share))
    lab.calls.clear()
    written: list[int] = []

    def hook(service: str, operation: str, phase: str) -> None:
        if (operation, phase) == ("PutParameter", "after") and not written:
            written.append(len(lab.calls))
            raise Killed

    lab.hook = hook
    with pytest.raises(Killed):
        lab.roll_back()
    assert lab.shares_now() == {blue: 100.0}
    assert written == [
        len(["ssm:GetParameters", "ssm:GetParameters", "sagemaker:DescribeEndpoint", "ssm:PutParameter"])
    ]
    lab.hook = None
    lab.roll_back()
    assert lab.describe() == lab.before
    assert not lab.under_capacity


@pytest.mark.parametrize("less", [0, 10])
def test_a_smaller_share_is_given_though_an_alarm_rings_and_green_is_gone(less: float) -> None:
    lab = SharedLab()
    lab.run(until=1)
    lab.reach(GreenShare(50))
    ring(lab, USER_ALARM)
    with pytest.raises(RolloutGaveUp, match=USER_ALARM):
        lab.reach(GreenShare(60))
    delete_endpoint(lab, lab.names.green_endpoint)
    with pytest.raises(RolloutGaveUp, match="there is no endpoint") if less else nullcontext():
        lab.reach(GreenShare(less))
    assert lab.shares_now().get(lab.names.green_endpoint, 0) == less


def test_green_gets_more_instances_only_when_its_share_of_what_blue_has_by_then_needs_them() -> None:
    lab = SharedLab()
    lab.run(until=1)
    scale(lab, ENDPOINT, 8)
    lab.pass_time(200)
    counts = {}
    for share in (50, 51, 100):
        lab.reach(GreenShare(share))
        counts[share] = count_of(lab, lab.names.green_endpoint)
    assert counts == {50: 4, 51: 5, 100: 8}
    assert not lab.under_capacity


def test_no_share_rises_while_somebody_else_changes_blues_endpoint() -> None:
    lab = SharedLab()
    lab.run(until=1)
    scale(lab, ENDPOINT, 6)
    lab.reach(GreenShare(10))  # green had no traffic yet, so that was waited for
    scale(lab, ENDPOINT, 8)
    with pytest.raises(RolloutGaveUp, match=f"somebody else changes blue's endpoint {ENDPOINT}"):
        lab.reach(GreenShare(50))
    assert lab.shares_now()[lab.names.green_endpoint] == 10


@pytest.mark.parametrize("share", [10, 50])
def test_promotion_is_refused_at_a_share_between_and_changes_nothing(share: float) -> None:
    lab = SharedLab()
    lab.run(until=1)
    lab.reach(GreenShare(share))
    state = lab.describe()
    with pytest.raises(RolloutGaveUp, match=f"green has {share} % of the traffic, promotion needs 100 %"):
        lab.reach(OnlyGreen())
    assert lab.describe() == state


@pytest.mark.parametrize("on_drift", ["refuse", "restore"])
def test_a_share_that_somebody_else_has_given_is_drift_and_not_taken_for_blue_alone(on_drift: str) -> None:
    lab = SharedLab(on_drift=on_drift)
    lab.run(until=3)
    lab.put_pointer(endpoint_name=ENDPOINT, green={"endpoint_name": lab.names.green_endpoint, "share": 20})
    words = rf"somebody else wrote the live pointer.*for 20 % of the requests, endpoint {lab.names.green_endpoint}"
    for goal in (GreenShare(100), GreenShare(0), OnlyGreen()):
        with pytest.raises(RolloutGaveUp, match=words):
            lab.reach(goal)
    if on_drift == "refuse":
        with pytest.raises(RolloutGaveUp, match=words):
            lab.roll_back()
        assert lab.names.green_endpoint in lab.describe()["endpoints"]
    else:
        lab.roll_back()
        assert lab.describe() == lab.before
    assert not lab.under_capacity


@pytest.mark.parametrize("make", [SharedLab, with_pointer])
def test_with_its_record_gone_a_share_is_taken_back_by_the_plan_and_never_called_as_before_without(
    make: Callable[[], SharedLab],
) -> None:
    lab = make()
    planned = begun(lab, 3)
    delete_record(lab)
    for goal in (AsBefore(), OnlyGreen(), GreenShare(100)):
        with pytest.raises(RolloutGaveUp, match=r"record .* is gone.*for 10 % of the requests, endpoint fraud-"):
            lab.reach(goal)
    assert lab.reach(AsBefore(planned)).outcome is Outcome.ROLLED_BACK
    assert lab.describe() == lab.before
