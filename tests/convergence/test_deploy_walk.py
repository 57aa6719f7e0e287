"""Every call of a rollout that CodeDeploy shifts, times every way it can go wrong: the walk of the other ways, on this one."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest

from convergence.conftest import WALKED
from convergence.deploy_lab import DeployLab, OwnGroupLab
from convergence.walk import Make, rollout_strikes, walk_rollback, walk_rollout

pytestmark = pytest.mark.usefixtures("direct")

LABS: list[Make] = [DeployLab, OwnGroupLab]
EVERY = int(os.environ.get("SM_ROLLOUT_DEPLOY_EVERY", "64"))
"""One case of so many; 1 walks all of them, which takes some minutes."""
ROLLBACKS: list[tuple[Make, int]] = [(DeployLab, 3), (OwnGroupLab, 4)]


@pytest.mark.parametrize("make", LABS)
def test_a_rollout_struck_at_any_call_ends_promoted_or_as_before(
    make: Make, record_property: Callable[[str, Any], None]
) -> None:
    part = LABS.index(make) % EVERY
    walked = walk_rollout(make, part, EVERY)
    record_property(WALKED, walked)
    assert walked == len(rollout_strikes(make)[part::EVERY]) > 10


@pytest.mark.parametrize(("make", "tasks_done"), ROLLBACKS)
def test_a_rollback_struck_at_any_call_restores_everything(
    make: Make, tasks_done: int, record_property: Callable[[str, Any], None]
) -> None:
    walked = walk_rollback(make, tasks_done, EVERY)
    record_property(WALKED, walked)
    assert walked > 3
