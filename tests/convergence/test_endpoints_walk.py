"""Every AWS call of a rollout with two endpoints, times every way it can go wrong, times what happens next."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from convergence.live_lab import LiveLab, with_pointer
from convergence.walk import count_calls, walk_rollback, walk_rollout


@pytest.mark.parametrize("part", range(4))
@pytest.mark.parametrize("make", [LiveLab, with_pointer])
def test_a_rollout_struck_at_any_call_ends_promoted_or_as_before(make: Callable[[], LiveLab], part: int) -> None:
    calls = count_calls(make)
    walked = walk_rollout(make, calls, part, 4)
    print(f"{walked} cases walked")
    assert walked >= calls / 4


@pytest.mark.parametrize(("make", "tasks_done"), [(LiveLab, 3), *((with_pointer, done) for done in range(1, 4))])
def test_a_rollback_struck_at_any_call_restores_everything(make: Callable[[], LiveLab], tasks_done: int) -> None:
    print(f"{walk_rollback(make, tasks_done)} cases walked")
