"""Judges green at any moment of a watch: everything that watches it is put together here.

Harm that anything has proven ends it at once. At its end it is healthy only if everything that was to be watched had figures to the end,
green had enough calls, and nobody found harm; what nobody can tell is inconclusive, and the plan says what becomes of that.

Whoever asks how green does asks :func:`judge`: a bake, a question to a person, the Rollout tab. So they cannot disagree.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from airflow_sm_rollout.core.comparison.comparison import Comparison, Finding
from airflow_sm_rollout.core.comparison.routing import set_aside
from airflow_sm_rollout.core.control import Control, Wish
from airflow_sm_rollout.core.observation import Alarm
from airflow_sm_rollout.core.watch.drift import describe_drift, describe_end
from airflow_sm_rollout.core.watch.holding import describe_hold, describe_worse
from airflow_sm_rollout.core.watch.ledger import Ledger
from airflow_sm_rollout.core.watch.measured import MeasureJudge
from airflow_sm_rollout.core.watch.monitor import judge_schedule
from airflow_sm_rollout.core.watch.policy import judge_comparison
from airflow_sm_rollout.core.watch.readings import Readings
from airflow_sm_rollout.core.watch.ringing import describe_harm
from airflow_sm_rollout.core.watch.rows import Answer
from airflow_sm_rollout.core.watch.sources import needs_blues_figures, needs_greens_figures
from airflow_sm_rollout.core.watch.verdict import Judgement, Verdict
from airflow_sm_rollout.core.watch.watch import Watch

_ANSWERS_TAKE = timedelta(minutes=1)
"""Behind the end of a watch that is waited for sources which have not answered, or could not just now."""
_AGAINST = (Verdict.HARMFUL, Verdict.INCONCLUSIVE)
"""What a dry run only tells. What a person wishes, and what somebody else has changed, is heeded in it as ever."""


@dataclass(frozen=True, slots=True)
class Look:
    """What a look at green came to.

    :param comparison: of green with blue; ``None``: they were not compared.
    :param is_blind: whether what it is judged by could not be read.
    """

    judgement: Judgement
    comparison: Comparison | None = None
    is_blind: bool = False


@dataclass(frozen=True, slots=True)
class Signs:
    """What a look at a bake has found.

    :param alarms: the watched alarms, with flaps since green had traffic.
    :param requests: green's requests in this bake; ``None``: not read, which is enough before the end.
    :param control: what a person last wished of the rollout.
    :param judgements: of the comparison, the limits and what else watches.
    :param is_proven: whether the comparison has proven green healthy.
    :param misrouted: that clients don't follow the split, with what the comparison says all the same; empty: they do.
    :param is_suspect: whether it is harm that it says.
    :param ended: why the rollout goes forward no more; empty: it does, as far as is known.
    :param drift: what somebody else has changed under the watch.
    :param unread: what could not be read that the watch does without.
    :param blind_to: what the bake is too short for, as half a sentence; empty: nothing.
    :param awaited: which sources have not told all yet, as a sentence; empty: none.
    :param looks_worse: in what green looks worse than blue of late, which is reason enough to wait; empty: in nothing.
    :param gap: why the figures that it is judged by don't cover the bake so far (:mod:`~.coverage`); empty: they do.
    """

    alarms: Sequence[Alarm]
    requests: float | None = None
    control: Control | None = None
    judgements: Sequence[Judgement] = ()
    is_proven: bool = False
    misrouted: str = ""
    is_suspect: bool = False
    gap: str = ""
    ended: str = ""
    drift: str = ""
    unread: Sequence[str] = ()
    blind_to: str = ""
    awaited: str = ""
    looks_worse: str = ""


def judge(watch: Watch, readings: Readings, ledger: Ledger | None, now: datetime) -> Look:
    """Judge green by all that was seen of it so far.

    :param readings: the last look.
    :param ledger: what all looks together have seen of figures; ``None``: none are asked for, or green has had no traffic yet.
    """
    concluded = comparison = ledger.course.conclude() if ledger and ledger.course else None
    misrouted = ledger.routing.describe() if ledger and ledger.routing else ""
    if comparison is not None and misrouted:
        comparison = set_aside(comparison, misrouted)
    is_over = now >= watch.end(readings.control, now)
    is_proven = _is_proven(watch, ledger, comparison, now)
    requests = readings.requests
    if requests is not None and ledger is not None:
        requests += ledger.requests
    signs = Signs(
        alarms=readings.alarms,
        requests=requests,
        control=readings.control,
        judgements=(
            *_judge_evidence(watch, readings, ledger, comparison, is_over),
            *_judge_measures(readings, ledger),
        ),
        is_proven=is_proven,
        misrouted=comparison.sentence if comparison and misrouted else misrouted,
        is_suspect=bool(misrouted and concluded and concluded.verdict is Finding.HARM),
        gap=_describe_gap(watch, ledger) if watch.judges_evidence else "",
        ended=describe_end(watch.rollout, readings.scene) if watch.rollout and readings.scene else "",
        drift=describe_drift(watch, readings.scene) if readings.scene else "",
        unread=_unread(readings, ledger),
        awaited=_describe_awaited(readings, ledger),
        looks_worse=describe_worse(watch, comparison) if comparison else "",
        blind_to=_describe_blind(watch, ledger, now) if not is_proven else "",
    )
    return Look(conclude(watch, signs, now), comparison)


def _describe_blind(watch: Watch, ledger: Ledger | None, now: datetime) -> str:
    """What the bake is too short for: from its half time on, when there is still time to do something about it."""
    if ledger is None or now < watch.started_at + (watch.ends_at - watch.started_at) / 2:
        return ""
    return ledger.short_of_proof or ledger.blind_to


def _judge_evidence(
    watch: Watch, readings: Readings, ledger: Ledger | None, comparison: Comparison | None, is_over: bool
) -> Iterator[Judgement]:
    rollout = watch.rollout
    if rollout is None or ledger is None:
        return
    if comparison is not None:
        yield judge_comparison(comparison, rollout, watch.share)
    if ledger.errors is not None:
        yield ledger.errors.judge()
    if ledger.slow is not None:
        yield ledger.slow.judge(ledger.slow_calls.describe_gap())
    for kpi in ledger.kpis:
        yield kpi.judge(is_over=is_over)
    for schedule, executions in readings.executions.items():
        yield judge_schedule(schedule, executions, ledger.sources.since)


def _answered(readings: Readings, ledger: Ledger | None) -> list[tuple[MeasureJudge, Answer]]:
    """What is known by each measure, with its source's last answer."""
    answers = readings.figures.measures if readings.figures else ()
    return list(zip(ledger.measures if ledger else (), answers, strict=False))


