"""What a rollout's own alarms ring at."""

from __future__ import annotations

import math
from dataclasses import dataclass

from airflow_sm_rollout.core.errors import PlanError
from airflow_sm_rollout.core.plan.options import Fitting, meant, parse_mapping, set_numbers

TIMES_BLUES = 3.0
"""What is up to so many times blue's share rings nothing."""
IN_A_ROW = 3
"""Bad periods until an alarm rings: fewer let bunches of retries ring it (``benchmarks/verdict``, a day of bunches of ten)."""


_PERCENT = (lambda percent: 0 < percent < 100, "a percentage above 0 and below 100")
_COUNT = (lambda count: 1 <= count < math.inf, "1 or more")
_FITTING: Fitting = {
    "max_error_percent": _PERCENT,
    "min_requests": _COUNT,
    "latency_factor": (lambda factor: 1 < factor < math.inf, "above 1"),
    "max_slow_percent": _PERCENT,
    "min_bad_requests": _COUNT,
    "max_wait_seconds": (lambda seconds: 0 < seconds < math.inf, "a number of seconds above 0"),
}


@dataclass(frozen=True, slots=True)
class AlarmDefaults:
    """The alarms that a rollout makes for green's variant, which ring at gross harm that is green's alone.

    One looks at calls that fail, another at calls that are slow. Each rings after three periods in a row in which green had at least
    ``min_bad_requests`` such calls, and their share was more than so many percent above three times blue's. Blue's share is that of the
    same period, so what hits both rings nothing. Where blue has too few calls, it is what blue's worst minute was in the hours before.
    Smaller harm is left to the comparison, whose level is known; ``benchmarks/verdict`` measures both together.

    A third one is for asynchronous endpoints: it rings where requests wait in green's queue, which may answer none of them.

    Failing calls are 4XX and 5XX together: on a recorded SageMaker canary a model that failed every call reached full traffic, because
    its errors were 4XX and the alarm watched 5XX only.

    :param max_error_percent: failing calls in percent of green's calls, above three times blue's percentage.
    :param min_requests: green's calls in a bake without which nobody can tell, and blue's in a period to know its share by.
    :param latency_factor: a call is slow that takes longer than so many times blue's p99 before the rollout.
    :param max_slow_percent: slow calls in percent of green's calls, above three times blue's percentage.
    :param min_bad_requests: failing, or slow, calls of green in a period below which it says nothing.
    :param max_wait_seconds: of an asynchronous endpoint, how much longer green's oldest request may wait than three times blue's.
    """

    max_error_percent: float = 5.0
    min_requests: int = 20
    latency_factor: float = 2.0
    max_slow_percent: float = 5.0
    min_bad_requests: int = 20
    max_wait_seconds: float = 300.0

    def __post_init__(self) -> None:
        set_numbers(self, _FITTING, counts=("min_requests", "min_bad_requests"))


def parse_alarm_defaults(value: object) -> AlarmDefaults | None:
    """The option ``default_alarms``: as such, some of its members, or none.

    :raises PlanError: for anything else.
    """
    if value is None or value is False:
        return None
    if isinstance(value, AlarmDefaults):
        return value
    allowed = f"an AlarmDefaults, a mapping of some of {', '.join(_FITTING)}, or None"
    given = parse_mapping("default_alarms", value, allowed)
    for name in given.keys() - _FITTING.keys():
        raise PlanError("default_alarms", value, allowed + meant(name, _FITTING))
    return AlarmDefaults(**given)
