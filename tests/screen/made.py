"""Rollouts as their tasks would leave them, with figures and the real judge's comparison. Recorded ones: screen.recorded."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from functools import cache
from typing import Any

from airflow_sm_rollout.core.comparison.comparison import compare
from airflow_sm_rollout.core.comparison.periods import Period, Sample
from airflow_sm_rollout.core.control import Control, Wish
from airflow_sm_rollout.core.figures import Figures, Point, figures_to_dict
from airflow_sm_rollout.core.outcome import Aftermath
from airflow_sm_rollout.core.plan.evidence import Evidence, Thresholds
from airflow_sm_rollout.core.plan.limits import Limits
from airflow_sm_rollout.core.plan.strategy import canary
from airflow_sm_rollout.core.report import Live, Report, build_report
from airflow_sm_rollout.core.rollout import Blue, Green, Phase, Plan, Rollout
from airflow_sm_rollout.core.screen.log import Wished
from airflow_sm_rollout.core.traces import APPROVAL, DID, EVIDENCE, FIGURES, NOTE, WATCH, TaskTrace
from airflow_sm_rollout.core.watch.watch import Watch, watch_to_dict

BEGUN = datetime(2026, 11, 28, 8, tzinfo=timezone.utc)
CONFIG = {"ProductionVariants": [{"VariantName": "AllTraffic", "ModelName": "wine-v1"}]}
ROLLOUT = Rollout(
    "wine",
    "0123abcd",
    {"dag_id": "canary", "run_id": "manual__1"},
    BEGUN,
    Blue("wine-config", CONFIG, "AllTraffic", 1.0, 2),
    Green(image="i", model_data_url="s3://models/new"),
    Plan(
        strategy=canary([10, 50, 100], bake=600),
        alarms=("wine-orders",),
        evidence=Evidence(limits=Limits(max_p99_ms=90.0)),
    ),
    green_traffic_since=BEGUN + timedelta(minutes=5),
    thresholds=Thresholds(12_000, 25_000, 37_000),
)
SHIFTED_AT = {10: 5, 50: 16, 100: 27}
"""From which minute on green had which share."""
LATENCY_ALARM = ROLLOUT.names.latency_alarm


def minute(number: float) -> datetime:
    return BEGUN + timedelta(minutes=number)


def share_at(number: float) -> int:
    return max((share for share, at in SHIFTED_AT.items() if number >= at), default=0)


@cache
def figures(until: int, *, bad: bool = False, rang_at: float | None = None) -> Figures:
    """What both did up to a minute, 600 requests a minute in all, with some unevenness."""
    blue, green = [], []
    for number in range(until):
        wave = 1 + 0.2 * math.sin(number)
        share, at = share_at(number), minute(number).timestamp()
        calls = round(600 * wave * (100 - share) / 100)
        if calls:
            blue.append(Point(at, calls, number % 3, round(calls * 0.003), 12 * wave, 25 * wave, 37 * wave))
        if share:
            factor = 2.6 if bad else 1.02
            failed = round(6 * share * wave * (0.2 if bad else 0.003))
            green.append(Point(at, round(6 * share * wave), 0, failed, 12 * wave * factor, 26 * factor, 38 * factor))
    rang = {LATENCY_ALARM: (), ROLLOUT.names.error_alarm: (), "wine-orders": ()}
    if rang_at is not None:
        rang[LATENCY_ALARM] = ((minute(rang_at).timestamp(), None),)
    return Figures(minute(until), 60, tuple(blue), tuple(green), rang=rang)


@cache
def compared(until: int, *, bad: bool = False) -> dict[str, Any]:
    """The judge's word on green up to a minute."""

    def sample(calls: int, failed: int, slow: float) -> Sample:
        return Sample(
            calls, failed, 0, round(calls * 0.5 * slow), round(calls * 0.05 * slow), round(calls * 0.01 * slow)
        )

    history = [Period(minute(number), 60, sample(600, 1 + number % 3, 1.0), None) for number in range(-60, 0)]
    periods = [
        Period(
            minute(number),
            60,
            sample(6 * (100 - share_at(number)), 1, 1.0),
            sample(6 * share_at(number), 12 if bad else number % 2, 1.6 if bad else 0.98),
        )
        for number in range(5, until)
    ]
    return compare(history, periods, planned=timedelta(minutes=20), since=minute(5)).as_dict()


def done(name: str, begun: float, ended: float | None, state: str = "success", **xcoms: Any) -> TaskTrace:
    return TaskTrace(name, state, minute(begun), None if ended is None else minute(ended), xcoms)


