"""Of two who write a rollout's record at the same moment, whoever has turned it first has turned it for good."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

from airflow_sm_rollout.core.rollout import Phase, with_phase
from airflow_sm_rollout.core.turned import outlasts
from convergence.lab import Lab


def test_what_was_turned_for_good_outlasts_all_but_itself() -> None:
    kept = Lab().plan()
    deleting = replace(kept, plan=replace(kept.plan, delete_blue=True, traffic="endpoints"))
    walked = 0
    for rollout, before, after in product((kept, deleting), Phase, Phase):
        for_good = before is Phase.ROLLING_BACK or (before is Phase.PROMOTED and rollout is deleting)
        assert outlasts(with_phase(rollout, before), with_phase(rollout, after)) == (for_good and before is not after)
        walked += 1
    assert walked == 2 * len(Phase) ** 2


def test_another_rollouts_record_outlasts_this_ones() -> None:
    mine = Lab().plan()
    assert outlasts(replace(mine, rollout_id="0badcafe"), mine)
