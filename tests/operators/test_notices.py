"""Notifiers are told of every turn of a rollout, and nothing that they do touches it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, ClassVar

import boto3
import pytest
from airflow.sdk import DAG, BaseNotifier

from airflow_sm_rollout import EventBridgeNotifier, PlanError, canary_rollout
from airflow_sm_rollout.operators import notices
from airflow_sm_rollout.operators.notices import EVENTS, Notice, parse_notifiers, tell
from operators.dag_runs import Ended
from production import BAD, GOOD, IMAGE, Production, alarm_of, meanwhile

OPTIONS: dict[str, Any] = {
    "endpoint_name": "fraud",
    "image": IMAGE,
    "steps": [100],
    "default_alarms": None,
    "tolerances": None,
    "limits": {"min_requests": 0},
    "poke_interval": 0.2,
}


class Templated(BaseNotifier):
    """As those of Airflow's providers are: its texts are templates."""

    template_fields = ("text",)
    told: ClassVar[list[str]] = []

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text

    def notify(self, context: Any) -> None:
        self.told.append(self.text)


def a_notice(event: str) -> Notice:
    return {
        "event": event,
        "sentence": "It is so.",
        "endpoint": "fraud",
        "rollout_id": "",
        "green": "",
        "blue": "",
        "figures": {},
        "link": "",
    }


def fails(context: Any) -> None:
    raise SystemExit("no network")


@pytest.fixture
def heard() -> list[Notice]:
    return []


@pytest.fixture
def group(dag: DAG, heard: list[Notice]) -> Callable[..., None]:
    """``group(...)``: a canary whose notices are heard."""
    Templated.told.clear()

    def build(**changed: Any) -> None:
        told = [lambda context: heard.append(context["rollout"]), fails, Templated("{{ rollout.event }}")]
        with dag:
            canary_rollout(**{**OPTIONS, "notifiers": told, **changed})

    return build


def test_a_promotion_is_told_from_its_start_to_its_end(
    dag: DAG, run: Callable[[DAG], Ended], production: Production, group: Callable[..., None], heard: list[Notice]
) -> None:
    group(model_data_url=GOOD, alarms=[alarm_of("fraud")], bake=0.3)
    ended = run(dag)
    assert ended.state == "success"
    started, promoted = heard
    assert (started["event"], promoted["event"]) == ("started", "promoted") == tuple(Templated.told)
    green = ended.xcoms["canary.snapshot", "return_value"]["green_model"]
    assert {(each["endpoint"], each["green"], each["blue"]) for each in heard} == {("fraud", green, "fraud-v1")}
    assert green in started["sentence"]
    assert promoted["sentence"] == ended.xcoms["canary.verdict", "return_value"]
    assert promoted["figures"].keys() == {f"{s}_{n}" for s in ("green", "blue") for n in ("requests", "failed")}


def test_harm_is_told_with_its_reason_and_then_the_rollback(
    dag: DAG,
    run: Callable[[DAG], Ended],
    production: Production,
    before: dict[str, Any],
    has_traffic: Callable[[], bool],
    group: Callable[..., None],
    heard: list[Notice],
) -> None:
    group(model_data_url=BAD, alarms=[alarm_of("fraud")], bake=60, deferrable=False)
    with meanwhile(has_traffic, lambda: production.set_alarm(alarm_of("fraud"), "ALARM", "37 > 5")):
        ended = run(dag)
    assert [each["event"] for each in heard] == ["started", "going_back", "rolled_back"] == Templated.told
    assert all("37 > 5" in each["sentence"] for each in heard[1:])
    assert heard[-1]["sentence"] == ended.reason("canary.verdict")
    assert production.describe("fraud") == before


def test_a_refusal_is_told(
    dag: DAG, run: Callable[[DAG], Ended], production: Production, group: Callable[..., None], heard: list[Notice]
) -> None:
    group(endpoint_name="froud", model_data_url=GOOD)
    ended = run(dag)
    [told] = heard
    assert (told["event"], told["endpoint"], told["sentence"]) == (
        "not_started",
        "froud",
        ended.reason("canary.verdict"),
    )


def test_one_that_hangs_keeps_no_other_from_being_told_and_the_task_for_a_bounded_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(notices, "PATIENCE_SECONDS", 0.2)
    hangs, told = threading.Event(), threading.Event()
    began = time.monotonic()
    both = {"going_back": (lambda _: hangs.wait(60), lambda _: told.set())}
    tell(both, {}, lambda: a_notice("going_back"))  # type: ignore[typeddict-item]
    assert told.is_set()
    assert time.monotonic() - began < 30
    hangs.set()


def test_event_bridge_takes_one_event_of_a_turn(production: Production) -> None:
    events = boto3.client("events")
    bus = events.create_event_bus(Name="shop")["EventBusArn"]
    events.create_archive(ArchiveName="all", EventSourceArn=bus, EventPattern='{"detail-type": ["rollout going_back"]}')
    notifier = EventBridgeNotifier("shop", aws_conn_id=None, region_name="us-east-1")
    tell({"going_back": (notifier,)}, {}, lambda: a_notice("going_back"))
    assert events.describe_archive(ArchiveName="all")["EventCount"] == 1


def test_each_event_has_the_notifiers_that_it_was_given() -> None:
    def one(context: Any) -> None: ...

    assert parse_notifiers(one) == parse_notifiers([one]) == dict.fromkeys(EVENTS, (one,))
    assert parse_notifiers({"going_back": one}) == {**dict.fromkeys(EVENTS, ()), "going_back": (one,)}
    assert set(parse_notifiers(None).values()) == {()}


@pytest.mark.parametrize("option", ["slack", 7, [7], {"harmed": print}, {"going_back": "slack"}])
def test_what_is_no_notifier_is_refused_when_the_dag_file_is_read(option: object) -> None:
    with pytest.raises(PlanError, match=r"^notifiers="):
        parse_notifiers(option)
