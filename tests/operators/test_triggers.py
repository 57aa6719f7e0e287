"""Triggers travel through the database as JSON, start anew in any triggerer, and end their task themselves."""

from __future__ import annotations

import asyncio
import importlib
import json
import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from airflow.triggers.base import BaseTrigger, TaskFailedEvent, TaskSuccessEvent, TriggerEvent

from airflow_sm_rollout.aws.control import make_wish
from airflow_sm_rollout.aws.previous import keep_previous
from airflow_sm_rollout.aws.record import write_record
from airflow_sm_rollout.core.comparison.comparison import Comparison, Finding
from airflow_sm_rollout.core.control import Control, Wish
from airflow_sm_rollout.core.goals import AsBefore, Goal, GreenDeployed, GreenShadowed, GreenShare, OnlyGreen
from airflow_sm_rollout.core.plan.evidence import Evidence
from airflow_sm_rollout.core.plan.limits import Kpi, Limits, Metric
from airflow_sm_rollout.core.rollout import Blue, Green, Phase, Plan, Rollout
from airflow_sm_rollout.core.undo import Kept
from airflow_sm_rollout.core.watch.after import after_to_dict, plan_after
from airflow_sm_rollout.core.watch.verdict import Judgement, Verdict
from airflow_sm_rollout.core.watch.watch import Watch, watch_from_dict, watch_to_dict
from airflow_sm_rollout.hooks.aws import AwsConnection
from airflow_sm_rollout.sandbox.faults import Fault
from airflow_sm_rollout.triggers.after import AfterTrigger
from airflow_sm_rollout.triggers.bake import BakeTrigger, log_judgement
from airflow_sm_rollout.triggers.converge import ConvergeTrigger, goal_from_dict, goal_to_dict
from production import BLUE, Production, alarm_of, meanwhile

CONNECTION = AwsConnection(aws_conn_id=None, region_name="us-east-1").as_dict()
NOW = datetime(2026, 11, 24, 10, 0, 0, 123456, tzinfo=timezone.utc)


BLUES = Blue("config", {"ProductionVariants": [{"VariantName": BLUE}]}, BLUE, 1.0, 1)
ROLLOUT = Rollout("fraud", "0badcafe", {}, NOW, BLUES, Green(model_name="fraud-v2"), Plan())
PROMOTED = replace(ROLLOUT, plan=Plan(default_alarms=None), phase=Phase.PROMOTED)


def watch(
    seconds: float = 60.0,
    alarms: tuple[str, ...] = (alarm_of("fraud"),),
    rollout: Rollout | None = None,
    **changes: Any,
) -> BakeTrigger:
    now = datetime.now(timezone.utc)
    asked = {"alarms": alarms, "rollout": rollout, "judges_evidence": rollout is not None}
    watched = Watch(now, now + timedelta(seconds=seconds), green_traffic_since=now, min_requests=0, **asked)
    options = {"poke_interval": 0.1, "connection": CONNECTION, **changes}
    return BakeTrigger(watch=watch_to_dict(watched), **options)


def wait_for_endpoint(seconds: float = 60.0) -> ConvergeTrigger:
    deadline = datetime.now(timezone.utc) + timedelta(seconds=seconds)
    return ConvergeTrigger(
        endpoint_name="fraud",
        rollout_id="0badcafe",
        goal=goal_to_dict(GreenDeployed(ROLLOUT)),
        deadline=deadline.isoformat(),
        poke_interval=0.1,
        connection=CONNECTION,
    )


def first_event(trigger: BaseTrigger, within_seconds: float = 30.0) -> TriggerEvent:
    async def first() -> TriggerEvent:
        return await anext(trigger.run())  # type: ignore[arg-type]

    return asyncio.run(asyncio.wait_for(first(), within_seconds))


