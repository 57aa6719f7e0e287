"""The watch after a promotion, on a clock that stands still: harm at any hour is undone, exactly, and nothing else is."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from airflow_sm_rollout.aws import after as edge
from airflow_sm_rollout.aws.after import AfterWatcher
from airflow_sm_rollout.aws.previous import keep_previous, read_previous
from airflow_sm_rollout.aws.record import write_record
from airflow_sm_rollout.core.names import previous_name
from airflow_sm_rollout.core.observation import Alarm
from airflow_sm_rollout.core.plan.alarms import AlarmDefaults
from airflow_sm_rollout.core.plan.evidence import Evidence
from airflow_sm_rollout.core.plan.limits import Kpi, Limits, Metric
from airflow_sm_rollout.core.plan.measures import CloudWatch, Measure
from airflow_sm_rollout.core.rollout import Plan
from airflow_sm_rollout.core.undo import Kept
from airflow_sm_rollout.core.watch import after as rules
from airflow_sm_rollout.core.watch.after import (
    After,
    after_from_dict,
    after_to_dict,
    plan_after,
    round_at,
    split_mute,
)
from airflow_sm_rollout.core.watch.verdict import Judgement, Verdict
from airflow_sm_rollout.sandbox.faults import Fault
from convergence.lab import ENDPOINT, USER_ALARM, Lab
from convergence.lambda_lab import LambdaLab
from convergence.test_exits import ring
from convergence.test_undo import LABS, promoted, undo
from convergence.walk import Make
from evidence.published import publish

DAY = timedelta(hours=24)
HOUR = 3600
LATE = 20 * HOUR
BY_VARIANT = {"variant": "{variant}"}
BASKETS = Kpi("baskets", {"b": Metric("Shop", "Baskets", "Average", BY_VARIANT)}, at_least=8)
ORDERS = {name: Metric("Shop", metric, "Sum", BY_VARIANT) for name, metric in (("f", "Failed"), ("n", "Orders"))}
FAILED = Measure("orders that fail", CloudWatch(ORDERS, "f", "n"), at_most=0.1)
JUDGED_BY: dict[str, tuple[dict[str, Any], str]] = {
    "a limit": ({"limits": Limits(max_error_rate=0.05)}, "max_error_rate allows 5 %"),
    "what blue failed before": ({}, "max_error_rate allows 5 %"),
    "a KPI": ({"limits": Limits(max_error_rate=0.5, kpis=(BASKETS,))}, "baskets was 5, 5, 5 in 3 periods in a row"),
    "a measure": ({"limits": Limits(max_error_rate=0.5), "measures": (FAILED,)}, "are orders that fail"),
}


def kept(lab: Lab) -> Kept:
    found = read_previous(lab.clients.ssm, ENDPOINT)
    assert isinstance(found, Kept)
    return found


def planned(lab: Lab, **evidence: Any) -> After:
    """A day's watch by a plan that judges by this as well."""
    found = kept(lab)
    if evidence:
        plan = replace(found.rollout.plan, evidence=Evidence(**evidence))
        keep_previous(lab.clients.ssm, replace(found.rollout, plan=plan))
        found = kept(lab)
    return plan_after(found, DAY)


def watch(
    lab: Lab,
    after: After,
    each: Callable[[float], object] = lambda passed: None,
    every: float = 600,
) -> tuple[Judgement, float]:
    """Look until it is over; what it comes to, and how many seconds after the promotion.

    :param each: is told before each look how much time has passed.
    """
    watcher = AfterWatcher(after, lab.now)
    while True:
        passed = (lab.now() - after.since).total_seconds()
        each(passed)
        judged = watcher.look(lab.clients)
        if judged.verdict is not Verdict.WATCHING:
            return judged, passed
        lab.pass_time(every)


def ring_late(lab: Lab) -> Callable[[float], object]:
    def each(passed: float) -> None:
        if passed >= LATE:
            ring(lab, USER_ALARM)

    return each


