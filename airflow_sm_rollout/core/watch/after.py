"""The watch after a promotion: what was to be watched, hour by hour, and what its looks come to.

Blue serves nobody then, so nothing can be compared with it. Green is held to what the plan limits, and to what blue failed before.

An hour at a time is judged, each for itself: in the sum of a day, harm of the last hour would be a small share. A longer period of a KPI
makes these rounds longer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from airflow_sm_rollout.core.observation import Alarm
from airflow_sm_rollout.core.orphans import describe_age
from airflow_sm_rollout.core.plan.alarms import TIMES_BLUES
from airflow_sm_rollout.core.plan.limits import Limits
from airflow_sm_rollout.core.record import from_json, to_json
from airflow_sm_rollout.core.rollout import Rollout
from airflow_sm_rollout.core.undo import Kept, Undone
from airflow_sm_rollout.core.watch.ringing import describe_harm
from airflow_sm_rollout.core.watch.verdict import Judgement, Verdict
from airflow_sm_rollout.core.watch.watch import Watch

_HOUR = timedelta(hours=1)
_PERIODS = 6  # of a figure at least in a round: three in a row are harm, wherever the round cuts them


@dataclass(frozen=True, slots=True)
class After:
    """What is watched after a promotion, and until when.

    :param rollout: as it was promoted.
    :param since: when it was; what an alarm said before is not about green alone.
    :param alarms: names of the alarms.
    :param is_beside_blue: whether blue is kept warm meanwhile, and something is to be done at the end.
    """

    rollout: Rollout
    since: datetime
    until: datetime
    alarms: tuple[str, ...]
    is_beside_blue: bool = False

    @property
    def watches_anything(self) -> bool:
        """Whether there is anything to find harm by."""
        evidence = _judged_after(self.rollout).plan.evidence
        return bool(self.alarms) or evidence.asks_for_figures


def plan_after(kept: Kept, duration: timedelta, alarms: Sequence[str] = ()) -> After:
    """What to watch of a promoted rollout: the user's alarms by its plan, and further ones. The rollout's own went with it."""
    named = tuple(dict.fromkeys((*kept.rollout.plan.alarms, *alarms)))
    return After(kept.rollout, kept.at, kept.at + duration, named)


def plan_beside_blue(record: Rollout, duration: timedelta, alarms: Sequence[str] = ()) -> After | None:
    """What to watch as long as blue is kept warm, the rollout's own alarms among it; ``None``: it is not."""
    if record.blue_until is None or record.promoted_at is None:
        return None
    named = tuple(dict.fromkeys((*record.watched_alarms, *alarms)))
    until = min(record.blue_until, record.promoted_at + duration)
    return After(record, record.promoted_at, until, named, is_beside_blue=True)


def after_to_dict(after: After) -> dict[str, Any]:
    """It as JSON."""
    moments = {"since": after.since.isoformat(), "until": after.until.isoformat()}
    stored = {"rollout": to_json(after.rollout), "alarms": list(after.alarms), **moments}
    return {**stored, "is_beside_blue": after.is_beside_blue}


def after_from_dict(stored: Mapping[str, Any]) -> After:
    """It from its JSON.

    :raises RolloutError: if another version has written the rollout, which this one can't read.
    :raises KeyError: if something is not there.
    """
    since, until = (datetime.fromisoformat(stored[name]) for name in ("since", "until"))
    rollout, is_beside = from_json(stored["rollout"]), bool(stored.get("is_beside_blue"))
    return After(rollout, since, until, tuple(stored["alarms"]), is_beside)


