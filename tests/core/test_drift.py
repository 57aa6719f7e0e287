"""Whoever changes what is watched ends the watch, and is named as the cause."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from airflow_sm_rollout.core.observation import Alarm, Endpoint, Variant
from airflow_sm_rollout.core.plan.evidence import Evidence
from airflow_sm_rollout.core.plan.strategy import canary
from airflow_sm_rollout.core.pointer import Pointer, Split, render_pointer, split_between
from airflow_sm_rollout.core.rollout import Blue, Green, Phase, Plan, Rollout
from airflow_sm_rollout.core.watch.judge import judge
from airflow_sm_rollout.core.watch.readings import Readings, Scene
from airflow_sm_rollout.core.watch.verdict import Judgement, Verdict
from airflow_sm_rollout.core.watch.watch import Watch, watch_question

NOW = datetime(2026, 11, 28, 9, 0, tzinfo=timezone.utc)
GREEN = "fraud-0badcafe"
RINGING = (Alarm("errors", "ALARM", "37 of 5", NOW),)


def rollout(traffic: str, **changes: Any) -> Rollout:
    plan = Plan(canary([10, 50, 100]), alarms=("errors",), traffic=traffic, evidence=Evidence(tolerances=None))
    made = Rollout("fraud", "0badcafe", {}, NOW, Blue("blue-config", {}, "AllTraffic", 1.0, 4), Green("v2"), plan)
    return replace(made, **{"green_traffic_since": NOW, **changes})


def variant(name: str, weight: float, count: int = 2) -> Variant:
    return Variant(name, weight, weight, count, count)


def endpoint(of: Rollout, green: float = 50.0, config: str | None = None, status: str = "InService") -> Endpoint:
    """The endpoint where green serves, as it is to be at a half."""
    names = {"variants": of.names.mixed_config, "endpoints": of.names.final_config, "guardrails": of.names.final_config}
    variants = (variant("AllTraffic", 100 - green), variant(of.names.variant, green))
    if of.plan.traffic != "variants":
        variants = (variant("AllTraffic", 1.0),)
    return Endpoint(of.green_endpoint_name, "arn", status, config or names[of.plan.traffic], variants, NOW)


def pointer(to: str) -> Pointer:
    return Pointer(render_pointer(Split(to), "0badcafe", NOW, 2), 2, NOW)


def scene(of: Rollout) -> Scene:
    named = pointer(of.green_endpoint_name) if of.plan.traffic == "endpoints" else None
    return Scene(of, named, endpoint(of))


def looked(of: Rollout, seen: Scene | None, *, share: float | None = None, observes: bool = True) -> Judgement:
    share = {"variants": 50.0, "endpoints": 100.0, "guardrails": None}[of.plan.traffic] if share is None else share
    watch = Watch(
        NOW, NOW + timedelta(minutes=9), NOW, 0, alarms=("errors",), rollout=of, share=share, observes=observes
    )
    return judge(watch, Readings(RINGING, scene=seen), None, NOW + timedelta(minutes=1)).judgement


@pytest.mark.parametrize("traffic", ["variants", "endpoints", "guardrails"])
def test_what_is_as_planned_leaves_the_word_to_the_alarms(traffic: str) -> None:
    of = rollout(traffic)
    assert looked(of, scene(of)).verdict is Verdict.HARMFUL
    assert looked(of, None).verdict is Verdict.HARMFUL
    changed = replace(scene(of), endpoint=endpoint(of, config="somebody-elses"))
    assert looked(of, changed, observes=False).verdict is Verdict.HARMFUL


@pytest.mark.parametrize("traffic", ["variants", "endpoints", "guardrails"])
@pytest.mark.parametrize("status", ["InService", "Updating", "SystemUpdating"])
def test_another_config_is_told_before_any_symptom(traffic: str, status: str) -> None:
    of = rollout(traffic)
    said = looked(of, replace(scene(of), endpoint=endpoint(of, config="somebody-elses", status=status)))
    assert said.verdict is Verdict.DRIFTED
    assert not said.passes
    assert "on config somebody-elses" in said.reason
    assert "last changed at 09:00:00 UTC" in said.reason


@pytest.mark.parametrize("traffic", ["variants", "endpoints", "guardrails"])
def test_an_endpoint_that_was_deleted_is_told(traffic: str) -> None:
    of = rollout(traffic)
    said = looked(of, replace(scene(of), endpoint=None))
    assert said.verdict is Verdict.DRIFTED
    assert f"endpoint {of.green_endpoint_name}, where green serves, was deleted" in said.reason


@pytest.mark.parametrize(("green", "drifted"), [(50, False), (95, True), (49, True), (0, True), (100, True)])
def test_a_share_that_was_moved_by_hand_is_told(green: float, drifted: bool) -> None:
    of = rollout("variants")
    said = looked(of, replace(scene(of), endpoint=endpoint(of, green)))
    assert (said.verdict is Verdict.DRIFTED) is drifted
    assert (f"{green:g} % on 2" in said.reason) is drifted


def test_a_share_is_told_as_soon_as_it_is_asked_for_and_not_when_aws_has_moved_it() -> None:
    of = rollout("variants")
    moving = (variant("AllTraffic", 50), Variant(of.names.variant, 50, 950, 2, 2))
    said = looked(of, replace(scene(of), endpoint=replace(endpoint(of, status="Updating"), variants=moving)))
    assert said.verdict is Verdict.DRIFTED


@pytest.mark.parametrize("traffic", ["variants", "endpoints", "guardrails"])
def test_a_change_is_told_while_nobody_can_see_yet_what_it_leads_to(traffic: str) -> None:
    of = rollout(traffic)
    said = looked(of, replace(scene(of), endpoint=endpoint(of, status="Updating")))
    assert said.verdict is Verdict.DRIFTED
    assert "somebody else changes the endpoint in this bake" in said.reason
    patched = looked(of, replace(scene(of), endpoint=endpoint(of, status="SystemUpdating")))
    assert patched.verdict is Verdict.HARMFUL


def test_a_variant_that_has_lost_all_its_instances_is_told() -> None:
    of = rollout("variants")
    gone = (variant("AllTraffic", 50, 0), variant(of.names.variant, 50))
    said = looked(of, replace(scene(of), endpoint=replace(endpoint(of), variants=gone)))
    assert "variant AllTraffic has traffic and no instance" in said.reason


@pytest.mark.parametrize(
    ("named", "told"),
    [
        (None, "was deleted, so clients have left green"),
        (
            "legacy",
            "clients have left green: the live pointer /sm-rollout-live/fraud names endpoint legacy since 09:00:00 UTC",
        ),
    ],
)
def test_clients_that_were_sent_away_by_the_pointer_are_told(named: str | None, told: str) -> None:
    of = rollout("endpoints")
    assert told in looked(of, replace(scene(of), pointer=pointer(named) if named else None)).reason


@pytest.mark.parametrize(
    ("named", "is_drift"),
    [
        (split_between("fraud", GREEN, 50), False),
        (split_between("fraud", GREEN, 49), True),
        (split_between("fraud", GREEN, 100), True),
        (split_between("fraud", GREEN, 0), True),
        (split_between("fraud", "theirs", 50), True),
        (None, True),
    ],
)
def test_a_share_that_the_pointer_does_not_give_any_more_is_told(named: Split | None, is_drift: bool) -> None:
    of = rollout("endpoints")
    text = render_pointer(named, "0badcafe", NOW, 2) if named else "{}"
    said = looked(of, replace(scene(of), pointer=Pointer(text, 2, NOW), blue_endpoint=blues_endpoint()), share=50.0)
    assert (said.verdict is Verdict.DRIFTED) is is_drift
    assert "/sm-rollout-live/fraud names" in said.reason or not is_drift
    assert looked(of, replace(scene(of), pointer=pointer(GREEN))).verdict is Verdict.HARMFUL


def blues_endpoint(config: str = "blue-config", status: str = "InService") -> Endpoint:
    """Blue's own, beside green's."""
    return Endpoint("fraud", "arn", status, config, (variant("AllTraffic", 1.0),), NOW)


@pytest.mark.parametrize("share", [0.5, 50, 99.5, 100])
@pytest.mark.parametrize(
    ("blue", "told"),
    [
        (blues_endpoint(), ""),
        (blues_endpoint(status="SystemUpdating"), ""),
        (None, "endpoint fraud, where blue serves beside green, was deleted"),
        (blues_endpoint("somebody-elses"), "somebody else changed blue's endpoint in this bake: endpoint fraud is InService on"),
        (blues_endpoint(status="Updating"), "somebody else changes blue's endpoint in this bake"),
    ],
)  # fmt: skip
def test_a_change_of_blues_own_endpoint_is_told_as_long_as_clients_call_it(
    blue: Endpoint | None, told: str, share: float
) -> None:
    of = rollout("endpoints")
    split = Pointer(render_pointer(split_between("fraud", GREEN, share), "0badcafe", NOW, 2), 2, NOW)
    said = looked(of, replace(scene(of), pointer=split, blue_endpoint=blue), share=share)
    assert (said.verdict is Verdict.DRIFTED) is (bool(told) and share < 100)
    assert told in said.reason or share == 100


@pytest.mark.parametrize(
    ("record", "told"),
    [
        (None, "is over: it was ended meanwhile"),
        (rollout("variants", rollout_id="another1"), "is over: it was ended meanwhile"),
        (rollout("variants", phase=Phase.ROLLING_BACK), "is being rolled back already"),
    ],
)
def test_a_rollout_that_was_ended_is_told_first(record: Rollout | None, told: str) -> None:
    of = rollout("variants")
    said = looked(of, Scene(record, None, None), observes=False)
    assert said.verdict is Verdict.ABORTED
    assert told in said.reason


def test_a_shadow_is_watched_on_its_own_config_whatever_shares_there_are() -> None:
    of = rollout("variants", green_traffic_since=None, shadow_since=NOW)
    alone = replace(endpoint(of, config=of.names.shadow_config), variants=(variant("AllTraffic", 1.0),))
    assert looked(of, Scene(of, None, alone), share=100.0).verdict is Verdict.HARMFUL
    assert looked(of, Scene(of, None, replace(alone, config_name=of.names.mixed_config))).verdict is Verdict.DRIFTED


def test_where_no_share_is_planned_a_question_still_sees_another_config() -> None:
    of = rollout("variants")
    watch = replace(watch_question(of, NOW, NOW + timedelta(hours=1)), observes=True)
    for config, verdict in ((None, Verdict.HARMFUL), ("somebody-elses", Verdict.DRIFTED)):
        readings = Readings(RINGING, scene=replace(scene(of), endpoint=endpoint(of, green=12, config=config)))
        assert judge(watch, readings, None, NOW + timedelta(minutes=1)).judgement.verdict is verdict
