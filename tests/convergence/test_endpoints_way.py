"""Two endpoints behind a live pointer: each exit is promoted, as before, or refused with nothing changed, and says why."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from airflow_sm_rollout.aws.planning import plan_rollout
from airflow_sm_rollout.aws.record import read_record, write_record
from airflow_sm_rollout.aws.world import AwsWorld
from airflow_sm_rollout.core.advance import advance
from airflow_sm_rollout.core.control import Wish
from airflow_sm_rollout.core.converge import decide
from airflow_sm_rollout.core.errors import DeadlinePassed, PlanError, RolloutError, RolloutGaveUp, RolloutRefused
from airflow_sm_rollout.core.goals import AsBefore, GiveUp, Goal, GreenDeployed, GreenShare, Hold, OnlyGreen, Wait
from airflow_sm_rollout.core.names import Names
from airflow_sm_rollout.core.observation import Observation
from airflow_sm_rollout.core.rollout import Green, Phase, Plan, with_phase
from airflow_sm_rollout.core.strategy import canary
from airflow_sm_rollout.sandbox.faults import Fault
from convergence.lab import BLUE_CONFIG, ENDPOINT, USER_ALARM, Killed, Lab
from convergence.live_lab import BLUE_GREEN, POINTER, LiveLab, deleting_blue, second_rollout
from convergence.test_exits import ring, wish

MAKERS = [LiveLab, deleting_blue, second_rollout]


def count_of(lab: LiveLab, endpoint: str) -> int:
    [variant] = lab.clients.sagemaker.describe_endpoint(EndpointName=endpoint)["ProductionVariants"]
    return variant["CurrentInstanceCount"]


def scale(lab: LiveLab, endpoint: str, count: int) -> None:
    """Somebody, or autoscaling, changes an endpoint's instances."""
    lab.clients.sagemaker.update_endpoint_weights_and_capacities(
        EndpointName=endpoint,
        DesiredWeightsAndCapacities=[{"VariantName": "AllTraffic", "DesiredInstanceCount": count}],
    )


def update_by_hand(lab: LiveLab, endpoint: str) -> None:
    """Somebody else puts an endpoint on a config of theirs."""
    sagemaker = lab.clients.sagemaker
    variants = sagemaker.describe_endpoint_config(EndpointConfigName=BLUE_CONFIG)["ProductionVariants"]
    sagemaker.create_endpoint_config(EndpointConfigName="theirs", ProductionVariants=variants)
    sagemaker.update_endpoint(EndpointName=endpoint, EndpointConfigName="theirs")
    lab.pass_time(200)


def delete_endpoint(lab: LiveLab, endpoint: str) -> None:
    lab.clients.sagemaker.delete_endpoint(EndpointName=endpoint)
    lab.pass_time(100)


def world_of(lab: LiveLab) -> AwsWorld:
    return AwsWorld(lab.clients, ENDPOINT, lab.names.rollout_id, lab.now)


def step(lab: LiveLab, goal: Goal) -> object:
    """One advance, up to the next wait."""
    return advance(goal, lab.names.rollout_id, world_of(lab), lab.now() + timedelta(hours=1), lambda line: None)


@pytest.mark.parametrize("make", MAKERS)
def test_a_rollout_ends_with_clients_on_green_and_nothing_else_left(make: Callable[[], LiveLab]) -> None:
    lab = make()
    lab.run()
    assert lab.is_promoted(lab.describe())
    assert lab.live() == lab.names.green_endpoint
    assert not lab.under_capacity
    assert set(lab.shares) == {0.0, 100.0}


def test_green_has_what_blue_has_now() -> None:
    lab = LiveLab()
    lab.run(until=1)
    sagemaker, green = lab.clients.sagemaker, lab.names.green_endpoint
    blue_config = sagemaker.describe_endpoint_config(EndpointConfigName=BLUE_CONFIG)
    config = sagemaker.describe_endpoint_config(EndpointConfigName=lab.names.final_config)
    for member in ("DataCaptureConfig", "KmsKeyId"):
        assert config[member] == blue_config[member]
    [was], [variant] = blue_config["ProductionVariants"], config["ProductionVariants"]
    assert variant == {**was, "ModelName": lab.names.model, "InitialInstanceCount": 4}
    assert {"Key": "team", "Value": "risk"} in lab.tags("endpoint-config", lab.names.final_config)
    assert {"Key": "cost", "Value": "42"} in lab.tags("endpoint", green)
    assert count_of(lab, green) == 4
    assert lab.live() == ENDPOINT


