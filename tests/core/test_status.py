"""What a person is told of a rollout follows from what is seen of it."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest

from airflow_sm_rollout.core.control import Control, Wish
from airflow_sm_rollout.core.observation import Alarm, Endpoint, Observation, Pending, Variant
from airflow_sm_rollout.core.outcome import Aftermath, find_aftermath
from airflow_sm_rollout.core.plan.strategy import Strategy, blue_green, canary, linear
from airflow_sm_rollout.core.pointer import Pointer
from airflow_sm_rollout.core.rollout import Blue, Green, Phase, Plan, Rollout
from airflow_sm_rollout.core.status import describe_status

BEGUN = datetime(2026, 11, 2, 12, tzinfo=timezone.utc)
NOW = BEGUN + timedelta(minutes=20)
BY_HAND = "without Airflow, sm-rollout rollback fraud does"
STAGE = "Baking for 600 seconds (TerminationWaitInSeconds) with traffic enabled on canary capacity of 1 instance(s)."


def rollout(traffic: str = "variants", strategy: Strategy | None = None, phase: Phase = Phase.FORWARD) -> Rollout:
    return Rollout(
        endpoint_name="fraud",
        rollout_id="0badcafe",
        owner={"dag_id": "train", "run_id": "monday"},
        started_at=BEGUN,
        blue=Blue("fraud-v1", {"ProductionVariants": [{"VariantName": "AllTraffic"}]}, "AllTraffic", 1.0, 4),
        green=Green(model_name="fraud-v2"),
        plan=Plan(strategy, traffic=traffic),
        phase=phase,
        green_traffic_since=BEGUN + timedelta(minutes=5),
    )


def endpoint(green: float, pending: Pending | None = None, config: str = "fraud-v1") -> Endpoint:
    weights = {"AllTraffic": 100 - green} | ({"model-0badcafe": green} if green else {})
    variants = tuple(Variant(name, weight, weight, 4, 4) for name, weight in weights.items())
    return Endpoint("fraud", "arn", "InService", config, variants, BEGUN, pending=pending)


def told(record: Rollout, seen: Endpoint, **others: object) -> list[str]:
    return describe_status(Observation(NOW, seen, record, **others))  # type: ignore[arg-type]


def wish(what: Wish) -> Control:
    return Control("0badcafe", what, NOW - timedelta(minutes=3), "ada")


def test_everything_that_a_person_asks_is_told() -> None:
    record = rollout(strategy=canary([10, 100], bake=600))
    alarm = Alarm("errors", "OK", "0.1 is below 5.0")
    assert told(record, endpoint(10), alarms=(alarm,), control=wish(Wish.GO_ON)) == [
        "endpoint fraud is InService on config fraud-v1 (AllTraffic 90 % on 4, model-0badcafe 10 % on 4 instance(s))",
        "rollout 0badcafe (dag_id train, run_id monday), started 2026-11-02T12:00:00+00:00, 20 min ago, phase forward",
        "blue was config fraud-v1 with 4 instance(s)",
        "plan: canary, traffic by variants: 10 % for 10 min, 100 % for 10 min",
        "green has 10 % of the traffic",
        "resumed by ada at 12:17:00 UTC",
        "alarm errors: OK 0.1 is below 5.0",
        "next: green gets 100 % after a bake of 10 min",
    ]


@pytest.mark.parametrize(
    ("strategy", "share", "next_"),
    [
        (canary([10, 100], bake=600), 0, "green gets 10 %, once it is deployed"),
        (canary([10, 100], bake=[60, 600]), 100, "green is promoted after a bake of 10 min"),
        (linear(25, interval=600), 50, "green gets 75 % at about 12:25:00 UTC"),
        (linear(50, interval=600), 100, "green is promoted at about 12:25:00 UTC"),
        (blue_green(bake=600), 0, "green gets 100 %, once it is deployed"),
        (None, 30, "what the next task of its DAG run asks for"),
    ],
)
def test_the_next_step_follows_from_the_share_and_the_plan(strategy: Strategy | None, share: float, next_: str) -> None:
    assert told(rollout(strategy=strategy), endpoint(share))[-1] == f"next: {next_}"


def test_a_pause_moves_the_clock_of_a_linear_plan() -> None:
    control = replace(wish(Wish.GO_ON), paused_before=timedelta(minutes=2))
    last = told(rollout(strategy=linear(25, interval=600)), endpoint(50), control=control)[-1]
    assert last == "next: green gets 75 % at about 12:27:00 UTC"


@pytest.mark.parametrize(
    ("phase", "seen", "next_"),
    [
        (Phase.FORWARD, {"control": wish(Wish.PAUSE)}, "nothing, until sm-rollout resume, promote or abort fraud"),
        (
            Phase.FORWARD,
            {"control": wish(Wish.ABORT)},
            f"its DAG run rolls it back, as it was aborted; {BY_HAND}",
        ),
        (
            Phase.FORWARD,
            {"alarms": (Alarm("errors", "ALARM", "37 > 5", BEGUN + timedelta(minutes=6)),)},
            f"its DAG run rolls it back, as alarm errors is in ALARM since 12:06:00 UTC: 37 > 5; {BY_HAND}",
        ),
        (Phase.ROLLING_BACK, {}, "what the rollout made is removed, once blue has all of the traffic"),
        (Phase.PROMOTED, {}, "what the rollout made is removed"),
    ],
)
def test_what_keeps_a_rollout_from_its_next_step_comes_first(phase: Phase, seen: dict[str, object], next_: str) -> None:
    record = rollout(strategy=canary([10, 100], bake=600), phase=phase)
    assert told(record, endpoint(10), **seen)[-1] == f"next: {next_}"


def test_with_two_endpoints_the_pointer_says_where_the_traffic_is() -> None:
    record = rollout("endpoints", blue_green(bake=600))
    green = replace(endpoint(0, config="fraud-0badcafe"), name="fraud-0badcafe")
    text = json.dumps({"endpoint_name": "fraud-0badcafe", "rollout_id": "0badcafe", "version": 1})
    lines = told(record, endpoint(0), green_endpoint=green, pointer=Pointer(text, 1, NOW))
    assert "the live pointer names endpoint fraud-0badcafe" in lines
    assert lines[-2:] == ["green has 100 % of the traffic", "next: green is promoted after a bake of 10 min"]
    assert "green has 0 % of the traffic" in told(record, endpoint(0), green_endpoint=green)


def test_while_sagemaker_shifts_its_own_words_are_given() -> None:
    record = rollout("guardrails", canary([25, 100], bake=600))
    assert told(record, endpoint(0))[-1] == "next: SageMaker is asked to shift the traffic, and then goes on by itself"
    lines = told(record, endpoint(0, Pending("fraud-0badcafe", STAGE, BEGUN)))
    assert lines[-2:] == ["green's share is SageMaker's to set just now", f"next: SageMaker goes on by itself: {STAGE}"]
    promoted = told(record, endpoint(0, config="fraud-0badcafe"))
    assert promoted[-2:] == ["green has 100 % of the traffic", "next: green is promoted"]


def aftermath(begun: Rollout, config: str, name: str = "fraud", record: Rollout | None = None) -> Aftermath:
    serving = replace(endpoint(0, config=config), name=name)
    return find_aftermath(begun, Observation(NOW, serving, record))


def test_what_became_of_a_rollout_shows_in_its_record_and_in_what_serves() -> None:
    begun = rollout()
    assert aftermath(begun, "fraud-v1", record=begun) is Aftermath.HELD
    assert aftermath(begun, "fraud-v1") is Aftermath.AS_BEFORE
    assert aftermath(begun, begun.names.final_config) is Aftermath.PROMOTED
    assert aftermath(begun, "theirs") is Aftermath.CHANGED
    later = replace(begun, rollout_id="1badcafe")
    assert aftermath(begun, later.names.mixed_config, record=later) is Aftermath.CHANGED
    assert find_aftermath(begun, Observation(NOW, None, None)) is Aftermath.CHANGED


def test_with_two_endpoints_it_shows_in_the_one_that_clients_call() -> None:
    begun = rollout("endpoints")
    green = begun.green_endpoint_name
    assert aftermath(begun, "fraud-v1") is Aftermath.AS_BEFORE
    assert aftermath(begun, begun.names.final_config, name=green) is Aftermath.PROMOTED
    assert aftermath(begun, "fraud-v1", name="theirs") is Aftermath.CHANGED
    assert aftermath(begun, "theirs", name=green) is Aftermath.CHANGED


def test_a_blue_that_has_only_a_share_of_its_clients_is_not_as_before() -> None:
    begun = rollout("endpoints")
    serving = replace(endpoint(0, config="fraud-v1"), name="fraud")
    for green, became in (
        (None, Aftermath.AS_BEFORE),
        ({"endpoint_name": "fraud-0badcafe", "share": 5}, Aftermath.CHANGED),
    ):
        text = json.dumps({"endpoint_name": "fraud", "green": green})
        assert find_aftermath(begun, Observation(NOW, serving, None, pointer=Pointer(text, 2, NOW))) is became
    lines = describe_status(Observation(NOW, serving, None, pointer=Pointer(text, 2, NOW)))
    assert "the live pointer names endpoint fraud and, for 5 % of the requests, endpoint fraud-0badcafe" in lines