def _judge_measures(readings: Readings, ledger: Ledger | None) -> Iterator[Judgement]:
    for measure, answer in _answered(readings, ledger):
        if answer.is_read_here:
            yield from measure.judge(answer.unknown)


def _unread(readings: Readings, ledger: Ledger | None) -> tuple[str, ...]:
    """What could not be read that the watch does without."""
    elsewhere = [measure.label for measure, answer in _answered(readings, ledger) if not answer.is_read_here]
    return (
        *readings.unread,
        *(f"{label}: read by tasks of Airflow alone, so not watched from here" for label in elsewhere),
    )


def _describe_awaited(readings: Readings, ledger: Ledger | None) -> str:
    """Which sources have not yet told all that they are to tell by now, as a sentence; empty: none."""
    awaited = [measure.label for measure, answer in _answered(readings, ledger) if answer.is_awaited]
    return f"waiting for the source of {', '.join(awaited)}" if awaited else ""


def _is_proven(watch: Watch, ledger: Ledger | None, comparison: Comparison | None, now: datetime) -> bool:
    """Whether green is proven healthy, and was watched for as long as the user wants, however short the bake is."""
    tolerances = watch.rollout.plan.evidence.tolerances if watch.rollout else None
    if tolerances is None or comparison is None or ledger is None or any(each.is_unproven for each in ledger.measures):
        return False
    return comparison.verdict is Finding.HEALTHY and now >= watch.started_at + tolerances.min_bake


