"""SageMaker replaces a component's copies, and may put the old ones back without a word: what we say of it is true all the same."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from airflow_sm_rollout.aws.record import read_record, write_record
from airflow_sm_rollout.aws.undo import Wanted, begin_undo, end_undo
from airflow_sm_rollout.aws.watch import Lookout
from airflow_sm_rollout.aws.world import AwsWorld
from airflow_sm_rollout.core.control import Wish
from airflow_sm_rollout.core.converge import decide
from airflow_sm_rollout.core.errors import DeadlinePassed, RolloutError, RolloutGaveUp, RolloutRefused
from airflow_sm_rollout.core.goals import AsBefore, GiveUp, Goal, GreenDeployed, GreenShare, Hold, OnlyGreen, Wait
from airflow_sm_rollout.core.outcome import Outcome
from airflow_sm_rollout.core.rollout import Green, Phase, Rollout
from airflow_sm_rollout.core.undo import Undone
from airflow_sm_rollout.sandbox.app import Sandbox
from airflow_sm_rollout.sandbox.clock import ManualClock
from airflow_sm_rollout.sandbox.containers import FunctionHost, ModelSpec, Reply
from airflow_sm_rollout.sandbox.faults import Fault
from convergence.components_lab import (
    FIRST_BAKE_AT,
    HOST,
    PROMOTED_AT,
    SECOND_BAKE_AT,
    SPECIFICATION,
    ComponentsLab,
)
from convergence.lab import ENDPOINT, USER_ALARM, Killed, Lab
from convergence.test_exits import ring, wish

UPDATE = "sagemaker:UpdateInferenceComponent"


def deployed() -> ComponentsLab:
    lab = ComponentsLab()
    lab.run(until=1)
    return lab


def ring_for_long(lab: Lab, alarm: str) -> None:
    """It stays in ALARM until SageMaker has acted on it: the metric is bad, not just the state."""
    lab.clients.cloudwatch.put_metric_data(
        Namespace="Shop", MetricData=[{"MetricName": "Refused", "Value": 50, "Timestamp": lab.now()}]
    )
    ring(lab, alarm)


def update_by_hand(lab: Lab, **changed: Any) -> None:
    """Somebody else lets the component run something else."""
    lab.clients.sagemaker.update_inference_component(
        InferenceComponentName=ENDPOINT, Specification={**SPECIFICATION, **changed}
    )
    lab.pass_time(100)


def copies_by_hand(lab: Lab, count: int) -> None:
    lab.clients.sagemaker.update_inference_component_runtime_config(
        InferenceComponentName=ENDPOINT, DesiredRuntimeConfig={"CopyCount": count}
    )
    lab.pass_time(100)


def described(lab: Lab) -> dict[str, Any]:
    return dict(lab.clients.sagemaker.describe_inference_component(InferenceComponentName=ENDPOINT))


def model(lab: Lab) -> str:
    return str(described(lab)["Specification"]["ModelName"])


def with_plan(rollout: Rollout, **changes: Any) -> Rollout:
    return replace(rollout, plan=replace(rollout.plan, **changes))


def kill_at(name: str) -> Callable[[str, str, str], None]:
    def kill(service: str, operation: str, phase: str) -> None:
        if (operation, phase) == (name, "before"):
            raise Killed

    return kill


def test_a_rollout_ends_with_all_copies_on_green_and_nothing_else_left() -> None:
    lab = ComponentsLab()
    lab.run()
    assert lab.is_promoted(lab.describe())
    assert sorted({round(share) for share in lab.shares}) == [0, 50, 100]
    assert not lab.under_capacity
    assert lab.calls.count(UPDATE) == 1


def test_deploying_green_changes_nothing_that_users_meet_and_comes_behind_the_record() -> None:
    lab = deployed()
    assert lab.describe()["endpoint"] == lab.before["endpoint"]
    effects = [call for call in lab.calls if not call.split(":")[1].startswith(("Describe", "Get", "List"))]
    assert effects == ["ssm:PutParameter", "sagemaker:CreateModel", "cloudwatch:PutMetricAlarm"]


def test_sagemaker_is_asked_with_the_plans_batches_and_every_watched_alarm() -> None:
    lab = deployed()
    lab.shift(1)
    last = described(lab)["LastDeploymentConfig"]
    size = {"Type": "COPY_COUNT", "Value": 2}
    assert last["RollingUpdatePolicy"] == {
        "MaximumBatchSize": size,
        "WaitIntervalInSeconds": 180,
        "MaximumExecutionTimeoutInSeconds": 3960,
        "RollbackMaximumBatchSize": size,
    }
    alarms = {alarm["AlarmName"] for alarm in last["AutoRollbackConfiguration"]["Alarms"]}
    assert alarms == {USER_ALARM, lab.names.error_alarm, lab.names.verdict_alarm}


def test_while_sagemaker_rolls_the_wait_says_so_and_how_long_it_may_take() -> None:
    lab = deployed()
    lab.shift(FIRST_BAKE_AT)
    waits = lab.look(OnlyGreen())
    assert isinstance(waits, Wait)
    assert "AWS does not tell how far it is" in waits.reason
    assert 300 < waits.expected.total_seconds() < 500


@pytest.mark.parametrize("at", [FIRST_BAKE_AT, SECOND_BAKE_AT])
@pytest.mark.parametrize("reason", ["set", "empty"])
def test_an_alarm_while_a_batch_bakes_is_a_failure_with_that_alarms_name(reason: str, at: float) -> None:
    lab = ComponentsLab()
    if reason == "empty":
        lab.sandbox.faults.add(Fault("empty_reason", "UpdateInferenceComponent"))
    lab.run(until=1)
    lab.shift(at)
    ring_for_long(lab, USER_ALARM)
    with pytest.raises(RolloutGaveUp, match=f"SageMaker put blue back: alarm {USER_ALARM} ") as caught:
        lab.reach(OnlyGreen())
    told = {"set": f"ALARM state: [{USER_ALARM}]", "empty": "AWS gives no reason"}
    assert told[reason] in str(caught.value)
    lab.roll_back()
    assert lab.describe() == lab.before


def test_an_update_put_back_for_another_reason_names_no_alarm_and_is_not_asked_again() -> None:
    lab = deployed()
    lab.sandbox.faults.add(Fault("no_capacity", "UpdateInferenceComponent"))
    with pytest.raises(RolloutGaveUp, match=r"no watched alarm has rung .*CapacityError"):
        lab.reach(OnlyGreen())
    with pytest.raises(RolloutGaveUp, match="SageMaker put blue back"):
        lab.reach(OnlyGreen())
    assert lab.calls.count(UPDATE) == 1
    lab.roll_back()
    assert lab.describe() == lab.before


def test_an_alarm_too_late_for_sagemaker_is_not_too_late_for_us() -> None:
    lab = deployed()
    lab.shift(PROMOTED_AT + 10)
    assert model(lab) == lab.names.model
    ring_for_long(lab, USER_ALARM)
    with pytest.raises(RolloutGaveUp, match=f"alarm {USER_ALARM} is in ALARM"):
        lab.reach(OnlyGreen())
    lab.roll_back()
    assert lab.describe() == lab.before


def test_a_model_that_nobody_called_is_not_promoted_for_its_silence() -> None:
    lab = deployed()
    lab.requests_per_look = 0
    with pytest.raises(RolloutGaveUp, match=f"alarm {lab.names.error_alarm} has too little data to tell"):
        lab.reach(OnlyGreen())
    lab.roll_back()
    assert lab.describe() == lab.before


def test_a_green_that_fails_its_requests_rings_the_rollouts_own_alarm_and_blue_is_back() -> None:
    def predict(model: ModelSpec, body: bytes) -> Reply:
        return Reply(400 if model.image == "green:2" else 200, b"{}")

    lab = ComponentsLab(Sandbox(clock=ManualClock(), host=FunctionHost(predict)), requests_per_look=120)
    lab.run(until=1)
    with pytest.raises(RolloutGaveUp, match=f"put blue back: alarm {lab.names.error_alarm} is in ALARM"):
        lab.reach(OnlyGreen())
    lab.roll_back()
    assert lab.describe() == lab.before


@pytest.mark.parametrize("tasks_done", [0, 1])
def test_an_alarm_that_rings_before_prevents_it(tasks_done: int) -> None:
    lab = ComponentsLab()
    lab.run(until=tasks_done)
    rollout = None if tasks_done else lab.plan()
    ring(lab, USER_ALARM)
    with pytest.raises(RolloutError, match="from before green had traffic"):
        lab.reach(GreenDeployed(rollout) if rollout else OnlyGreen())
    assert UPDATE not in lab.calls


def test_an_own_alarm_deleted_by_somebody_stops_the_rollout() -> None:
    lab = deployed()
    lab.clients.cloudwatch.delete_alarms(AlarmNames=[lab.names.error_alarm])
    with pytest.raises(RolloutGaveUp, match="does not exist"):
        lab.reach(OnlyGreen())


@pytest.mark.parametrize("share", [0, 50, 100])
def test_a_share_is_refused_with_the_reason(share: float) -> None:
    lab = deployed()
    with pytest.raises(RolloutGaveUp, match="SageMaker replaces copies by itself"):
        lab.reach(GreenShare(share))
    assert lab.describe()["endpoint"] == lab.before["endpoint"]


@pytest.mark.parametrize("seconds", range(0, 720, 60))
def test_a_rollback_at_any_moment_restores_everything(seconds: int) -> None:
    lab = deployed()
    lab.shift(seconds)
    lab.roll_back()
    assert lab.describe() == lab.before
    assert not lab.under_capacity
    assert {round(share) for share in lab.shares} <= {0, 50, 100}


def test_a_persons_abort_while_it_rolls_reaches_sagemaker_by_the_judges_alarm() -> None:
    lab = deployed()
    lab.shift(FIRST_BAKE_AT)
    lookout = Lookout(AwsWorld(lab.clients, ENDPOINT, lab.names.rollout_id, lab.now))
    wish(lab, Wish.ABORT)
    _, why = lookout.look_for(OnlyGreen())
    assert "aborted by alice" in why
    began, lab.is_judged = lab.now(), False
    lab.roll_back()
    assert lab.now() - began < timedelta(minutes=4), "SageMaker turned around in the first bake"
    assert max(lab.shares) == 50
    assert lab.describe() == lab.before


def test_a_rollback_while_it_rolls_turns_sagemaker_around_at_once_though_nobody_judges() -> None:
    lab = deployed()
    lab.shift(FIRST_BAKE_AT)
    began, lab.is_judged = lab.now(), False
    lab.roll_back()
    assert lab.now() - began < timedelta(minutes=4)
    assert max(lab.shares) == 50
    assert lab.describe() == lab.before


def test_a_rollback_after_the_last_batch_is_one_update_by_batches_that_leaves_the_copies_alone() -> None:
    lab = deployed()
    lab.shift(PROMOTED_AT + 20)
    copies_by_hand(lab, 6)
    lab.calls.clear()
    lab.roll_back()
    assert lab.calls.count(UPDATE) == 1
    assert described(lab)["LastDeploymentConfig"]["RollingUpdatePolicy"]["WaitIntervalInSeconds"] == 0
    assert described(lab)["RuntimeConfig"] == {"DesiredCopyCount": 6, "CurrentCopyCount": 6}
    assert model(lab) == "fraud-v1"


def test_where_one_copy_is_left_it_goes_back_at_once() -> None:
    lab = deployed()
    lab.shift(PROMOTED_AT + 20)
    copies_by_hand(lab, 1)
    lab.roll_back()
    assert model(lab) == "fraud-v1"


def test_scaled_down_until_a_copy_is_more_than_the_plan_allows_nothing_is_rolled() -> None:
    lab = deployed()
    copies_by_hand(lab, 1)
    with pytest.raises(RolloutGaveUp, match="50 % of 1 copy"):
        lab.reach(OnlyGreen())
    assert UPDATE not in lab.calls


@pytest.mark.parametrize("changed", [{"ModelName": "theirs"}, {"StartupParameters": {}}])
@pytest.mark.parametrize("point", ["planned", "recorded", "deployed", "promoted"])
def test_somebody_elses_update_is_never_overwritten(point: str, changed: dict[str, Any]) -> None:
    lab = ComponentsLab()
    rollout = lab.plan()
    if point == "recorded":
        write_record(lab.clients.ssm, rollout, overwrite=False)
    elif point != "planned":
        lab.reach(GreenDeployed(rollout))
    if point == "promoted":
        lab.shift(PROMOTED_AT + 20)
    lab.clients.sagemaker.create_model(ModelName="theirs", PrimaryContainer={"Image": "theirs:1"})
    update_by_hand(lab, **changed)
    before = lab.describe()
    goals: list[Goal] = (
        [GreenDeployed(rollout)] if point == "planned" else [GreenDeployed(rollout), OnlyGreen(), AsBefore()]
    )
    for goal in goals:
        with pytest.raises(RolloutError, match="on model"):
            lab.reach(goal)
    assert lab.describe() == before


def test_blue_is_put_back_over_somebodys_change_where_the_plan_says_so() -> None:
    lab = ComponentsLab(on_drift="restore")
    lab.run(until=1)
    update_by_hand(lab, StartupParameters={})
    lab.roll_back()
    assert lab.describe() == lab.before


def test_a_rollback_that_found_drift_still_has_turned_around() -> None:
    lab = deployed()
    update_by_hand(lab, StartupParameters={})
    with pytest.raises(RolloutGaveUp, match="on model"):
        lab.roll_back()
    with pytest.raises(RolloutGaveUp, match="being rolled back"):
        lab.reach(OnlyGreen())


@pytest.mark.parametrize("kind", [Wish.PAUSE, Wish.ABORT])
@pytest.mark.parametrize("point", ["recorded", "deployed", "rolled"])
def test_a_persons_wish_is_heeded_before_it_rolls_and_after_it(point: str, kind: Wish) -> None:
    lab = ComponentsLab()
    rollout = lab.plan()
    if point == "recorded":
        write_record(lab.clients.ssm, rollout, overwrite=False)
    else:
        lab.reach(GreenDeployed(rollout))
    if point == "rolled":
        lab.shift(PROMOTED_AT + 60)
    wish(lab, kind)
    goal = GreenDeployed(rollout) if point == "recorded" else OnlyGreen()
    if kind is Wish.PAUSE:
        assert isinstance(lab.look(goal), Hold)
        wish(lab, Wish.GO_ON)
        lab.reach(goal)
    else:
        with pytest.raises(RolloutGaveUp, match="aborted by alice"):
            lab.reach(goal)
        lab.roll_back()
        assert lab.describe() == lab.before


def test_blues_model_goes_if_the_user_wants_that() -> None:
    lab = ComponentsLab()
    lab.reach(GreenDeployed(with_plan(lab.plan(), delete_blue=True)))
    lab.reach(OnlyGreen())
    assert lab.describe()["models"] == [lab.names.model]


@pytest.mark.parametrize("fault", [None, Fault("denied", "DeleteModel")])
def test_once_blues_model_may_be_gone_a_rollback_ends_the_promotion(fault: Fault | None) -> None:
    lab = ComponentsLab()
    lab.reach(GreenDeployed(with_plan(lab.plan(), delete_blue=True)))
    if fault:
        lab.sandbox.faults.add(fault)
        with pytest.raises(RolloutGaveUp, match="AccessDenied"):
            lab.reach(OnlyGreen())
    else:
        lab.hook = kill_at("DeleteParameters")
        with pytest.raises(Killed):
            lab.reach(OnlyGreen())
        lab.hook = None
    lab.roll_back()
    after = lab.describe()
    assert (after["models"], after["records"]) == ([lab.names.model], [])
    assert model(lab) == lab.names.model


def test_killed_between_noting_and_asking_a_retry_still_asks_once() -> None:
    lab = deployed()
    lab.hook = kill_at("UpdateInferenceComponent")
    with pytest.raises(Killed):
        lab.reach(OnlyGreen())
    lab.hook = None
    lab.reach(OnlyGreen())
    assert lab.is_promoted(lab.describe())


@pytest.mark.parametrize("ended", ["promoted", "rolled back"])
def test_a_task_cleared_after_the_end_changes_nothing(ended: str) -> None:
    lab = ComponentsLab()
    rollout = lab.plan()
    lab.run(until=99 if ended == "promoted" else 1)
    if ended == "rolled back":
        lab.roll_back()
    else:
        with pytest.raises(RolloutRefused, match="promoted already"):
            lab.reach(GreenDeployed(rollout))
    state = lab.describe()
    if ended == "rolled back":
        with pytest.raises(RolloutGaveUp, match="not in progress"):
            lab.reach(OnlyGreen())
    for goal in (AsBefore(), AsBefore(rollout)):
        assert lab.reach(goal).outcome is (Outcome.PROMOTED if ended == "promoted" else Outcome.ROLLED_BACK)
    assert lab.describe() == state


@pytest.mark.parametrize(
    ("green", "words"),
    [
        (Green(model_name="nowhere"), "model_name='nowhere'"),
        (Green(model_name="fraud-v1"), "runs already"),
        (Green(image="green:2", model_data_url="s3://m/m.tar.gz", instance_type="ml.g5.xlarge"), "instance_type"),
    ],
)
def test_what_can_not_be_rolled_is_refused_before_anything_is_done(green: Green, words: str) -> None:
    lab = ComponentsLab()
    with pytest.raises(RolloutRefused, match=words):
        lab.reach(GreenDeployed(replace(lab.plan(), green=green)))
    assert lab.describe() == lab.before


def test_a_component_deleted_halfway_ends_every_way_forward_and_leaves_nothing_behind() -> None:
    lab = ComponentsLab()
    rollout = lab.plan()
    lab.reach(GreenDeployed(rollout))
    lab.clients.sagemaker.delete_inference_component(InferenceComponentName=ENDPOINT)
    lab.pass_time(100)
    for goal in (GreenDeployed(rollout), OnlyGreen()):
        with pytest.raises(RolloutGaveUp, match="there is no"):
            lab.reach(goal)
    lab.roll_back()
    models = [each["ModelName"] for each in lab.clients.sagemaker.list_models()["Models"]]
    assert models == ["fraud-v1"]
    assert lab.clients.ssm.get_parameters_by_path(Path="/sm-rollout")["Parameters"] == []


def test_deploying_waits_for_somebody_elses_change_to_end() -> None:
    lab = ComponentsLab()
    rollout = lab.plan()
    lab.clients.sagemaker.update_inference_component_runtime_config(
        InferenceComponentName=ENDPOINT, DesiredRuntimeConfig={"CopyCount": 4}
    )
    waits = lab.look(GreenDeployed(rollout))
    assert isinstance(waits, Wait)
    assert "is Updating" in waits.reason
    lab.reach(GreenDeployed(rollout))


def test_a_deadline_says_in_which_state_the_component_is() -> None:
    lab = deployed()
    with pytest.raises(DeadlinePassed, match="inference component fraud is Updating on model fraud-v1"):
        lab.reach(OnlyGreen(), patience=timedelta(minutes=4))
    lab.roll_back()
    assert lab.describe() == lab.before


@pytest.mark.parametrize(("number", "status"), [(0, "Failed"), (1, "Failed"), (2, "OutOfService")])
def test_in_a_state_that_aws_does_not_leave_by_itself_a_person_is_asked(number: int, status: str) -> None:
    lab = deployed()
    rollout = read_record(lab.clients.ssm, ENDPOINT)
    assert rollout is not None
    goal: Goal = (GreenDeployed(rollout), OnlyGreen(), AsBefore())[number]
    seen = AwsWorld(lab.clients, ENDPOINT, lab.names.rollout_id, lab.now).observe(goal)
    assert seen.endpoint is not None
    record = replace(rollout, phase=Phase.ROLLING_BACK) if number == 2 else rollout
    broken = replace(seen, endpoint=replace(seen.endpoint, status=status), record=record)
    decision = decide(goal, lab.names.rollout_id, broken)
    assert isinstance(decision, GiveUp)
    assert "a person has to look" in decision.reason


def test_a_rollback_leads_out_of_a_failed_update_with_copies_of_both() -> None:
    lab = deployed()
    lab.shift(FIRST_BAKE_AT)
    lab.sandbox.faults.add(Fault("no_capacity", "UpdateInferenceComponent"))
    ring_for_long(lab, USER_ALARM)
    lab.pass_time(2000)
    assert described(lab)["InferenceComponentStatus"] == "Failed"
    lab.watch()
    assert lab.shares[-1] == 50
    lab.roll_back()
    assert lab.describe() == lab.before


@pytest.mark.parametrize("number", range(2))
def test_nothing_goes_forward_once_the_rollout_goes_back(number: int) -> None:
    lab = deployed()
    rollout = read_record(lab.clients.ssm, ENDPOINT)
    assert rollout is not None
    write_record(lab.clients.ssm, replace(rollout, phase=Phase.ROLLING_BACK), overwrite=True)
    goal: Goal = (GreenDeployed(rollout), OnlyGreen())[number]
    with pytest.raises(RolloutGaveUp, match="being rolled back"):
        lab.reach(goal)


def test_it_is_promoted_only_when_all_copies_are_there() -> None:
    lab = deployed()
    lab.shift(PROMOTED_AT + 20)
    goal = OnlyGreen()
    seen = AwsWorld(lab.clients, ENDPOINT, lab.names.rollout_id, lab.now).observe(goal)
    assert seen.endpoint is not None
    [variant] = seen.endpoint.variants
    fewer = replace(seen.endpoint, variants=(replace(variant, current_count=3),))
    decision = decide(goal, lab.names.rollout_id, replace(seen, endpoint=fewer))
    assert isinstance(decision, Wait)
    assert "3 of 4 copies" in decision.reason


def test_its_host_and_the_other_components_are_never_touched() -> None:
    lab = ComponentsLab()
    lab.run()
    named = [str(call.params) for call in lab.sandbox.calls if call.operation.startswith(("Update", "Delete"))]
    assert not [params for params in named if "another" in params or HOST in params]


def undo(lab: Lab) -> str:
    begun = begin_undo(lab.clients, Wanted(ENDPOINT, "ada"), lab.now)
    assert not isinstance(begun, Undone)
    return end_undo(lab.clients, begun, lab.reach(AsBefore(begun)))


def test_a_promotion_is_undone_whatever_number_of_copies_there_is_by_now() -> None:
    lab = ComponentsLab()
    lab.run()
    copies_by_hand(lab, 6)
    assert undo(lab).startswith("undone")
    after = lab.describe()
    assert after["endpoint"]["RuntimeConfig"] == {"DesiredCopyCount": 6, "CurrentCopyCount": 6}
    assert model(lab) == "fraud-v1"
    assert (after["models"], after["records"]) == (["fraud-v1"], [])


def test_an_undo_for_which_there_is_no_room_leaves_green_and_says_why() -> None:
    lab = ComponentsLab()
    lab.run()
    promoted = lab.describe()
    lab.sandbox.faults.add(Fault("no_capacity", "UpdateInferenceComponent"))
    with pytest.raises(RolloutGaveUp, match=r"not undone: .*CapacityError"):
        undo(lab)
    assert lab.describe() == promoted


@pytest.mark.parametrize("point", ["deployed", "rolling", "rolled"])
def test_a_rollout_whose_record_is_lost_goes_back_by_its_plan(point: str) -> None:
    lab = ComponentsLab()
    planned = lab.plan()
    lab.run(until=1)
    if point != "deployed":
        lab.shift(FIRST_BAKE_AT if point == "rolling" else PROMOTED_AT + 20)
    lab.clients.ssm.delete_parameter(Name=lab.names.record)
    if point == "rolled":
        with pytest.raises(RolloutGaveUp, match=r"the record of rollout .* is gone"):
            lab.reach(OnlyGreen(planned))
    assert lab.reach(AsBefore(planned)).outcome is Outcome.ROLLED_BACK
    assert lab.describe() == lab.before
