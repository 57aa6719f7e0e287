"""Looks at green: reads what a watch asks for, as one value, and has it judged."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from airflow_sm_rollout.aws import verdict_alarm
from airflow_sm_rollout.aws.clients import Clients
from airflow_sm_rollout.aws.clock import MACHINE
from airflow_sm_rollout.aws.cloudwatch import read_alarms
from airflow_sm_rollout.aws.errors import AWS_ERRORS, describe
from airflow_sm_rollout.aws.evidence import read_baseline, read_periods
from airflow_sm_rollout.aws.guardian import SIGNS
from airflow_sm_rollout.aws.limits import read_calls, read_executions, read_kpi, read_slow
from airflow_sm_rollout.aws.measures import read_measure
from airflow_sm_rollout.aws.metrics import count_requests
from airflow_sm_rollout.aws.parameters import read_parameters
from airflow_sm_rollout.aws.scene import Seen, read_scene
from airflow_sm_rollout.aws.world import AwsWorld, translated_errors
from airflow_sm_rollout.core.advance import Passing
from airflow_sm_rollout.core.comparison.periods import Period
from airflow_sm_rollout.core.control import Control
from airflow_sm_rollout.core.converge import decide
from airflow_sm_rollout.core.errors import RolloutGaveUp
from airflow_sm_rollout.core.goals import AsBefore, Decision, Done, GiveUp, Goal
from airflow_sm_rollout.core.observation import Alarm
from airflow_sm_rollout.core.plan.limits import Limits
from airflow_sm_rollout.core.rollout import Phase, Rollout
from airflow_sm_rollout.core.watch.coverage import with_idle
from airflow_sm_rollout.core.watch.judge import Look, judge, only_told
from airflow_sm_rollout.core.watch.ledger import Ledger, fold
from airflow_sm_rollout.core.watch.policy import judged_limits, judged_measures
from airflow_sm_rollout.core.watch.readings import NewFigures, Readings, Scene
from airflow_sm_rollout.core.watch.sources import (
    Sources,
    judged_dimensions,
    judged_since,
    kept_seconds,
    needs_greens_figures,
    sources_of,
)
from airflow_sm_rollout.core.watch.verdict import Judgement, Verdict
from airflow_sm_rollout.core.watch.watch import Watch, watch_question

TURNING = (Verdict.HARMFUL, Verdict.ABORTED, Verdict.DRIFTED)
"""What turns a rollout around wherever it is seen."""
_log = logging.getLogger(__name__)
_PATIENCE = timedelta(minutes=1)  # a watch is longer by this rather than that a throttled last look costs a rollout


@dataclass(slots=True)
class Memory:
    """What is kept from look to look; all of it could be read again.

    :param ledger: what was seen of figures.
    :param control: what was wished at the last look.
    :param ends_at: when the watch is over, with the pauses up to the last look; what counts where nothing can be read.
    :param seen_at: when a look last came to something: a watch that goes on behind its end is no shorter by one that fails.
    """

    ledger: Ledger | None = None
    control: Control | None = None
    ends_at: datetime | None = None
    seen_at: datetime | None = None


class Lookout:
    """Watches green while its rollout waits for something else: an endpoint that changes, or the end of a pause.

    :ivar world: the rollout's; another one, as soon as its clients are no longer good.
    """

    def __init__(self, world: AwsWorld) -> None:
        self.world = world
        self._watch: Watch | None = None
        self._memory = Memory()
        self._seen: Seen | None = None

    def why_turn(self) -> str:
        """Why the rollout has to turn around; empty: nothing that could be read speaks against green, or green is not to be judged."""
        if self._watch is None:
            return ""
        seen, self._seen = self._seen, None
        looked = look(self.world.clients, self._watch, self.world.now(), self._memory, seen=seen)
        turns = looked.judgement.verdict in TURNING and not looked.judgement.passes
        if turns or not looked.is_blind:
            self._tell_sagemaker(is_harmful=turns)
        return looked.judgement.reason if turns else ""

    def _tell_sagemaker(self, *, is_harmful: bool) -> None:
        """Where it shifts the traffic, it obeys an alarm on this. What can't be published it takes for nobody who judges, in a while."""
        record = self.world.record
        if record is None or record.green_traffic_since is None or not record.verdict_alarms:
            return
        try:
            verdict_alarm.tell(self.world.clients.cloudwatch, record, self.world.now(), is_harmful=is_harmful)
        except AWS_ERRORS as error:
            _log.warning("SageMaker's alarm %s was told nothing: %s", record.names.verdict_alarm, describe(error))

    def heed(self) -> None:
        """One look, right behind one of the world's.

        :raises RolloutGaveUp: if the rollout has to turn around.
        """
        self.see(self.world.record)
        harm = self.why_turn()
        if harm:
            raise RolloutGaveUp(harm)

    def look_for(self, goal: Goal) -> tuple[Decision, str]:
        """One look of somebody who waits for a goal: what is to be done, and why to turn around. What was read for one is not read again
        for the other.

        :raises Passing: if nobody can tell just now what is to be done; then ask :meth:`why_turn` alone.
        :raises RolloutError: as for the world's look.
        """
        seen = self.world.observe(goal)
        decision = decide(goal, self.world.rollout_id, seen)
        if isinstance(goal, AsBefore) or isinstance(decision, (GiveUp, Done)):
            return decision, ""
        self.see(seen.record)
        self._seen = Seen(Scene(seen.record, seen.pointer, None), seen.control)
        return decision, self.why_turn()

    def see(self, record: Rollout | None) -> None:
        """Take the rollout as it is recorded on AWS now: what is watched goes forward, and has had a request."""
        if record is None or record.phase is not Phase.FORWARD or judged_since(record) is None:
            self._watch = None
        elif self._watch is None or self._watch.rollout != record:
            now = self.world.now()
            self._watch, self._memory = watch_question(record, now, now), Memory()


