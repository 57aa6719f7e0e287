"""One look after another at all rollouts in progress: each is left alone, watched, or taken back.

Who takes a rollout back says so first: in a note that stays when the record is gone, and by turning the record around, behind which no task
of Airflow's gives green anything. Then it drives to "as before" by the same rules as everybody else, so it does not matter how many do so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from airflow_sm_rollout.aws.clients import Clients
from airflow_sm_rollout.aws.control import read_control
from airflow_sm_rollout.aws.errors import AWS_ERRORS, describe
from airflow_sm_rollout.aws.guardian import leave_look, leave_sign, note_taken_back, read_sign, read_taken_back
from airflow_sm_rollout.aws.live import read_pointer_of
from airflow_sm_rollout.aws.record import read_record, read_records, update_record
from airflow_sm_rollout.aws.serving import read_what_serves
from airflow_sm_rollout.aws.sight import read_parts
from airflow_sm_rollout.aws.watch import Memory, look
from airflow_sm_rollout.aws.world import AwsWorld, translated_errors, utc_now
from airflow_sm_rollout.core.advance import Passing, advance
from airflow_sm_rollout.core.control import Control
from airflow_sm_rollout.core.errors import RolloutError
from airflow_sm_rollout.core.goals import AsBefore, Done
from airflow_sm_rollout.core.guardian import (
    SIGN_EVERY,
    Finding,
    GuardianLook,
    Patience,
    Sign,
    State,
    TakenBack,
    is_going_back,
    is_warm_too_long,
    watch_whole,
    why_abandoned,
    why_nobody_answers,
    why_not_watched,
)
from airflow_sm_rollout.core.observation import Observation
from airflow_sm_rollout.core.rollout import Phase, Rollout, with_phase
from airflow_sm_rollout.core.watch.verdict import Verdict
from airflow_sm_rollout.core.watch.watch import Watch

_NO_DEADLINE = timedelta(days=1)  # the next look goes on anyway


@dataclass(slots=True)
class _Watched:
    """A watch, and what its looks have seen so far."""

    watch: Watch
    memory: Memory = field(default_factory=Memory)


class Guardian:
    """Watches the rollouts of an account and Region.

    :param clients: boto3 clients.
    :param name: who it is, for people.
    :param prefix: what the names of the endpoints begin with that it watches.
    :param patience: how long a rollout may be silent.
    :param tell: takes a line on each thing that is done.
    :param now: the time, AWS's.
    """

    def __init__(
        self,
        clients: Clients,
        *,
        name: str,
        prefix: str = "",
        patience: Patience = Patience(),  # noqa: B008 - frozen
        tell: Callable[[Finding], None] = lambda finding: None,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._clients = clients
        self._name = name
        self._prefix = prefix
        self._patience = patience
        self._tell = tell
        self._now = now
        self._watched: dict[str, _Watched] = {}
        self._taking_back: set[str] = set()
        self._looked_at: datetime | None = None

    def look(self, alarm: str | None = None) -> list[Finding]:
        """Look at all rollouts once, and take each one step back that has to go.

        :param alarm: only at those that watch this alarm, which has just rung, or a composite one that it is a part of.
        """
        try:
            with translated_errors("could not read the rollouts' records"):
                records = read_records(self._clients.ssm)
        except (Passing, RolloutError) as error:
            return [Finding(State.FAILED, str(error))]
        if alarm is None:
            self._leave_look()
        watched = {name: record for name, record in records.items() if name.startswith(self._prefix)}
        findings = [self._find(name, record) for name, record in watched.items() if self._is_asked_for(record, alarm)]
        self._forget_all_but({finding.rollout_id for finding in findings} if alarm is None else None)
        return findings

    def _is_asked_for(self, record: Rollout | RolloutError, alarm: str | None) -> bool:
        """Nobody knows which alarms a spoilt record names. That it is spoilt is said at each look at all of them."""
        if alarm is None or isinstance(record, RolloutError):
            return alarm is None
        if alarm in record.watched_alarms:
            return True
        try:
            return alarm in read_parts(self._clients.cloudwatch, record.watched_alarms)
        except AWS_ERRORS:
            return True  # better one look too many

    def _find(self, name: str, record: Rollout | RolloutError) -> Finding:
        if isinstance(record, RolloutError):
            return Finding(State.FAILED, str(record), name, "")
        try:
            with translated_errors("could not look"):
                state, sentence = self._look_at(record)
        except (Passing, RolloutError) as error:
            state, sentence = State.FAILED, str(error)
        return Finding(state, sentence, name, record.rollout_id)

    def _look_at(self, record: Rollout) -> tuple[State, str]:
        now = self._now()
        control = read_control(self._clients.ssm, record.endpoint_name, record.rollout_id)
        if is_going_back(record, control) and self._is_guardians(record):
            return self._go_back(record)
        if is_warm_too_long(record, now, self._patience):
            return self._go_back(record)  # which ends the promotion
        seen = self._see(record, now)
        gone = self._why_nobody_answers(record, seen)
        if gone:
            return self._take_back(record, gone, now)
        not_watched = why_not_watched(record, seen, record.traffic.share(record, seen))
        if not_watched:
            return State.LEFT_ALONE, not_watched
        harm, judged = ("", "it is going back") if is_going_back(record, control) else self._judge(record, seen, now)
        why = harm or self._why_abandoned(record, control, now)
        if not why:
            return State.WATCHED, judged
        return self._take_back(record, why, now)

    def _is_guardians(self, record: Rollout) -> bool:
        """Whether a guardian has decided that it goes back."""
        if record.rollout_id in self._taking_back:
            return True
        return read_taken_back(self._clients.ssm, record.endpoint_name, record.rollout_id) is not None

    def _see(self, record: Rollout, now: datetime) -> Observation:
        pointer = read_pointer_of(self._clients, record, now)
        endpoint = read_what_serves(self._clients.sagemaker, record.endpoint_name, record)
        return Observation(now, endpoint, record, pointer=pointer)

    def _why_nobody_answers(self, record: Rollout, seen: Observation) -> str:
        if record.phase is not Phase.PROMOTED:
            return ""
        green = read_what_serves(self._clients.sagemaker, record.green_endpoint_name, record)
        return why_nobody_answers(record, record.traffic.share(record, seen), green)

    def _judge(self, record: Rollout, seen: Observation, now: datetime) -> tuple[str, str]:
        """Why green harms, if it does, and what else there is to say of it."""
        watch = watch_whole(record, record.traffic.share(record, seen))
        if watch is None:
            return "", ""
        watched = self._watched.get(record.rollout_id)
        if watched is None or watched.watch != watch:
            watched = self._watched[record.rollout_id] = _Watched(watch)
        judgement = look(self._clients, watch, now, watched.memory).judgement
        is_harmful = judgement.verdict is Verdict.HARMFUL and not judgement.passes
        return judgement.reason if is_harmful else "", judgement.reason

    def _why_abandoned(self, record: Rollout, control: Control | None, now: datetime) -> str:
        paused = control.paused(now) if control else timedelta()
        sign, goes_back = read_sign(self._clients.ssm, record.endpoint_name), is_going_back(record, control)
        return why_abandoned(record, sign, now, patience=self._patience, paused=paused, goes_back=goes_back)

    def _take_back(self, record: Rollout, why: str, now: datetime) -> tuple[State, str]:
        """Unless it is over, or has been promoted, while it was looked at: its alarms go with it."""
        again = read_record(self._clients.ssm, record.endpoint_name)
        if again is None or again.rollout_id != record.rollout_id:
            return State.LEFT_ALONE, "it has ended meanwhile"
        seen = self._see(again, now)
        not_watched = why_not_watched(again, seen, again.traffic.share(again, seen))
        if not_watched and not self._why_nobody_answers(again, seen):
            return State.LEFT_ALONE, not_watched
        self._say(record, f"taken back: {why}")
        self._taking_back.add(record.rollout_id)
        self._announce(again, why, now)
        return self._go_back(record)

    def _announce(self, record: Rollout, why: str, now: datetime) -> None:
        """Say whose decision it is. That it can't be said keeps no traffic on green."""
        ssm, name = self._clients.ssm, record.endpoint_name
        with self._told_only(record):
            note_taken_back(ssm, name, TakenBack(record.rollout_id, why, self._name, now))
        with self._told_only(record):
            update_record(ssm, with_phase(record, Phase.ROLLING_BACK), turned_from=record.phase)

    def _go_back(self, record: Rollout) -> tuple[State, str]:
        clients, name = self._clients, record.endpoint_name
        world = AwsWorld(clients, name, record.rollout_id, self._now)
        step = advance(
            AsBefore(), record.rollout_id, world, self._now() + _NO_DEADLINE, lambda line: self._say(record, line)
        )
        if isinstance(step, Done):
            return State.TAKEN_BACK, step.reason
        with self._told_only(record):
            leave_sign(clients.ssm, name, Sign(self._now()))
        return State.TAKING_BACK, step.reason

    def _leave_look(self) -> None:
        """Say that somebody guards; that it can't be said keeps nobody from guarding."""
        now = self._now()
        if self._looked_at is not None and now - self._looked_at < SIGN_EVERY:
            return
        self._looked_at = now
        with self._told_only(None):
            leave_look(self._clients.ssm, GuardianLook(self._name, now, self._prefix))

    @contextmanager
    def _told_only(self, record: Rollout | None) -> Iterator[None]:
        """What fails in the block is told, and no more."""
        try:
            yield
        except AWS_ERRORS as error:
            self._say(record, describe(error))
        except RolloutError as error:
            self._say(record, str(error))

    def _say(self, record: Rollout | None, line: str) -> None:
        about = (record.endpoint_name, record.rollout_id) if record else ("", "")
        self._tell(Finding(State.TAKING_BACK if record else State.FAILED, line, *about))

    def _forget_all_but(self, rollout_ids: set[str] | None) -> None:
        """What is kept of rollouts that are over goes."""
        if rollout_ids is not None:
            self._watched = {each: kept for each, kept in self._watched.items() if each in rollout_ids}
            self._taking_back &= rollout_ids