def coming(*names: str) -> list[TaskTrace]:
    return [TaskTrace(name, "", None, None, {}) for name in names]


def did(*what: str, at: float) -> list[dict[str, str]]:
    return [{"at": minute(at + number / 10).isoformat(), "what": each} for number, each in enumerate(what)]


DEPLOYED = [
    done("snapshot", 0, 0.2),
    done("deploy_green", 0.2, 4.5, **{DID: did("create model wine-0123abcd", "update endpoint wine", at=0.3)}),
]
REST = ("shift_50", "bake_50", "approve_100", "shift_100", "bake_100", "promote", "settle", "verdict")


def shifted(share: int, begun: float) -> TaskTrace:
    return done(
        f"shift_{share}",
        begun,
        begun + 0.8,
        return_value={"share": share, "state": f"green has {share} %"},
        **{NOTE: {"kind": "share", "share": share}, DID: did(f"set green's share to {share} %", at=begun)},
    )


def watching(share: int, begun: float) -> TaskTrace:
    watch = Watch(minute(begun), minute(begun + 10), minute(5), 20, judges_evidence=True, share=share)
    return done(f"bake_{share}", begun, None, "deferred", **{WATCH: watch_to_dict(watch)})


def baked(share: int, begun: float, verdict: str = "healthy", reason: str = "", **xcoms: Any) -> TaskTrace:
    said = {"verdict": verdict, "reason": reason or f"nothing spoke against green in 10 min at {share} %"}
    failing = {"reason": f"{reason}."} if verdict != "healthy" else {}
    state = "success" if verdict == "healthy" else "failed"
    return done(f"bake_{share}", begun, begun + 10, state, return_value=said, **failing, **xcoms)


def settled(outcome: str, at: float, *, bad: bool = False, rang_at: float | None = None) -> TaskTrace:
    noted = {NOTE: {"kind": "settled", "outcome": outcome}}
    seen = figures_to_dict(figures(int(at), bad=bad, rang_at=rang_at))
    return done("settle", at - 1, at, **noted, **{FIGURES: seen})


def live(at: float, share: float, control: Control | None = None, *, bad: bool = False, **others: Any) -> Live:
    words = dict.fromkeys(ROLLOUT.watched_alarms, "OK")
    reasons = {"wine-orders": "no datapoint of the last 3 was greater than the threshold (5.0)"}
    seen = {"phase": Phase.FORWARD, "alarm_reasons": reasons, **others}
    return Live(minute(at), share, words, control, figures(int(at), bad=bad), **seen)


def wished(wish: Wish, at: float, note: str = "") -> Control:
    return Control("0123abcd", wish, minute(at), "alice", note)


@dataclass(frozen=True, slots=True)
class Made:
    """A state of the screen.

    :param at: the minute in which somebody looks.
    :param buttons: what there is to press.
    :param told: words that must stand in the reason.
    """

    report: Report
    at: float
    chip: str
    buttons: tuple[str, ...]
    told: tuple[str, ...]

    @property
    def now(self) -> datetime:
        return minute(self.at)


FORWARD = ("Pause", "Promote", "Abort")
SLOW = (
    f"alarm {LATENCY_ALARM} is in ALARM since 08:12:30 UTC: Threshold Crossed: 3 datapoints [31.2, 29.9, 33.4] "
    "were greater than the threshold (5.0)"
)
QUESTION = {
    "before": 100.0,
    "asked_at": minute(26.1).isoformat(),
    "until": minute(86).isoformat(),
    "may_answer": "alice, bob",
}


def show(*tasks: TaskTrace, **others: Any) -> Report:
    return build_report("canary", others.pop("rollout", ROLLOUT), tasks, others.pop("live", None), **others)


def _deploying() -> Made:
    tasks = [DEPLOYED[0], done("deploy_green", 0.2, None, "deferred"), *coming("shift_10", "bake_10", *REST)]
    return Made(show(*tasks, live=live(2, 0)), 2, "Deploying green", FORWARD, ("has 0 % of the requests",))


def _baking() -> Made:
    tasks = [*DEPLOYED, shifted(10, 4.6), watching(10, 5.5), *coming(*REST)]
    shown = show(*tasks, live=live(12, 10), comparison=compared(12))
    return Made(shown, 12.05, "Baking 10 %", FORWARD, ("has 10 % of the requests",))


def _paused() -> Made:
    tasks = [*DEPLOYED, shifted(10, 4.6), watching(10, 5.5), *coming(*REST)]
    control = wished(Wish.PAUSE, 10, "lunch")
    shown = show(*tasks, live=live(12, 10, control), comparison=compared(12))
    return Made(shown, 12.05, "Paused at 10 %", ("Resume", "Promote", "Abort"), ("paused by alice", "lunch"))


