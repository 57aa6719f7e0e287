"""What a rollout's own alarms ring at."""

from __future__ import annotations

from dataclasses import dataclass

from airflow_sm_rollout.core.errors import PlanError

TIMES_BLUES = 3.0
"""What is up to so many times blue's share rings nothing."""
IN_A_ROW = 3
"""Bad periods until an alarm rings: fewer let bunches of retries ring it (``benchmarks/verdict``, a day of bunches of ten)."""


@dataclass(frozen=True, slots=True)
class AlarmDefaults:
    """The alarms that a rollout makes for green's variant, which ring at gross harm that is green's alone.

    One looks at calls that fail, the other at calls that are slow. Each rings after three periods in a row in which green had at least
    ``min_bad_requests`` such calls, and their share was more than so many percent above three times blue's. Blue's share is that of the
    same period, so what hits both rings nothing. Where blue has too few calls, it is what blue's worst minute was in the hours before.
    Smaller harm is left to the comparison, whose level is known; ``benchmarks/verdict`` measures both together.

    Failing calls are 4XX and 5XX together: on a recorded SageMaker canary a model that failed every call reached full traffic, because
    its errors were 4XX and the alarm watched 5XX only.

    :param max_error_percent: failing calls in percent of green's calls, above three times blue's percentage.
    :param min_requests: green's calls in a bake without which nobody can tell, and blue's in a period to know its share by.
    :param latency_factor: a call is slow that takes longer than so many times blue's p99 before the rollout.
    :param max_slow_percent: slow calls in percent of green's calls, above three times blue's percentage.
    :param min_bad_requests: failing, or slow, calls of green in a period below which it says nothing.
    """

    max_error_percent: float = 5.0
    min_requests: int = 20
    latency_factor: float = 2.0
    max_slow_percent: float = 5.0
    min_bad_requests: int = 20

    def __post_init__(self) -> None:
        for option in ("max_error_percent", "max_slow_percent"):
            if not 0 < getattr(self, option) < 100:
                raise PlanError(option, getattr(self, option), "a percentage above 0 and below 100")
        for option in ("min_requests", "min_bad_requests"):
            if getattr(self, option) < 1:
                raise PlanError(option, getattr(self, option), "1 or more")
        if self.latency_factor <= 1:
            raise PlanError("latency_factor", self.latency_factor, "above 1")
