"""Every call of a rollout behind a Lambda function, times every way it can go wrong: the walk of the other ways, on this one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from convergence.conftest import WALKED
from convergence.lambda_lab import DeletingLambdaLab, LambdaLab
from convergence.walk import Make, rollout_strikes, walk_rollback, walk_rollout

pytestmark = pytest.mark.usefixtures("direct")

LABS: list[Make] = [LambdaLab, DeletingLambdaLab]
EVERY = 12
"""The whole walk takes seven minutes, and most of its rules are walked with two endpoints already."""
ROLLBACKS = [(LambdaLab, 3)]


@pytest.mark.parametrize("make", LABS)
def test_a_rollout_struck_at_any_call_ends_promoted_or_as_before(
    make: Make, record_property: Callable[[str, Any], None]
) -> None:
    walked = walk_rollout(make, LABS.index(make), EVERY)
    record_property(WALKED, walked)
    assert walked == len(rollout_strikes(make)[LABS.index(make) :: EVERY]) > 50


@pytest.mark.parametrize(("make", "tasks_done"), ROLLBACKS)
def test_a_rollback_struck_at_any_call_restores_everything(
    make: Make, tasks_done: int, record_property: Callable[[str, Any], None]
) -> None:
    walked = walk_rollback(make, tasks_done, EVERY)
    record_property(WALKED, walked)
    assert walked > 20