def test_an_instance_type_of_greens_own_is_used() -> None:
    lab = LiveLab()
    green = replace(lab.plan().green, instance_type="ml.c5.xlarge")
    lab.reach(GreenDeployed(replace(lab.plan(), green=green)))
    config = lab.clients.sagemaker.describe_endpoint_config(EndpointConfigName=lab.names.final_config)
    assert config["ProductionVariants"][0]["InstanceType"] == "ml.c5.xlarge"


def test_greens_own_alarms_look_at_greens_endpoint() -> None:
    lab = LiveLab()
    lab.run(until=1)
    [alarm] = lab.clients.cloudwatch.describe_alarms(AlarmNames=[lab.names.error_alarm])["MetricAlarms"]
    looked_at = [metric["MetricStat"]["Metric"]["Dimensions"] for metric in alarm["Metrics"] if "MetricStat" in metric]
    assert len(looked_at) == 3
    for dimensions in looked_at:
        named = {each["Name"]: each["Value"] for each in dimensions}
        assert named == {"EndpointName": lab.names.green_endpoint, "VariantName": "AllTraffic"}


def test_the_record_is_there_before_the_first_effect_and_gone_after_the_last() -> None:
    lab = LiveLab()
    lab.run()
    effects = [call for call in lab.calls if not call.split(":")[1].startswith(("Describe", "Get", "List"))]
    assert effects[0] == "ssm:PutParameter"
    assert effects[-1] == "ssm:DeleteParameters"


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("tasks_done", [0, 1, 2, 3])
def test_a_rollback_from_every_point_ends_as_before_field_by_field(
    make: Callable[[], LiveLab], tasks_done: int
) -> None:
    lab = make()
    lab.run(until=tasks_done)
    lab.roll_back()
    assert lab.describe() == lab.before
    assert not lab.under_capacity


@pytest.mark.parametrize("goal", [AsBefore(), GreenShare(0)])
def test_the_way_back_is_one_write_before_anything_else_is_read(goal: Goal) -> None:
    lab = LiveLab()
    lab.run(until=3)
    scale(lab, lab.names.green_endpoint, 6)  # green is Updating
    lab.calls.clear()
    lab.reach(goal)
    assert lab.calls[:3] == ["ssm:GetParameter", "ssm:GetParameter", "ssm:PutParameter"]
    assert lab.live() == ENDPOINT


def test_after_a_step_back_to_nothing_green_can_have_all_again() -> None:
    lab = second_rollout()
    lab.run(until=2)
    lab.reach(GreenShare(0))
    assert lab.live() == lab.before["endpoints"].popitem()[0]
    assert lab.reach(GreenShare(0)).reason.startswith("green has no traffic")
    lab.reach(GreenShare(100))
    assert lab.live() == lab.names.green_endpoint
    lab.roll_back()
    assert lab.describe()["pointer"] == lab.before["pointer"]


@pytest.mark.parametrize("share", [1, 50, 99.5])
def test_a_share_between_is_refused_when_planned_and_when_asked_for(share: float) -> None:
    lab = LiveLab()
    green = Green(image="green:2", model_data_url="s3://models/green.tar.gz")
    plan = Plan(canary([share, 100]), traffic="endpoints")
    with pytest.raises(PlanError, match="traffic='endpoints'"):
        plan_rollout(lab.clients, lab.names, {}, green, plan, lab.now())
    lab.run(until=1)
    with pytest.raises(RolloutGaveUp, match=f"share={share:g} is not possible"):
        lab.reach(GreenShare(share))
    assert lab.live() == ENDPOINT


def test_a_way_that_nobody_knows_is_refused() -> None:
    lab = LiveLab()
    with pytest.raises(PlanError, match="traffic='mirror'"):
        plan_rollout(lab.clients, lab.names, {}, Green(model_name="fraud-v1"), Plan(traffic="mirror"), lab.now())


def flap(lab: LiveLab) -> None:
    ring(lab, USER_ALARM)
    lab.pass_time(180)  # its own evaluation has put it back to OK


def delete_alarm(lab: LiveLab) -> None:
    lab.clients.cloudwatch.delete_alarms(AlarmNames=[USER_ALARM])


@pytest.mark.parametrize(
    ("spoil", "words"),
    [(lambda lab: ring(lab, USER_ALARM), "7 of 9 refused"), (flap, "7 of 9 refused"), (delete_alarm, "does not exist")],
    ids=["ringing", "rang", "missing"],
)
def test_harm_after_the_switch_stops_the_promotion_and_everything_comes_back(
    spoil: Callable[[LiveLab], None], words: str
) -> None:
    lab = LiveLab()
    lab.run(until=3)
    spoil(lab)
    with pytest.raises(RolloutGaveUp, match=words):
        lab.reach(OnlyGreen())
    lab.roll_back()
    after = lab.describe()
    assert {**after, "alarms": ()} == {**lab.before, "alarms": ()}


