"""Looks at what was promoted, again and again, for as long as it is to be watched."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from airflow_sm_rollout.aws.clients import Clients
from airflow_sm_rollout.aws.clock import MACHINE
from airflow_sm_rollout.aws.cloudwatch import read_alarms
from airflow_sm_rollout.aws.parameters import read_parameters
from airflow_sm_rollout.aws.previous import previous_of
from airflow_sm_rollout.aws.record import record_of
from airflow_sm_rollout.aws.scene import Seen
from airflow_sm_rollout.aws.watch import Memory, look
from airflow_sm_rollout.aws.world import translated_errors
from airflow_sm_rollout.core.advance import Passing
from airflow_sm_rollout.core.errors import RolloutError
from airflow_sm_rollout.core.names import previous_name, record_name
from airflow_sm_rollout.core.observation import Alarm
from airflow_sm_rollout.core.rollout import Rollout
from airflow_sm_rollout.core.undo import Kept, Undone
from airflow_sm_rollout.core.watch.after import (
    After,
    conclude_after,
    describe_watching,
    round_at,
    split_mute,
    why_over,
)
from airflow_sm_rollout.core.watch.judge import only_told
from airflow_sm_rollout.core.watch.verdict import Judgement, Verdict
from airflow_sm_rollout.core.watch.watch import Watch

_UNSEEN = Seen(None, None)  # a bake's scene is over: there is no record, and nothing is wished


def read_last(ssm: Any, endpoint_name: str) -> tuple[Rollout | None, Kept | Undone | None]:
    """The rollout that holds the endpoint, and what there is of the one that was promoted last; by one call.

    :raises RolloutError: if one of them can't be read by this version.
    """
    record, previous = record_name(endpoint_name), previous_name(endpoint_name)
    found = read_parameters(ssm, [record, previous])
    return (
        record_of(found[record], record) if record in found else None,
        previous_of(found[previous], previous) if previous in found else None,
    )


@dataclass(slots=True)
class AfterWatcher:
    """A watch after a promotion, from look to look. All that it keeps could be read again, but for which rounds nobody could judge.

    :param now: the time, AWS's.
    """

    after: After
    now: Callable[[], datetime] = MACHINE.now
    _unknown: list[str] = field(default_factory=list)
    _ended: int = 0
    _overruled: Judgement | None = None
    _round: Watch | None = None
    _memory: Memory = field(default_factory=Memory)

    def look(self, clients: Clients) -> Judgement:
        """One look: ``HARMFUL`` is to be undone, ``WATCHING`` to be looked at again, and all else is the end.

        An error of AWS's says nothing about green: it is told, and the next look comes.
        """
        try:
            with translated_errors("could not look at what was promoted"):
                over = why_over(self.after, *read_last(clients.ssm, self.after.rollout.endpoint_name))
                alarms = read_alarms(clients.cloudwatch, self.after.alarms, self.after.since, clients.flaps_seen)
        except (Passing, RolloutError) as error:
            return self._look_at_round(clients, (), str(error))
        return over or self._look_at_round(clients, *split_mute(self.after, alarms))

    def _look_at_round(self, clients: Clients, alarms: tuple[Alarm, ...], mute: str) -> Judgement:
        now = self.now()
        watch = self._round = self._round or round_at(self.after, now)
        judged = look(clients, watch, now, self._memory, seen=_UNSEEN, alarms=alarms).judgement
        if judged.verdict is Verdict.HARMFUL:
            return self._meet_harm(judged)
        if now < watch.ends_at or judged.verdict is Verdict.WATCHING:
            return describe_watching(self.after, judged, mute, now)
        self._ended += 1
        if mute or judged.verdict is Verdict.INCONCLUSIVE:
            self._unknown.append(mute or judged.reason)
        if watch.ends_at < self.after.until:
            self._round, self._memory = round_at(self.after, watch.ends_at), Memory()
            return describe_watching(self.after, judged, mute, now)
        return self._overruled or conclude_after(self.after, judged, self._unknown, self._ended)

    def _meet_harm(self, harm: Judgement) -> Judgement:
        """Of a dry run it is told alone, and nothing is done about it."""
        if not self.after.rollout.plan.evidence.dry_run:
            return harm
        self._overruled = only_told(harm, is_over=True)
        return only_told(harm, is_over=self.now() >= self.after.until)
