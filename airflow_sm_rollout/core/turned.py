"""Of two who write a rollout's record at the same moment, whose word stays: whoever has turned the rollout first has turned it for good."""

from __future__ import annotations

from airflow_sm_rollout.core.rollout import Phase, Rollout


def outlasts(before: Rollout, written: Rollout, turned_from: Phase | None = None) -> bool:
    """Whether a record must not be followed by the one that was written over it: it is another rollout's, or has been turned for good by
    somebody whom the writer has not seen.

    :param turned_from: the phase that the writer knew and has turned from.
    """
    if before.rollout_id != written.rollout_id:
        return True
    if before.phase is turned_from:
        return False
    is_for_good = before.phase is Phase.ROLLING_BACK or before.is_promoted_for_good
    return is_for_good and before.phase is not written.phase