@pytest.mark.parametrize(
    ("spoil", "words"),
    [(lambda lab: ring(lab, USER_ALARM), "from before green had traffic"), (delete_alarm, "does not exist")],
    ids=["ringing", "missing"],
)
def test_no_client_is_sent_to_green_while_an_alarm_is_unfit(spoil: Callable[[LiveLab], None], words: str) -> None:
    lab = LiveLab()
    lab.run(until=1)
    spoil(lab)
    with pytest.raises(RolloutGaveUp, match=words):
        lab.reach(GreenShare(100))
    assert lab.pointer() is None
    assert read_record(lab.clients.ssm, ENDPOINT).green_traffic_since is None  # type: ignore[union-attr]


@pytest.mark.parametrize("spoil", [lambda lab: ring(lab, USER_ALARM), delete_alarm], ids=["ringing", "missing"])
def test_an_unfit_alarm_refuses_the_rollout_before_anything_is_done(spoil: Callable[[LiveLab], None]) -> None:
    lab = LiveLab()
    rollout = lab.plan()
    spoil(lab)
    before = lab.describe()
    with pytest.raises(RolloutRefused, match="alarms="):
        lab.reach(GreenDeployed(rollout))
    assert lab.describe() == before


def test_a_green_endpoint_that_never_serves_is_a_failure_with_aws_reason() -> None:
    lab = LiveLab()
    lab.sandbox.faults.add(Fault("bad_ping"))
    with pytest.raises(RolloutGaveUp, match=r"is Failed.*ping health check"):
        lab.run(until=1)
    lab.roll_back()
    assert lab.describe() == lab.before


def test_a_rollback_says_that_a_green_endpoint_stuck_in_creation_can_not_be_deleted_yet_and_waits_for_it() -> None:
    lab = LiveLab()
    lab.sandbox.faults.add(Fault("bad_ping"))
    with pytest.raises(DeadlinePassed, match=f"endpoint {lab.names.green_endpoint} is Creating"):
        lab.reach(GreenDeployed(lab.plan()), patience=timedelta(minutes=5))
    waiting = step(lab, AsBefore())
    assert isinstance(waiting, Wait)
    assert "up to 24 minutes" in waiting.reason
    assert f"Clients call {ENDPOINT}" in waiting.reason
    lab.roll_back()
    assert lab.describe() == lab.before


def test_a_quota_that_is_too_small_fails_the_deployment_and_says_so() -> None:
    lab = LiveLab()
    lab.sandbox.faults.add(Fault("quota", "CreateEndpoint"))
    with pytest.raises(RolloutGaveUp, match="ResourceLimitExceeded"):
        lab.run(until=1)
    lab.roll_back()
    assert lab.describe() == lab.before


@pytest.mark.parametrize("make", [LiveLab, second_rollout])
@pytest.mark.parametrize(
    ("tasks_done", "goal"), [(1, GreenShare(100)), (3, GreenShare(0)), (3, OnlyGreen()), (3, AsBefore())]
)
def test_a_pointer_that_somebody_else_wrote_is_never_overwritten(
    make: Callable[[], LiveLab], tasks_done: int, goal: Goal
) -> None:
    lab = make()
    lab.run(until=tasks_done)
    lab.put_pointer(endpoint_name="theirs")
    with pytest.raises(RolloutGaveUp, match=r"somebody else wrote the live pointer.*names endpoint theirs"):
        lab.reach(goal)
    assert lab.live() == "theirs"


def test_a_pointer_written_away_and_back_before_the_switch_is_noticed_by_its_version() -> None:
    lab = second_rollout()
    lab.run(until=1)
    text = lab.before["pointer"]
    for each in (json.dumps({"endpoint_name": "theirs"}), text):
        lab.clients.ssm.put_parameter(Name=POINTER, Value=each, Type="String", Overwrite=True)
    with pytest.raises(RolloutGaveUp, match=r"in version 3;.*version 1 when planned"):
        lab.reach(GreenShare(100))
    assert lab.pointer() == {"text": text, "version": 3}


def test_a_pointer_changed_between_plan_and_start_is_refused() -> None:
    lab = LiveLab()
    rollout = lab.plan()
    lab.put_pointer(endpoint_name="theirs")
    before = lab.describe()
    with pytest.raises(RolloutRefused, match="somebody else wrote the live pointer"):
        lab.reach(GreenDeployed(rollout))
    assert lab.describe() == before


