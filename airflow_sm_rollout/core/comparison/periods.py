"""What blue and green did, period by period: the only thing the comparison looks at."""

from __future__ import annotations

from dataclasses import astuple, dataclass
from datetime import datetime, timedelta
from typing import Any


@dataclass(frozen=True, slots=True)
class Sample:
    """What one variant did in one period, as counts. A call belongs to the period of its request.

    :param requests: calls, failed ones included.
    :param errors_5xx: calls answered with a 5XX status.
    :param errors_4xx: calls answered with a 4XX status.
    :param over_p50: calls slower than blue's median; ``None``: not known. This and the next two thresholds are blue's own, fixed
        before the bake from its baseline.
    :param over_p95: calls slower than blue's 95th percentile.
    :param over_p99: calls slower than blue's 99th percentile.
    :param over_twice_p99: calls slower than twice that.
    """

    requests: int
    errors_5xx: int
    errors_4xx: int
    over_p50: int | None = None
    over_p95: int | None = None
    over_p99: int | None = None
    over_twice_p99: int | None = None

    def __add__(self, other: Sample) -> Sample:
        """Both periods' counts; what is not known of a period with calls is not known of both."""
        if not self.requests or not other.requests:
            return self if self.requests else other
        counts: list[Any] = [
            None if None in pair else sum(pair) for pair in zip(astuple(self), astuple(other), strict=True)
        ]
        return Sample(*counts)


@dataclass(frozen=True, slots=True)
class Period:
    """A period of which the figures are final.

    :param start: when it began.
    :param seconds: its length, such as 60, or 10 with enhanced metrics.
    :param blue: what blue did; ``None``: there are no figures, which is not the same as no calls.
    :param green: what green did.
    """

    start: datetime
    seconds: int
    blue: Sample | None
    green: Sample | None

    def __add__(self, later: Period) -> Period:
        """Both as one that is as long as the two together."""
        blue = self.blue + later.blue if self.blue and later.blue else None
        green = self.green + later.green if self.green and later.green else None
        return Period(self.start, self.seconds + later.seconds, blue, green)

    @property
    def end(self) -> datetime:
        """When it was over."""
        return self.start + timedelta(seconds=self.seconds)
