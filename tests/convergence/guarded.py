"""A guardian beside Airflow, and instead of it: how many rollouts end as promised, and how soon. By hand::

    PYTHONPATH=.:tests python -m convergence.guarded

The clock stands still between calls, so a run of minutes takes a second, and Airflow is killed at calls drawn by lot.
"""

from __future__ import annotations

import argparse
import contextlib
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar

from airflow_sm_rollout.aws.guardian import leave_sign
from airflow_sm_rollout.core.guardian import Patience, Sign, State
from airflow_sm_rollout.core.plan.strategy import Strategy, blue_green, linear
from airflow_sm_rollout.core.rollout import Phase, Rollout
from airflow_sm_rollout.guardian import handler
from airflow_sm_rollout.guardian.guardian import Guardian
from airflow_sm_rollout.guardian.run import WHILE_TAKING_BACK
from convergence import lab as labs
from convergence.blinking import green_share_now
from convergence.direct import direct_clients
from convergence.guardrails_lab import GuardrailsLab
from convergence.lab import ENDPOINT, USER_ALARM, AheadLab, Killed, Lab
from convergence.live_lab import LiveLab, SharedLab
from convergence.serving import Users, judged_by
from convergence.test_guardian_handler import by_alarm_action, by_event_bridge, is_losing_traffic
from convergence.test_guardian_walk import (
    MOST_LOOKS,
    At,
    check_in_peace,
    guard,
    guardian_of,
    has_green_traffic,
    recorded,
    ring_quietly,
    run_as_airflow,
    sites_of,
)
from convergence.walk import Fault, Make, Sites, Strike, check, strikes_on

STRUCK: dict[str, Make] = {"variants": Lab, "endpoints": LiveLab, "guardrails": GuardrailsLab}
EVERY = 15  # seconds between two looks of a guardian, as by default
PROMISED = timedelta(minutes=2)
_LONGEST = 3600


class LinearLab(AheadLab):
    strategy: ClassVar[Strategy] = linear(25, timedelta(minutes=1))


class BlueGreenLab(AheadLab):
    strategy: ClassVar[Strategy] = blue_green(timedelta(minutes=3))


WAYS: dict[str, Make] = {
    "canary": AheadLab,
    "linear": LinearLab,
    "blue/green by variants": BlueGreenLab,
    "blue/green by endpoints": LiveLab,
}


BESIDE: dict[str, Make] = {"canary": AheadLab, "linear": LinearLab, "canary by endpoints": SharedLab}
"""Where blue serves beside green for a while, so that the two can be compared."""
PROVEN: dict[str, Mapping[str, Make]] = {"comparison": BESIDE, "limits": WAYS}


@dataclass(frozen=True)
class Tally:
    """How many rollouts ended as promised, and the longest that anybody waited for it."""

    what: str
    held: int
    of: int
    longest: timedelta = timedelta()

    def describe(self) -> str:
        waited = f", the longest after {self.longest.total_seconds():.3g} s" if self.longest else ""
        return f"{self.what}: {self.held} of {self.of}{waited}"


def killed_somewhere(make: Make, chance: random.Random) -> Lab:
    """A rollout whose Airflow died at a call while green had traffic, with the sign of life that it left last."""
    most = calls_of(make)
    while True:
        lab, at = make(), chance.randrange(most)

        def die() -> None:
            raise Killed

        lab.hook = At(lab, at, chance.choice(("before", "after")), die)
        with contextlib.suppress(Killed):
            lab.run()
        lab.hook = None
        if green_share_now(lab) > 0 and has_green_traffic(lab) and not is_promoting(lab):
            lab.is_test_looking = True
            leave_sign(lab.clients.ssm, ENDPOINT, Sign(lab.now()))
            lab.is_test_looking = False
            return lab


def killed_at_rest(make: Make, chance: random.Random) -> Lab:
    """The same, with what AWS had been asked for done."""
    lab = killed_somewhere(make, chance)
    pass_time(lab, 600, lambda: is_in_service(lab))
    return lab


_calls: dict[Make, int] = {}


def calls_of(make: Make) -> int:
    if make not in _calls:
        lab = make()
        lab.run()
        _calls[make] = len(lab.calls)
    return _calls[make]


def is_promoting(lab: Lab) -> bool:
    """Whether AWS has been asked for green alone, which nothing can interrupt: green is promoted then, and harm a matter of undo."""
    record, updates = recorded(lab), lab.calls.count("sagemaker:UpdateEndpoint")
    is_asked = updates > 1 and not isinstance(lab, LiveLab)  # by variants the first one brings green beside blue
    return record is None or record.phase is Phase.PROMOTED or is_asked


def pass_time(
    lab: Lab,
    seconds: float,
    is_over: Callable[[], bool] = lambda: False,
    each_second: Callable[[], object] = lambda: None,
) -> None:
    """Let time pass, second by second, until something is so."""
    for _ in range(int(seconds)):
        if is_over():
            return
        lab.pass_time(1)
        lab.watch()
        each_second()