def test_a_pointer_that_a_person_has_put_back_on_blue_is_left_and_the_rest_is_tidied() -> None:
    lab = LiveLab()
    lab.run(until=3)
    lab.put_pointer(endpoint_name=ENDPOINT, by="alice")
    with pytest.raises(RolloutGaveUp, match="somebody else wrote the live pointer"):
        lab.reach(OnlyGreen())
    lab.roll_back()
    assert lab.describe() == {**lab.before, "pointer": json.dumps({"endpoint_name": ENDPOINT, "by": "alice"})}
    assert not lab.under_capacity


def intrude(lab: LiveLab, target: str) -> None:
    """Somebody else writes the pointer between the rollout's next look and its writing."""

    def hook(service: str, operation: str, phase: str) -> None:
        if (operation, phase) == ("PutParameter", "before") and lab.calls[-2:-1] != ["ssm:PutParameter"]:
            lab.hook = None
            lab.put_pointer(endpoint_name=target)

    lab.hook = hook


def noted_green_traffic(lab: LiveLab) -> None:
    """The record says that green is about to get traffic, so that the next write is the pointer's."""
    rollout = read_record(lab.clients.ssm, ENDPOINT)
    assert rollout is not None
    write_record(lab.clients.ssm, replace(rollout, green_traffic_since=lab.now()), overwrite=True)


def test_a_first_pointer_is_not_written_over_one_that_somebody_else_wrote_at_the_same_moment() -> None:
    lab = LiveLab()
    lab.run(until=1)
    noted_green_traffic(lab)
    intrude(lab, "theirs")
    with pytest.raises(RolloutGaveUp, match="names endpoint theirs in version 1"):
        lab.reach(GreenShare(100))
    assert lab.live() == "theirs"


def test_a_write_at_the_same_moment_as_the_switch_is_noticed_by_the_version_that_came_back() -> None:
    lab = second_rollout()
    lab.run(until=1)
    noted_green_traffic(lab)
    intrude(lab, "theirs")
    waiting = step(lab, GreenShare(100))
    assert isinstance(waiting, Wait)
    assert "it is in version 3, 2 was meant" in waiting.reason
    with pytest.raises(RolloutGaveUp, match=r"somebody else wrote the live pointer.*get-parameter-history"):
        lab.reach(GreenShare(100))
    lab.roll_back()
    assert lab.describe() == lab.before


def test_a_write_at_the_same_moment_as_the_way_back_is_said_and_does_not_stop_it() -> None:
    lab = LiveLab()
    lab.run(until=3)
    intrude(lab, "theirs")
    waiting = step(lab, AsBefore())
    assert isinstance(waiting, Wait)
    assert "somebody else wrote the live pointer" in waiting.reason
    lab.roll_back()
    assert lab.describe() == lab.before


def test_green_gets_as_many_instances_as_blue_has_by_then_before_it_gets_clients() -> None:
    lab = LiveLab()
    lab.run(until=1)
    scale(lab, ENDPOINT, 6)
    lab.pass_time(200)
    lab.reach(GreenShare(100))
    assert count_of(lab, lab.names.green_endpoint) == 6
    effects = [call.split(":")[1] for call in lab.calls]
    assert effects.index("UpdateEndpointWeightsAndCapacities") < len(effects) - effects[::-1].index("PutParameter") - 1


def test_green_does_not_get_clients_while_its_instances_are_missing() -> None:
    lab = LiveLab()
    lab.run(until=1)
    seen = seen_by(lab, GreenShare(100))
    green = seen.green_endpoint
    assert green is not None
    launching = replace(green, variants=(replace(green.variants[0], current_count=3),))
    decision = decide(GreenShare(100), lab.names.rollout_id, replace(seen, green_endpoint=launching))
    assert isinstance(decision, Wait)
    assert "3 of 4 instances" in decision.reason


def test_a_blue_scaled_while_it_had_no_clients_is_restored() -> None:
    lab = LiveLab()
    lab.run(until=3)
    scale(lab, ENDPOINT, 1)
    lab.roll_back()
    assert lab.describe() == lab.before


@pytest.mark.parametrize("tasks_done", [0, 1])
def test_an_endpoint_of_blue_that_somebody_changed_stops_the_rollout(tasks_done: int) -> None:
    lab = LiveLab()
    write_record(lab.clients.ssm, lab.plan(), overwrite=False)
    lab.run(until=tasks_done)
    update_by_hand(lab, ENDPOINT)
    with pytest.raises(RolloutGaveUp, match=r"somebody else changed blue's endpoint fraud: it is on config theirs"):
        lab.run(until=tasks_done + 1) if tasks_done == 0 else lab.reach(GreenShare(100))
    assert lab.pointer() is None


