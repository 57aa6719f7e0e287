"""Blue is kept warm after a promotion: the way back is one change then, and when the time is over nothing of it is left."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from airflow_sm_rollout.aws.after import AfterWatcher
from airflow_sm_rollout.aws.previous import read_previous
from airflow_sm_rollout.aws.record import read_record
from airflow_sm_rollout.aws.undo import Possible, Wanted, begin_undo, find_undo
from airflow_sm_rollout.core.converge import validate_plan
from airflow_sm_rollout.core.errors import PlanError, RolloutGaveUp, RolloutRefused
from airflow_sm_rollout.core.goals import AsBefore, GreenDeployed, GreenShare, OnlyGreen
from airflow_sm_rollout.core.guardian import Patience, State
from airflow_sm_rollout.core.names import Names, derive_rollout_id
from airflow_sm_rollout.core.outcome import Outcome
from airflow_sm_rollout.core.rollout import Plan, Rollout
from airflow_sm_rollout.core.undo import Kept, Undone, describe_steps
from airflow_sm_rollout.core.watch.after import plan_beside_blue
from airflow_sm_rollout.core.watch.verdict import Verdict
from convergence.blinking import green_share_now
from convergence.lab import BLUE_INSTANCES, BLUES_TARGET, ENDPOINT, USER_ALARM, AheadLab, Lab
from convergence.lambda_lab import LambdaLab
from convergence.live_lab import LiveLab, deleting_blue
from convergence.test_exits import ring
from convergence.test_guardian_walk import guard, guardian_of
from convergence.test_undo import scale_by_hand, undo
from convergence.walk import Make

HOUR = timedelta(hours=1)


def keeping(make: Make) -> Make:
    """The same lab, whose plan keeps blue for an hour."""

    def made() -> Lab:
        lab = make()
        lab.keep_blue = HOUR
        return lab

    return made


LABS: list[Make] = [keeping(make) for make in (AheadLab, LiveLab, deleting_blue, LambdaLab)]


def recorded(lab: Lab) -> Rollout:
    record = read_record(lab.clients.ssm, ENDPOINT)
    assert record is not None
    return record


def warm(make: Make) -> Lab:
    """A rollout that is promoted, and whose blue is kept."""
    lab = make()
    lab.run()
    assert green_share_now(lab) == 100
    assert recorded(lab).blue_until is not None
    lab.shares.clear()
    lab.calls.clear()
    return lab


def seconds_until_back(lab: Lab) -> float:
    """Undo, second by second; how long until blue serves everything."""
    began, back = lab.now(), list[datetime]()

    def note(service: str, operation: str, phase: str) -> None:
        if phase == "before" and not back and green_share_now(lab) == 0:
            back.append(lab.now())

    lab.hook = note
    undo(lab)
    lab.hook = None
    return (back[0] - began).total_seconds()


def blues_count(lab: Lab) -> int:
    variants = lab.clients.sagemaker.describe_endpoint(EndpointName=lab.blue_endpoint)["ProductionVariants"]
    return next(int(each["DesiredInstanceCount"]) for each in variants if each["VariantName"] == "AllTraffic")


@pytest.mark.parametrize("make", LABS)
def test_green_serves_and_scales_blue_keeps_its_instances_and_who_settles_changes_nothing(make: Make) -> None:
    lab = warm(make)
    assert blues_count(lab) == BLUE_INSTANCES
    scaling = lab.describe_scaling()
    green = f"endpoint/{lab.green_place[0]}/variant/{lab.green_place[1]}"
    assert scaling[green]["SuspendedState"]["DynamicScalingInSuspended"] is False
    assert scaling[BLUES_TARGET]["SuspendedState"]["DynamicScalingInSuspended"] is True
    before = lab.describe()
    for goal in (AsBefore(), OnlyGreen()):
        done = lab.reach(goal)
        assert done.outcome is Outcome.PROMOTED
        assert f"blue is kept warm until {recorded(lab).blue_until:%Y-%m-%d %H:%M UTC}, 4 instance-hours" in done.reason
    assert lab.describe() == before
    with pytest.raises(RolloutGaveUp):
        lab.reach(GreenShare(50))
    assert green_share_now(lab) == 100


@pytest.mark.parametrize("make", LABS)
@pytest.mark.parametrize("rings", [False, True])
def test_when_the_time_is_over_green_alone_is_left(make: Make, rings: bool) -> None:
    """Also though an alarm rings just then: whether that is harm is for the watch to say."""
    lab = warm(make)
    lab.pass_time(HOUR.total_seconds())
    if rings:
        ring(lab, USER_ALARM)
    assert lab.reach(OnlyGreen()).outcome is Outcome.PROMOTED
    lab.clients.cloudwatch.set_alarm_state(AlarmName=USER_ALARM, StateValue="OK", StateReason="quiet")
    assert lab.is_promoted(lab.describe())
    kept = read_previous(lab.clients.ssm, ENDPOINT)
    assert isinstance(kept, Kept)
    assert lab.now() - kept.at > HOUR, "an undo is possible for so long after the promotion"


@pytest.mark.parametrize("make", LABS)
def test_an_undo_restores_everything_field_by_field(make: Make) -> None:
    lab = warm(make)
    assert "undone" in undo(lab, note="complaints")
    assert lab.describe() == lab.before
    assert not lab.under_capacity
    left = read_previous(lab.clients.ssm, ENDPOINT)
    assert isinstance(left, Undone)
    assert left.note == "complaints"


@pytest.mark.parametrize(("make", "at_most", "cold"), [(AheadLab, 75, 120), (LiveLab, 5, 0)])
def test_blue_serves_everything_by_one_change(make: Make, at_most: float, cold: float) -> None:
    assert seconds_until_back(warm(keeping(make))) < at_most
    lab = make()
    lab.run()
    assert seconds_until_back(lab) > cold


def test_by_variants_it_is_said_beforehand_and_changes_nothing() -> None:
    lab = warm(LABS[0])
    before = lab.describe()
    found = find_undo(lab.clients, Wanted(ENDPOINT, "ada"), lab.now)
    assert isinstance(found, Possible)
    assert "serves everything by one change of weights, about 62 s" in " ".join(
        describe_steps(found.rollout, found.seen)
    )
    assert lab.describe() == before


def test_a_blue_with_fewer_instances_than_green_needs_by_now_gets_them_before_the_traffic() -> None:
    lab = warm(LABS[0])
    scale_by_hand(lab)
    assert blues_count(lab) == BLUE_INSTANCES
    began = [call for call in lab.calls if call == "sagemaker:UpdateEndpointWeightsAndCapacities"]
    begun = begin_undo(lab.clients, Wanted(ENDPOINT, "ada"), lab.now)
    assert isinstance(begun, Rollout)
    counts: list[int] = []

    def note(service: str, operation: str, phase: str) -> None:
        if phase == "before" and not counts and green_share_now(lab) < 100:
            lab.is_test_looking = True
            counts.append(blues_count(lab))
            lab.is_test_looking = False

    lab.hook = note
    lab.reach(AsBefore(begun))
    lab.hook = None
    assert began == []
    assert counts == [7]


@pytest.mark.parametrize("make", LABS)
def test_harm_within_the_time_is_found_by_the_rollouts_own_alarms_too(make: Make) -> None:
    lab = warm(make)
    after = plan_beside_blue(recorded(lab), timedelta(days=1))
    assert after is not None
    own = recorded(lab).own_alarms[0]
    assert own in after.alarms
    watcher = AfterWatcher(after, lab.now)
    lab.pass_time(60)
    assert watcher.look(lab.clients).verdict is Verdict.WATCHING
    ring(lab, own)
    assert watcher.look(lab.clients).verdict is Verdict.HARMFUL
    begin_undo(lab.clients, Wanted(ENDPOINT, "ada"), lab.now)
    assert watcher.look(lab.clients).verdict is not Verdict.WATCHING


@pytest.mark.parametrize("make", LABS)
def test_a_guardian_takes_blue_away_where_nobody_else_does_and_not_before(make: Make) -> None:
    lab = warm(make)
    guardian, serving = guardian_of(lab), lab.describe()
    lab.pass_time((HOUR + Patience().in_task).total_seconds() - 60)
    [finding] = guardian.look()
    assert finding.state is State.LEFT_ALONE
    assert "kept warm" in finding.sentence
    assert lab.describe() == serving
    lab.pass_time(120)
    guard(lab, guardian)
    assert lab.is_promoted(lab.describe())


@pytest.mark.parametrize("make", LABS)
def test_another_rollout_is_refused_meanwhile(make: Make) -> None:
    lab = warm(make)
    mine, lab.names = lab.names, Names(ENDPOINT, derive_rollout_id(ENDPOINT, "dag", "next"))
    with pytest.raises((RolloutRefused, RolloutGaveUp), match="is held by"):
        lab.reach(GreenDeployed(lab.plan()))
    lab.names = mine


def test_where_aws_deletes_blue_itself_it_is_refused_by_name() -> None:
    with pytest.raises(PlanError, match=r"keep_blue.*variants"):
        validate_plan(Plan(traffic="guardrails", keep_blue=HOUR))