def guard_until(
    lab: Lab, guardian: Guardian, is_over: Callable[[], bool], each_second: Callable[[], object] = lambda: None
) -> None:
    """Let a guardian look as its process does."""
    began = lab.now()
    while not is_over() and lab.now() - began < timedelta(seconds=_LONGEST):
        findings = guardian.look()
        is_going = any(each.state is State.TAKING_BACK for each in findings)
        pass_time(lab, WHILE_TAKING_BACK if is_going else EVERY, is_over, each_second)


def has_left_green(lab: Lab) -> Callable[[], bool]:
    return lambda: green_share_now(lab) == 0


def is_as_before(lab: Lab, guardian: Guardian) -> bool:
    """Whether it gets there, without Airflow."""
    guard(lab, guardian)
    lab.pass_time(300)
    guard(lab, guardian)
    return check(lab, "guarded") == "as before"


def take_back_bad(make: Make, chance: random.Random) -> timedelta:
    """How long a bad green keeps any traffic after its alarm rings, with Airflow dead."""
    lab = killed_somewhere(make, chance)
    guardian, rings_after = guardian_of(lab), chance.uniform(0, 300)
    died = lab.now()
    guard_until(lab, guardian, lambda: lab.now() - died >= timedelta(seconds=rings_after))
    ring_quietly(lab)
    rang = lab.now()
    pass_time(
        lab, chance.randrange(EVERY), has_left_green(lab)
    )  # it looks when its time has come, not when an alarm rings
    guard_until(lab, guardian, has_left_green(lab))
    took = lab.now() - rang
    assert is_as_before(lab, guardian)
    return took


def take_back_failing(what: str) -> Callable[[Make, random.Random], timedelta]:
    """How long a green that fails its calls keeps any traffic after the figures prove it, with Airflow dead and no alarm that rings.

    :param what: what proves it, a key of :data:`PROVEN`.
    """

    def take_back(make: Make, chance: random.Random) -> timedelta:
        lab = killed_at_rest(judged_by(make, what), chance)
        while what == "comparison" and green_share_now(lab) >= 100:  # then no blue serves beside it
            lab = killed_at_rest(judged_by(make, what), chance)
        record = recorded(lab)
        assert record is not None
        guardian, kept = guardian_of(lab, patience=Patience(timedelta(hours=2))), green_share_now(lab)
        users = Users(lab, record, lab.now() + timedelta(seconds=chance.uniform(0, 300)))
        guard_until(lab, guardian, has_left_green(lab), users.call)
        is_for_harm = has_left_green(lab)() and lab.now() > users.fails_from
        assert is_for_harm, f"green's {kept:g} % were taken without proof, or never"
        took = lab.now() - (users.provable_at or users.quiet_at)  # the guardian may have seen it first
        assert is_as_before(lab, guardian)
        return took

    return take_back


def take_back_good(make: Make, chance: random.Random) -> timedelta:
    """How long a good green that nobody drives keeps its traffic, with Airflow dead."""
    lab = killed_somewhere(make, chance)
    guardian, died = guardian_of(lab), lab.now()
    guard_until(lab, guardian, has_left_green(lab))
    took = lab.now() - died
    assert took > Patience().in_task
    assert is_as_before(lab, guardian)
    return took


def promote_good(make: Make, chance: random.Random) -> bool:
    """Whether a good rollout is promoted, with a guardian that looks at one call in so many, and changes nothing."""
    lab = make()
    guardian, every, states = guardian_of(lab), chance.randrange(3, 40), set[State]()
    count = chance.randrange(every)

    def look(service: str, operation: str, phase: str) -> None:
        nonlocal count
        count += 1
        if count % every:
            return
        lab.hook = None
        if recorded(lab) is not None:
            lab.is_test_looking = True  # as the task does
            leave_sign(lab.clients.ssm, ENDPOINT, Sign(lab.now()))
        lab.is_test_looking = False
        states.update(finding.state for finding in guardian.look())
        lab.hook = look

    lab.hook = look
    lab.run()
    lab.hook = None
    changes_nothing = states <= {State.LEFT_ALONE, State.WATCHED}
    return changes_nothing and check(lab, "with a guardian") == "promoted"


def answer_alarm(make: Make, chance: random.Random) -> timedelta:
    """How long from an alarm's change of state to the request that takes green's traffic away, by the guardian as a Lambda function."""
    lab = killed_somewhere(make, chance)
    pass_time(lab, 600, lambda: is_in_service(lab))  # AWS takes no request before
    ring_quietly(lab)
    rang, asked = lab.now(), list[timedelta]()

    def note(service: str, operation: str, phase: str) -> None:
        if phase == "after" and not asked and is_losing_traffic(lab):
            asked.append(lab.now() - rang)

    lab.hook = note
    handler.answer(chance.choice((by_event_bridge, by_alarm_action))(USER_ALARM), guardian_of(lab), 60.0, lab.pass_time)
    lab.hook = None
    assert is_as_before(lab, guardian_of(lab))
    return asked[0]