def test_a_rollback_tidies_its_own_and_leaves_a_blue_that_somebody_changed() -> None:
    lab = LiveLab()
    lab.run(until=3)
    update_by_hand(lab, ENDPOINT)
    count = count_of(lab, ENDPOINT)
    with pytest.raises(RolloutGaveUp, match="changed blue's endpoint"):
        lab.roll_back()
    after = lab.describe()
    assert list(after["endpoints"]) == [ENDPOINT]
    assert after["endpoints"][ENDPOINT]["EndpointConfigName"] == "theirs"
    assert count_of(lab, ENDPOINT) == count
    assert after["models"] == lab.before["models"]
    assert lab.live() == ENDPOINT


@pytest.mark.parametrize("status", ["gone", "Deleting"])
def test_without_blue_nobody_is_sent_to_green(status: str) -> None:
    lab = LiveLab()
    lab.run(until=1)
    lab.clients.sagemaker.delete_endpoint(EndpointName=ENDPOINT)
    lab.pass_time(100 if status == "gone" else 1)
    with pytest.raises(RolloutGaveUp, match="blue's endpoint fraud is gone"):
        lab.reach(GreenShare(100))


def test_a_blue_that_somebody_deleted_is_made_again() -> None:
    lab = LiveLab()
    lab.run(until=3)
    delete_endpoint(lab, ENDPOINT)
    lab.clients.sagemaker.delete_endpoint_config(EndpointConfigName=BLUE_CONFIG)
    lab.roll_back()
    after = lab.describe()
    for world in (after, lab.before):
        world["endpoints"][ENDPOINT].pop("CreationTime")
    assert after == lab.before


def test_a_blue_that_does_not_come_back_asks_for_a_person() -> None:
    lab = LiveLab()
    lab.run(until=3)
    delete_endpoint(lab, ENDPOINT)
    lab.sandbox.faults.add(Fault("no_capacity", "CreateEndpoint"))
    with pytest.raises(RolloutGaveUp, match=r"endpoint fraud is Failed.*CapacityError.*a person has to look"):
        lab.roll_back()


def test_blues_config_comes_back_though_somebody_deleted_it() -> None:
    lab = LiveLab()
    lab.run(until=2)
    lab.clients.sagemaker.delete_endpoint_config(EndpointConfigName=BLUE_CONFIG)
    lab.roll_back()
    assert lab.describe() == lab.before


@pytest.mark.parametrize(("tasks_done", "goal"), [(1, GreenShare(100)), (3, OnlyGreen()), (3, AsBefore())])
def test_an_endpoint_of_green_that_somebody_changed_is_neither_used_nor_deleted(tasks_done: int, goal: Goal) -> None:
    lab = LiveLab()
    lab.run(until=tasks_done)
    update_by_hand(lab, lab.names.green_endpoint)
    for each in (goal, GreenDeployed(read_record(lab.clients.ssm, ENDPOINT))):  # type: ignore[arg-type]
        with pytest.raises(RolloutGaveUp, match=r"changed green's endpoint|being rolled back"):
            lab.reach(each)
    assert lab.names.green_endpoint in lab.describe()["endpoints"]
    assert lab.live() == (lab.names.green_endpoint if goal == OnlyGreen() else ENDPOINT)


@pytest.mark.parametrize(("tasks_done", "goal"), [(1, GreenShare(100)), (3, GreenShare(100)), (3, OnlyGreen())])
def test_a_green_that_somebody_deleted_ends_the_way_forward_and_clients_get_blue_back(
    tasks_done: int, goal: Goal
) -> None:
    lab = LiveLab()
    lab.run(until=tasks_done)
    delete_endpoint(lab, lab.names.green_endpoint)
    with pytest.raises(RolloutGaveUp, match=f"no endpoint {lab.names.green_endpoint}"):
        lab.reach(goal)
    lab.roll_back()
    assert lab.describe() == lab.before


def test_clients_are_not_sent_to_green_again_once_the_rollout_goes_back() -> None:
    lab = LiveLab()
    lab.run(until=3)
    lab.sandbox.faults.add(Fault("denied", "DeleteEndpoint"))
    with pytest.raises(RolloutGaveUp, match="AccessDenied"):
        lab.roll_back()
    with pytest.raises(RolloutGaveUp, match="being rolled back"):
        lab.reach(GreenShare(100))
    assert lab.live() == ENDPOINT
    lab.roll_back()
    assert lab.describe() == lab.before


def test_promotion_needs_all_of_the_clients_on_green() -> None:
    lab = deleting_blue()
    lab.run(until=1)
    with pytest.raises(RolloutGaveUp, match="0 %"):
        lab.reach(OnlyGreen())
    assert lab.live() == ENDPOINT


