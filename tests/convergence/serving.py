"""Users of blue and of a green that fails from some moment on, as figures in the sandbox's CloudWatch, minute by minute."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from airflow_sm_rollout.aws.watch import Memory, look
from airflow_sm_rollout.core.guardian import watch_whole
from airflow_sm_rollout.core.plan.evidence import Evidence
from airflow_sm_rollout.core.plan.limits import Limits
from airflow_sm_rollout.core.plan.tolerances import Tolerances
from airflow_sm_rollout.core.rollout import Rollout
from airflow_sm_rollout.core.watch.sources import figures_every, floor
from airflow_sm_rollout.core.watch.verdict import Verdict
from convergence.blinking import green_share_now
from convergence.lab import Lab
from convergence.walk import Make
from evidence.published import publish

CALLS = 600
"""A minute, of both together."""
FAILS = 0.3
"""So many of green's calls once it does harm."""
EVIDENCE = {
    "comparison": Evidence(Tolerances()),
    "limits": Evidence(None, Limits(max_error_rate=0.05)),
}


def judged_by(make: Make, what: str) -> Make:
    """The same lab, whose rollouts are judged by figures and by no alarm that figures could ring."""

    def made() -> Lab:
        lab = make()
        plan = lab.plan

        def planned() -> Rollout:
            rollout = plan()
            return replace(rollout, plan=replace(rollout.plan, evidence=EVIDENCE[what], default_alarms=None))

        lab.plan = planned  # type: ignore[method-assign]
        return lab

    return made


@dataclass
class Users:
    """They call all the time, and each period is published at its end.

    :param record: the rollout that they meet.
    :ivar provable_at: when the figures that CloudWatch had were first proof of harm, or up to five seconds before.
    """

    lab: Lab
    record: Rollout
    fails_from: datetime
    seconds: int = field(init=False)
    quiet_at: datetime = field(init=False)
    published_until: datetime = field(init=False)
    memory: Memory = field(default_factory=Memory)
    provable_at: datetime | None = None

    def __post_init__(self) -> None:
        self.quiet_at = self.fails_from
        self.seconds = figures_every(self.record)
        self.published_until = floor(self.lab.now(), self.seconds)

    def call(self) -> None:
        """What they have done by now, if a period of it is full; and whether that proves anything."""
        now = self.lab.now()
        if self.provable_at is None and now.second % 5 == 0 and now >= self.fails_from:
            self._look_for_proof(now)
        at, period = self.published_until, timedelta(seconds=self.seconds)
        if now - at < period:
            return
        self.published_until += period
        both = CALLS * self.seconds // 60
        greens, bad = round(both * green_share_now(self.lab) / 100), FAILS if at >= self.fails_from else 0.0
        for dimensions, calls, errors in (
            (self.record.green_dimensions, greens, round(bad * greens)),
            (self.record.blue_dimensions, both - greens, 0),
        ):
            publish(self.lab.sandbox, dimensions, at, requests=calls, e5=errors, visible_at=now)

    def _look_for_proof(self, now: datetime) -> None:
        watch = watch_whole(self.record, green_share_now(self.lab))
        assert watch is not None
        self.lab.is_test_looking = True
        verdict = look(self.lab.clients, watch, now, self.memory).judgement.verdict
        self.lab.is_test_looking = False
        if verdict in (Verdict.HARMFUL, Verdict.ABORTED):  # the guardian may have seen it first
            self.provable_at = self.quiet_at
        self.quiet_at = now