@pytest.mark.parametrize("is_tolerated", [False, True])
@pytest.mark.parametrize("verdict", Verdict)
def test_what_ends_a_rollout_stands_in_the_log_at_error(verdict: Verdict, is_tolerated: bool) -> None:
    lines: list[logging.LogRecord] = []
    logger = logging.getLogger(f"of a trigger: {verdict.value}, {is_tolerated}")
    logger.setLevel(logging.INFO)
    logger.addFilter(lambda record: bool(lines.append(record)))
    log_judgement(logger, Judgement(verdict, "119 ms, over 75 ms", is_tolerated))
    ends = verdict in (Verdict.HARMFUL, Verdict.INCONCLUSIVE, Verdict.ABORTED, Verdict.DRIFTED) and not is_tolerated
    [line] = lines
    assert (line.levelname, line.getMessage()) == ("ERROR" if ends else "INFO", f"{verdict.value}: 119 ms, over 75 ms")


def watch_promoted(since: datetime = NOW) -> AfterTrigger:
    after = plan_after(Kept(PROMOTED, since), timedelta(seconds=1), [alarm_of("fraud")])
    return AfterTrigger(after=after_to_dict(after), poke_interval=0.1, connection=CONNECTION)


@pytest.mark.parametrize(
    "trigger", [watch(), wait_for_endpoint(), watch_promoted()], ids=lambda trigger: type(trigger).__name__
)
def test_a_trigger_is_the_same_after_its_way_through_the_database(trigger: BaseTrigger) -> None:
    path, kwargs = trigger.serialize()
    module, _, name = path.rpartition(".")
    restored = getattr(importlib.import_module(module), name)(**json.loads(json.dumps(kwargs)))
    assert type(restored) is type(trigger)
    assert restored.serialize() == (path, kwargs)


@pytest.mark.parametrize("since", [None, NOW])
@pytest.mark.parametrize("rollout", [None, ROLLOUT])
def test_a_watch_is_the_same_after_its_way_through_the_database(
    since: datetime | None, rollout: Rollout | None
) -> None:
    minute = timedelta(minutes=1)
    ends = {"extension": minute, "when_inconclusive": "ask", "asked_in": "canary.ask_10", "ends_early": True}
    watched = {"alarms": ("errors", "latency"), "rollout": rollout, "judges_evidence": True, "share": 12.5}
    every = Watch(NOW, NOW + 5 * minute, since, 20, timedelta(seconds=9), **ends, **watched)
    default = Watch(NOW, NOW + minute, None, 0)
    assert all(getattr(every, name) != getattr(default, name) for name in ends)
    assert watch_from_dict(json.loads(json.dumps(watch_to_dict(every)))) == every


def test_a_watch_of_an_earlier_version_is_as_by_default_in_what_that_did_not_know() -> None:
    watched = Watch(NOW, NOW + timedelta(minutes=5), NOW, 20)
    known = ("started_at", "ends_at", "green_traffic_since", "min_requests")
    assert watch_from_dict({name: watch_to_dict(watched)[name] for name in known}) == watched


def without(stored: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in stored.items() if key != name}


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda kwargs: {**kwargs, "watch": {**kwargs["watch"], "ends_when": "quiet"}}, "ends_when"),
        (lambda kwargs: {**kwargs, "watch": without(kwargs["watch"], "ends_at")}, "ends_at"),
        (lambda kwargs: {**kwargs, "watch": {**kwargs["watch"], "rollout": '{"version":9}'}}, "version 9"),
        (lambda kwargs: {**without(kwargs, "watch"), "bake": {"started_at": "now"}, "watched": None}, "bake, watched"),
        (lambda kwargs: {**kwargs, "counted": {"endpoint": "fraud"}}, "counted"),
    ],
)
def test_a_bake_of_another_version_that_can_not_be_read_fails_and_says_so(
    change: Callable[[dict[str, Any]], dict[str, Any]], named: str, production: Production
) -> None:
    stored = watch(rollout=ROLLOUT).serialize()[1]
    trigger = BakeTrigger(**json.loads(json.dumps(change(stored))))
    assert trigger.serialize()[1].items() >= change(stored).items()
    event = first_event(trigger)
    assert isinstance(event, TaskFailedEvent)
    assert event.xcoms is not None
    assert event.xcoms["reason"].startswith("another version of airflow_sm_rollout has begun this bake")
    assert named in event.xcoms["reason"]
    assert event.xcoms["return_value"]["verdict"] == "inconclusive"


