"""A bake goes on where green looks worse than blue at its end, and nothing is proven yet: a share never rises after the first sign of harm.

So a green that is slow while it warms up, in a bake that is over before the warm-up is, keeps its share until it is as fast as blue, or
until its slowness counts and is proof. It is waited for no longer than new instances need to be warm, and a comparison to tell.
"""

from __future__ import annotations

from datetime import timedelta

from airflow_sm_rollout.core.comparison.comparison import Comparison, Finding
from airflow_sm_rollout.core.comparison.wording import describe_suspicion
from airflow_sm_rollout.core.watch.sources import needs_blues_figures
from airflow_sm_rollout.core.watch.watch import Watch


def describe_worse(watch: Watch, comparison: Comparison) -> str:
    """In what green looks worse than blue of late, as half a sentence; empty: in nothing, or it is no matter for this watch."""
    if comparison.verdict is Finding.HARM or watch.rollout is None or not watch.longest_hold:
        return ""
    return describe_suspicion(comparison) if needs_blues_figures(watch.rollout, watch.share) else ""


def describe_hold(watch: Watch, looks_worse: str, left: timedelta) -> str:
    """That a bake goes on though it is over, as half a sentence.

    :param looks_worse: see :func:`describe_worse`.
    :param left: how long at most.
    """
    share = "the share" if watch.share is None else f"green at {watch.share:g} %"
    return f"holding {share}: {looks_worse}. The bake goes on, for at most {int(left.total_seconds())} s"
