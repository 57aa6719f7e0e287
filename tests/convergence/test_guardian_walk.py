"""A guardian beside Airflow, instead of it, and beside another guardian, at every call: it ends as if one had done it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import pytest

from airflow_sm_rollout.aws.guardian import leave_sign
from airflow_sm_rollout.aws.record import read_record
from airflow_sm_rollout.core.errors import RolloutError
from airflow_sm_rollout.core.goals import AsBefore
from airflow_sm_rollout.core.guardian import Patience, Sign, State
from airflow_sm_rollout.core.rollout import Rollout
from airflow_sm_rollout.guardian.guardian import Guardian
from convergence.conftest import WALKED
from convergence.guardrails_lab import GuardrailsLab
from convergence.lab import ENDPOINT, USER_ALARM, Killed, Lab
from convergence.live_lab import LiveLab
from convergence.test_exits import ring
from convergence.walk import Fault, Make, Sites, check, strikes_on

pytestmark = pytest.mark.usefixtures("direct")

LABS: list[Make] = [Lab, LiveLab, GuardrailsLab]
BEGUN: list[tuple[Make, int]] = [(Lab, 2), (Lab, 6), (LiveLab, 2), (GuardrailsLab, 3)]
MOST_LOOKS = 400
STRIDE = 5  # odd, since calls that change something come in pairs, before and after, and strikes in fours and sixes


def guardian_of(lab: Lab, name: str = "g1", **options: Any) -> Guardian:
    return Guardian(lab.clients, name=name, now=lab.now, **options)


def guard(lab: Lab, guardian: Guardian, looks: int = MOST_LOOKS) -> None:
    """Let a guardian look until it has taken back what it has to, and a while longer."""
    for _ in range(looks):
        if not any(finding.state in (State.TAKING_BACK, State.FAILED) for finding in guardian.look()):
            return
        lab.look_away()


class At:
    """Lets something happen once, at call number ``at``; what happens meanwhile is not struck again."""

    def __init__(self, lab: Lab, at: int, phase: str, happening: Callable[[], None]) -> None:
        self.lab, self.at, self.phase, self.happening = lab, at, phase, happening
        self.count = -1
        self.called = ""

    def __call__(self, service: str, operation: str, phase: str) -> None:
        self.count += phase == "before"
        if self.called or phase != self.phase or self.count != self.at:
            return
        self.called = f"{service}:{operation}"
        self.lab.hook = None
        try:
            self.happening()
        finally:
            self.lab.hook = self


def ring_quietly(lab: Lab) -> None:
    lab.is_test_looking = True
    ring(lab, USER_ALARM)
    lab.is_test_looking = False


def recorded(lab: Lab) -> Rollout | None:
    lab.is_test_looking = True
    record = read_record(lab.clients.ssm, ENDPOINT)
    lab.is_test_looking = False
    return record


def has_green_traffic(lab: Lab) -> bool:
    record = recorded(lab)
    return record is not None and record.green_traffic_since is not None


def check_in_peace(lab: Lab, case: str) -> str:
    """The promises, once an update to what the endpoint had already is over, which a late call may have asked for."""
    lab.hook = None
    lab.pass_time(300)
    return check(lab, case)


def run_as_airflow(lab: Lab, tasks: Iterable[Callable[[], object]], planned: Rollout | None) -> None:
    """Task by task, and back where one gives up, as ``settle`` does."""
    for task in tasks:
        try:
            task()
        except RolloutError:
            lab.reach(AsBefore(planned))
            return


def sites_of(
    make: Make, run: Callable[[Lab], object], begun: int = 0, *, is_stalled: bool = False, stride: int = STRIDE
) -> list[tuple[int, str]]:
    """Every so many of the distinct calls of a run, before each, and behind those that change something.

    :param is_stalled: not those before what changes something.
    """
    lab = make()
    lab.run(until=begun)
    lab.hook = sites = Sites(lab)
    run(lab)
    before = sites.reads if is_stalled else sites.reads + sites.writes
    return sorted([(at, "before") for at in before] + [(at, "after") for at in sites.writes])[::stride]


@pytest.mark.parametrize("looks", [1, MOST_LOOKS])
@pytest.mark.parametrize("make", LABS)
def test_a_guardian_that_finds_harm_at_any_call_of_airflows(
    make: Make, looks: int, record_property: Callable[[str, Any], None]
) -> None:
    """A call that is decided on reaches AWS within a minute; between looking and deciding there may be a whole rollback."""
    sites = sites_of(make, lambda lab: lab.run(), is_stalled=looks > 1)
    for at, phase in sites:
        lab = make()
        planned = lab.plan()
        lab.calls.clear()

        def find_harm(lab: Lab = lab) -> None:
            ring_quietly(lab)
            guard(lab, guardian_of(lab), looks)

        lab.hook = hook = At(lab, at, phase, find_harm)
        run_as_airflow(lab, lab.tasks(), planned)
        lab.hook = None
        guard(lab, guardian_of(lab, "g2"))
        assert hook.called
        check_in_peace(lab, f"guardian {phase} {hook.called} ({at}), {looks} looks")
    record_property(WALKED, len(sites))
    assert len(sites) > 10


@pytest.mark.parametrize("is_harmful", [True, False])
@pytest.mark.parametrize("make", LABS)
def test_a_guardian_alone_takes_back_what_airflow_has_left_at_any_call(
    make: Make, is_harmful: bool, record_property: Callable[[str, Any], None]
) -> None:
    sites = sites_of(make, lambda lab: lab.run(), stride=3)
    taken = 0
    for at, phase in sites:
        lab = make()

        def die() -> None:
            raise Killed

        lab.hook = hook = At(lab, at, phase, die)
        with contextlib.suppress(Killed):
            lab.run()
        lab.hook = None
        case = f"Airflow killed {phase} {hook.called} ({at})"
        had_traffic = has_green_traffic(lab)
        if had_traffic:
            leave_sign(lab.clients.ssm, ENDPOINT, Sign(lab.now()))
        guardian = guardian_of(lab)
        guardian.look()
        lab.pass_time(60 if is_harmful else Patience().in_task.total_seconds() + 1)
        if is_harmful:
            ring_quietly(lab)
        guard(lab, guardian)
        is_tidying = had_traffic and lab.describe()["records"]
        if not had_traffic or is_tidying:
            lab.roll_back()  # as the janitor would
        taken += had_traffic and not is_tidying
        check_in_peace(lab, case)
    record_property(WALKED, len(sites))
    assert taken >= 3


@pytest.mark.parametrize(("make", "begun"), BEGUN)
def test_a_guardian_that_is_struck_at_any_call_leaves_the_rest_to_the_next(
    make: Make, begun: int, record_property: Callable[[str, Any], None]
) -> None:
    def take_back(lab: Lab) -> None:
        ring_quietly(lab)
        guard(lab, guardian_of(lab))

    lab = make()
    lab.run(until=begun)
    lab.hook = sites = Sites(lab)
    take_back(lab)
    assert lab.describe() == lab.before
    strikes = strikes_on(sites, ("retry",))[::STRIDE]
    for strike in strikes:
        lab = make()
        lab.run(until=begun)
        guardian = guardian_of(lab)
        ring_quietly(lab)
        lab.hook = fault = Fault(strike, lab.now)
        try:
            guard(lab, guardian)
        except Killed:
            guardian = guardian_of(lab, "g2")
        for _ in range(3):  # what the first look could not do
            guard(lab, guardian)
            lab.look_away()
        case = f"guardian: {strike} on {fault.struck}"
        assert fault.struck, case
        assert check_in_peace(lab, case) == "as before", case
    record_property(WALKED, len(strikes))
    assert len(strikes) > 20


@pytest.mark.parametrize("looks", [1, MOST_LOOKS])
@pytest.mark.parametrize(("make", "begun"), BEGUN)
def test_two_guardians_at_once_end_as_one(
    make: Make, begun: int, looks: int, record_property: Callable[[str, Any], None]
) -> None:
    def take_back(lab: Lab) -> None:
        ring_quietly(lab)
        guard(lab, guardian_of(lab))

    sites = sites_of(make, take_back, begun)
    for at, phase in sites:
        lab = make()
        lab.run(until=begun)
        other = guardian_of(lab, "g2")
        lab.hook = hook = At(lab, at, phase, partial(guard, lab, other, looks))
        take_back(lab)
        lab.hook = None
        guard(lab, other)
        case = f"second guardian {phase} {hook.called} ({at}), {looks} looks"
        assert check_in_peace(lab, case) == "as before", case
    record_property(WALKED, len(sites))


@pytest.mark.parametrize(("make", "begun"), [*BEGUN, (Lab, 7), (LiveLab, 3)])
def test_airflow_that_goes_on_at_any_call_of_a_guardians(
    make: Make, begun: int, record_property: Callable[[str, Any], None]
) -> None:
    def take_back(lab: Lab) -> None:
        ring_quietly(lab)
        guard(lab, guardian_of(lab))

    sites = sites_of(make, take_back, begun)
    for at, phase in sites:
        lab = make()
        lab.run(until=begun)
        go_on = partial(run_as_airflow, lab, lab.tasks()[begun:], recorded(lab))
        lab.hook = hook = At(lab, at, phase, go_on)
        take_back(lab)
        lab.hook = None
        guard(lab, guardian_of(lab, "g2"))
        check_in_peace(lab, f"Airflow goes on {phase} {hook.called} ({at})")
    record_property(WALKED, len(sites))