def _describe_gap(watch: Watch, ledger: Ledger | None) -> str:
    rollout = watch.rollout
    if rollout is None:
        return ""
    if ledger is None:
        return "green has had no traffic yet" if rollout.plan.evidence.asks_for_figures else ""
    if not needs_greens_figures(rollout, watch.min_requests):
        return ""
    is_compared = needs_blues_figures(rollout, watch.share)
    by_latency = is_compared and rollout.thresholds is not None
    gap = ledger.green.describe_gap(by_latency=by_latency)
    return gap or (ledger.blue.describe_gap(by_latency=by_latency) if is_compared else "")


def conclude(watch: Watch, signs: Signs, now: datetime) -> Judgement:
    """Judge green at any moment of a bake."""
    judged = _conclude(watch, signs, now)
    wished = _judge_wish(signs) if signs.control else None
    if not watch.dry_run or judged.passes or judged.verdict not in _AGAINST:
        return judged
    if wished and wished.verdict is not Verdict.HEALTHY:
        return wished
    return only_told(judged, is_over=bool(wished) or now >= watch.end(signs.control, now))


def only_told(judged: Judgement, *, is_over: bool) -> Judgement:
    """What a dry run makes of a judgement that would end the rollout.

    :param is_over: whether the watch is over; it passes then.
    """
    told = f"dry run: {judged.reason.rstrip('.')}. Without dry_run the rollout would have gone back; nothing was done about it"
    return Judgement(judged.verdict, told, is_tolerated=True) if is_over else Judgement(Verdict.WATCHING, told)


def _conclude(watch: Watch, signs: Signs, now: datetime) -> Judgement:
    if signs.ended:
        return Judgement(Verdict.ABORTED, signs.ended)
    if signs.drift:
        return Judgement(Verdict.DRIFTED, signs.drift)
    harm = describe_harm(signs.alarms, watch.green_traffic_since or watch.started_at)
    if harm:
        return Judgement(Verdict.HARMFUL, harm)
    harmful = next((each for each in signs.judgements if each.verdict is Verdict.HARMFUL), None)
    wished = _judge_wish(signs) if signs.control else None
    return harmful or wished or _judge_suspect(watch, signs) or _judge_quiet(watch, signs, now)


def _judge_wish(signs: Signs) -> Judgement | None:
    control = signs.control
    if control is None:
        return None
    if control.wish is Wish.ABORT:
        return Judgement(Verdict.ABORTED, f"the rollout was {control.describe()}")
    if control.wish is Wish.PROMOTE:
        return Judgement(Verdict.HEALTHY, f"{_quiet(signs)} so far, and the rollout was {control.describe()}")
    if control.is_paused:
        return Judgement(Verdict.WATCHING, f"{_quiet(signs)}; the rollout was {control.describe()}, the share is held")
    return None


def _judge_suspect(watch: Watch, signs: Signs) -> Judgement | None:
    """Harm in calls that are other ones than blue's is not waited with, unless the plan goes on where nobody can tell."""
    if not signs.is_suspect or watch.when_inconclusive == "go_on":
        return None
    return _judge_doubt(watch, f"nobody can tell whether green is healthy: {signs.misrouted.rstrip('.')}")


def _judge_quiet(watch: Watch, signs: Signs, now: datetime) -> Judgement:
    end = watch.end(signs.control, now)
    doubt = _describe_doubt(watch, signs)
    if watch.ends_early and signs.is_proven and not doubt and not signs.looks_worse:
        return Judgement(Verdict.HEALTHY, _told(signs, f"{_quiet(signs)} so far{_counted(signs)}; the bake ends early"))
    left = _describe_left(watch, signs, now, end)
    if left:
        short_of = f"; {signs.blind_to}" if signs.blind_to else ""
        return Judgement(Verdict.WATCHING, _told(signs, f"{_quiet(signs)}, {left}{short_of}"))
    if not doubt:
        told = f"{_quiet(signs)} to the end of the bake{_counted(signs)}"
        short_of = "; ".join(filter(None, (signs.looks_worse, signs.blind_to, _describe_early(watch, signs))))
        if short_of:
            return Judgement(Verdict.UNPROVEN, _told(signs, f"{told}, but {short_of}"))
        return Judgement(Verdict.HEALTHY, _told(signs, told))
    if now < end + watch.extension:
        left = _seconds(end + watch.extension - now)
        told = f"nobody can tell yet whether green is healthy: {doubt}. The bake goes on, for at most {left}"
        return Judgement(Verdict.WATCHING, told)
    return _judge_doubt(watch, f"nobody can tell whether green is healthy: {doubt}")


