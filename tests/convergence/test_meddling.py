"""Whatever others delete, change or forbid, at whatever moment: promoted, or as before, or it is said what stands and why."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from convergence.conftest import WALKED
from convergence.meddling import LABS, Make, sample, walk

pytestmark = pytest.mark.usefixtures("direct")

SAMPLED = 90


@pytest.mark.parametrize("make", LABS)
def test_what_others_do_to_a_rollout_leaves_no_green_alone(
    make: Make, record_property: Callable[[str, Any], None]
) -> None:
    walked = list(walk(make, sample(make, SAMPLED, seed=20)))
    record_property(WALKED, len(walked))
    assert len(walked) > SAMPLED / 3
    assert {case.ended for case in walked} == {"promoted", "as_before", "not settled"}