def is_in_service(lab: Lab) -> bool:
    lab.is_test_looking = True
    status = lab.clients.sagemaker.describe_endpoint(EndpointName=ENDPOINT)["EndpointStatus"]
    lab.is_test_looking = False
    return bool(status == "InService")


def tally(
    what: str,
    one: Callable[[Make, random.Random], timedelta | bool],
    most: timedelta,
    count: int,
    seed: int,
    ways: Mapping[str, Make] = WAYS,
) -> Tally:
    """So many of them, one way after another.

    :param most: how long each may take.
    """
    chance, makes, ended = random.Random(seed), list(ways.items()), list[timedelta | bool]()
    for number in range(count):
        name, make = makes[number % len(makes)]
        try:
            ended.append(one(make, chance))
        except AssertionError as error:
            print(f"{what}: number {number}, {name}: {error}", flush=True)
            ended.append(False)
    waited = [each for each in ended if isinstance(each, timedelta)]
    held = sum(each <= most if isinstance(each, timedelta) else each for each in ended)
    return Tally(what, held, count, max(waited, default=timedelta()))


def tallies(rollouts: int, seed: int) -> Iterator[Tally]:
    """Each promise, on so many rollouts (the good greens that nobody drives, and the handler, on a fifth of that)."""
    late = Patience().in_task + PROMISED
    fifth = max(len(WAYS), rollouts // 5)
    bad, good = "bad greens, Airflow dead: blue has everything within 2 min of", "good greens, Airflow"
    yield tally(f"{bad} the alarm", take_back_bad, PROMISED, rollouts, seed)
    for what, ways in PROVEN.items():
        yield tally(f"{bad} the proof by {what}", take_back_failing(what), PROMISED, rollouts, seed, ways)
    yield tally(f"{good} dead: taken back after 10 min, and not before", take_back_good, late, fifth, seed)
    yield tally(f"{good} alive: promoted beside a guardian", promote_good, late, rollouts, seed)
    asked = "from ALARM to the request that takes green's traffic, by the handler: under 2 s"
    yield tally(asked, answer_alarm, timedelta(seconds=2), fifth, seed)


def struck_guardians(make: Make, stride: int, strikes_stride: int) -> Iterator[str]:
    """A guardian that finds harm at a call of Airflow's, and one of whose own calls is struck: every pair, or one of so many."""
    for at, phase in sites_of(make, lambda lab: lab.run(), stride=stride):
        for strike in strikes_at(make, at, phase)[::strikes_stride]:
            yield struck(make, at, phase, strike)


def strikes_at(make: Make, at: int, phase: str) -> list[Strike]:
    """All that can happen to the first looks of a guardian there."""
    lab = make()
    seen: list[Strike] = []

    def note() -> None:
        ring_quietly(lab)
        lab.hook = sites = Sites(lab)
        guardian_of(lab).look()
        seen.extend(strikes_on(sites, ("retry",)))

    _at(lab, at, phase, note)
    return seen


def _at(lab: Lab, at: int, phase: str, happening: Callable[[], None]) -> tuple[At, Rollout]:
    planned = lab.plan()
    lab.calls.clear()
    lab.hook = hook = At(lab, at, phase, happening)
    run_as_airflow(lab, lab.tasks(), planned)
    lab.hook = None
    return hook, planned


def struck(make: Make, at: int, phase: str, strike: Strike) -> str:
    """Both go on from there, and a second guardian ends what is left."""
    lab = make()

    def find_harm() -> None:
        ring_quietly(lab)
        lab.hook = Fault(strike, lab.now)
        with contextlib.suppress(Killed):
            guard(lab, guardian_of(lab), looks=1)

    hook, _ = _at(lab, at, phase, find_harm)
    for _ in range(3):
        guard(lab, guardian_of(lab, "g2"), MOST_LOOKS)
        lab.look_away()
    return check_in_peace(lab, f"guardian {phase} {hook.called} ({at}), {strike}")


def main(arguments: list[str] | None = None) -> int:
    """Print the counts; 1 if a promise was not kept."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rollouts", type=int, default=100)
    parser.add_argument("--seed", type=int, default=17)
    parser.add_argument("--stride", type=int, default=1, help="walk one call, and one fault, of so many")
    options = parser.parse_args(arguments)
    labs.clients_of = direct_clients
    kept = True
    for each in tallies(options.rollouts, options.seed):
        kept = kept and each.held == each.of
        print(each.describe(), flush=True)
    for name, make in STRUCK.items():
        ends = list(struck_guardians(make, options.stride, options.stride))
        print(f"guardian x Airflow's calls x faults, by {name}: {len(ends)} of {len(ends)} hold", flush=True)
    return int(not kept)


if __name__ == "__main__":
    raise SystemExit(main())