def test_a_promotion_says_that_blue_is_kept() -> None:
    lab = LiveLab()
    lab.run(until=3)
    told: list[str] = []
    advance(OnlyGreen(), lab.names.rollout_id, world_of(lab), lab.now() + timedelta(hours=1), told.append)
    assert any("blue's endpoint fraud is kept" in line for line in told)


def test_blue_is_kept_for_as_long_as_clients_may_hold_its_name() -> None:
    lab = deleting_blue()
    lab.run(until=2)
    waiting = step(lab, OnlyGreen())
    assert isinstance(waiting, Wait)
    assert "clients may hold its name for 65 s" in waiting.reason
    assert ENDPOINT in lab.describe()["endpoints"]
    lab.reach(OnlyGreen())
    assert lab.is_promoted(lab.describe())
    assert not lab.under_capacity


def test_blue_is_never_deleted_while_the_pointer_names_it() -> None:
    lab = deleting_blue()
    lab.run(until=3)
    record = read_record(lab.clients.ssm, ENDPOINT)
    assert record is not None
    write_record(lab.clients.ssm, with_phase(record, Phase.PROMOTED), overwrite=True)
    lab.put_pointer(endpoint_name=ENDPOINT)
    lab.pass_time(1000)
    for goal in (OnlyGreen(), AsBefore()):
        with pytest.raises(RolloutGaveUp, match="somebody else wrote the live pointer"):
            lab.reach(goal)
    assert lab.describe()["endpoints"] == {**lab.describe()["endpoints"], **lab.before["endpoints"]}


@pytest.mark.parametrize("change", [scale, lambda lab, endpoint, _: update_by_hand(lab, endpoint)])
def test_a_blue_that_is_being_scaled_is_deleted_later_and_one_that_somebody_changed_is_not(
    change: Callable[[LiveLab, str, int], None],
) -> None:
    lab = deleting_blue()
    lab.run(until=3)
    lab.pass_time(100)
    change(lab, ENDPOINT, 5)
    if change is scale:
        lab.reach(OnlyGreen())
        assert lab.calls.count("sagemaker:DeleteEndpoint") == 1  # not tried in vain
        assert lab.is_promoted(lab.describe())
    else:
        with pytest.raises(RolloutGaveUp, match=r"changed blue's endpoint.*was not deleted"):
            lab.reach(OnlyGreen())
        assert ENDPOINT in lab.describe()["endpoints"]


def begin_promotion(lab: LiveLab) -> None:
    """Killed right after the promotion was noted and the first thing deleted."""
    lab.run(until=3)
    lab.pass_time(100)

    def hook(service: str, operation: str, phase: str) -> None:
        if operation.startswith("Delete") and phase == "after":
            lab.hook = None
            raise Killed

    lab.hook = hook
    with pytest.raises(Killed):
        lab.reach(OnlyGreen())


def test_a_promotion_that_has_begun_to_delete_blue_is_finished_even_by_a_rollback() -> None:
    lab = deleting_blue()
    begin_promotion(lab)
    assert lab.reach(AsBefore()).outcome == "promoted"
    assert lab.is_promoted(lab.describe())
    assert not lab.under_capacity


def test_a_promotion_that_keeps_blue_can_be_undone_until_its_record_is_gone() -> None:
    lab = LiveLab()
    begin_promotion(lab)
    assert lab.reach(AsBefore()).outcome == "as_before"
    assert lab.describe() == lab.before


@pytest.mark.parametrize("make", [LiveLab, deleting_blue])
def test_a_promotion_goes_on_though_its_own_alarms_are_gone_already(make: Callable[[], LiveLab]) -> None:
    lab = make()
    begin_promotion(lab)
    for goal in (GreenDeployed(read_record(lab.clients.ssm, ENDPOINT)), GreenShare(100)):  # type: ignore[arg-type]
        with pytest.raises(RolloutGaveUp, match="promoted already"):
            lab.reach(goal)
    assert lab.reach(OnlyGreen()).outcome == "promoted"
    assert lab.is_promoted(lab.describe())


def test_a_model_that_green_shares_with_blue_is_not_deleted_with_blue() -> None:
    lab = deleting_blue()
    rollout = replace(lab.plan(), green=Green(model_name="fraud-v1", instance_type="ml.c5.xlarge"))
    lab.reach(GreenDeployed(rollout))
    for task in lab.tasks()[1:]:
        task()
    after = lab.describe()
    assert after["models"] == ["fraud-v1"]
    assert list(after["endpoints"]) == [lab.names.green_endpoint]


