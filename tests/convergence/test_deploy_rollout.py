"""CodeDeploy shifts the alias: followed to each of its ends and told truthfully, and taken back exactly, whatever somebody else does."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from airflow_sm_rollout.aws.record import read_record
from airflow_sm_rollout.aws.undo import Wanted, begin_undo
from airflow_sm_rollout.core.control import Wish
from airflow_sm_rollout.core.errors import DeadlinePassed, RolloutGaveUp, RolloutRefused
from airflow_sm_rollout.core.goals import AsBefore, GreenDeployed, GreenShare, OnlyGreen, Wait
from airflow_sm_rollout.core.outcome import Outcome
from airflow_sm_rollout.core.rollout import Rollout
from airflow_sm_rollout.sandbox.faults import Fault
from convergence.deploy_lab import GROUPS_ALARM, MAKERS, OWN_GROUP, DeployLab, HookedLab, OwnGroupLab
from convergence.lab import ENDPOINT, ROLE, USER_ALARM, Killed
from convergence.lambda_lab import PLACE
from convergence.test_exits import ring, scale, update_by_hand, wish
from convergence.test_lambda_rollout import killed_after

SEES_NOTHING: dict[str, Any] = {
    "AlarmName": USER_ALARM,
    "MetricName": "nobody publishes it",
    "Namespace": "Shop",
    "Statistic": "Sum",
    "Period": 60,
    "EvaluationPeriods": 1,
    "Threshold": 1.0,
    "ComparisonOperator": "GreaterThanThreshold",
}


def begun(make: Callable[[], DeployLab] = DeployLab, seconds: float = 20) -> DeployLab:
    """CodeDeploy was asked, and so much time has passed."""
    lab = make()
    lab.run(until=2)
    lab.let_pass(seconds)
    return lab


def given_up(lab: DeployLab, words: str) -> None:
    """The way forward ends so, and nobody takes it for a success; the way back is whole."""
    with pytest.raises(RolloutGaveUp, match=words):
        lab.reach(OnlyGreen(lab.planned), timedelta(hours=4))
    assert not lab.is_promoted(lab.describe())
    assert lab.reach(AsBefore(lab.planned)).outcome is Outcome.ROLLED_BACK
    assert lab.describe() == lab.before
    assert not lab.under_capacity


@pytest.mark.parametrize("make", MAKERS)
def test_success_is_green_alone_on_the_alias_and_nothing_left_in_codedeploy(make: Callable[[], DeployLab]) -> None:
    lab = make()
    lab.run()
    assert lab.is_promoted(lab.describe())
    assert not lab.under_capacity
    assert set(lab.shares) == {0.0, *(step.share for step in lab.strategy.steps)}
    assert [each.status for each in lab.deployments()] == ["Succeeded"]


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("tasks_done", range(5))
def test_stopped_by_us_from_every_point_ends_as_before_field_by_field(
    make: Callable[[], DeployLab], tasks_done: int
) -> None:
    lab = make()
    lab.run(until=tasks_done)
    lab.roll_back()
    assert lab.describe() == lab.before
    assert not lab.under_capacity


def test_codedeploy_is_stopped_and_goes_back_itself_within_seconds() -> None:
    lab = begun()
    began = lab.sandbox.clock.now()
    while lab.names.green_endpoint in lab.shares_now():
        lab.look(AsBefore(lab.planned))
        lab.pass_time(1)
    assert lab.sandbox.clock.now() - began < 8
    stopped, back = lab.deployments()
    assert (stopped.status, back.status, back.creator) == ("Stopped", "Succeeded", "codeDeployRollback")
    lab.roll_back()
    assert lab.describe() == lab.before
    assert max(lab.shares) == 20


def test_an_alarm_that_codedeploy_obeys_is_told_with_its_reason() -> None:
    lab = begun()
    ring(lab, USER_ALARM)
    lab.let_pass(30)
    given_up(
        lab,
        r"CodeDeploy did not shift to green: alarm fraud-business .*is Stopped \(ALARM_ACTIVE: .*goes back by deployment d-",
    )


def test_an_alarm_that_rings_is_not_waited_with_until_codedeploy_sees_it() -> None:
    lab = begun()
    ring(lab, USER_ALARM)
    with pytest.raises(RolloutGaveUp, match=r"^alarm fraud-business"):
        lab.look(OnlyGreen(lab.planned))


def test_the_groups_own_alarm_is_obeyed_beside_the_plans() -> None:
    lab = begun(OwnGroupLab)
    assert set(lab.deployments()[0].alarms) >= {GROUPS_ALARM, USER_ALARM, lab.names.verdict_alarm}
    ring(lab, GROUPS_ALARM)
    lab.let_pass(30)
    given_up(lab, r"CodeDeploy did not shift.*is Stopped \(ALARM_ACTIVE: .*scorer-errors")


@pytest.mark.parametrize("seconds", [20, 200])
def test_a_hook_that_finds_something_is_told(seconds: float) -> None:
    lab = begun(HookedLab)
    if seconds > 60:
        lab.report("Succeeded")
        lab.let_pass(seconds)
    lab.report("Failed")
    given_up(lab, r"is Failed \(HOOK_EXECUTION_FAILURE: .*hooks failed")


def test_a_hook_that_never_reports_times_out_and_is_told() -> None:
    lab = begun(HookedLab)
    given_up(lab, r"is Failed \(TIMEOUT: .*timed out while waiting for a status callback of hook BeforeAllowTraffic")


def test_hooks_that_find_nothing_let_green_be_promoted() -> None:
    lab = begun(HookedLab)
    lab.report("Succeeded")
    lab.let_pass(140)
    lab.report("Succeeded")
    lab.reach(OnlyGreen(lab.planned))
    assert lab.is_promoted(lab.describe())


@pytest.mark.parametrize("goes_back", [True, False])
def test_stopped_by_a_person_is_told_and_taken_back_also_where_codedeploy_left_both(goes_back: bool) -> None:
    lab = begun()
    number = lab.deployments()[0].id
    lab.clients.codedeploy.stop_deployment(deploymentId=number, autoRollbackEnabled=goes_back)
    lab.let_pass(20)
    assert lab.shares_now().get(lab.names.green_endpoint) == (None if goes_back else 20)
    given_up(lab, r"CodeDeploy did not shift to green; .*is Stopped \(MANUAL_STOP: ")


def test_a_deployment_that_does_not_end_is_given_up_and_stopped() -> None:
    lab = begun()
    [deployment] = lab.deployments()
    shifting = type(lab.sandbox.services["codedeploy"][0]._shifting)  # type: ignore[attr-defined]
    point = shifting._point
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shifting, "_point", lambda self, each, share: share < 1 and point(self, each, share))
        given_up(
            lab, r"CodeDeploy has not ended after \d+ s: deployment d-\w+ is InProgress; green has 20 % of the traffic"
        )
    assert deployment.status == "Stopped"


def test_a_success_whose_alias_somebody_has_moved_since_is_none() -> None:
    lab = begun(seconds=130)
    lab.put_alias(FunctionVersion="1", RoutingConfig={"AdditionalVersionWeights": {"2": 0.5}})
    with pytest.raises(
        RolloutGaveUp, match=r"is Succeeded, but alias live of function scorer calls .*moved by somebody else"
    ):
        lab.reach(OnlyGreen(lab.planned))
    lab.roll_back()
    assert lab.describe() == lab.before


def test_an_alias_that_calls_a_third_version_is_never_overwritten() -> None:
    lab = begun(seconds=130)
    lab.clients.functions.update_function_configuration(
        FunctionName=PLACE.function, Environment={"Variables": {"ENDPOINT": "theirs", "LEVEL": "info"}}
    )
    lab.pass_time(60)
    number = lab.clients.functions.publish_version(FunctionName=PLACE.function)["Version"]
    lab.put_alias(FunctionVersion=number, RoutingConfig={"AdditionalVersionWeights": {}})
    for goal in (OnlyGreen(lab.planned), AsBefore(lab.planned)):
        with pytest.raises(RolloutGaveUp, match="somebody else wrote alias live of function scorer"):
            lab.reach(goal)
    assert lab.live() == "theirs"


def test_a_person_who_aborts_is_heeded_while_codedeploy_shifts() -> None:
    lab = begun()
    wish(lab, Wish.ABORT)
    with pytest.raises(RolloutGaveUp, match="the rollout was aborted"):
        lab.look(OnlyGreen(lab.planned))
    lab.roll_back()
    assert lab.describe() == lab.before


def test_a_person_who_pauses_before_codedeploy_is_asked_is_heeded() -> None:
    lab = DeployLab()
    lab.run(until=1)
    wish(lab, Wish.PAUSE)
    lab.look(OnlyGreen(lab.planned))
    assert lab.deployments() == []


def test_codedeploy_is_asked_once_though_its_answer_was_lost() -> None:
    lab = DeployLab()
    lab.run(until=1)

    def hook(service: str, called: str, phase: str) -> None:
        if (called, phase) == ("CreateDeployment", "after"):
            lab.hook = None
            raise Killed

    lab.hook = hook
    with pytest.raises(Killed):
        lab.look(OnlyGreen(lab.planned))
    lab.reach(OnlyGreen(lab.planned))
    assert lab.is_promoted(lab.describe())
    assert len(lab.deployments()) == 1


def test_green_is_watched_with_all_traffic_for_the_last_bake() -> None:
    lab = begun(seconds=130)
    assert lab.shares_now() == {lab.names.green_endpoint: 100.0}
    waiting = lab.look(OnlyGreen(lab.planned))
    assert isinstance(waiting, Wait)
    assert "of the last bake left" in waiting.reason
    ring(lab, USER_ALARM)
    given_up(lab, r"^alarm fraud-business")


def test_an_alarm_that_has_seen_nothing_by_the_end_is_waited_for_and_then_told() -> None:
    lab = begun(seconds=130)
    lab.clients.cloudwatch.put_metric_alarm(**SEES_NOTHING)
    lab.let_pass(130)
    waiting = lab.look(OnlyGreen(lab.planned))
    assert isinstance(waiting, Wait)
    assert "alarm fraud-business has too little data to tell" in waiting.reason
    given_up(lab, r"CodeDeploy shifted all traffic to green, but alarm fraud-business has too little data")


def test_a_stop_that_is_refused_is_no_reason_to_leave_green_its_traffic() -> None:
    lab = begun()
    assert lab.shares_now()[lab.names.green_endpoint] == 20
    lab.sandbox.faults.add(Fault("denied", "StopDeployment", times=1_000_000))
    waiting = lab.look(AsBefore(lab.planned))
    assert isinstance(waiting, Wait)
    assert "CodeDeploy is at work" in waiting.reason
    with pytest.raises(DeadlinePassed):
        lab.reach(AsBefore(lab.planned), timedelta(minutes=1))
    lab.sandbox.faults.clear()
    assert lab.shares_now() == {ENDPOINT: 100.0}
    lab.roll_back()
    assert lab.describe() == lab.before


def test_the_alias_goes_back_though_somebody_has_deleted_the_group() -> None:
    lab = begun()
    named = {"applicationName": lab.names.deployment, "deploymentGroupName": lab.names.deployment}
    lab.clients.codedeploy.delete_deployment_group(**named)
    lab.let_pass(200)
    lab.roll_back()
    assert lab.describe() == lab.before


def test_a_step_that_deploys_green_again_does_nothing_once_codedeploy_shifts() -> None:
    lab = begun()
    assert lab.planned is not None
    waiting = lab.look(GreenDeployed(lab.planned))
    assert isinstance(waiting, Wait)
    assert "CodeDeploy shifts already" in waiting.reason
    lab.let_pass(200)
    with pytest.raises(RolloutGaveUp, match="CodeDeploy has shifted already"):
        lab.look(GreenDeployed(lab.planned))


def test_blue_that_is_not_kept_is_deleted_once_no_call_can_still_be_at_work_there() -> None:
    lab = DeployLab(delete_blue=True)
    lab.run()
    assert lab.is_promoted(lab.describe())
    assert not lab.under_capacity
    assert lab.sandbox.endpoints.serving(ENDPOINT) is None


def test_a_promotion_that_has_begun_to_delete_blue_is_finished_even_by_a_rollback() -> None:
    lab = DeployLab(delete_blue=True)
    lab.run(until=4)
    lab.pass_time(200)
    killed_after(lab, "DeleteEndpoint", OnlyGreen(lab.planned))
    assert lab.reach(AsBefore(lab.planned)).outcome is Outcome.PROMOTED
    assert lab.is_promoted(lab.describe())


def _delete_version(lab: DeployLab) -> None:
    lab.clients.functions.delete_function(FunctionName=PLACE.function, Qualifier="2")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda lab: lab.clients.sagemaker.delete_endpoint(EndpointName=ENDPOINT), r"blue's endpoint fraud is gone"),
        (lambda lab: update_by_hand(lab, "theirs"), r"somebody else changed blue's endpoint fraud"),
        (_delete_version, r"has no version that calls endpoint fraud-"),
    ],
)
def test_codedeploy_is_not_asked_where_something_is_gone_meanwhile(
    spoil: Callable[[DeployLab], object], words: str
) -> None:
    lab = DeployLab()
    lab.run(until=1)
    spoil(lab)
    with pytest.raises(RolloutGaveUp, match=words):
        lab.reach(OnlyGreen(lab.planned))
    assert lab.deployments() == []


def test_green_has_as_many_instances_as_blue_by_then_before_codedeploy_is_asked() -> None:
    lab = DeployLab()
    lab.run(until=1)
    scale(lab, "AllTraffic", 6)
    lab.reach(OnlyGreen(lab.planned))
    green = lab.sandbox.endpoints.serving(lab.names.green_endpoint)
    assert green is not None
    assert len(green.variants[0].containers) == 6


def test_a_share_can_not_be_set_by_hand() -> None:
    lab = DeployLab()
    lab.run(until=1)
    with pytest.raises(RolloutGaveUp, match="CodeDeploy shifts by itself"):
        lab.reach(GreenShare(5))
    assert lab.shares_now() == {ENDPOINT: 100.0}


def _many_alarms(codedeploy: Any) -> None:
    codedeploy.delete_deployment_group(**OWN_GROUP)
    watched = {"enabled": True, "alarms": [{"name": f"alarm-{number}"} for number in range(8)]}
    codedeploy.create_deployment_group(**OWN_GROUP, serviceRoleArn=ROLE, alarmConfiguration=watched)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (
            lambda codedeploy: codedeploy.delete_deployment_group(**OWN_GROUP),
            "there is no deployment group live of application scorer",
        ),
        (_many_alarms, "are 11, and CodeDeploy watches 10"),
    ],
)
@pytest.mark.parametrize("when", ["before it is planned", "before it begins"])
def test_a_group_that_can_not_be_used_is_refused(when: str, spoil: Callable[[Any], object], words: str) -> None:
    lab = OwnGroupLab()
    rollout = lab.plan() if when == "before it begins" else None
    spoil(lab.clients.codedeploy)
    before = lab.describe()
    with pytest.raises(RolloutRefused, match=rf"{words}.*Nothing was changed"):
        lab.reach(GreenDeployed(rollout)) if rollout else lab.plan()
    assert lab.describe() == before


def test_a_promotion_is_undone_exactly_days_later() -> None:
    lab = DeployLab()
    lab.run()
    lab.pass_time(86400)
    lab.planned = begun_undo = begin_undo(lab.clients, Wanted(ENDPOINT, "ada"), lab.now)
    assert isinstance(begun_undo, Rollout)
    lab.roll_back()
    assert lab.describe() == lab.before


def test_the_record_holds_by_whose_means_it_shifts() -> None:
    lab = begun()
    record = read_record(lab.clients.ssm, ENDPOINT)
    assert record is not None
    assert (record.plan.traffic, record.plan.deployment) == ("codedeploy", lab.deployment)
