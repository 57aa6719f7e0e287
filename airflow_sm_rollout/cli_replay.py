"""``sm-rollout replay``: what a plan would have made of an endpoint's own past."""

from __future__ import annotations

import argparse
import random
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from statistics import median
from typing import TYPE_CHECKING, Any

from airflow_sm_rollout.core.errors import RolloutRefused
from airflow_sm_rollout.core.evidence.periods import Period
from airflow_sm_rollout.core.evidence.replay import Outcome, replay, shares_by_minute
from airflow_sm_rollout.core.evidence.tolerances import DEFAULTS, Tolerances

if TYPE_CHECKING:
    from airflow_sm_rollout.aws.clients import Clients
    from airflow_sm_rollout.core.strategy import Strategy

ADDED_ERROR_RATES = (0.0, 0.005, 0.01, 0.05, 1.0)
_LEAST_MINUTES = 60


def add_options(parser: argparse.ArgumentParser) -> None:
    """The command's options beside the endpoint's and the strategy's."""
    parser.add_argument("--days", type=float, default=14.0, help="how far to look back (default: %(default)g)")
    parser.add_argument("--seed", type=int, default=0, help="of the slices that are drawn (default: %(default)s)")
    for option in ("false_rollback", "warm_up_minutes", "min_bake_minutes"):
        flag, default = "--" + option.replace("_", "-"), getattr(DEFAULTS, option)
        parser.add_argument(flag, type=float, default=default, help="a tolerance (default: %(default)g)")


def tolerances_of(options: argparse.Namespace) -> Tolerances:
    """The tolerances that the command line asks for.

    :raises PlanError: naming the tolerance.
    """
    asked = {option: getattr(options, option) for option in ("false_rollback", "warm_up_minutes", "min_bake_minutes")}
    return Tolerances.from_dict(asked)


def tell_replay(
    clients: Clients, endpoint_name: str, strategy: Strategy, options: argparse.Namespace, now: datetime
) -> Iterator[str]:
    """Replay rollouts by a strategy over an endpoint's past, and say what became of them, line by line.

    :raises RolloutRefused: if there is too little past.
    :raises PlanError: if the strategy has no step to compare in, or a tolerance is not possible.
    """
    shares, tolerances = shares_by_minute(strategy), tolerances_of(options)
    past = _read_past(clients, endpoint_name, timedelta(days=options.days), now)
    served = [period.blue.requests for period in past if period.blue is not None and period.blue.requests]
    if len(served) < max(_LEAST_MINUTES, 2 * len(shares)):
        raise RolloutRefused(
            f"endpoint {endpoint_name} has {len(served)} minutes of traffic in the last {options.days:g} days, "
            f"{max(_LEAST_MINUTES, 2 * len(shares))} are needed to replay this plan"
        )
    yield (
        f"{len(served):,} minutes of traffic in {options.days:g} days, {median(served):,.0f} requests a minute in the median; "
        f"a rollout compares for {len(shares)} minutes, at {100 * min(shares):g} to {100 * max(shares):g} %"
    )
    yield f"{'a green that':<34}{'rolled back':>16}{'after (median)':>18}{'proven healthy':>18}"
    for rate in ADDED_ERROR_RATES:
        yield _line(replay(past, shares, tolerances, rate, random.Random(options.seed)))


def _read_past(clients: Clients, endpoint_name: str, days: timedelta, now: datetime) -> Sequence[Period]:
    from airflow_sm_rollout.aws.evidence import read_past, read_thresholds
    from airflow_sm_rollout.aws.live import read_live_name
    from airflow_sm_rollout.aws.world import read_endpoint

    name = read_live_name(clients.ssm, endpoint_name)
    endpoint = read_endpoint(clients.sagemaker, name)
    if endpoint is None or not endpoint.variants:
        raise RolloutRefused(f"there is no endpoint {name} with a past")
    blue: Mapping[str, Any] = {"EndpointName": name, "VariantName": endpoint.variants[0].name}
    since = now - days
    thresholds = read_thresholds(clients.cloudwatch, blue, since, now)
    return read_past(clients.cloudwatch, blue, thresholds, since, now)


def _line(outcome: Outcome) -> str:
    rate = outcome.added_error_rate
    what = {0.0: "is as good as blue", 1.0: "fails every call"}.get(rate, f"fails {100 * rate:g} % more of its calls")
    after = outcome.median_until_harm
    told = "-" if after is None else f"{after.total_seconds() / 60:.0f} min"
    rolled_back, healthy = f"{outcome.rolled_back} of {outcome.rollouts}", f"{outcome.healthy} of {outcome.rollouts}"
    return f"{what:<34}{rolled_back:>16}{told:>18}{healthy:>18}"