def serving(lab: Lab, after: After, *, failing_from: float = LATE) -> Callable[[float], object]:
    """Green's calls of the minutes that have passed from now on, of which each fifth fails from a moment on; then baskets are half full."""
    done = (lab.now() - after.since).total_seconds() // 60 * 60

    def each(passed: float) -> None:
        nonlocal done
        while done + 60 <= passed:
            at, is_bad = after.since + timedelta(seconds=done), done >= failing_from
            publish(lab.sandbox, after.rollout.green_dimensions, at, requests=30, e5=6 * is_bad)
            for metric, value in (("Baskets", 5.0 if is_bad else 10.0), ("Orders", 100.0), ("Failed", 30.0 * is_bad)):
                named = {"variant": after.rollout.green_variant}
                lab.sandbox.cloudwatch.record("Shop", metric, named, value, "None", at.timestamp(), at.timestamp())
            done += 60

    return each


@pytest.mark.parametrize("make", [*LABS, LambdaLab])
def test_an_alarm_that_rings_20_hours_after_the_promotion_is_undone_field_by_field(make: Make) -> None:
    lab = promoted(make)
    judged, passed = watch(lab, planned(lab), ring_late(lab))
    assert judged.verdict is Verdict.HARMFUL
    assert f"alarm {USER_ALARM} is in ALARM" in judged.reason
    assert LATE <= passed < LATE + 2 * HOUR / 6
    undo(lab, note=judged.reason)
    lab.clients.cloudwatch.set_alarm_state(AlarmName=USER_ALARM, StateValue="OK", StateReason="quiet")
    assert lab.describe() == lab.before


@pytest.mark.parametrize("by", JUDGED_BY)
def test_harm_that_figures_show_from_hour_20_on_is_found_within_minutes(by: str) -> None:
    lab = promoted(Lab)
    evidence, words = JUDGED_BY[by]
    after = planned(lab, **evidence)
    lab.pass_time(LATE - 1.5 * HOUR)  # a triggerer that was started anew has seen nothing of that
    judged, passed = watch(lab, after, serving(lab, after), every=120)
    assert judged.verdict is Verdict.HARMFUL
    assert words in judged.reason
    assert LATE < passed <= LATE + 900


def test_a_green_that_does_no_harm_by_any_of_these_stays() -> None:
    lab = promoted(Lab)
    after = planned(lab, limits=Limits(max_error_rate=0.05, kpis=(BASKETS,)), measures=(FAILED,))
    lab.pass_time(LATE)
    judged, passed = watch(lab, after, serving(lab, after, failing_from=2 * LATE))
    assert judged.verdict is Verdict.HEALTHY, judged.reason
    assert judged.reason.startswith("no harm was found in 1 d after the promotion")
    assert passed >= DAY.total_seconds()


def test_a_watch_that_begins_anew_goes_on_in_the_same_round() -> None:
    lab = promoted(Lab)
    after = planned(lab)
    for hours in (0.5, 1.0, 1.5, 23.5, 24.0, 30.0):
        found = round_at(after, after.since + timedelta(hours=hours))
        assert found.started_at == after.since + timedelta(hours=min(int(hours), 23))
        assert found.ends_at - found.started_at == timedelta(hours=1)
    assert after_from_dict(json.loads(json.dumps(after_to_dict(after)))) == after


def test_a_long_period_makes_long_rounds_and_the_last_one_ends_with_the_watch() -> None:
    lab = promoted(Lab)
    slow = replace(BASKETS, period_seconds=3600)
    after = planned(lab, limits=Limits(kpis=(slow,)))
    assert round_at(after, after.since).ends_at == after.since + timedelta(hours=6)
    after = replace(after, until=after.since + timedelta(hours=8))
    assert round_at(after, after.until).ends_at == after.until
    assert round_at(after, after.until).started_at == after.since + timedelta(hours=6)


def test_an_alarm_that_somebody_deletes_undoes_nothing_and_is_told() -> None:
    lab = promoted(Lab)
    after = planned(lab, tolerances=None)
    after = replace(after, rollout=replace(after.rollout, plan=replace(after.rollout.plan, default_alarms=None)))

    def each(passed: float) -> None:
        if passed >= LATE + 300:
            lab.clients.cloudwatch.delete_alarms(AlarmNames=[USER_ALARM])

    judged, _ = watch(lab, after, each)
    assert (judged.verdict, judged.passes) == (Verdict.INCONCLUSIVE, True)
    assert "in 4 of 24 rounds of 1 h" in judged.reason
    assert f"alarm {USER_ALARM} does not exist (deleted?)" in judged.reason


