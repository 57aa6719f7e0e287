"""Every call of an undo, times every way it can go wrong, times what happens next: everything is as before, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from airflow_sm_rollout.aws.record import read_record
from airflow_sm_rollout.core.advance import Passing
from airflow_sm_rollout.core.errors import RolloutGaveUp
from convergence.conftest import WALKED
from convergence.lab import ENDPOINT, Killed, Lab
from convergence.test_undo import LABS, promoted, undo
from convergence.walk import Fault, Make, Sites, Strike, attempts, strikes_on

pytestmark = pytest.mark.usefixtures("direct")
STRIDE = 6


def undo_patiently(lab: Lab) -> str:
    """As the operator: an error that passes by itself is waited out."""
    for _ in range(200):
        try:
            return undo(lab)
        except Passing:
            lab.pass_time(5)
    raise AssertionError("it did not pass")


def end_as(then: str, lab: Lab) -> None:
    """What comes after a task that died: its retry, or a rollback by whoever finds the record."""
    if then == "roll back" and read_record(lab.clients.ssm, ENDPOINT) is not None:
        lab.roll_back()
    else:
        undo_patiently(lab)


def strikes_of(make: Make) -> list[Strike]:
    lab = promoted(make)
    lab.hook = sites = Sites(lab)
    undo(lab)
    return strikes_on(sites, ("retry", "roll back"))


@pytest.mark.parametrize("make", LABS)
def test_an_undo_struck_at_any_call_restores_everything(
    make: Make, record_property: Callable[[str, Any], None]
) -> None:
    strikes = strikes_of(make)[::STRIDE]
    for strike in strikes:
        lab = promoted(make)
        lab.hook = fault = Fault(strike, lab.now)
        run: Callable[[], object] = lambda lab=lab: undo_patiently(lab)  # type: ignore[misc]  # noqa: E731
        for _ in attempts():
            try:
                run()
                break
            except Killed:
                run = lambda lab=lab, then=strike.then: end_as(then, lab)  # type: ignore[misc]  # noqa: E731
            except RolloutGaveUp:
                pass
        case = f"{strike} on {fault.struck}"
        assert fault.struck, case
        lab.hook = None
        assert not lab.under_capacity, f"{case}: {lab.under_capacity[0]}"
        assert lab.describe() == lab.before, case
    record_property(WALKED, len(strikes))
    assert len(strikes) > 50
