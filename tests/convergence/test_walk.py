"""Every AWS call of a canary, times every way it can go wrong, times what happens next: it must end promoted or exactly as before."""

from __future__ import annotations

import pytest

from convergence.lab import Lab
from convergence.walk import count_calls, walk_rollback, walk_rollout

CALLS = count_calls(Lab)


@pytest.mark.parametrize("part", range(4))
def test_a_canary_struck_at_any_call_ends_promoted_or_as_before(part: int) -> None:
    walked = walk_rollout(Lab, CALLS, part, 4)
    print(f"{walked} cases walked")
    assert walked >= CALLS


@pytest.mark.parametrize("tasks_done", range(1, 8))
def test_a_rollback_struck_at_any_call_restores_everything(tasks_done: int) -> None:
    print(f"{walk_rollback(Lab, tasks_done)} cases walked")
