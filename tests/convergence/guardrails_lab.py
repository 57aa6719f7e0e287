"""The lab where SageMaker shifts the traffic, and users call all the time: its alarms are about what green's fleet answers."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, ClassVar

from airflow_sm_rollout.aws.world import AwsWorld
from airflow_sm_rollout.core.advance import advance
from airflow_sm_rollout.core.goals import Goal, GreenDeployed, OnlyGreen
from airflow_sm_rollout.core.plan.strategy import Strategy, canary
from airflow_sm_rollout.core.rollout import AHEAD
from airflow_sm_rollout.sandbox.errors import AwsError
from convergence.lab import ENDPOINT, LOOK_SECONDS, Lab

CANARY_BAKES_AT, FINAL_BAKE_AT, PROMOTED_AT = 200, 380, 510  # seconds after UpdateEndpoint, by the strategy below


@dataclass
class GuardrailsLab(Lab):
    """Blue in production, and users who call it.

    :param requests_per_look: how many requests they send between two looks.
    """

    traffic: ClassVar[str] = "guardrails"
    capacity: ClassVar[str] = AHEAD
    strategy: ClassVar[Strategy] = canary([25, 100], bake=timedelta(minutes=3))
    requests_per_look: int = 8

    def look_away(self) -> None:
        super().look_away()
        for _ in range(self.requests_per_look):
            with contextlib.suppress(AwsError):
                self.sandbox.invoke(ENDPOINT)

    def look(self, goal: Goal) -> Any:
        """One advance toward a goal; what there is to wait for."""
        world = AwsWorld(self.clients, ENDPOINT, self.names.rollout_id, self.now)
        return advance(goal, self.names.rollout_id, world, self.now() + timedelta(hours=1), lambda line: None)

    @property
    def green_place(self) -> tuple[str, str]:
        return ENDPOINT, "AllTraffic"

    @property
    def keeps_blue(self) -> bool:
        return True

    def let_pass(self, seconds: float) -> None:
        """Let time pass, with users calling."""
        for _ in range(int(seconds) // LOOK_SECONDS):
            self.look_away()
        self.pass_time(seconds % LOOK_SECONDS)
        self.watch()

    def shift(self, seconds: float) -> None:
        """Ask SageMaker to shift, and let that much time pass."""
        self.look(OnlyGreen())
        self.let_pass(seconds)

    def tasks(self) -> list[Callable[[], object]]:
        """The group's tasks, and between them where SageMaker is by then."""
        return [
            lambda: self.reach(GreenDeployed(self.plan())),
            lambda: self.look(OnlyGreen()),
            lambda: self.let_pass(CANARY_BAKES_AT),
            lambda: self.let_pass(FINAL_BAKE_AT - CANARY_BAKES_AT),
            lambda: self.reach(OnlyGreen()),
        ]