def look_now(clients: Clients, watch: Watch, memory: Memory) -> Look:
    """One look of a task that watches, by AWS's clock, with the sign of life that it leaves. Where no answer has told the time yet,
    something is asked first: a machine whose clock is ahead would take the watch for over.
    """
    if watch.rollout is not None:
        SIGNS.leave(clients, watch.rollout.endpoint_name)
    if not MACHINE.has_heard:
        with suppress(*AWS_ERRORS):
            _ask_anything(clients, watch)
    seen = look(clients, watch, MACHINE.now(), memory)
    if seen.judgement.passes:
        leave_last_sign(clients, watch.rollout)
    return seen


def leave_last_sign(clients: Clients, rollout: Rollout | None) -> None:
    """Say that a task that watched a rollout has ended well: a task that gives no sign may follow.

    :param rollout: ``None``: alarms alone were watched.
    """
    if rollout is not None:
        SIGNS.leave_last(clients, rollout.endpoint_name)


def _ask_anything(clients: Clients, watch: Watch) -> None:
    if watch.rollout is not None:
        read_parameters(clients.ssm, [watch.rollout.names.record])
    else:
        read_alarms(clients.cloudwatch, watch.alarms[:1], None)


def look(
    clients: Clients,
    watch: Watch,
    now: datetime,
    memory: Memory,
    *,
    seen: Seen | None = None,
    alarms: tuple[Alarm, ...] | None = None,
) -> Look:
    """One look, with errors of AWS as judgements.

    An error that passes leaves the watch on, until it has been over for a while, with all that it is longer by pauses and where nobody can
    tell; then, and after one that does not pass, nobody can tell.

    :param seen: what was read right before of what is watched; ``None``: it is read now.
    :param alarms: likewise of the alarms.
    """
    try:
        with translated_errors("could not look at green"):
            return look_at(clients, watch, now, memory, seen=seen, alarms=alarms)
    except Passing as error:
        ends_at = (memory.ends_at or watch.ends_at) + watch.extension
        if now < max(ends_at, memory.seen_at or ends_at) + _PATIENCE:
            return Look(Judgement(Verdict.WATCHING, str(error)), is_blind=True)
        unseen = Judgement(Verdict.INCONCLUSIVE, str(error))
        return Look(only_told(unseen, is_over=True) if watch.dry_run else unseen, is_blind=True)
    except RolloutGaveUp as error:
        unseen = Judgement(Verdict.INCONCLUSIVE, str(error))
        is_over = now >= (memory.ends_at or watch.ends_at)
        return Look(only_told(unseen, is_over=is_over) if watch.dry_run else unseen, is_blind=True)


def look_at(
    clients: Clients,
    watch: Watch,
    now: datetime,
    memory: Memory,
    *,
    seen: Seen | None = None,
    alarms: tuple[Alarm, ...] | None = None,
) -> Look:
    """One look; errors of AWS are raised as they come, but for those that come behind what ends the watch all the same.

    :param seen: as for :func:`look`, and so ``alarms``.
    """
    if alarms is None:
        alarms = read_alarms(clients.cloudwatch, watch.alarms, watch.alarms_count_since, clients.flaps_seen)
    readings = _read_scene(clients, watch, now, memory, seen, alarms)
    try:
        readings = _read_evidence(clients, watch, readings, now, memory)
    except AWS_ERRORS:
        judged_without = judge(watch, readings, memory.ledger, now)
        if judged_without.judgement.verdict in TURNING and not judged_without.judgement.passes:
            return judged_without
        raise
    judged = None
    if readings.figures is not None:
        memory.ledger, judged = fold(memory.ledger, watch, readings.figures, now)
    memory.seen_at = now
    return judge(watch, readings, judged, now)


