"""A bounded part of what ``python -m convergence.guarded`` prints."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from convergence.conftest import WALKED
from convergence.guarded import STRUCK, struck_guardians, tallies

pytestmark = pytest.mark.usefixtures("direct")


def test_with_a_guardian_bad_greens_go_good_ones_stay_and_nobody_waits_long(
    record_property: Callable[[str, Any], None],
) -> None:
    told = list(tallies(rollouts=8, seed=7))
    assert [each.describe() for each in told if each.held < each.of] == []
    record_property(WALKED, sum(each.of for each in told))
    assert len(told) == 6


@pytest.mark.parametrize("way", STRUCK)
def test_a_guardian_that_is_struck_while_airflow_goes_on(way: str, record_property: Callable[[str, Any], None]) -> None:
    ends = list(struck_guardians(STRUCK[way], 17, 31))
    assert set(ends) <= {"as before", "promoted"}
    record_property(WALKED, len(ends))
    assert len(ends) >= 5
