"""One DAG run, watched from its start to its end from every side: Airflow, the endpoint, CloudWatch, the clients."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from airflow_sm_rollout.demo import DemoFailed
from airflow_sm_rollout.demo.airflow_processes import AirflowProcesses
from airflow_sm_rollout.demo.inventory import take_inventory
from airflow_sm_rollout.demo.metrics import count_invocations, find_first_alarm
from airflow_sm_rollout.demo.progress import Moment, Progress
from airflow_sm_rollout.demo.report import RunSeen, green_share
from airflow_sm_rollout.demo.scripts import Script
from airflow_sm_rollout.demo.shares import ShareWatch
from airflow_sm_rollout.sandbox.traffic import Record, TrafficProcess

RUN_WITHIN_SECONDS = 300.0
SECONDS_BETWEEN_LOOKS = 1.0
UNDER_WAY = frozenset({"queued", "running"})
"""States of a DAG run that has not ended."""
AT_WORK = frozenset({"queued", "running", "deferred"})
"""States of a task that is shown as the running one."""


class RunTookTooLong(DemoFailed):
    """A run of the demo did not end."""


@dataclass(frozen=True, slots=True)
class Stage:
    """All that is running while the demo runs.

    :param session: a boto3 session, or what has its ``client``.
    :param endpoint_name: the endpoint in production.
    """

    session: Any
    endpoint_name: str
    airflow: AirflowProcesses
    watch: ShareWatch
    traffic: TrafficProcess
    progress: Progress


class WatchedRun:
    """Starts a run of a sample DAG.

    :param label: what it is called in the progress.
    :param script: which DAG, with which plan.
    :param model: what the trigger form has about training.
    """

    def __init__(self, stage: Stage, label: str, script: Script, model: Mapping[str, Any]) -> None:
        self._stage = stage
        self._label = label
        self._script = script
        self._cloudwatch = stage.session.client("cloudwatch")
        self._before = take_inventory(stage.session, stage.endpoint_name)
        self._blue = self._before.endpoint["variants"][0]["VariantName"]
        self._handle: Mapping[str, Any] = {}
        self._started_at = time.time()
        conf = {"endpoint_name": stage.endpoint_name, **script.plan, **model}
        self._run_id = stage.airflow.trigger(script.dag_id, conf)

    def follow(self) -> RunSeen:
        """Show how it gets on until it has ended; then say all that was seen.

        :raises RunTookTooLong: if it has not ended after :data:`RUN_WITHIN_SECONDS`.
        """
        while (state := self._stage.airflow.run_state(self._script.dag_id, self._run_id)) in UNDER_WAY:
            if time.time() > self._started_at + RUN_WITHIN_SECONDS:
                raise RunTookTooLong(f"run {self._run_id} is still {state} after {RUN_WITHIN_SECONDS:g} s")
            self._stage.progress.show(self._look())
            time.sleep(SECONDS_BETWEEN_LOOKS)
        self._stage.progress.end_line()
        return self._sum_up(state, time.time())

    @property
    def _green(self) -> str:
        return str(self._handle.get("green_variant", ""))

    def _look(self) -> Moment:
        self._handle = self._handle or self._xcom("snapshot") or {}
        now, samples = time.time(), self._stage.watch.samples
        lately = [record for record in self._stage.traffic.records if now - 3 <= record.at < now - 1]
        states = self._stage.airflow.task_states(self._script.dag_id, self._run_id)
        variants = {"blue": self._blue, "green": self._green}
        return Moment(
            label=self._label,
            seconds=now - self._started_at,
            share=green_share(samples[-1], self._green),
            requests_per_second=len(lately) / 2,
            failures={color: self._count_errors(variant) for color, variant in variants.items()},
            tasks=[task_id for task_id, state in states.items() if state in AT_WORK],
        )

    def _count_errors(self, variant: str) -> int:
        return int(count_invocations(self._cloudwatch, self._stage.endpoint_name, variant, self._started_at).errors)

    def _sum_up(self, state: str, ended_at: float) -> RunSeen:
        green, after = self._green, take_inventory(self._stage.session, self._stage.endpoint_name)
        alarms = self._handle.get("alarms", [])
        return RunSeen(
            started_at=self._started_at,
            ended_at=ended_at,
            run_state=state,
            settled=str((self._xcom("settle") or {}).get("outcome", "")),
            reason=str(self._xcom("verdict", "reason") or self._xcom("verdict") or ""),
            green=green,
            kept=frozenset({f"endpoint config {after.endpoint['config']}", f"model {self._handle.get('green_model')}"}),
            planned_share=self._planned_share(),
            samples=[sample for sample in self._stage.watch.samples if sample.at >= self._started_at],
            records=self._records(ended_at),
            green_counts=count_invocations(self._cloudwatch, self._stage.endpoint_name, green, self._started_at),
            alarm_at=find_first_alarm(self._cloudwatch, alarms, self._started_at),
            before=self._before,
            after=after,
        )

    def _planned_share(self) -> float:
        """The largest share of the steps that the run came to."""
        states = self._stage.airflow.task_states(self._script.dag_id, self._run_id)
        begun = ("success", "failed", "running")
        shares = [share for task, share in self._script.shares.items() if states.get(self._in_group(task)) in begun]
        return max(shares, default=0.0)

    def _in_group(self, task: str) -> str:
        return f"{self._script.dag_id}.{task}"

    def _records(self, ended_at: float) -> list[Record]:
        return [record for record in self._stage.traffic.records if self._started_at <= record.at <= ended_at]

    def _xcom(self, task: str, key: str = "return_value") -> Any:
        return self._stage.airflow.xcom(self._script.dag_id, self._run_id, self._in_group(task), key)