def round_at(after: After, moment: datetime) -> Watch:
    """The round that a moment is in, as a watch.

    Which one that is follows from the time, so that who begins anew, after a restart, goes on in the same.
    """
    length = _length(after.rollout)
    number = max(0, (min(moment, after.until) - after.since) // length)
    begins = after.since + number * length
    if begins == after.until and number:
        begins -= length
    rollout = replace(_judged_after(after.rollout), green_traffic_since=begins)
    return Watch(
        started_at=begins,
        ends_at=min(begins + length, after.until),
        green_traffic_since=after.since,
        min_requests=0,
        alarms=after.alarms,
        rollout=rollout,
        judges_evidence=rollout.plan.evidence.asks_for_figures,
        share=100.0,
    )


def _length(rollout: Rollout) -> timedelta:
    evidence = rollout.plan.evidence
    periods = [kpi.period_seconds for kpi in evidence.limits.kpis]
    periods += [measure.period_seconds for measure in evidence.measures]
    return max(_HOUR, _PERIODS * timedelta(seconds=max(periods, default=0)))


def _judged_after(rollout: Rollout) -> Rollout:
    """The rollout with what of its plan can be judged without a blue beside green. Its endpoint publishes as it did before."""
    evidence, limits = rollout.plan.evidence, rollout.plan.evidence.limits
    kept = Limits(
        max_error_rate=limits.max_error_rate or _usual_errors(rollout),
        max_p99_ms=limits.max_p99_ms,
        kpis=tuple(kpi for kpi in limits.kpis if not kpi.relative_to_blue),
    )
    measures = tuple(replace(each, compared=False) for each in evidence.measures if each.at_most is not None)
    judged = replace(
        evidence,
        tolerances=None,
        limits=kept,
        measures=measures,
        require_proof=False,
        end_early=False,
        metric_seconds=None,
        when_inconclusive="fail",
    )
    return replace(rollout, plan=replace(rollout.plan, evidence=judged), shadow_since=None, instances_since={})


def _usual_errors(rollout: Rollout) -> float | None:
    """What the rollout's own alarm on errors rang at, by blue's worst minute before: it is deleted by now."""
    defaults = rollout.plan.default_alarms
    share = defaults.max_error_percent / 100 + TIMES_BLUES * rollout.worst_errors if defaults else 1.0
    return share if share < 1 else None


def why_over(after: After, record: Rollout | None, previous: Kept | Undone | None) -> Judgement | None:
    """Why this green is not watched any more; ``None``: it is.

    :param record: the rollout that holds the endpoint now.
    :param previous: what there is of the one that was promoted last.
    """
    rollout_id, name = after.rollout.rollout_id, after.rollout.endpoint_name
    if record is not None and record.rollout_id != rollout_id:
        told = (
            f"{record.describe_owner()} has begun on endpoint {name}, and what harms from then on may be another green"
        )
        return Judgement(Verdict.HEALTHY, f"no harm was found until then: {told}")
    if record is not None:  # blue is kept warm, or served again
        return Judgement(Verdict.ABORTED, f"rollout {rollout_id} is being undone") if record.undoes else None
    if previous is None:
        gone = f"what was kept of rollout {rollout_id} is gone (deleted?), so nothing could be undone any more"
        return Judgement(Verdict.INCONCLUSIVE, gone)
    if isinstance(previous, Undone) and previous.rollout_id == rollout_id:
        return Judgement(Verdict.ABORTED, previous.describe())
    if isinstance(previous, Kept) and previous.rollout.rollout_id == rollout_id:
        return None
    return Judgement(Verdict.HEALTHY, f"no harm was found until another rollout of endpoint {name} was promoted")


def split_mute(after: After, alarms: Sequence[Alarm]) -> tuple[tuple[Alarm, ...], str]:
    """Those alarms that can tell anything of green, and why others can't; empty: all can.

    One that is gone, or rings since before the promotion, speaks neither for nor against green: that undoes no promotion.
    """
    mute = [each for each in alarms if _is_mute(after, each)]
    return tuple(each for each in alarms if each not in mute), describe_harm(mute, after.since)


def _is_mute(after: After, alarm: Alarm) -> bool:
    is_old = alarm.since is None or alarm.since < after.since
    return alarm.state == "MISSING" or (alarm.state == "ALARM" and is_old)


def describe_watching(after: After, judged: Judgement, mute: str, now: datetime) -> Judgement:
    """What a look comes to that has found nothing.

    :param judged: what the round's figures and alarms say.
    :param mute: why some alarms can't tell.
    """
    left = describe_age(max(after.until - now, timedelta()))
    said = "; ".join(each.rstrip(".") for each in (mute, judged.reason) if each)
    return Judgement(Verdict.WATCHING, f"promoted, and watched for {left} more, one round after another: {said}")


def conclude_after(after: After, judged: Judgement, unknown: Sequence[str], rounds: int) -> Judgement:
    """What the whole watch comes to, at whose end no harm was found.

    :param judged: the last round.
    :param unknown: why nobody could tell, for each round that ended so, of so many ``rounds``.
    """
    length, whole = describe_age(_length(after.rollout)), describe_age(after.until - after.since)
    if not unknown:
        return Judgement(Verdict.HEALTHY, f"no harm was found in {whole} after the promotion; lastly: {judged.reason}")
    told = (
        f"in {len(unknown)} of {rounds} rounds of {length} after the promotion nobody could tell, lastly: {unknown[-1]}"
    )
    return Judgement(Verdict.INCONCLUSIVE, told, is_tolerated=len(unknown) < rounds)