@pytest.mark.parametrize("minutes", [-1, 0, 1])
def test_an_alarm_that_rings_since_before_the_promotion_says_nothing_of_green(minutes: int) -> None:
    after = planned(promoted(Lab))
    ringing = Alarm(USER_ALARM, "ALARM", "7 > 5", after.since + timedelta(minutes=minutes))
    others, mute = split_mute(after, [ringing])
    assert ("from before" in mute) is (minutes < 0)
    assert others == ((ringing,) if minutes >= 0 else ())


def test_an_alarm_that_rings_beside_one_that_is_gone_is_harm() -> None:
    lab = promoted(Lab)
    after = planned(lab)
    after = replace(after, alarms=("gone", USER_ALARM))
    judged, _ = watch(lab, after, ring_late(lab))
    assert judged.verdict is Verdict.HARMFUL
    assert USER_ALARM in judged.reason


def test_an_alarm_that_rang_between_two_looks_is_harm() -> None:
    lab = promoted(Lab)

    def each(passed: float) -> None:
        if LATE <= passed < LATE + 600:
            ring(lab, USER_ALARM)
            lab.pass_time(300)
            lab.clients.cloudwatch.set_alarm_state(AlarmName=USER_ALARM, StateValue="OK", StateReason="quiet")

    judged, _ = watch(lab, planned(lab), each)
    assert judged.verdict is Verdict.HARMFUL
    assert "was in ALARM at" in judged.reason


def test_in_a_dry_run_harm_is_told_and_nothing_is_undone() -> None:
    lab = promoted(Lab)
    judged, passed = watch(lab, planned(lab, dry_run=True), ring_late(lab))
    assert passed >= DAY.total_seconds()
    assert judged.passes
    assert judged.reason.startswith(f"dry run: alarm {USER_ALARM} is in ALARM")


def test_what_aws_does_not_answer_for_an_hour_is_told_and_harm_after_it_is_found() -> None:
    lab = promoted(Lab)
    ringing = ring_late(lab)

    def each(passed: float) -> None:
        if 3000 <= passed < 3600:
            lab.sandbox.faults.add(Fault("throttle", "DescribeAlarms", times=1_000_000))
        elif passed >= 7200:
            lab.sandbox.faults.clear()
        ringing(passed)

    judged, _ = watch(lab, planned(lab), each)
    assert judged.verdict is Verdict.HARMFUL


def test_where_nobody_could_tell_in_any_hour_it_is_no_success() -> None:
    lab = promoted(Lab)
    after = planned(lab)
    lab.sandbox.faults.add(Fault("denied", "DescribeAlarms", times=1_000_000))
    judged, passed = watch(lab, after)
    assert judged.verdict is Verdict.INCONCLUSIVE
    assert not judged.passes
    assert "in 23 of 23 rounds of 1 h" in judged.reason
    assert "DescribeAlarms" in judged.reason
    assert passed >= DAY.total_seconds()


def begin_another(lab: Lab, after: After) -> None:
    other = replace(after.rollout, rollout_id="0badcafe", owner={"dag_id": "other"})
    write_record(lab.clients.ssm, other, overwrite=False)


def promote_another(lab: Lab, after: After) -> None:
    keep_previous(lab.clients.ssm, replace(after.rollout, rollout_id="0badcafe"))


def undo_it(lab: Lab, after: After) -> None:
    undo(lab, note="complaints")


def begin_to_undo_it(lab: Lab, after: After) -> None:
    write_record(lab.clients.ssm, replace(after.rollout, undoes=True), overwrite=False)


def forget_it(lab: Lab, after: After) -> None:
    lab.clients.ssm.delete_parameter(Name=previous_name(ENDPOINT))


ENDS: list[tuple[Callable[[Lab, After], None], Verdict, str]] = [
    (begin_another, Verdict.HEALTHY, "rollout 0badcafe (dag_id other)"),
    (promote_another, Verdict.HEALTHY, "another rollout of endpoint fraud was promoted"),
    (undo_it, Verdict.ABORTED, ": complaints"),
    (begin_to_undo_it, Verdict.ABORTED, "is being undone"),
    (forget_it, Verdict.INCONCLUSIVE, "is gone (deleted?), so nothing could be undone any more"),
]


