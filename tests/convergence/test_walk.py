"""Every AWS call of a rollout, times every way it can go wrong, times what happens next: it must end promoted or exactly as before."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from convergence.conftest import WALKED
from convergence.guardrails_lab import GuardrailsLab
from convergence.lab import Lab
from convergence.live_lab import LiveLab, with_pointer
from convergence.walk import Make, rollout_strikes, walk_rollback, walk_rollout

pytestmark = pytest.mark.usefixtures("direct")

LABS: list[Make] = [Lab, LiveLab, with_pointer, GuardrailsLab]
PARTS = 2
ROLLBACKS = [
    *((Lab, done) for done in (1, 2, 4, 7)),
    (LiveLab, 3),
    *((with_pointer, done) for done in (1, 3, 5)),
    *((GuardrailsLab, done) for done in range(1, 5)),
]


@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("make", LABS)
def test_a_rollout_struck_at_any_call_ends_promoted_or_as_before(
    make: Make, part: int, record_property: Callable[[str, Any], None]
) -> None:
    walked = walk_rollout(make, part, PARTS)
    record_property(WALKED, walked)
    assert walked == len(rollout_strikes(make)[part::PARTS]) > 100


@pytest.mark.parametrize(("make", "tasks_done"), ROLLBACKS)
def test_a_rollback_struck_at_any_call_restores_everything(
    make: Make, tasks_done: int, record_property: Callable[[str, Any], None]
) -> None:
    walked = walk_rollback(make, tasks_done)
    record_property(WALKED, walked)
    assert walked > 50
