"""Every call of a rollout of an inference component, times every way it can go wrong: the walk of the other ways, on this one."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest

from convergence.components_lab import ComponentsLab
from convergence.conftest import WALKED
from convergence.walk import rollout_strikes, walk_rollback, walk_rollout

pytestmark = pytest.mark.usefixtures("direct")

EVERY = int(os.environ.get("SM_ROLLOUT_COMPONENTS_EVERY", "8"))
"""One case of so many; 1 walks all of them, which takes some minutes."""


def test_a_rollout_struck_at_any_call_ends_promoted_or_as_before(record_property: Callable[[str, Any], None]) -> None:
    walked = walk_rollout(ComponentsLab, 0, EVERY)
    record_property(WALKED, walked)
    assert walked == len(rollout_strikes(ComponentsLab)[::EVERY]) > 10


@pytest.mark.parametrize("tasks_done", range(1, 5))
def test_a_rollback_struck_at_any_call_restores_everything(
    tasks_done: int, record_property: Callable[[str, Any], None]
) -> None:
    walked = walk_rollback(ComponentsLab, tasks_done, EVERY)
    record_property(WALKED, walked)
    assert walked > 3
