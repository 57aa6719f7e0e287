"""Every call of a rollout of a serverless and an asynchronous endpoint, times every way it can go wrong: the walk of the other kinds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from convergence.conftest import WALKED
from convergence.kinds_lab import AsyncLiveLab, ServerlessLambdaLab, ServerlessLiveLab
from convergence.walk import Make, rollout_strikes, walk_rollback, walk_rollout

pytestmark = pytest.mark.usefixtures("direct")

LABS: list[Make] = [ServerlessLiveLab, AsyncLiveLab, ServerlessLambdaLab]
EVERY = 36
"""Most of the rules are walked with instances already."""


@pytest.mark.parametrize("make", LABS)
def test_a_rollout_struck_at_any_call_ends_promoted_or_as_before(
    make: Make, record_property: Callable[[str, Any], None]
) -> None:
    walked = walk_rollout(make, LABS.index(make), EVERY)
    record_property(WALKED, walked)
    assert walked == len(rollout_strikes(make)[LABS.index(make) :: EVERY]) > 5


@pytest.mark.parametrize("make", LABS[:2])
def test_a_rollback_struck_at_any_call_restores_everything(
    make: Make, record_property: Callable[[str, Any], None]
) -> None:
    walked = walk_rollback(make, 3, EVERY)
    record_property(WALKED, walked)
    assert walked > 2