def _baked_twice() -> list[TaskTrace]:
    first = baked(10, 5.5, **{EVIDENCE: compared(15)})
    return [*DEPLOYED, shifted(10, 4.6), first, shifted(50, 15.6), baked(50, 16.5, **{EVIDENCE: compared(26)})]


def _asking() -> Made:
    asked = done("approve_100", 26.1, None, "deferred", **{APPROVAL: QUESTION})
    tasks = [*_baked_twice(), asked, *coming(*REST[3:])]
    shown = show(*tasks, live=live(30, 50), comparison=compared(27))
    return Made(shown, 30.05, "Waiting for a person", FORWARD, ("alice, bob", "Required Actions"))


def _harmed() -> list[TaskTrace]:
    harmed = replace(baked(10, 5.5, "harmful", SLOW), ended_at=minute(13))
    skipped = [TaskTrace(name, "upstream_failed", minute(13), minute(13), {}) for name in REST[:-2]]
    return [*DEPLOYED, shifted(10, 4.6), harmed, *skipped]


def _rolling_back() -> Made:
    tasks = [*_harmed(), done("settle", 13, None, "running"), *coming("verdict")]
    seen = live(14, 0, bad=True, phase=Phase.ROLLING_BACK)
    return Made(show(*tasks, live=seen), 14.05, "Rolling back", (), ("wine-v1 gets all requests back", "too slow"))


def _rolled_back_by_alarm() -> Made:
    tasks = [*_harmed(), settled("as_before", 15, bad=True, rang_at=12.5), *coming("verdict")]
    told = ("Green was too slow", "74 ms", "37 ms", "; blue failed", "serves all requests as before")
    return Made(show(*tasks), 40, "Rolled back", (), told)


def _rolled_back_by_comparison() -> Made:
    found = compared(14, bad=True)
    harmed = replace(baked(10, 5.5, "harmful", found["sentence"].rstrip("."), **{EVIDENCE: found}), ended_at=minute(14))
    tasks = [*DEPLOYED, shifted(10, 4.6), harmed, settled("as_before", 16, bad=True)]
    return Made(show(*tasks), 40, "Rolled back", (), ("worse than tolerated", "blue in the same minutes"))


def _rolled_back_by_a_person() -> Made:
    answer = {**QUESTION, "answer": "rejected", "by": "bob", "at": minute(31).isoformat(), "note": "release freeze"}
    rejected = done(
        "approve_100", 26.1, 31, "failed", reason="bob rejected 100 %: release freeze.", **{APPROVAL: answer}
    )
    tasks = [*_baked_twice(), rejected, settled("as_before", 33)]
    return Made(show(*tasks), 60, "Rolled back", (), ("bob rejected 100 %", "release freeze"))


def _promoted() -> Made:
    last = [shifted(100, 26.5), baked(100, 27.5), done("promote", 37.6, 40), settled("promoted", 41)]
    wishes = (Wished(minute(8), "alice", "pause", "lunch"), Wished(minute(9), "alice", "go_on"))
    return Made(show(*_baked_twice(), *last, wishes=wishes), 60, "Promoted", (), ("serves all requests of wine",))


def _not_settled() -> Made:
    failed = done("settle", 13, 20, "failed", reason="could not delete the endpoint config: AccessDenied.")
    seen = live(21, 10, bad=True, aftermath=Aftermath.HELD, serving="endpoint wine is InService on config mixed")
    shown = show(*_harmed(), failed, live=seen, is_over=True)
    return Made(shown, 21.05, "NOT SETTLED", (), ("sm-rollout rollback wine", "endpoint wine is InService"))


def _offline() -> Made:
    tasks = [*DEPLOYED, shifted(10, 4.6), watching(10, 5.5), *coming(*REST)]
    shown = replace(show(*tasks), failure="ConnectTimeoutError: no answer")
    return Made(shown, 12, "Baking 10 %", FORWARD, ("has 10 %",))


def _loading() -> Made:
    offline = _offline()
    return replace(offline, report=replace(offline.report, failure=""))


STATES: dict[str, Callable[[], Made]] = {
    "deploying": _deploying,
    "baking": _baking,
    "paused": _paused,
    "waiting for a person": _asking,
    "rolling back": _rolling_back,
    "rolled back by an alarm": _rolled_back_by_alarm,
    "rolled back by the comparison": _rolled_back_by_comparison,
    "rolled back by a person": _rolled_back_by_a_person,
    "promoted": _promoted,
    "not settled": _not_settled,
    "offline": _offline,
    "loading": _loading,
}