def test_a_model_that_does_not_exist_is_refused_when_starting() -> None:
    lab = LiveLab()
    rollout = replace(lab.plan(), green=Green(model_name="nowhere"))
    with pytest.raises(RolloutRefused, match="model_name='nowhere'"):
        lab.reach(GreenDeployed(rollout))
    assert lab.describe() == lab.before


@pytest.mark.parametrize("ended", ["promoted", "rolled back"])
def test_a_task_cleared_after_the_end_changes_nothing(ended: str) -> None:
    lab = LiveLab()
    lab.run(until=99 if ended == "promoted" else 3)
    if ended == "rolled back":
        lab.roll_back()
    state = lab.describe()
    with pytest.raises(RolloutGaveUp, match="not in progress"):
        lab.reach(GreenShare(100))
    if ended == "promoted":
        with pytest.raises(RolloutError, match="promoted"):
            lab.reach(GreenDeployed(lab.plan()))
        assert lab.reach(OnlyGreen()).outcome == "promoted"
        assert lab.reach(AsBefore()).outcome == "promoted"
    else:
        assert lab.reach(AsBefore()).outcome == "as_before"
    assert lab.describe() == state


def test_a_second_rollout_is_refused_with_the_firsts_name_and_leaves_it_alone() -> None:
    lab = LiveLab()
    second = lab.plan()
    lab.run(until=3)
    mine, lab.names = lab.names, Names(ENDPOINT, "ffffffff")
    with pytest.raises(RolloutRefused, match=mine.rollout_id):
        lab.reach(GreenDeployed(replace(second, rollout_id="ffffffff")))
    state = lab.describe()
    assert "left alone" in lab.reach(AsBefore()).reason
    assert lab.describe() == state
    lab.names = mine
    lab.roll_back()
    assert lab.describe() == lab.before


@pytest.mark.parametrize(("tasks_done", "goal"), [(0, None), (1, GreenShare(100)), (3, OnlyGreen())])
@pytest.mark.parametrize("kind", [Wish.PAUSE, Wish.ABORT])
def test_a_persons_wish_is_heeded_before_each_effect(tasks_done: int, goal: Goal | None, kind: Wish) -> None:
    lab = LiveLab()
    rollout = lab.plan()
    write_record(lab.clients.ssm, rollout, overwrite=False)
    lab.run(until=tasks_done)
    wish(lab, kind)
    state = lab.describe()
    if kind is Wish.PAUSE:
        assert isinstance(step(lab, goal or GreenDeployed(rollout)), Hold)
    else:
        with pytest.raises(RolloutGaveUp, match="aborted by alice"):
            lab.reach(goal or GreenDeployed(rollout))
    assert lab.describe() == state
    lab.roll_back()
    assert lab.describe() == lab.before


@pytest.mark.parametrize("change", [scale, lambda lab, endpoint, _: update_by_hand(lab, endpoint)])
def test_a_blue_changed_between_plan_and_start_is_refused(change: Callable[[LiveLab, str, int], None]) -> None:
    lab = LiveLab()
    rollout = lab.plan()
    change(lab, ENDPOINT, 2)
    lab.pass_time(200)
    before = lab.describe()
    with pytest.raises(RolloutRefused, match="not what was planned with"):
        lab.reach(GreenDeployed(rollout))
    assert lab.describe() == before


def test_a_blue_that_is_changing_is_waited_for_before_the_rollout_begins() -> None:
    lab = LiveLab()
    rollout = lab.plan()
    seen = seen_by(lab, GreenDeployed(rollout))
    for status, words in (("Updating", "nothing can interrupt"), ("OutOfService", "a person has to look")):
        assert seen.endpoint is not None
        decision = decide(
            GreenDeployed(rollout), rollout.rollout_id, replace(seen, endpoint=replace(seen.endpoint, status=status))
        )
        assert isinstance(decision, (Wait, GiveUp))
        assert words in decision.reason


def test_a_blue_that_is_gone_before_the_start_is_refused() -> None:
    lab = LiveLab()
    rollout = lab.plan()
    delete_endpoint(lab, ENDPOINT)
    with pytest.raises(RolloutRefused, match="blue's endpoint fraud is gone"):
        lab.reach(GreenDeployed(rollout))


@pytest.mark.parametrize(
    ("pointer", "words"),
    [
        ({"endpoint_name": "gone"}, "endpoint_name='gone': there is no such endpoint"),
        ({"endpoint": ENDPOINT}, "is not readable"),
    ],
)
def test_a_pointer_that_leads_nowhere_is_refused(pointer: dict[str, str], words: str) -> None:
    lab = LiveLab()
    lab.put_pointer(**pointer)
    with pytest.raises(RolloutRefused, match=words):
        lab.plan()


