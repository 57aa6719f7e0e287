"""Which figures a rollout is judged by: whose, since when, in which periods, and which of them are final."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from airflow_sm_rollout.core.plan.evidence import Thresholds
from airflow_sm_rollout.core.rollout import Rollout

BASELINE = timedelta(hours=3)
THRESHOLDS_FROM = timedelta(hours=1)
_MINUTE = 60
FINE_KEPT = timedelta(hours=3)
"""CloudWatch keeps points of less than a minute so long; what is older is there by the minute only (GetMetricData, StartTime)."""
_IN_TIME = timedelta(minutes=15)
"""So much earlier minutes are asked for, lest a look that takes its time finds nothing."""


@dataclass(frozen=True, slots=True)
class Sources:
    """Where to read what blue and green did.

    :param blue: CloudWatch dimensions of blue's metrics.
    :param green: of green's.
    :param thresholds: latencies to count calls above; ``None``: blue had no traffic to take them from.
    :param since: start of the first period.
    :param seconds: length of a period.
    :param is_queued: whether both answer from a queue, which is counted otherwise.
    """

    blue: Mapping[str, str]
    green: Mapping[str, str]
    thresholds: Thresholds | None
    since: datetime
    seconds: int
    is_queued: bool = False


def sources_of(rollout: Rollout, now: datetime) -> Sources | None:
    """What is to be read about a rollout at a moment; ``None``: green has had no traffic yet."""
    since = judged_since(rollout)
    if since is None:
        return None
    seconds, green = kept_seconds(figures_every(rollout), now - since), judged_dimensions(rollout)
    is_queued = rollout.blue.is_asynchronous
    return Sources(rollout.blue_dimensions, green, rollout.thresholds, floor(since, seconds), seconds, is_queued)


def is_shadow(rollout: Rollout) -> bool:
    """Whether all that green has had so far are copies of requests."""
    return rollout.shadow_since is not None and rollout.green_traffic_since is None


def judged_since(rollout: Rollout) -> datetime | None:
    """Since when green has had traffic, or copies of it; a green that was a shadow is a new one, as its instances are."""
    return rollout.green_traffic_since or rollout.shadow_since


def judged_dimensions(rollout: Rollout) -> Mapping[str, str]:
    """The CloudWatch dimensions of what green does now."""
    shadow = {"EndpointName": rollout.endpoint_name, "VariantName": rollout.names.shadow}
    return shadow if is_shadow(rollout) else rollout.green_dimensions


def judged_alarms(rollout: Rollout) -> tuple[str, ...]:
    """The alarms to watch: a shadow has none of the rollout's own."""
    return rollout.plan.alarms if is_shadow(rollout) else rollout.watched_alarms


def needs_greens_figures(rollout: Rollout, min_requests: int) -> bool:
    """Whether a bake is judged by what SageMaker publishes of green's calls; where alarms of the user's alone watch, it is not.

    :param min_requests: see :class:`~airflow_sm_rollout.core.watch.watch.Watch`.
    """
    plan = rollout.plan.evidence
    limits = (plan.limits.max_error_rate, plan.limits.max_p99_ms)
    return min_requests > 0 or plan.tolerances is not None or any(limit is not None for limit in limits)


def needs_blues_figures(rollout: Rollout, share: float | None) -> bool:
    """Whether green is compared in a bake with a blue that serves beside it.

    :param share: green's share as planned, in percent; ``None``: not known.
    """
    is_beside = share is None or share < 100
    return rollout.plan.evidence.tolerances is not None and (is_shadow(rollout) or is_beside)


def figures_every(rollout: Rollout) -> int:
    """How often, in seconds, there are figures to compare: both variants' must be there in each period. On one endpoint they come as the
    mixed config says; blue's own endpoint keeps its config.
    """
    seconds, wanted = rollout.metric_period_seconds, rollout.plan.evidence.metric_seconds
    if wanted is not None and rollout.traffic.has_one_config:
        seconds = min(seconds, wanted)
    return seconds


def kept_seconds(seconds: int, age: timedelta) -> int:
    """The length of periods to ask for, of a figure that is published every so many seconds.

    CloudWatch returns nothing at all where periods of less than a minute are asked for and the first of them is too old (GetMetricData,
    StartTime).

    :param age: how long ago the first of them began.
    """
    return seconds if age < FINE_KEPT - _IN_TIME else max(seconds, _MINUTE)


def final_until(now: datetime, seconds: int) -> datetime:
    """Until when figures are final: a period's are as long after its end as it is long itself.

    Recorded on AWS for minutes: a period that ended 33 s ago still lacked a tenth to a third of its calls, at 60 s it was complete
    (docs/facts-aws.md#metrics). There is no record for shorter periods; that they follow in proportion is an assumption.
    """
    return floor(now - timedelta(seconds=seconds), seconds)


def floor(moment: datetime, seconds: int) -> datetime:
    """The start of the period that a moment is in; CloudWatch's periods are counted from the epoch."""
    return datetime.fromtimestamp(moment.timestamp() // seconds * seconds, timezone.utc)