def _describe_left(watch: Watch, signs: Signs, now: datetime, end: datetime) -> str:
    """What the bake waits for; empty: it is over."""
    if now < end:
        return f"{_seconds(end - now)} of the bake left"
    if signs.looks_worse and now < end + watch.longest_hold:
        return describe_hold(watch, signs.looks_worse, end + watch.longest_hold - now)
    return signs.awaited if now < end + _ANSWERS_TAKE else ""


def _judge_doubt(watch: Watch, told: str) -> Judgement:
    if watch.when_inconclusive == "go_on":
        going_on = f'{told}. The plan goes on all the same (when_inconclusive="go_on")'
        return Judgement(Verdict.INCONCLUSIVE, going_on, is_tolerated=True)
    if watch.when_inconclusive != "ask":
        return Judgement(Verdict.INCONCLUSIVE, told)
    if watch.asked_in:
        return Judgement(Verdict.INCONCLUSIVE, f"{told}. Task {watch.asked_in} asks a person", is_tolerated=True)
    unasked = 'The plan asks a person (when_inconclusive="ask"), but no AskOperator is all that follows this task'
    return Judgement(Verdict.INCONCLUSIVE, f"{told}. {unasked}")


def _describe_early(watch: Watch, signs: Signs) -> str:
    """Which of the rollout's own alarms could not tell yet, in a bake that is shorter than they take; empty: none.

    What they ring at the comparison sees too, and sooner: green is not taken back because of them where it is compared.
    """
    rollout = watch.rollout
    if rollout is None or not watch.judges_evidence or not needs_blues_figures(rollout, watch.share):
        return ""
    if watch.ends_at - watch.started_at >= rollout.metrics_take:
        return ""
    early = [alarm for alarm in signs.alarms if alarm.name in rollout.own_alarms and _had_too_little(alarm)]
    return f"{_names(early)} had too little data to tell, and takes {_seconds(rollout.metrics_take)}" if early else ""


def _had_too_little(alarm: Alarm) -> bool:
    return alarm.state == "INSUFFICIENT_DATA"


def _describe_doubt(watch: Watch, signs: Signs) -> str:
    """Why nobody can tell, or nothing."""
    early = watch.rollout.own_alarms if watch.rollout and _describe_early(watch, signs) else ()
    blind = [alarm for alarm in signs.alarms if _had_too_little(alarm) and alarm.name not in early]
    if blind:
        return f"{_names(blind)} had too little data to tell: {blind[0].reason}"
    if signs.gap or signs.misrouted:
        return signs.gap or signs.misrouted.rstrip(".")
    if signs.requests is not None and signs.requests < watch.min_requests:
        few = f"green had {signs.requests:,.0f} requests in this bake, at least {watch.min_requests:,} were needed (min_requests)"
        return few + ("" if signs.requests else _why_none(watch))
    unsure = [each.reason for each in signs.judgements if each.verdict is Verdict.INCONCLUSIVE]
    if not unsure and watch.when_inconclusive == "ask":
        return signs.looks_worse
    return unsure[0].rstrip(".") if unsure else ""


def _why_none(watch: Watch) -> str:
    """What is usual behind a green that nobody calls."""
    why = watch.rollout.traffic.why_no_requests(watch.rollout) if watch.rollout else ""
    return f". {why}" if why else ""


def _told(signs: Signs, quiet: str) -> str:
    gap = [signs.gap] if signs.gap else []
    said = (quiet, *gap, *(each.reason for each in signs.judgements), *signs.unread)
    return "; ".join(part.rstrip(".") for part in said)


def _quiet(signs: Signs) -> str:
    return f"{_names(signs.alarms)} quiet" if signs.alarms else "no harm seen (no alarm is watched)"


def _names(alarms: Sequence[Alarm]) -> str:
    return f"alarm{'s' if len(alarms) > 1 else ''} {', '.join(alarm.name for alarm in alarms)}"


def _counted(signs: Signs) -> str:
    return f", {signs.requests:,.0f} requests" if signs.requests is not None else ""


def _seconds(duration: timedelta) -> str:
    return f"{int(duration.total_seconds())} s"
