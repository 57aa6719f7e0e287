"""What blue and green did, period by period: the only thing the comparison looks at."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta


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
    """

    requests: int
    errors_5xx: int
    errors_4xx: int
    over_p50: int | None = None
    over_p95: int | None = None
    over_p99: int | None = None


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

    @property
    def end(self) -> datetime:
        """When it was over."""
        return self.start + timedelta(seconds=self.seconds)
