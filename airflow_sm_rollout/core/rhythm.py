"""How often a rollout in progress is looked at: often enough to be in time, and no oftener, since each look is calls of AWS."""

from __future__ import annotations

from airflow_sm_rollout.core.goals import Goal, GreenDeployed

EVERY = 30.0
"""Seconds between two looks, by default.

Figures of 10 s are final 10 s late, and an endpoint takes about 30 s to send calls by other weights. So a green that begins to fail every
call, whenever that is, has none left within 90 s.
"""
_LOOKS_LEFT_OUT = 4
_DUE, _OVERDUE = 10.0, 60.0


def next_look(goal: Goal, waited: float, expected: float, interval: float) -> float:
    """Seconds until the next look of somebody who waits for AWS.

    Around the time at which AWS is usually ready it is looked at oftener than each ``interval``, so that a long one does not make a rollout
    longer; but not for ever, since AWS may take its time. Before green has traffic there is no harm to see, and an endpoint that AWS
    changes takes no other change: it is left alone for the first half of the time that this takes.

    :param waited: seconds so far.
    :param expected: seconds that it was recorded to take; 0: nobody knows.
    """
    if isinstance(goal, GreenDeployed) and not waited and expected > interval:
        return max(interval, min(expected / 2, _LOOKS_LEFT_OUT * interval))
    if waited < expected:
        return min(interval, expected - waited)
    return min(interval, _DUE) if expected and waited < expected + _OVERDUE else interval