def test_the_name_of_a_live_pointer_is_no_endpoint_to_the_other_ways() -> None:
    lab = LiveLab()
    lab.run()
    names = Names(ENDPOINT, "ffffffff")
    with pytest.raises(RolloutRefused, match=r"logical name.*traffic='endpoints'"):
        plan_rollout(lab.clients, names, {}, Green(model_name="fraud-v1"), Plan(), lab.now())


def seen_by(lab: Lab, goal: Goal) -> Observation:
    return AwsWorld(lab.clients, ENDPOINT, lab.names.rollout_id, lab.now).observe(goal)


def forward_goals(lab: Lab) -> list[Goal]:
    rollout = read_record(lab.clients.ssm, ENDPOINT)
    assert rollout is not None
    return [GreenDeployed(rollout), GreenShare(100), OnlyGreen()]


@pytest.mark.parametrize("number", range(3))
def test_nothing_goes_forward_once_the_rollout_goes_back(number: int) -> None:
    lab = LiveLab()
    lab.run(until=3)
    goal = forward_goals(lab)[number]
    seen = seen_by(lab, goal)
    assert seen.record is not None
    turned = replace(seen, record=with_phase(seen.record, Phase.ROLLING_BACK))
    decision = decide(goal, lab.names.rollout_id, turned)
    assert isinstance(decision, GiveUp)
    assert "being rolled back" in decision.reason


@pytest.mark.parametrize("number", range(3))
@pytest.mark.parametrize(
    ("status", "words"), [("Updating", "nothing can interrupt"), ("UpdateRollbackFailed", "is Upd")]
)
def test_a_green_that_is_changing_is_waited_for_and_one_that_does_not_serve_ends_the_way_forward(
    number: int, status: str, words: str
) -> None:
    lab = LiveLab()
    lab.run(until=3)
    goal = forward_goals(lab)[number]
    seen = seen_by(lab, goal)
    assert seen.green_endpoint is not None
    broken = replace(seen, green_endpoint=replace(seen.green_endpoint, status=status))
    decision = decide(goal, lab.names.rollout_id, broken)
    assert isinstance(decision, Wait if status == "Updating" else GiveUp)
    assert words in decision.reason


def serverless() -> LiveLab:
    """Clients call an endpoint without instances."""
    lab = LiveLab()
    variant = {
        "VariantName": "AllTraffic",
        "ModelName": "fraud-v1",
        "ServerlessConfig": {"MemorySizeInMB": 2048, "MaxConcurrency": 5},
    }
    lab.clients.sagemaker.create_endpoint_config(EndpointConfigName="serverless", ProductionVariants=[variant])
    lab.clients.sagemaker.create_endpoint(EndpointName="fraud-serverless", EndpointConfigName="serverless")
    lab.pass_time(200)
    lab.put_pointer(endpoint_name="fraud-serverless")
    lab.next_rollout("run")
    return lab


def test_a_serverless_endpoint_is_rolled_out_and_back_like_any_other() -> None:
    lab = serverless()
    lab.run(until=3)
    [variant] = lab.describe_endpoint(lab.names.green_endpoint)["ProductionVariants"]
    assert variant["CurrentServerlessConfig"] == {"MemorySizeInMB": 2048, "MaxConcurrency": 5}
    lab.roll_back()
    assert lab.describe() == lab.before
    lab.next_rollout("again")
    lab.run()
    assert lab.is_promoted(lab.describe())


def test_a_serverless_endpoint_is_refused_by_the_other_ways_which_name_this_one() -> None:
    lab = serverless()
    names = Names("fraud-serverless", "ffffffff")
    with pytest.raises(RolloutRefused, match=r"traffic='variants': it is serverless.*traffic='endpoints' can"):
        plan_rollout(lab.clients, names, {}, Green(model_name="fraud-v1"), Plan(), lab.now())


def test_single_operators_need_no_strategy() -> None:
    lab = LiveLab()
    rollout = lab.plan()
    assert rollout.plan.strategy == BLUE_GREEN
    lab.reach(GreenDeployed(replace(rollout, plan=replace(rollout.plan, strategy=None))))
    lab.reach(GreenShare(100))
    lab.reach(OnlyGreen())
    assert lab.is_promoted(lab.describe())


def test_nothing_but_green_is_needed_of_a_record() -> None:
    lab = second_rollout()
    rollout: Any = lab.plan()
    write_record(lab.clients.ssm, rollout, overwrite=False)
    assert read_record(lab.clients.ssm, ENDPOINT) == rollout
