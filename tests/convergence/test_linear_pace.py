"""Linear: ten steps come when the plan says so, however long SageMaker takes for each, and a pause moves them all."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import ClassVar

import pytest

from airflow_sm_rollout.aws.control import read_control, write_control
from airflow_sm_rollout.aws.record import read_record
from airflow_sm_rollout.core.control import Control, Wish, next_control
from airflow_sm_rollout.core.goals import GreenDeployed, GreenShare, OnlyGreen
from airflow_sm_rollout.core.plan.strategy import Strategy, linear
from airflow_sm_rollout.core.rollout import Rollout
from airflow_sm_rollout.core.watch.watch import Watch
from airflow_sm_rollout.sandbox.timings import Timings
from convergence.lab import CALL_SECONDS, ENDPOINT, Lab

INTERVAL = timedelta(minutes=15)
POLL = timedelta(seconds=15)
CALLS = timedelta(seconds=20 * CALL_SECONDS)  # what a task calls before it comes to its point
SAGEMAKER_TAKES = timedelta(seconds=Timings().change_capacity + Timings().change_weights)


@dataclass
class LinearLab(Lab):
    """A rollout of ten steps, a quarter of an hour each.

    :param reached: when each share was first what users met.
    """

    strategy: ClassVar[Strategy] = linear(10, INTERVAL)
    reached: dict[float, datetime] = field(default_factory=dict)

    def look_away(self) -> None:
        self.pass_time(POLL.total_seconds())
        self.watch()

    def watch(self) -> None:
        super().watch()
        if self.shares:
            self.reached.setdefault(round(self.shares[-1], 6), self.now())

    def record(self) -> Rollout:
        record = read_record(self.clients.ssm, ENDPOINT)
        assert record is not None
        return record

    def wish(self, wish: Wish) -> None:
        rollout_id = self.names.rollout_id
        wished = Control(rollout_id, wish, self.now())
        write_control(
            self.clients.ssm, ENDPOINT, next_control(read_control(self.clients.ssm, ENDPOINT, rollout_id), wished)
        )

    def bake(self, index: int, pause: timedelta) -> None:
        """Watch a step as its task does, and look at the clock every :data:`POLL`; in the middle of it a person may pause."""
        begun, record = self.now(), self.record()
        control = read_control(self.clients.ssm, ENDPOINT, record.rollout_id)
        paused = control.paused(begun) if control else timedelta()
        bake = Watch(begun, record.bake_end(index, begun, paused), record.green_traffic_since, 0, paused)
        if pause:
            self.wish(Wish.PAUSE)
            self.pass_time(pause.total_seconds())
            self.wish(Wish.GO_ON)
        while self.now() < bake.end(read_control(self.clients.ssm, ENDPOINT, record.rollout_id), self.now()):
            self.look_away()


def test_a_pause_before_green_has_traffic_moves_the_first_step_and_makes_no_bake_longer() -> None:
    lab = LinearLab()
    lab.reach(GreenDeployed(lab.plan()))
    lab.wish(Wish.PAUSE)
    lab.pass_time(timedelta(hours=1).total_seconds())
    lab.wish(Wish.GO_ON)
    lab.reach(GreenShare(10))
    since = lab.record().green_traffic_since
    assert since is not None
    lab.bake(0, timedelta())
    assert INTERVAL <= lab.now() - since <= INTERVAL + POLL + CALLS


@pytest.mark.parametrize("pause", [timedelta(), timedelta(minutes=40)], ids=["undisturbed", "paused in the third bake"])
def test_ten_steps_come_within_one_poll_of_the_plan(pause: timedelta) -> None:
    lab, asked = LinearLab(), []
    lab.reach(GreenDeployed(lab.plan()))
    for index, step in enumerate(lab.strategy.steps):
        asked.append(lab.now())
        lab.reach(GreenShare(step.share))
        lab.bake(index, pause if index == 2 else timedelta())
    since = lab.record().green_traffic_since
    assert since is not None
    promoted_at = lab.now()
    lab.reach(OnlyGreen())

    planned = [since + n * INTERVAL + (pause if n > 2 else timedelta()) for n in range(11)]
    late = [at - plan for at, plan in zip([*asked[1:], promoted_at], planned[1:], strict=True)]
    assert timedelta() <= min(late) <= max(late) <= POLL + CALLS
    assert planned[9] - since == timedelta(hours=2, minutes=15) + pause

    met = [lab.reached[step.share] - at for step, at in zip(lab.strategy.steps, planned[:10], strict=True)]
    assert timedelta() < min(met) <= max(met) < SAGEMAKER_TAKES + 4 * POLL, (
        "users meet a share as soon as SageMaker allows"
    )
