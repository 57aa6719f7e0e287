"""Two endpoints behind a live pointer: what green gets, what clients meet, and how it ends."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from airflow_sm_rollout.aws.record import read_record, write_record
from airflow_sm_rollout.core.advance import advance
from airflow_sm_rollout.core.control import Wish
from airflow_sm_rollout.core.converge import decide
from airflow_sm_rollout.core.errors import RolloutError, RolloutGaveUp
from airflow_sm_rollout.core.goals import AsBefore, GiveUp, Goal, GreenDeployed, GreenShare, Hold, OnlyGreen, Wait
from airflow_sm_rollout.core.outcome import Outcome
from airflow_sm_rollout.core.rollout import Green, Phase, with_phase
from convergence.lab import BLUE_CONFIG, ENDPOINT
from convergence.live_lab import (
    BLUE_GREEN,
    MAKERS,
    LiveLab,
    begin_promotion,
    count_of,
    deleting_blue,
    forward_goals,
    scale,
    second_rollout,
    seen_by,
    serverless,
    step,
    update_by_hand,
    world_of,
)
from convergence.test_exits import wish


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


def test_greens_own_alarms_hold_greens_endpoint_against_blues() -> None:
    lab = LiveLab()
    lab.run(until=1)
    [alarm] = lab.clients.cloudwatch.describe_alarms(AlarmNames=[lab.names.error_alarm])["MetricAlarms"]
    queries = {query["Id"]: query["MetricStat"]["Metric"] for query in alarm["Metrics"] if "MetricStat" in query}
    assert len(queries) == 6
    for name, metric in queries.items():
        named = {each["Name"]: each["Value"] for each in metric["Dimensions"]}
        endpoint = lab.names.green_endpoint if name.startswith("g") else ENDPOINT
        assert named == {"EndpointName": endpoint, "VariantName": "AllTraffic"}


def test_the_record_is_there_before_the_first_effect_and_gone_after_the_last() -> None:
    lab = LiveLab()
    lab.run()
    effects = [call for call in lab.calls if not call.split(":")[1].startswith(("Describe", "Get", "List"))]
    assert effects[0] == "ssm:PutParameter"
    assert effects[-1] == "ssm:DeleteParameters"


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


def test_a_promotion_that_has_begun_to_delete_blue_is_finished_even_by_a_rollback() -> None:
    lab = deleting_blue()
    begin_promotion(lab)
    assert lab.reach(AsBefore()).outcome is Outcome.PROMOTED
    assert lab.is_promoted(lab.describe())
    assert not lab.under_capacity


def test_a_promotion_that_keeps_blue_can_be_undone_until_its_record_is_gone() -> None:
    lab = LiveLab()
    begin_promotion(lab)
    assert lab.reach(AsBefore()).outcome is Outcome.ROLLED_BACK
    assert lab.describe() == lab.before


@pytest.mark.parametrize("make", [LiveLab, deleting_blue])
def test_a_promotion_goes_on_though_its_own_alarms_are_gone_already(make: Callable[[], LiveLab]) -> None:
    lab = make()
    begin_promotion(lab)
    for goal in (GreenDeployed(read_record(lab.clients.ssm, ENDPOINT)), GreenShare(100)):  # type: ignore[arg-type]
        with pytest.raises(RolloutGaveUp, match="promoted already"):
            lab.reach(goal)
    assert lab.reach(OnlyGreen()).outcome is Outcome.PROMOTED
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
        assert lab.reach(OnlyGreen()).outcome is Outcome.PROMOTED
        assert lab.reach(AsBefore()).outcome is Outcome.PROMOTED
    else:
        assert lab.reach(AsBefore()).outcome is Outcome.ROLLED_BACK
    assert lab.describe() == state


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
