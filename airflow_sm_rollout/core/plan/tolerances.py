"""What the user tolerates of green, and how sure the comparison must be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import timedelta
from typing import Any

from airflow_sm_rollout.core.errors import PlanError
from airflow_sm_rollout.core.plan.options import meant, parse_mapping

METRICS = ("errors_5xx", "errors_4xx", "over_p50", "over_p95", "over_p99", "over_twice_p99")
"""What is compared, by the names of the counts of a :class:`~airflow_sm_rollout.core.comparison.periods.Sample`."""


@dataclass(frozen=True, slots=True)
class Margin:
    """How much worse than blue green may be in one metric.

    Green is *harmful* when its rate is proven to be above ``ratio`` times blue's and above blue's plus ``points``. It is *healthy* when its
    rate is proven to be below ``healthy_ratio`` times blue's plus ``healthy_points``, which is more. With few calls, of which a difference
    within the margin could not be seen anyway, the margin is not used up: what is proven then is that green is worse than blue at all.

    :param ratio: of green's rate to blue's, 1 or more.
    :param points: difference of the rates as a share of the calls, 0.001 being 0.1 percentage points.
    :param healthy_ratio: ``ratio`` or more.
    :param healthy_points: ``points`` or more.
    """

    ratio: float
    points: float
    healthy_ratio: float
    healthy_points: float


@dataclass(frozen=True, slots=True)
class Tolerances:
    """The options of the comparison. The defaults are meant to need no thought.

    :param false_rollback: how probable it may be, over a whole rollout, to call a green harmful that is not worse than tolerated.
    :param false_pass: how probable it may be to call a green healthy that is, in some metric, worse than its healthy line.
    :param warm_up_minutes: how slow green is in its first minutes with traffic, and in the first ones of instances that it gets later, is
        not held against it; calls that fail are.
    :param min_bake_minutes: green is not called healthy before it has had traffic for so long, or for nearly all of a shorter bake.
    :param errors_5xx: the margin of calls that failed with a 5XX status.
    :param errors_4xx: the margin of calls that failed with a 4XX status.
    :param over_p50: the margin of calls slower than blue's median. One that is 2.5 % slower in all has 0.02 more of them.
    :param over_p95: the margin of calls slower than blue's 95th percentile.
    :param over_p99: the margin of calls slower than blue's 99th percentile.
    :param over_twice_p99: the margin of calls slower than twice that: a few calls that hang.
    :raises PlanError: naming the option and the value.
    """

    false_rollback: float = 0.01
    false_pass: float = 0.05
    warm_up_minutes: float = 5.0
    min_bake_minutes: float = 10.0
    errors_5xx: Margin = Margin(1.1, 0.0005, 1.5, 0.003)
    errors_4xx: Margin = Margin(1.2, 0.002, 2.0, 0.02)
    over_p50: Margin = Margin(1.0, 0.02, 1.0, 0.08)
    over_p95: Margin = Margin(1.1, 0.0, 1.5, 0.01)
    over_p99: Margin = Margin(1.15, 0.0, 1.75, 0.005)
    over_twice_p99: Margin = Margin(1.5, 0.0005, 2.0, 0.003)

    def __post_init__(self) -> None:
        _require("false_rollback", self.false_rollback, 1e-6, 0.2)
        _require("false_pass", self.false_pass, 1e-6, 0.5)
        _require("warm_up_minutes", self.warm_up_minutes, 0, 24 * 60)
        _require("min_bake_minutes", self.min_bake_minutes, 0, 24 * 60)
        for metric in METRICS:
            _validate_margin(metric, self.margin(metric))

    @property
    def warm_up(self) -> timedelta:
        """How slow green is in this time from its first call on, or with new instances, is not held against it."""
        return timedelta(minutes=self.warm_up_minutes)

    @property
    def min_bake(self) -> timedelta:
        """Green is not called healthy before it has had traffic for so long."""
        return timedelta(minutes=self.min_bake_minutes)

    def margin(self, metric: str) -> Margin:
        """The margin of a metric.

        :param metric: one of :data:`METRICS`.
        """
        margin: Margin = getattr(self, metric)
        return margin

    def as_dict(self) -> dict[str, Any]:
        """Everything as JSON takes it."""
        return asdict(self)

    @classmethod
    def from_dict(cls, options: Mapping[str, Any]) -> Tolerances:
        """Read what :meth:`as_dict` wrote, or what a user wrote in a plan; what is left out is the default.

        :raises PlanError: naming an option that does not exist, or has a value that is not possible.
        """
        known = {field.name for field in fields(cls)}
        given = parse_mapping(
            "tolerances", options, f"a Tolerances, or a mapping of some of {', '.join(sorted(known))}"
        )
        for option, value in given.items():
            if option not in known:
                raise PlanError(
                    option, value, f"no tolerance, which are {', '.join(sorted(known))}{meant(option, known)}"
                )
            if option in METRICS:
                given[option] = _read_margin(option, value, getattr(DEFAULTS, option))
        return cls(**given)


def _read_margin(metric: str, value: Any, default: Margin) -> Margin:
    known = {field.name for field in fields(Margin)}
    if not isinstance(value, Mapping) or not set(value) <= known:
        raise PlanError(metric, value, f"some of {', '.join(sorted(known))}")
    return Margin(**{**asdict(default), **value})


def _validate_margin(metric: str, margin: Margin) -> None:
    if not isinstance(margin, Margin):
        raise PlanError(metric, margin, "a Margin")
    _require(f"{metric}.ratio", margin.ratio, 1, 1000)
    _require(f"{metric}.points", margin.points, 0, 1)
    _require(f"{metric}.healthy_ratio", margin.healthy_ratio, margin.ratio, 1000)
    _require(f"{metric}.healthy_points", margin.healthy_points, margin.points, 1)


def _require(option: str, value: Any, least: float, most: float) -> None:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not is_number or not least <= value <= most:
        raise PlanError(option, value, f"a number from {least:g} to {most:g}")


DEFAULTS = Tolerances()
"""What is meant where nothing is said."""
