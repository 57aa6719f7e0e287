"""``sm-rollout replay``: what a plan would have made of an endpoint's own past."""

from __future__ import annotations

import argparse
import json
import math
import random
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median
from typing import TYPE_CHECKING, Any

from airflow_sm_rollout.cli_numbers import number_or_nan, parse_days
from airflow_sm_rollout.core.errors import PlanError, RolloutRefused
from airflow_sm_rollout.core.plan.tolerances import DEFAULTS, Tolerances
from airflow_sm_rollout.core.replay.history import (
    Calls,
    Fleet,
    describe_past,
    describe_rollout,
    find_idle,
    find_reigns,
    find_rollouts,
    judge_past,
)
from airflow_sm_rollout.core.replay.replay import Harm, Outcome, PastMinute, replay, shares_by_minute, tolerances_by
from airflow_sm_rollout.core.watch.sources import BASELINE, final_until

if TYPE_CHECKING:
    from airflow_sm_rollout.aws.clients import Clients
    from airflow_sm_rollout.core.plan.strategy import Strategy

ADDED_ERROR_PERCENTS = (0.5, 1.0, 5.0, 100.0)
SLOWER_PERCENTS = (10.0, 20.0, 50.0, 100.0)
_OWN_FLAGS = ("false_rollback", "warm_up_minutes", "min_bake_minutes")
_MOST_SIZES = 20
_LEAST_MINUTES = 60
_MINUTE = timedelta(minutes=1)


def add_options(parser: argparse.ArgumentParser) -> None:
    """The command's options beside the endpoint's and the strategy's."""
    parser.add_argument(
        "--days", type=parse_days, default=14.0, help="how far to look back, up to 14 (default: %(default)g)"
    )
    parser.add_argument(
        "--more-errors",
        type=_percents,
        default=ADDED_ERROR_PERCENTS,
        metavar="PERCENT,...",
        help="greens that fail so many more of their calls (default: 0.5,1,5,100)",
    )
    parser.add_argument(
        "--slower",
        type=_percents,
        default=SLOWER_PERCENTS,
        metavar="PERCENT,...",
        help="greens that are so much slower in every call (default: 10,20,50,100)",
    )
    parser.add_argument("--seed", type=int, default=0, help="of the slices that are drawn (default: %(default)s)")
    for option in _OWN_FLAGS:
        flag, default = "--" + option.replace("_", "-"), getattr(DEFAULTS, option)
        parser.add_argument(flag, type=float, help=f"a tolerance (default: {default:g})")
    parser.add_argument(
        "--tolerances", metavar="JSON", help='as a plan has them, such as \'{"over_p99": {"ratio": 1.3}}\''
    )


def _percents(text: str) -> tuple[float, ...]:
    numbers = tuple(number_or_nan(each) for each in text.split(",") if each.strip())
    if len(numbers) > _MOST_SIZES or not all(0 < number < math.inf for number in numbers):
        raise argparse.ArgumentTypeError(f"{text} is not up to {_MOST_SIZES} numbers above 0, with commas between them")
    return numbers


def tolerances_of(options: argparse.Namespace) -> Tolerances:
    """The tolerances that the command line asks for.

    :raises PlanError: naming the tolerance.
    """
    try:
        asked = json.loads(options.tolerances or "{}")
    except (ValueError, RecursionError):
        asked = None
    if not isinstance(asked, dict):
        raise PlanError("tolerances", options.tolerances, "a JSON object")
    flags = {option: getattr(options, option) for option in _OWN_FLAGS}
    return Tolerances.from_dict(asked | {option: value for option, value in flags.items() if value is not None})


def harms_of(options: argparse.Namespace) -> list[Harm]:
    """What is wrong with the greens to be replayed: first nothing, then each size that the command line asks for.

    :raises PlanError: if a green is to fail more than all its calls.
    """
    if any(percent > 100 for percent in options.more_errors):
        raise PlanError("more_errors", max(options.more_errors), "up to 100 %")
    failing = [Harm(added_error_rate=percent / 100) for percent in options.more_errors]
    return [Harm(), *failing, *(Harm(slowdown=1 + percent / 100) for percent in options.slower)]


def _say_progress(line: str) -> None:
    """Tell a person who waits; a log has no use for it."""
    if sys.stderr.isatty():
        print(line, file=sys.stderr, flush=True)


def tell_replay(
    clients: Clients,
    endpoint_name: str,
    strategy: Strategy,
    options: argparse.Namespace,
    now: datetime,
    say: Callable[[str], None] = _say_progress,
) -> Iterator[str]:
    """Replay rollouts by a strategy over an endpoint's past, and its past rollouts as they were; say what became of them, line by line.

    :param say: is told what takes long.
    :raises RolloutRefused: if there is too little past.
    :raises PlanError: if the strategy has no step to compare in, or a tolerance or a size is not possible.
    """
    shares, harms = shares_by_minute(strategy), harms_of(options)
    tolerances = tolerances_by(tolerances_of(options), shares)
    history = _History.read(clients, endpoint_name, timedelta(days=options.days), now, say)
    pasts = history.read_pasts([harm.slowdown for harm in harms if harm.slowdown > 1])
    yield from _describe_pasts(history, pasts, shares)
    for harm in harms:
        yield _line(replay(pasts, shares, tolerances, harm, random.Random(options.seed)))
    yield ""
    yield from history.tell_rollouts(tolerances, len(shares) * _MINUTE)