def _read_scene(
    clients: Clients, watch: Watch, now: datetime, memory: Memory, seen: Seen | None, alarms: tuple[Alarm, ...]
) -> Readings:
    """What is wished, and what is watched, beside the alarms."""
    if watch.rollout is None:
        return Readings(alarms)
    seen = seen or read_scene(clients, watch.rollout, memory.control, observes=watch.observes)
    memory.control = seen.control
    memory.ends_at = watch.end(seen.control, now)
    return Readings(alarms, seen.control, scene=seen.scene, unread=seen.unread)


def _read_evidence(clients: Clients, watch: Watch, readings: Readings, now: datetime, memory: Memory) -> Readings:
    rollout = watch.rollout
    if rollout is None:
        return readings
    sources = sources_of(rollout, now) if watch.judges_evidence else None
    figures = _read_figures(clients, watch, rollout, sources, now, memory) if sources else None
    schedules = rollout.plan.evidence.monitoring_schedules if sources else ()
    return replace(
        readings,
        requests=_count_open_requests(clients, watch, rollout, figures, readings.control, now, memory),
        figures=figures,
        executions={each: read_executions(clients.sagemaker, each, sources.since) for each in schedules if sources},
    )


def _read_figures(
    clients: Clients, watch: Watch, rollout: Rollout, sources: Sources, now: datetime, memory: Memory
) -> NewFigures:
    cloudwatch, limits = clients.cloudwatch, judged_limits(rollout, watch.share)
    ledger = memory.ledger if memory.ledger and memory.ledger.sources == sources else None
    baseline = () if ledger else _read_baseline(clients, rollout, sources)
    periods: Sequence[Period] = ()
    if needs_greens_figures(rollout, watch.min_requests):
        periods = _read_periods(clients, sources, now, ledger.until if ledger else None)
    return NewFigures(
        sources,
        baseline,
        periods,
        _read_slow(clients, watch, sources, periods, limits),
        [
            read_kpi(cloudwatch, kpi, rollout, watch.started_at, ledger.kpis_until[number] if ledger else None, now)
            for number, kpi in enumerate(limits.kpis)
        ],
        [
            read_measure(clients, measure, rollout, ledger.measures[number].until if ledger else None, now)
            for number, measure in enumerate(judged_measures(rollout))
        ],
    )


def _read_baseline(clients: Clients, rollout: Rollout, sources: Sources) -> Sequence[Period]:
    """Blue's hours before the rollout, where anything is judged by them."""
    if not needs_greens_figures(rollout, 0):
        return ()
    return read_baseline(clients.cloudwatch, sources, rollout.started_at)


def _read_periods(clients: Clients, sources: Sources, now: datetime, after: datetime | None) -> list[Period]:
    periods = read_periods(clients.cloudwatch, sources, now, after)
    if not periods or "EndpointConfigName" not in sources.green:
        return periods
    dimensions = {name: value for name, value in sources.green.items() if name != "EndpointConfigName"}
    return with_idle(periods, read_calls(clients.cloudwatch, dimensions, periods))


def _read_slow(
    clients: Clients, watch: Watch, sources: Sources, periods: Sequence[Period], limits: Limits
) -> dict[datetime, int]:
    lately = [period for period in periods if period.end > watch.started_at]
    if limits.max_p99_ms is None:
        return {}
    return read_slow(clients.cloudwatch, sources, lately, limits.max_p99_ms)


def _known_requests(watch: Watch, figures: NewFigures | None, memory: Memory) -> int:
    """Green's in the periods of this watch that were read."""
    new = [each.green for each in figures.periods if each.end > watch.started_at] if figures else []
    kept = memory.ledger.requests if figures and memory.ledger and memory.ledger.sources == figures.sources else 0
    return kept + sum(sample.requests for sample in new if sample)


def _count_open_requests(
    clients: Clients,
    watch: Watch,
    rollout: Rollout,
    figures: NewFigures | None,
    control: Control | None,
    now: datetime,
    memory: Memory,
) -> float | None:
    """Green's requests in this watch after the periods that were read. Figures that are not final yet are counted too: they only grow."""
    if now < watch.end(control, now) and not watch.ends_early:
        return None
    if _known_requests(watch, figures, memory) >= max(watch.min_requests, 1):
        return 0.0  # there are enough without them
    until = figures.periods[-1].end if figures and figures.periods else memory.ledger.until if memory.ledger else None
    since = max(watch.started_at, until or watch.started_at)
    seconds = kept_seconds(rollout.metric_period_seconds, now - since)
    # No data of a variant that had traffic is no requests; both are too few to tell.
    is_queued = rollout.blue.is_asynchronous
    counted = count_requests(clients.cloudwatch, judged_dimensions(rollout), seconds, since, now, is_queued=is_queued)
    return counted or 0.0
