"""SageMaker obeys the judge while it shifts the traffic: by an alarm on what that says, which rings as well where nobody judges."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from datetime import timedelta

import pytest

from airflow_sm_rollout.aws.watch import Lookout
from airflow_sm_rollout.aws.world import AwsWorld
from airflow_sm_rollout.core.advance import advance
from airflow_sm_rollout.core.control import Wish
from airflow_sm_rollout.core.deployment_config import obeyed_alarms
from airflow_sm_rollout.core.errors import RolloutError, RolloutGaveUp
from airflow_sm_rollout.core.goals import AsBefore, Done, OnlyGreen, Wait
from airflow_sm_rollout.core.plan.evidence import Thresholds
from airflow_sm_rollout.core.plan.strategy import canary
from airflow_sm_rollout.core.rollout import AHEAD
from airflow_sm_rollout.sandbox.faults import Fault
from convergence.guardrails_lab import CANARY_BAKES_AT, GuardrailsLab
from convergence.lab import ENDPOINT
from convergence.test_exits import wish
from evidence.published import publish

POLL, MINUTE = 15, 60
SILENCE = 5 * MINUTE  # three, and two that the sandbox's CloudWatch looks back further
SHIFTED_AT = 400  # seconds after UpdateEndpoint: green has everything by then


class JudgedLab(GuardrailsLab):
    """Nobody judges but whom the test lets do it; the bakes are long."""

    strategy = canary([25, 100], bake=timedelta(minutes=10))
    capacity = AHEAD

    def __post_init__(self) -> None:
        super().__post_init__()
        self.is_judged = False
        self.run(until=1)
        self.lookout = Lookout(self.world())

    def world(self) -> AwsWorld:
        return AwsWorld(self.clients, ENDPOINT, self.names.rollout_id, self.now)

    def ask(self) -> None:
        """Ask SageMaker to shift, and wait until it has begun."""
        assert isinstance(self.look(OnlyGreen()), Wait)
        self.watch_for(CANARY_BAKES_AT)

    def watch_for(self, seconds: float) -> str:
        """Judge as the task does that waits; why it turns around, as soon as it does."""
        for _ in range(int(seconds / POLL)):
            self.pass_time(POLL)
            self.watch()
            self.call()
            decision, harm = self.lookout.look_for(OnlyGreen())
            if harm or not isinstance(decision, Wait):
                return harm or getattr(decision, "reason", "")
        return ""

    def watch_is_over(self) -> bool:
        """Whether SageMaker has ended the shift."""
        return self.sandbox.endpoints.serving(ENDPOINT).status == "InService"  # type: ignore[union-attr]

    def stop_before(self, operation: str, phase: str) -> None:
        if (operation, phase) == ("UpdateEndpoint", "before"):
            raise TimeoutError

    def alarm(self) -> dict[str, str]:
        [alarm] = self.clients.cloudwatch.describe_alarms(AlarmNames=[self.names.verdict_alarm])["MetricAlarms"]
        return alarm

    def fail_green(self) -> None:
        rollout = self.world().read_record()
        assert rollout is not None
        for number in range(4):
            at = self.now() - timedelta(minutes=number)
            publish(self.sandbox, rollout.green_dimensions, at, requests=600, e5=24)
            publish(self.sandbox, rollout.blue_dimensions, at, requests=600)

    def go_back(self) -> None:
        """As the way back does, which looks every few seconds."""
        deadline = self.now() + timedelta(hours=1)
        while not isinstance(advance(AsBefore(), self.names.rollout_id, self.world(), deadline, self.tell), Done):
            self.pass_time(5)
            self.watch()


def test_the_alarm_is_made_right_before_the_shift_stays_quiet_while_somebody_judges_and_is_gone_at_the_end() -> None:
    lab = JudgedLab()
    assert lab.names.verdict_alarm not in lab.describe()["alarms"]
    lab.ask()
    named = lab.describe_endpoint(ENDPOINT)
    assert lab.watch_for(SHIFTED_AT) == ""
    assert lab.alarm()["StateValue"] == "OK"
    assert named["EndpointConfigName"] != lab.names.final_config
    lab.watch_for(3 * SHIFTED_AT)
    lab.reach(OnlyGreen())
    assert lab.is_promoted(lab.describe())


def test_proven_harm_ends_the_canary_before_green_gets_more() -> None:
    lab = JudgedLab()
    lab.ask()
    lab.fail_green()
    told = lab.watch_for(4 * MINUTE)
    assert "of 1,204 calls (4 %" in told
    lab.go_back()
    assert max(lab.shares) == 25
    assert lab.describe() == lab.before


def test_a_person_who_aborts_is_obeyed_by_sagemaker() -> None:
    lab = JudgedLab()
    lab.ask()
    wish(lab, Wish.ABORT)
    assert "aborted by alice" in lab.watch_for(MINUTE)
    began = lab.now()
    lab.go_back()
    assert lab.now() - began < timedelta(minutes=3)
    assert max(lab.shares) == 25
    assert lab.describe() == lab.before


def test_a_rollback_that_nobody_has_judged_for_lets_the_alarm_ring_itself() -> None:
    lab = JudgedLab()
    lab.ask()
    lab.look(AsBefore())
    lab.pass_time(20)
    assert lab.alarm()["StateValue"] == "ALARM"
    waits = lab.look(AsBefore())
    assert isinstance(waits, Wait)
    assert f"SageMaker is to go back by alarm {lab.names.verdict_alarm}" in waits.reason
    lab.go_back()
    assert max(lab.shares) == 25
    assert lab.describe() == lab.before


@pytest.mark.parametrize(("away", "goes_back"), [(60, False), (150, False), (420, True)])
def test_a_judge_who_is_away_for_minutes_is_missed(away: int, goes_back: bool) -> None:
    lab = JudgedLab()
    lab.ask()
    lab.let_pass(away)
    told = lab.watch_for(4 * MINUTE)
    assert lab.watch_is_over() is goes_back
    assert (lab.names.verdict_alarm in told) is goes_back
    if goes_back:
        with pytest.raises(RolloutGaveUp, match="SageMaker put blue back"):
            lab.look(OnlyGreen())
        lab.go_back()
        assert lab.describe() == lab.before


@pytest.mark.parametrize("operation", ["DescribeAlarms", "GetMetricData"])
def test_a_judge_who_sees_nothing_says_nothing(operation: str) -> None:
    lab = JudgedLab()
    lab.ask()
    lab.sandbox.faults.add(Fault("denied", operation, times=1_000))
    with contextlib.suppress(RolloutError):  # once SageMaker has gone back, the task itself can't look
        lab.watch_for(SILENCE + 2 * MINUTE)
    lab.sandbox.faults.clear()
    assert lab.alarm()["StateValue"] == "ALARM"


def test_without_leave_to_publish_nothing_is_shifted() -> None:
    lab = JudgedLab()
    lab.sandbox.faults.add(Fault("denied", "PutMetricData", times=1_000))
    with pytest.raises(RolloutError, match="PutMetricData answered AccessDenied"):
        lab.look(OnlyGreen())
    lab.sandbox.faults.clear()
    lab.go_back()
    assert set(lab.shares) == {0}
    assert lab.describe() == lab.before


def test_an_alarm_that_has_waited_for_its_shift_too_long_is_made_quiet_first() -> None:
    lab = JudgedLab()
    lab.hook = lambda service, operation, phase: lab.stop_before(operation, phase)
    with pytest.raises(TimeoutError):
        lab.look(OnlyGreen())
    lab.hook = None
    lab.pass_time(SILENCE + MINUTE)
    assert lab.alarm()["StateValue"] == "ALARM"
    lab.look(OnlyGreen())
    lab.pass_time(POLL)
    lab.ask()
    assert lab.alarm()["StateValue"] == "OK"
    assert lab.watch_for(SHIFTED_AT) == ""


def test_where_the_alarms_are_too_many_for_sagemaker_the_judge_stands_in_for_the_last() -> None:
    lab = JudgedLab()
    rollout = lab.world().read_record()
    assert rollout is not None
    many = replace(rollout, plan=replace(rollout.plan, alarms=tuple(f"mine-{number}" for number in range(8))))
    obeyed = obeyed_alarms(replace(many, thresholds=Thresholds(1000, 2000, 3000)))
    assert len(obeyed) == 10
    assert set(many.plan.alarms) <= set(obeyed)
    assert obeyed[-1] == rollout.names.verdict_alarm
