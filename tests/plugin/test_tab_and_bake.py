"""The Rollout tab says of green what the bake says: both ask the same judge, of the same watch."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from airflow_sm_rollout.aws import world
from airflow_sm_rollout.aws.record import read_record
from airflow_sm_rollout.aws.watch import Memory, look_at
from airflow_sm_rollout.core.comparison.comparison import Finding
from airflow_sm_rollout.core.plan.evidence import Thresholds
from airflow_sm_rollout.core.record import to_json
from airflow_sm_rollout.core.traces import WATCH, TaskTrace
from airflow_sm_rollout.core.watch.judge import Look
from airflow_sm_rollout.core.watch.verdict import Verdict
from airflow_sm_rollout.core.watch.watch import Watch, watch_to_dict
from airflow_sm_rollout.plugin import live
from airflow_sm_rollout.plugin.reads import Connection, Found
from convergence.lab import ENDPOINT, USER_ALARM, Lab
from evidence.published import publish

CALM = {"requests": 900}, {"requests": 300}


def latencies(calls: int) -> list[float]:
    return [50] * (calls // 2) + [150] * (45 * calls // 100) + [250] * (4 * calls // 100) + [350] * (calls // 100)


def seen_by_both(
    minutes: int, traffic: Callable[[], Sequence[Mapping[str, Any]]], monkeypatch: pytest.MonkeyPatch
) -> tuple[Look, list[tuple[Any, Any]]]:
    """A bake to its end: its last look, and what tab and bake said at each look.

    :param traffic: what blue and green do in the next ten seconds.
    """
    lab = Lab()
    lab.run(until=2)
    recorded = read_record(lab.clients.ssm, ENDPOINT)
    assert recorded is not None
    rollout = replace(recorded, thresholds=Thresholds(100_000, 200_000, 300_000))
    lab.clients.ssm.put_parameter(Name=rollout.names.record, Value=to_json(rollout), Overwrite=True)
    bake = Watch(
        lab.now(),
        lab.now() + timedelta(minutes=minutes),
        rollout.green_traffic_since,
        20,
        alarms=(USER_ALARM,),
        rollout=rollout,
        judges_evidence=True,
        share=25.0,
        share_since=lab.now(),
    )
    baked = TaskTrace("bake_10", "deferred", lab.now(), None, {WATCH: watch_to_dict(bake)})
    found = Found("canary", rollout, (baked,), Connection(None, None))
    monkeypatch.setattr(live, "clients_of", lambda _: lab.clients)
    monkeypatch.setattr(live, "_memories", {})
    shown: list[Any] = []
    memory = Memory()
    said = None
    while said is None or said.judgement.verdict is Verdict.WATCHING:
        for dimensions, figures in zip((rollout.blue_dimensions, rollout.green_dimensions), traffic(), strict=True):
            publish(lab.sandbox, dimensions, lab.now(), **figures)
        lab.pass_time(10)
        now = lab.now()
        monkeypatch.setattr(world, "utc_now", lambda now=now: now)
        said = look_at(lab.clients, bake, now, memory)
        shown.append((live.read_compared(found), said.comparison and said.comparison.as_dict()))
    return said, shown


def told(comparison: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """What the tab shows of a bake's comparison: there is none before a period was judged."""
    return comparison if comparison and comparison["judged_until"] else None


@pytest.mark.parametrize("minutes", [3, 5, 8, 10])
def test_at_the_end_of_a_bake_the_tab_and_the_bake_say_the_same(minutes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    calm = [{**each, "milliseconds": latencies(each["requests"])} for each in CALM]
    said, shown = seen_by_both(minutes, lambda: calm, monkeypatch)
    assert said.comparison is not None
    assert (said.judgement.verdict, said.comparison.verdict) == (Verdict.HEALTHY, Finding.HEALTHY)
    assert len(shown) > minutes / 2
    for tab, of_bake in shown:
        assert tab == of_bake


@pytest.mark.parametrize("seed", range(46))
def test_whatever_green_does_the_tab_and_the_bake_say_the_same_at_every_look(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = random.Random(seed)
    failing, slower, quiet = chance.choice([0.0, 0.01, 0.3]), chance.choice([1.0, 1.0, 2.5]), chance.choice([0.0, 0.4])

    def traffic() -> list[dict[str, Any]]:
        figures = []
        for usual, factor, share in ((300, 1.0, 0.002), (100, slower, failing)):
            calls = 0 if chance.random() < quiet else round(usual * chance.uniform(0.5, 1.5))
            errors = sum(chance.random() < share for _ in range(calls))
            figures.append(
                {
                    "requests": calls,
                    "e5": errors,
                    "milliseconds": [each * factor for each in latencies(calls)],
                }
            )
        return figures

    _, shown = seen_by_both(chance.randint(2, 4), traffic, monkeypatch)
    assert shown
    for tab, of_bake in shown:
        assert tab == told(of_bake)
