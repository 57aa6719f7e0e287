"""The lab where SageMaker shifts the traffic, and users call all the time: its alarms are about what green's fleet answers."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, ClassVar

from airflow_sm_rollout.aws import verdict_alarm
from airflow_sm_rollout.aws.world import AwsWorld
from airflow_sm_rollout.core.advance import advance
from airflow_sm_rollout.core.errors import RolloutError
from airflow_sm_rollout.core.goals import Goal, GreenDeployed, OnlyGreen
from airflow_sm_rollout.core.plan.strategy import Strategy, canary
from airflow_sm_rollout.core.record import from_json
from airflow_sm_rollout.core.rollout import AHEAD, Phase, Rollout
from airflow_sm_rollout.sandbox.app import Sandbox
from airflow_sm_rollout.sandbox.errors import AwsError
from convergence.lab import ENDPOINT, LOOK_SECONDS, Lab

CANARY_BAKES_AT, FINAL_BAKE_AT, PROMOTED_AT = 200, 380, 510  # seconds after UpdateEndpoint, by the strategy below


@dataclass(frozen=True)
class Judging:
    """What a judge publishes goes straight into the sandbox's CloudWatch."""

    sandbox: Sandbox

    def put_metric_data(self, Namespace: str, MetricData: list[dict[str, Any]]) -> None:  # noqa: N803 - AWS's names
        for datum in MetricData:
            dimensions = {each["Name"]: each["Value"] for each in datum["Dimensions"]}
            at = datum["Timestamp"].timestamp()
            self.sandbox.cloudwatch.record(Namespace, datum["MetricName"], dimensions, datum["Value"], "None", at, at)


@dataclass
class JudgedLab(Lab):
    """A lab where AWS shifts, and obeys an alarm on what the rollout's judge publishes.

    :param is_judged: whether somebody judges green meanwhile, and finds no harm, as the task does that waits for AWS.
    """

    is_judged: bool = True

    def judge(self) -> None:
        """One look of whoever judges, past the API, so that it meets none of a test's faults and is no call of the rollout's."""
        [parameters] = self.sandbox.services["ssm"]
        newest = parameters.newest(self.names.record) if hasattr(self, "names") else None  # type: ignore[attr-defined]
        if not self.is_judged or newest is None:
            return
        try:
            record = from_json(newest.value)
        except RolloutError:
            return
        if self.has_begun_to_shift(record):
            verdict_alarm.tell(Judging(self.sandbox), record, self.now(), is_harmful=record.phase is Phase.ROLLING_BACK)

    def has_begun_to_shift(self, record: Rollout) -> bool:
        """Whether there is anything to judge, by the record."""
        return record.green_traffic_since is not None

    def look(self, goal: Goal) -> Any:
        """One advance toward a goal; what there is to wait for."""
        world = AwsWorld(self.clients, ENDPOINT, self.names.rollout_id, self.now)
        return advance(goal, self.names.rollout_id, world, self.now() + timedelta(hours=1), lambda line: None)

    def let_pass(self, seconds: float) -> None:
        """Let time pass, with users calling."""
        for _ in range(int(seconds) // LOOK_SECONDS):
            self.look_away()
        self.pass_time(seconds % LOOK_SECONDS)
        self.watch()

    def shift(self, seconds: float) -> None:
        """Ask SageMaker for green alone, and let that much time pass."""
        self.look(OnlyGreen())
        self.let_pass(seconds)


@dataclass
class GuardrailsLab(JudgedLab):
    """Blue in production, and users who call it.

    :param requests_per_look: how many requests they send between two looks.
    """

    traffic: ClassVar[str] = "guardrails"
    capacity: ClassVar[str] = AHEAD
    strategy: ClassVar[Strategy] = canary([25, 100], bake=timedelta(minutes=3))
    requests_per_look: int = 8

    def has_begun_to_shift(self, record: Rollout) -> bool:
        return record.endpoint_modified is not None

    def look_away(self) -> None:
        super().look_away()
        self.judge()
        self.call()

    def call(self) -> None:
        """Users call."""
        for _ in range(self.requests_per_look):
            with contextlib.suppress(AwsError):
                self.sandbox.invoke(ENDPOINT)

    @property
    def green_place(self) -> tuple[str, str]:
        return ENDPOINT, "AllTraffic"

    @property
    def keeps_blue(self) -> bool:
        return True

    def tasks(self) -> list[Callable[[], object]]:
        """The group's tasks, and between them where SageMaker is by then."""
        return [
            lambda: self.reach(GreenDeployed(self.plan())),
            lambda: self.look(OnlyGreen()),
            lambda: self.let_pass(CANARY_BAKES_AT),
            lambda: self.let_pass(FINAL_BAKE_AT - CANARY_BAKES_AT),
            lambda: self.reach(OnlyGreen()),
        ]
