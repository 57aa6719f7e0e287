"""Every call of an undo, times every way it can go wrong, times what happens next: everything is as before, and nothing else."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import pytest

from airflow_sm_rollout.aws.record import read_record
from airflow_sm_rollout.core.advance import Passing
from airflow_sm_rollout.core.errors import RolloutGaveUp
from airflow_sm_rollout.core.names import record_name
from airflow_sm_rollout.sandbox.faults import Fault as SandboxFault
from convergence.conftest import WALKED
from convergence.lab import ENDPOINT, Killed, Lab
from convergence.test_guardian_walk import At
from convergence.test_undo import LABS, ONE_ENDPOINT, promoted, undo
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


# Somebody deletes its record.


def sites_of_undo(make: Make, prepare: Callable[[Lab], None] = lambda lab: None) -> list[tuple[int, str]]:
    """Every distinct call of an undo while its record is there, before each, and behind those that change something."""
    lab = promoted(make)
    prepare(lab)
    lab.hook = sites = Sites(lab)
    with contextlib.suppress(RolloutGaveUp):
        undo(lab)
    return sorted([(at, "before") for at in sites.reads + sites.writes] + [(at, "after") for at in sites.writes])


def lose_record(lab: Lab) -> None:
    lab.clients.ssm.delete_parameters(Names=[record_name(ENDPOINT)])


@pytest.mark.parametrize("is_killed", [False, True])
@pytest.mark.parametrize("make", LABS)
def test_an_undo_whose_record_is_deleted_makes_it_again_and_restores_everything(
    make: Make, is_killed: bool, record_property: Callable[[str, Any], None]
) -> None:
    """Also where its process was killed at the same moment, and somebody asks for the undo once more."""
    sites = sites_of_undo(make)[is_killed::4]
    for at, phase in sites:
        lab = promoted(make)

        def lose(lab: Lab = lab) -> None:
            lose_record(lab)
            if is_killed:
                raise Killed

        lab.hook = hook = At(lab, at, phase, lose)
        case = f"record deleted {phase} call {at}"
        with contextlib.suppress(Killed):
            undo_patiently(lab)
        lab.hook = None
        if is_killed:
            lab.pass_time(600)
            undo_patiently(lab)
        assert hook.called, case
        assert not lab.under_capacity, f"{case}: {lab.under_capacity[0]}"
        assert lab.describe() == lab.before, f"{case}, {hook.called}"
    record_property(WALKED, len(sites))
    assert len(sites) > 5


@pytest.mark.parametrize("make", ONE_ENDPOINT)
def test_where_aws_puts_green_back_and_the_record_is_deleted_all_is_promoted_again(make: Make) -> None:
    def refuse_blue(lab: Lab) -> None:
        lab.sandbox.faults.add(SandboxFault("bad_ping"))

    for at, phase in sites_of_undo(make, refuse_blue)[::5]:
        lab = promoted(make)
        serving = lab.describe()
        refuse_blue(lab)
        lab.hook = hook = At(lab, at, phase, lambda lab=lab: lose_record(lab))  # type: ignore[misc]
        with pytest.raises(RolloutGaveUp, match="not undone: AWS did not take blue's config"):
            undo_patiently(lab)
        lab.hook = None
        assert lab.describe() == serving, f"record deleted {phase} {hook.called} ({at})"