@pytest.mark.parametrize(
    "goal", [GreenDeployed(ROLLOUT), GreenShadowed(ROLLOUT, 50.0), GreenShare(12.5), OnlyGreen(), AsBefore()], ids=str
)
def test_a_goal_is_the_same_after_its_way_through_the_database(goal: Goal) -> None:
    assert goal_from_dict(json.loads(json.dumps(goal_to_dict(goal)))) == goal


def test_an_alarm_that_rings_ends_the_task_as_failed_with_its_reason(production: Production) -> None:
    ring = lambda: production.set_alarm(alarm_of("fraud"), "ALARM", "37.0 is over 5.0")  # noqa: E731
    with meanwhile(lambda: True, ring):
        event = first_event(watch())
    assert isinstance(event, TaskFailedEvent)
    assert event.xcoms is not None
    assert "37.0 is over 5.0" in event.xcoms["reason"]
    assert event.xcoms["return_value"]["verdict"] == "harmful"


def test_a_watch_that_starts_anew_after_its_triggerer_was_killed_sees_what_rang_meanwhile(
    production: Production,
) -> None:
    killed = watch()
    production.set_alarm(alarm_of("fraud"), "ALARM", "37.0 is over 5.0")
    production.set_alarm(alarm_of("fraud"), "OK")
    restarted = BakeTrigger(**killed.serialize()[1])
    event = first_event(restarted)
    assert isinstance(event, TaskFailedEvent)
    assert event.xcoms is not None
    assert "was in ALARM at" in event.xcoms["reason"]


def test_a_quiet_bake_ends_the_task_as_succeeded_but_not_so_soon_that_airflow_would_fail_it(
    production: Production,
) -> None:
    started = datetime.now(timezone.utc)
    event = first_event(watch(seconds=0.1))
    assert isinstance(event, TaskSuccessEvent)
    assert datetime.now(timezone.utc) - started >= timedelta(seconds=6)


def test_a_throttled_look_is_no_verdict_while_the_bake_lasts(production: Production) -> None:
    production.sandbox.faults.add(Fault("throttle", "DescribeAlarms", times=12))
    event = first_event(
        watch(seconds=1, connection={**CONNECTION, "botocore_config": {"retries": {"total_max_attempts": 1}}})
    )
    assert isinstance(event, TaskSuccessEvent)
    assert production.sandbox.faults.waiting() == []


def test_a_watch_that_is_not_allowed_to_look_is_not_healthy(production: Production) -> None:
    production.sandbox.faults.add(Fault("denied", "DescribeAlarms"))
    event = first_event(watch())
    assert isinstance(event, TaskFailedEvent)
    assert event.xcoms is not None
    assert event.xcoms["return_value"]["verdict"] == "inconclusive"
    assert "DescribeAlarms answered AccessDenied" in event.xcoms["reason"]


def test_a_bake_that_is_judged_by_evidence_leaves_it_and_the_reason(production: Production) -> None:
    kpi = Kpi("refused orders", {"refused": Metric("Shop", "Refused")}, at_most=5)
    plan = Plan(evidence=Evidence(limits=Limits(kpis=(kpi,))))
    rollout = replace(ROLLOUT, plan=plan, green_traffic_since=NOW, started_at=NOW)
    write_record(production.ssm, rollout, overwrite=False)
    event = first_event(watch(seconds=0, rollout=rollout))
    assert isinstance(event, TaskFailedEvent)
    assert event.xcoms is not None
    assert (
        event.xcoms["reason"]
        == "nobody can tell whether green is healthy: refused orders: there are no figures of green"
    )
    assert event.xcoms["return_value"]["verdict"] == "inconclusive"
    comparison = Comparison.from_dict(json.loads(json.dumps(event.xcoms["evidence"])))
    assert comparison.verdict is Finding.CANNOT_TELL
    assert event.xcoms["calls_awaited"]["DescribeAlarms"] == 1


def test_a_wait_for_an_endpoint_ends_when_it_has_changed(production: Production) -> None:
    change = {"VariantName": BLUE, "DesiredWeight": 0.5}
    production.sagemaker.update_endpoint_weights_and_capacities(
        EndpointName="fraud", DesiredWeightsAndCapacities=[change]
    )
    trigger = wait_for_endpoint()
    told = first_event(trigger).payload
    assert (told["deadline"], told["refusals"]) == (trigger.deadline, 0)
    assert told["calls"]["DescribeEndpoint"] >= 1
    assert production.sagemaker.describe_endpoint(EndpointName="fraud")["EndpointStatus"] == "InService"


