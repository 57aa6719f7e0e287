"""Moments are compared by one clock, AWS's, however wrong the machine's own is: from ten minutes behind to ten minutes ahead."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_sm_rollout.aws import watch as aws_watch
from airflow_sm_rollout.aws import world
from airflow_sm_rollout.aws.clock import Clock, listening
from airflow_sm_rollout.aws.planning import plan_rollout
from airflow_sm_rollout.aws.record import read_record
from airflow_sm_rollout.aws.world import AwsWorld
from airflow_sm_rollout.core.advance import advance
from airflow_sm_rollout.core.errors import DeadlinePassed, RolloutGaveUp
from airflow_sm_rollout.core.goals import Done, Goal, GreenDeployed, GreenShare
from airflow_sm_rollout.core.rollout import Green, Plan
from airflow_sm_rollout.core.watch.verdict import Verdict
from airflow_sm_rollout.core.watch.watch import Watch
from convergence.lab import ENDPOINT, USER_ALARM, Lab
from convergence.live_lab import LiveLab

MINUTES = range(-10, 11)
NOON = datetime(2026, 7, 1, 12, tzinfo=timezone.utc)


def on_a_machine_that_is_off(make: type[Lab], minutes: int) -> Lab:
    """A lab whose rollout is driven from a machine with a wrong clock."""

    class Wrong(make):  # type: ignore[valid-type, misc]
        def reach(self, goal: Goal, patience: timedelta = timedelta(hours=4)) -> Done:
            machine = AwsWorld(
                self.clients, ENDPOINT, self.names.rollout_id, lambda: self.now() + timedelta(minutes=minutes)
            )
            deadline = machine.now() + patience
            while True:
                step = advance(goal, self.names.rollout_id, machine, deadline, lambda line: None)
                if isinstance(step, Done):
                    return step
                self.look_away()

    lab: Lab = Wrong()
    return lab


@pytest.mark.parametrize("minutes", MINUTES)
def test_no_client_meets_a_deleted_endpoint(minutes: int) -> None:
    lab = on_a_machine_that_is_off(LiveLab, minutes)
    lab.run(until=2)
    lab.roll_back()
    assert [each for each in lab.under_capacity if "nobody answers" in each] == []


@pytest.mark.parametrize("minutes", MINUTES)
def test_an_endpoint_is_kept_no_longer_than_clients_need_it(minutes: int) -> None:
    lab = on_a_machine_that_is_off(LiveLab, minutes)
    lab.run(until=2)
    began = lab.now()
    lab.roll_back()
    assert lab.now() - began < timedelta(minutes=5)


@pytest.mark.parametrize("minutes", MINUTES)
def test_an_alarm_that_rang_right_after_green_had_traffic_is_not_missed(minutes: int) -> None:
    lab = on_a_machine_that_is_off(Lab, minutes)
    lab.run(until=2)
    lab.clients.cloudwatch.set_alarm_state(AlarmName=USER_ALARM, StateValue="ALARM", StateReason="7 of 9 refused")
    lab.pass_time(130)
    with pytest.raises(RolloutGaveUp, match="7 of 9"):
        lab.reach(GreenShare(50))


@pytest.mark.parametrize("minutes", MINUTES)
def test_an_alarm_that_rang_before_green_had_traffic_does_not_stop_it(minutes: int) -> None:
    lab = on_a_machine_that_is_off(Lab, minutes)
    lab.clients.cloudwatch.set_alarm_state(AlarmName=USER_ALARM, StateValue="ALARM", StateReason="of yesterday")
    lab.pass_time(100)
    lab.run(until=2)
    lab.reach(GreenShare(50))


@pytest.mark.parametrize("minutes", MINUTES)
def test_a_deadline_is_as_long_as_it_is_though_another_machine_set_it(minutes: int) -> None:
    lab = on_a_machine_that_is_off(Lab, minutes)
    lab.run(until=1)
    rollout_id = lab.names.rollout_id
    wrong = AwsWorld(lab.clients, ENDPOINT, rollout_id, lambda: lab.now() + timedelta(minutes=minutes))
    right = AwsWorld(lab.clients, ENDPOINT, rollout_id, lab.now)
    deadline = wrong.now() + timedelta(minutes=5)
    assert abs(deadline - right.now() - timedelta(minutes=5)) < timedelta(seconds=2)
    lab.pass_time(290)
    assert not right.is_past(deadline)
    lab.pass_time(15)
    with pytest.raises(DeadlinePassed):
        advance(GreenShare(10), rollout_id, right, deadline, lambda line: None)


@pytest.mark.parametrize("minutes", MINUTES)
def test_a_rollout_is_recorded_as_begun_when_it_began(minutes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    lab = Lab()
    clock = Clock(lambda: lab.now() + timedelta(minutes=minutes))
    monkeypatch.setattr(world, "MACHINE", clock)
    green = Green(image="g:2", model_data_url="s3://m/g.tar.gz")
    plan = Plan(lab.strategy, alarms=(USER_ALARM,))
    with listening(clock):
        rollout = plan_rollout(lab.clients, lab.names, {"run_id": "run"}, green, plan)
    assert abs(rollout.started_at - lab.now()) < timedelta(seconds=2)


@pytest.mark.parametrize("minutes", MINUTES)
def test_greens_first_traffic_is_noted_by_awss_clock(minutes: int) -> None:
    lab = on_a_machine_that_is_off(Lab, minutes)
    lab.reach(GreenDeployed(lab.plan()))
    before = lab.now()
    lab.reach(GreenShare(10))
    record = read_record(lab.clients.ssm, ENDPOINT)
    assert record is not None
    assert record.green_traffic_since is not None
    assert before - timedelta(seconds=2) <= record.green_traffic_since <= lab.now()


def answered(clock: Clock, true: Callable[[], datetime], takes: timedelta, move: Callable[[timedelta], None]) -> None:
    """One call: sent, stamped by AWS halfway, received."""
    sent = clock.local()
    move(takes / 2)
    stamped = true().replace(microsecond=0)
    move(takes / 2)
    clock.hear(stamped, sent)


@given(
    st.timedeltas(timedelta(minutes=-10), timedelta(minutes=10)),
    st.lists(st.tuples(st.floats(0.001, 9.0), st.floats(0.0, 700.0)), min_size=1, max_size=30),
)
def test_the_clock_is_never_further_off_than_a_call_takes_and_a_second(
    off: timedelta, calls: list[tuple[float, float]]
) -> None:
    true = NOON
    clock = Clock(lambda: true + off)

    def move(by: timedelta) -> None:
        nonlocal true
        true += by

    for takes, pause in calls:
        move(timedelta(seconds=pause))
        answered(clock, lambda: true, timedelta(seconds=takes), move)
        assert abs(clock.now() - true) <= timedelta(seconds=takes + 1)


@given(st.lists(st.floats(0.001, 9.0), min_size=1, max_size=30))
def test_a_clock_that_is_right_is_left_as_it_is(calls: list[float]) -> None:
    true = NOON
    clock = Clock(lambda: true)

    def move(by: timedelta) -> None:
        nonlocal true
        true += by

    for takes in calls:
        answered(clock, lambda: true, timedelta(seconds=takes), move)
        assert clock.now() == true


@pytest.mark.parametrize("off", [timedelta(days=-900), timedelta(hours=1), timedelta(minutes=21)])
def test_a_date_that_no_signed_call_is_answered_with_is_not_awss(off: timedelta) -> None:
    clock = Clock(lambda: NOON)
    clock.hear(NOON + off, NOON)
    assert (clock.now(), clock.has_heard) == (NOON, False)


@pytest.mark.parametrize("date", ["", "yesterday", "Wed, 99 Foo 2026"])
def test_a_date_that_is_none_changes_nothing(date: str) -> None:
    lab = Lab()
    handle = lab.sandbox.handle
    lab.sandbox.handle = lambda request: _with_date(handle(request), date)  # type: ignore[method-assign]
    lab.reach(GreenDeployed(lab.plan()))


def _with_date(response: object, date: str) -> object:
    response.headers["Date"] = date  # type: ignore[attr-defined]
    return response


@pytest.mark.parametrize("minutes", MINUTES)
@pytest.mark.parametrize("whole", [True, False], ids=["a bake", "alarms alone"])
def test_a_watch_is_over_when_it_is_over(minutes: int, whole: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    lab = Lab()
    lab.run(until=2)
    record = read_record(lab.clients.ssm, ENDPOINT)
    watch = Watch(lab.now(), lab.now() + timedelta(minutes=5), lab.now(), 0, alarms=(USER_ALARM,))
    clock = Clock(lambda: lab.now() + timedelta(minutes=minutes))
    monkeypatch.setattr(aws_watch, "MACHINE", clock)
    with listening(clock):
        asked = replace(watch, rollout=record if whole else None)
        first = aws_watch.look_now(lab.clients, asked, aws_watch.Memory())
        lab.pass_time(310)
        last = aws_watch.look_now(lab.clients, asked, aws_watch.Memory())
    assert first.judgement.verdict is Verdict.WATCHING
    assert last.judgement.verdict is not Verdict.WATCHING
