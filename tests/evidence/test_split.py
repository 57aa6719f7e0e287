"""A bake whose clients don't follow the split: what the comparison says of green then is neither proof of harm nor of health."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from airflow_sm_rollout.aws.watch import look_at
from airflow_sm_rollout.core.plan.limits import Limits
from airflow_sm_rollout.core.plan.tolerances import Tolerances
from airflow_sm_rollout.core.watch.verdict import Verdict
from evidence.test_looks import BakingLab

EASY = Tolerances(warm_up_minutes=0, min_bake_minutes=0, false_pass=0.4)


def lab_at(share: float, **options: Any) -> BakingLab:
    lab = BakingLab(**{"tolerances": EASY, **options})
    lab.share = share
    return lab


@pytest.mark.parametrize("greens", [0, 1, 4, 30])
def test_a_green_that_does_not_get_its_share_is_never_called_healthy(greens: int) -> None:
    lab = lab_at(30.0, end_early=True)
    lab.bake = replace(lab.bake, ends_early=True, min_requests=0)
    lab.serve(60, blue={"requests": 40 - greens}, green={"requests": greens})
    lab.pass_time(60)
    seen = lab.look()
    assert seen.judgement.verdict is Verdict.INCONCLUSIVE
    assert "Clients don't follow the split: green got" in seen.judgement.reason
    assert "where its share is 30 %" in seen.judgement.reason


def test_a_green_that_gets_its_share_is_judged_as_ever() -> None:
    lab = lab_at(25.0)
    lab.serve(60, blue={"requests": 30}, green={"requests": 10})
    lab.pass_time(60)
    assert lab.look().judgement.verdict in (Verdict.HEALTHY, Verdict.UNPROVEN)
    assert "split" not in lab.look().judgement.reason


@pytest.mark.parametrize(
    ("when_inconclusive", "verdict", "passes"),
    [
        ("fail", Verdict.INCONCLUSIVE, False),
        ("extend", Verdict.INCONCLUSIVE, False),
        ("go_on", Verdict.WATCHING, False),
    ],
)
def test_harm_among_other_calls_than_blues_ends_a_bake_as_the_plan_says(
    when_inconclusive: str, verdict: Verdict, passes: bool
) -> None:
    lab = lab_at(50.0)
    lab.bake = replace(lab.bake, when_inconclusive=when_inconclusive)
    lab.serve(30, blue={"requests": 36}, green={"requests": 4})
    lab.serve(10, blue={"requests": 36}, green={"requests": 4, "e5": 4})
    seen = lab.look()
    assert (seen.judgement.verdict, seen.judgement.passes) == (verdict, passes)
    assert "Clients don't follow the split" in seen.judgement.reason
    assert seen.comparison is not None
    assert "worse than tolerated" in seen.comparison.sentence


def test_a_limit_of_greens_own_calls_asks_nobody_how_they_came() -> None:
    lab = lab_at(50.0, limits=Limits(max_error_rate=0.05))
    lab.serve(30, blue={"requests": 36}, green={"requests": 4})
    lab.serve(10, blue={"requests": 36}, green={"requests": 4, "e5": 4})
    assert lab.look().judgement.verdict is Verdict.HARMFUL


@pytest.mark.parametrize("share", [None, 100.0])
def test_a_bake_whose_share_nobody_knows_or_that_is_all_has_no_split(share: float | None) -> None:
    lab = lab_at(50.0)
    lab.share = share
    lab.serve(60, blue={"requests": 38}, green={"requests": 2})
    lab.pass_time(60)
    assert "split" not in lab.look().judgement.reason


def test_the_minute_in_which_a_share_was_changed_does_not_count() -> None:
    lab = lab_at(50.0)
    lab.bake = replace(lab.bake, started_at=lab.now(), ends_at=lab.now() + timedelta(minutes=10))
    lab.serve(6, blue={"requests": 600}, green={"requests": 0})
    lab.serve(48, blue={"requests": 20}, green={"requests": 20})
    lab.pass_time(60)
    assert "split" not in lab.look().judgement.reason


def test_a_watch_of_several_shares_counts_no_split() -> None:
    lab = lab_at(50.0)
    watch = replace(lab.asked, share_since=None)
    lab.serve(60, blue={"requests": 36}, green={"requests": 4})
    lab.pass_time(60)
    assert "split" not in look_at(lab.clients, watch, lab.now(), lab.memory).judgement.reason