def tell_history(
    clients: Clients,
    endpoint_name: str,
    days: timedelta,
    now: datetime,
    say: Callable[[str], None] = _say_progress,
) -> Iterator[str]:
    """An endpoint's past rollouts, a line for each, the newest first; nothing is judged.

    :raises RolloutRefused: if there is no such endpoint.
    """
    history = _History.read(clients, endpoint_name, days, now, say)
    found = find_rollouts(history.calls, history.until)
    rollouts = [each for each in found if each.ended > history.until - days]
    yield from (describe_rollout(each) for each in reversed(rollouts))
    if not rollouts:
        yield f"no past rollout in {history}: no two variants of endpoint {history.name} had calls in the same minutes"


@dataclass(frozen=True, slots=True)
class _History:
    """An endpoint's past.

    :param name: the endpoint that serves.
    :param calls: of all its fleets, from some hours before ``until - days`` on: they tell, of a rollout right at the start, who came later.
    """

    cloudwatch: Any
    name: str
    calls: Calls
    days: timedelta
    until: datetime
    say: Callable[[str], None]

    @classmethod
    def read(
        cls, clients: Clients, endpoint_name: str, days: timedelta, now: datetime, say: Callable[[str], None]
    ) -> _History:
        from airflow_sm_rollout.aws.history import list_fleets, read_calls
        from airflow_sm_rollout.aws.live import read_live_name
        from airflow_sm_rollout.aws.serving import read_endpoint

        name = read_live_name(clients.ssm, endpoint_name)
        endpoint = read_endpoint(clients.sagemaker, name)
        if endpoint is None or not endpoint.variants:
            raise RolloutRefused(f"there is no endpoint {name} with a past")
        fleets = {*list_fleets(clients.cloudwatch, name), *(Fleet(variant.name) for variant in endpoint.variants)}
        say(f"reading calls of {_plural(len({fleet.variant for fleet in fleets}), 'variant')} of endpoint {name}")
        until = final_until(now, 60)
        calls = read_calls(clients.cloudwatch, name, fleets, now - days - BASELINE, until)
        return cls(clients.cloudwatch, name, calls, days, until, say)

    def __str__(self) -> str:
        """The days."""
        return _plural(self.days / timedelta(days=1), "day")

    def read_pasts(self, slowdowns: Sequence[float]) -> list[list[PastMinute]]:
        """What each variant did while it was blue."""
        from airflow_sm_rollout.aws.evidence import read_past

        pasts = []
        for reign in find_reigns(self.calls):
            begin, end = max(reign.since, self.until - self.days), min(reign.until, self.until)
            if begin < end:
                self.say(f"reading what {reign.fleet} did from {begin:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M} UTC")
                pasts.append(read_past(self.cloudwatch, reign.fleet.dimensions(self.name), begin, end, slowdowns))
        return pasts

    def tell_rollouts(self, tolerances: Tolerances, planned: timedelta) -> Iterator[str]:
        """The rollouts that there were, and what would have been said of each."""
        from airflow_sm_rollout.aws.history import read_rollout

        rollouts = find_rollouts(self.calls, self.until)
        if rollouts:
            yield f"{_plural(len(rollouts), 'past rollout')} as they were:"
        else:
            yield f"no past rollout in {self}: no two variants of endpoint {self.name} had calls in the same minutes"
        for number, rollout in enumerate(rollouts, 1):
            self.say(f"reading past rollout {number} of {len(rollouts)}")
            baseline, periods = read_rollout(self.cloudwatch, self.name, rollout)
            yield from describe_past(rollout, judge_past(rollout, baseline, periods, tolerances, planned))
        for fleet in find_idle(self.calls):
            yield f"{fleet} was there without a call: can't be judged"


def _plural(count: float, word: str) -> str:
    return f"{count:g} {word}{'s' * (count != 1)}"


def _describe_pasts(history: _History, pasts: Sequence[Sequence[PastMinute]], shares: Sequence[float]) -> Iterator[str]:
    minutes = (minute.period.blue for past in pasts for minute in past)
    served = [blue.requests for blue in minutes if blue is not None and blue.requests]
    needed = max(_LEAST_MINUTES, 2 * len(shares))
    if len(served) < needed:
        raise RolloutRefused(
            f"endpoint {history.name} has {len(served)} minutes of traffic in the last {history}, "
            f"{needed} are needed to replay this plan"
        )
    yield (
        f"{len(served):,} minutes of traffic in {history}, {median(served):,.0f} requests a minute in the median; "
        f"a rollout compares for {len(shares)} minutes, at {100 * min(shares):g} to {100 * max(shares):g} %"
    )
    yield f"{'a green that':<34}{'rolled back':>16}{'after (median)':>18}{'proven healthy':>18}"


def _line(outcome: Outcome) -> str:
    after = outcome.median_until_harm
    told = "-" if after is None else f"{after.total_seconds() / 60:.0f} min"
    rolled_back, healthy = f"{outcome.rolled_back} of {outcome.rollouts}", f"{outcome.healthy} of {outcome.rollouts}"
    return f"{outcome.harm!s:<34}{rolled_back:>16}{told:>18}{healthy:>18}"