GOING = replace(ROLLOUT, green_traffic_since=NOW, plan=Plan(alarms=(alarm_of("fraud"),), default_alarms=None))


def test_a_promotion_that_nobody_could_undo_any_more_wakes_its_task_and_is_not_called_healthy(
    production: Production,
) -> None:
    event = first_event(watch_promoted())
    assert event.payload["verdict"] == "inconclusive"
    assert "is gone (deleted?)" in event.payload["reason"]


def test_a_promotion_that_does_no_harm_ends_its_task_with_its_calls_counted(production: Production) -> None:
    keep_previous(production.ssm, PROMOTED)
    event = first_event(watch_promoted(datetime.now(timezone.utc)))
    assert isinstance(event, TaskSuccessEvent)
    assert event.xcoms is not None
    assert event.xcoms["return_value"]["verdict"] == "healthy"
    assert event.xcoms["calls_awaited"]["DescribeAlarms"] >= 1


def test_a_promotion_that_does_harm_wakes_its_task_which_undoes_it(production: Production) -> None:
    keep_previous(production.ssm, PROMOTED)
    trigger = watch_promoted(datetime.now(timezone.utc))
    production.set_alarm(alarm_of("fraud"), "ALARM", "7 of 9")
    told = first_event(trigger).payload
    assert told["verdict"] == "harmful"
    assert "7 of 9" in told["reason"]


def wait_while_busy(production: Production, recorded: Rollout, goal: Goal) -> ConvergeTrigger:
    """A wait for a goal, on an endpoint that changes for longer than any test lasts."""
    write_record(production.ssm, recorded, overwrite=False)
    endpoint = production.sandbox.endpoints.serving("fraud")
    assert endpoint is not None
    endpoint.status = "Updating"
    deadline = (datetime.now(timezone.utc) + timedelta(hours=1)).isoformat()
    options = {"poke_interval": 0.1, "connection": CONNECTION, "deadline": deadline}
    return ConvergeTrigger(endpoint_name="fraud", rollout_id="0badcafe", goal=goal_to_dict(goal), **options)


@pytest.mark.parametrize("goal", [GreenShare(50.0), OnlyGreen()], ids=str)
@pytest.mark.parametrize("harm", ["alarm", "abort"])
def test_harm_ends_a_wait_while_the_endpoint_still_changes(production: Production, goal: Goal, harm: str) -> None:
    def do_harm() -> None:
        if harm == "alarm":
            production.set_alarm(alarm_of("fraud"), "ALARM", "37.0 is over 5.0")
        else:
            make_wish(production.ssm, "fraud", Control("0badcafe", Wish.ABORT, NOW, "ann"))

    trigger = wait_while_busy(production, GOING, goal)
    do_harm()
    event = first_event(trigger)
    assert isinstance(event, TaskFailedEvent)
    assert event.xcoms is not None
    assert ("37.0 is over 5.0" if harm == "alarm" else "ann") in event.xcoms["reason"]
    assert production.sagemaker.describe_endpoint(EndpointName="fraud")["EndpointStatus"] == "Updating"


@pytest.mark.parametrize(
    ("recorded", "goal"),
    [
        (replace(GOING, phase=Phase.ROLLING_BACK), AsBefore()),
        (replace(GOING, green_traffic_since=None), GreenShare(10.0)),
        (replace(GOING, phase=Phase.PROMOTED), OnlyGreen()),
    ],
    ids=["the way back", "no traffic yet", "promoted"],
)
def test_what_harm_can_not_stop_is_not_stopped_by_it(production: Production, recorded: Rollout, goal: Goal) -> None:
    trigger = wait_while_busy(production, recorded, goal)
    production.set_alarm(alarm_of("fraud"), "ALARM", "37.0 is over 5.0")
    with pytest.raises(TimeoutError):
        first_event(trigger, within_seconds=7.5)