@pytest.mark.parametrize(("end", "verdict", "words"), ENDS)
def test_what_ends_a_watch_early_is_told(end: Callable[[Lab, After], None], verdict: Verdict, words: str) -> None:
    lab = promoted(Lab)
    after = planned(lab)

    def each(passed: float) -> None:
        if passed >= HOUR:
            end(lab, after)
            ring(lab, USER_ALARM)

    judged, passed = watch(lab, after, each)
    assert (judged.verdict, judged.passes) == (verdict, verdict is Verdict.HEALTHY)
    assert words in judged.reason
    assert passed < 2 * HOUR


def test_the_rollouts_own_alarms_live_on_as_a_limit_by_blues_worst_minute() -> None:
    lab = promoted(Lab)
    found = kept(lab)
    noisy = replace(found.rollout, worst_errors=0.1)
    limits = {
        "theirs": replace(noisy.plan, evidence=Evidence(limits=Limits(max_error_rate=0.5))),
        "by blue": noisy.plan,
        "none": replace(noisy.plan, default_alarms=None),
    }

    def limit(plan: Plan) -> float | None:
        watched = round_at(plan_after(replace(found, rollout=replace(noisy, plan=plan)), DAY), found.at).rollout
        assert watched is not None
        return watched.plan.evidence.limits.max_error_rate

    told = {name: limit(plan) for name, plan in limits.items()}
    usual = AlarmDefaults().max_error_percent / 100
    assert told == {"theirs": 0.5, "by blue": pytest.approx(usual + 0.3), "none": None}


def test_nothing_is_watched_where_there_is_nothing_to_tell_harm_by() -> None:
    lab = promoted(Lab)
    found = kept(lab)
    bare = replace(found.rollout, plan=replace(found.rollout.plan, default_alarms=None, alarms=()))
    assert not plan_after(replace(found, rollout=bare), DAY).watches_anything
    assert plan_after(replace(found, rollout=bare), DAY, ["mine"]).watches_anything
    assert plan_after(found, DAY).watches_anything


def by_an_alarm() -> None:
    test_an_alarm_that_rings_20_hours_after_the_promotion_is_undone_field_by_field(Lab)


def by_usual_errors() -> None:
    test_harm_that_figures_show_from_hour_20_on_is_found_within_minutes("what blue failed before")


def all_ends() -> None:
    for end in ENDS:
        test_what_ends_a_watch_early_is_told(*end)


MUTANTS: dict[str, tuple[Any, str, Callable[..., object], Callable[[], None]]] = {
    "no alarm says anything": (rules, "_is_mute", lambda after, alarm: True, by_an_alarm),
    "nothing ends it early": (edge, "why_over", lambda after, record, previous: None, all_ends),
    "an alarm that is gone is harm": (
        rules,
        "_is_mute",
        lambda after, alarm: False,
        test_an_alarm_that_somebody_deletes_undoes_nothing_and_is_told,
    ),
    "an alarm that is gone is not told": (
        edge,
        "split_mute",
        lambda after, alarms: (tuple(each for each in alarms if each.state != "MISSING"), ""),
        test_an_alarm_that_somebody_deletes_undoes_nothing_and_is_told,
    ),
    "the rollout's own alarms have no heir": (rules, "_usual_errors", lambda rollout: None, by_usual_errors),
    "all is one round": (
        rules,
        "_length",
        lambda rollout: timedelta(days=7),
        test_a_watch_that_begins_anew_goes_on_in_the_same_round,
    ),
    "a dry run undoes": (
        edge,
        "only_told",
        lambda judged, *, is_over: judged,
        test_in_a_dry_run_harm_is_told_and_nothing_is_undone,
    ),
    "who saw nothing is healthy": (
        edge,
        "conclude_after",
        lambda after, judged, unknown, ended: judged,
        test_where_nobody_could_tell_in_any_hour_it_is_no_success,
    ),
}


@pytest.mark.parametrize("mutant", MUTANTS)
def test_without_any_one_rule_of_the_watch_a_scenario_fails(mutant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module, name, other, scenario = MUTANTS[mutant]
    monkeypatch.setattr(module, name, other)
    with pytest.raises((Exception, pytest.fail.Exception)):
        scenario()
