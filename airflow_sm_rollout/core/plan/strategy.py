"""Strategies expand to steps: how much traffic green gets, in which order, and how long each share is watched."""

from __future__ import annotations

import inspect
import itertools
import math
import re
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from airflow_sm_rollout.core.errors import PlanError
from airflow_sm_rollout.core.plan.options import meant, parse_number, unrendered

_DIGITS = 3
"""Shares are told apart by thousandths of a percent, since tasks are named after them."""
SharesOption = str | Sequence[float]
DurationOption = str | float | timedelta
_LONGEST = timedelta(days=366)  # so that the end of no plan is a date that there is not
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)([smhd])")
_TEXT = re.compile(f"(?:{_PART.pattern})+")


@dataclass(frozen=True, slots=True)
class Step:
    """One shift and the bake behind it.

    :param share: green's share of the requests in percent, 0 < share <= 100.
    :param bake: how long it is watched before the next step.
    """

    share: float
    bake: timedelta

    @property
    def label(self) -> str:
        """The share as a part of a task's name: ``2_5`` is 2.5 %. No two steps of a strategy have the same."""
        return f"{round(self.share, _DIGITS):g}".replace(".", "_")


@dataclass(frozen=True, slots=True)
class Strategy:
    """A named list of steps with rising shares, the last of which is 100 %.

    :param name: the strategy's name.
    :param steps: in their order.
    :param paced_by_clock: steps come at their planned times, counted from the first shift, so that what each takes besides its bake is
        not added up; otherwise each bake has its full length, counted from the end of its shift.
    """

    name: str
    steps: tuple[Step, ...]
    paced_by_clock: bool = False

    @property
    def minimum_duration(self) -> timedelta:
        """The sum of all bakes: a rollout can't be promoted sooner."""
        return sum((step.bake for step in self.steps), timedelta())


def canary(
    steps: SharesOption = (10, 50, 100), bake: DurationOption | Sequence[DurationOption] = timedelta(minutes=10)
) -> Strategy:
    """A small share first, then more while green is healthy, then all.

    :param steps: green's shares in percent, rising, ending with 100; also as a string, ``"10, 50, 100"``.
    :param bake: how long each share is watched: a timedelta, seconds, or one of these for each step.
    :raises PlanError: naming the option and the value.
    """
    shares = parse_shares(steps)
    bakes = _parse_bakes(bake, len(shares))
    return Strategy("canary", tuple(Step(share, wait) for share, wait in zip(shares, bakes, strict=True)))


def linear(step: float | str = 10, interval: DurationOption = timedelta(minutes=15)) -> Strategy:
    """The same share more at fixed intervals, the last step whatever is left.

    The tenth step of a 15-minute plan comes 2 h 15 min after the first.

    :param step: how much more green gets each time, in percent.
    :param interval: between two steps: a timedelta or seconds.
    :raises PlanError: naming the option and the value.
    """
    size = _parse_percent("step", step)
    wait = parse_duration("interval", interval)
    count = math.ceil((100 - 10**-_DIGITS) / size)  # three times 33.3333 are all, and leave no step for the rest
    shares = [*(size * n for n in range(1, count)), 100.0]
    return Strategy("linear", tuple(Step(share, wait) for share in shares), paced_by_clock=True)


def blue_green(bake: DurationOption = timedelta(minutes=30)) -> Strategy:
    """All traffic at once, blue at full capacity until the bake is over.

    :param bake: how long green is watched before blue goes: a timedelta or seconds.
    :raises PlanError: naming the option and the value.
    """
    return Strategy("blue_green", (Step(100.0, parse_duration("bake", bake)),))


STRATEGIES: Mapping[str, Callable[..., Strategy]] = {"canary": canary, "linear": linear, "blue_green": blue_green}


def expand_strategy(options: Mapping[str, Any]) -> Strategy:
    """The steps of a strategy that is given by its name and options.

    :param options: ``name``, a key of :data:`STRATEGIES`, and that function's arguments.
    :raises PlanError: naming the option and the value.
    """
    given = dict(options) if isinstance(options, Mapping) else {}
    name = given.pop("name", None)
    expand = STRATEGIES.get(name) if isinstance(name, str) else None
    if expand is None or not all(isinstance(option, str) for option in given):
        raise PlanError("strategy", options, f"a name, one of {', '.join(STRATEGIES)}, and that strategy's options")
    known = inspect.signature(expand).parameters
    for option, value in given.items():
        if option not in known:
            raise PlanError(
                option, value, f"no option of this strategy, which has {', '.join(known)}{meant(option, known)}"
            )
    return expand(**given)


def _parse_percent(option: str, value: float | str) -> float:
    allowed = "a percentage from 1 to 100"
    return parse_number(option, value, allowed, lambda percent: 1 <= percent <= 100)


def parse_shares(steps: SharesOption) -> tuple[float, ...]:
    """Read and check a list of shares.

    :raises PlanError: unless they are numbers in (0, 100], rising, the last one 100.
    """
    allowed = "shares in percent, each at least 0.001 and at most 100, rising, the last one 100, such as [10, 50, 100]"
    given = unrendered(steps)
    parts: Any = given.split(",") if isinstance(given, str) else given
    try:
        shares = tuple(float(part) for part in parts)
    except (TypeError, ValueError, OverflowError):
        raise PlanError("steps", steps, allowed) from None
    is_no_list = isinstance(parts, (Mapping, AbstractSet)) or any(isinstance(part, bool) for part in parts)
    in_range = all(round(share, _DIGITS) > 0 and share <= 100 for share in shares)
    rising = all(low < high for low, high in itertools.pairwise(round(share, _DIGITS) for share in shares))
    if is_no_list or not shares or not in_range or not rising or shares[-1] != 100:
        raise PlanError("steps", steps, allowed)
    return shares


def parse_duration(option: str, value: DurationOption) -> timedelta:
    """Read a duration given as a timedelta, as seconds, or as text such as ``90s``, ``15m``, ``24h``, ``7d`` or ``1h30m``.

    :raises PlanError: if it is none of these, negative, or longer than a year.
    """
    allowed = "a timedelta, a number of seconds, or text such as '90s', '15m', '24h' or '1h30m'"
    if isinstance(value, bool):
        raise PlanError(option, value, allowed)
    try:
        duration = value if isinstance(value, timedelta) else timedelta(seconds=_seconds(value))
    except (TypeError, ValueError, OverflowError):
        raise PlanError(option, value, allowed) from None
    if not timedelta() <= duration <= _LONGEST:
        raise PlanError(option, value, "zero or more, and at most a year")
    return duration


def _seconds(value: str | float) -> float:
    text = value.strip().lower() if isinstance(value, str) else ""
    if not _TEXT.fullmatch(text):
        return float(value)
    return sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text))


def _parse_bakes(bake: DurationOption | Sequence[DurationOption], count: int) -> tuple[timedelta, ...]:
    given = unrendered(bake)
    if isinstance(given, str) and "," in given:
        given = given.split(",")
    if not isinstance(given, (list, tuple)):
        return (parse_duration("bake", given),) * count
    bakes = tuple(parse_duration("bake", each) for each in given)
    if len(bakes) != count:
        raise PlanError("bake", bake, f"one duration, or one for each of the {count} steps")
    return bakes
