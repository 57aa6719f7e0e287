"""One DAG run, watched from its start to its end from every side: Airflow, the endpoint, CloudWatch, the clients."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from airflow_sm_rollout.core.names import Names
from airflow_sm_rollout.core.plan.function import FunctionAlias
from airflow_sm_rollout.core.record import from_json
from airflow_sm_rollout.core.rollout import Rollout
from airflow_sm_rollout.demo import DemoFailed
from airflow_sm_rollout.demo.airflow_processes import AirflowProcesses
from airflow_sm_rollout.demo.inventory import Inventory, take_inventory, version_name
from airflow_sm_rollout.demo.metrics import count_invocations, find_first_alarm
from airflow_sm_rollout.demo.progress import Moment, Progress
from airflow_sm_rollout.demo.report import BAKE, PROMOTE, RunSeen, VariantCounts, green_share
from airflow_sm_rollout.demo.scripts import Script
from airflow_sm_rollout.demo.shares import ShareWatch
from airflow_sm_rollout.sandbox.traffic import Record, TrafficProcess

SECONDS_BETWEEN_LOOKS = 1.0
UNDER_WAY = frozenset({"queued", "running"})
"""States of a DAG run that has not ended."""
AT_WORK = frozenset({"queued", "running", "deferred"})
"""States of a task that is shown as the running one."""


class RunStandsStill(DemoFailed):
    """A run of the demo has not ended, and none of its tasks moves on."""


@dataclass(frozen=True, slots=True)
class Stage:
    """All that is running while the demo runs.

    :param session: a boto3 session, or what has its ``client``.
    :param endpoint_name: the endpoint in production, by the name that clients know.
    :param front: the function that clients call, if one stands in front of it.
    """

    session: Any
    endpoint_name: str
    airflow: AirflowProcesses
    watch: ShareWatch
    traffic: TrafficProcess
    progress: Progress
    front: FunctionAlias | None = None


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
        self._before = self._take_inventory()
        self._rollout: Rollout | None = None
        self._started_at = time.time()
        conf = {"endpoint_name": stage.endpoint_name, **script.form, **model}
        self._run_id = stage.airflow.trigger(script.dag_id, conf)

    def follow(self) -> RunSeen:
        """Show how it gets on until it has ended; then say all that was seen.

        :raises RunStandsStill: if no task has moved on for as long as its script allows.
        """
        moved_at, states = time.monotonic(), self._task_states()
        while (state := self._stage.airflow.run_state(self._script.dag_id, self._run_id)) in UNDER_WAY:
            if states != (states := self._task_states()):
                moved_at = time.monotonic()
            if time.monotonic() > moved_at + self._script.patience_seconds:
                raise RunStandsStill(
                    f"run {self._run_id} is still {state}, and none of its tasks has moved on for {self._script.patience_seconds:g} s"
                )
            self._stage.progress.show(self._look(states))
            time.sleep(SECONDS_BETWEEN_LOOKS)
        self._stage.progress.end_line()
        return self._sum_up(state, time.time())

    @property
    def _green(self) -> Names | None:
        return self._rollout.names if self._rollout else None

    def _task_states(self) -> Mapping[str, str]:
        return self._stage.airflow.task_states(self._script.dag_id, self._run_id)

    def _look(self, states: Mapping[str, str]) -> Moment:
        self._rollout = self._rollout or self._frozen()
        now, samples = time.time(), self._stage.watch.samples
        lately = [record for record in self._stage.traffic.records if now - 3 <= record.at < now - 1]
        return Moment(
            label=self._label,
            seconds=now - self._started_at,
            share=green_share(samples[-1], self._green),
            requests_per_second=len(lately) / 2,
            failures={color: int(self._count(each).errors) for color, each in self._dimensions().items()},
            tasks=[task_id for task_id, state in states.items() if state in AT_WORK],
        )

    def _frozen(self) -> Rollout | None:
        """The rollout as its plan was frozen; ``None``: it is not yet."""
        handle = self._xcom("snapshot")
        return from_json(handle["frozen"]) if handle else None

    def _dimensions(self) -> dict[str, Mapping[str, str]]:
        """The CloudWatch dimensions of blue's requests and of green's."""
        rollout = self._rollout
        if rollout is None:
            return {}
        green = rollout.green_dimensions
        blue = {"EndpointName": rollout.blue_endpoint_name, "VariantName": rollout.blue.variant}
        by_config = {"EndpointConfigName": rollout.blue.config_name} if "EndpointConfigName" in green else {}
        return {"blue": blue | by_config, "green": green}

    def _count(self, dimensions: Mapping[str, str]) -> VariantCounts:
        return count_invocations(self._cloudwatch, dimensions, self._started_at)

    def _sum_up(self, state: str, ended_at: float) -> RunSeen:
        rollout = self._rollout
        dimensions, alarms = self._dimensions(), rollout.watched_alarms if rollout else ()
        alarm_at = find_first_alarm(self._cloudwatch, alarms, self._started_at)
        return RunSeen(
            started_at=self._started_at,
            ended_at=ended_at,
            run_state=state,
            settled=str((self._xcom("settle") or {}).get("outcome", "")),
            reason=str(self._xcom("verdict", "reason") or self._xcom("verdict") or ""),
            green=self._green,
            kept=_kept(rollout) if rollout else frozenset(),
            planned_share=self._planned_share(),
            samples=[sample for sample in self._stage.watch.samples if sample.at >= self._started_at],
            records=self._records(ended_at),
            green_counts=self._count(dimensions["green"]) if dimensions else VariantCounts(),
            alarm_at=alarm_at,
            harm_at=min(self._watches_failed_at() | ({alarm_at} if alarm_at else set()), default=None),
            before=self._before,
            after=self._take_inventory(),
        )

    def _take_inventory(self) -> Inventory:
        return take_inventory(self._stage.session, self._stage.endpoint_name, self._stage.front)

    def _watches_failed_at(self) -> set[float]:
        """When tasks failed that judge green: bakes, and the one that follows AWS while it shifts."""
        failures = self._stage.airflow.failures(self._script.dag_id, self._run_id)
        follows = self._in_group(PROMOTE) if PROMOTE in self._script.shares else None
        return {at for task_id, at in failures.items() if BAKE in task_id or task_id == follows}

    def _planned_share(self) -> float:
        """The largest share of the steps that the run came to."""
        states = self._task_states()
        begun = ("success", "failed", "running")
        shares = [share for task, share in self._script.shares.items() if states.get(self._in_group(task)) in begun]
        return max(shares, default=0.0)

    def _in_group(self, task: str) -> str:
        return f"{self._script.dag_id}.{task}"

    def _records(self, ended_at: float) -> list[Record]:
        return [record for record in self._stage.traffic.records if self._started_at <= record.at <= ended_at]

    def _xcom(self, task: str, key: str = "return_value") -> Any:
        return self._stage.airflow.xcom(self._script.dag_id, self._run_id, self._in_group(task), key)


def _kept(rollout: Rollout) -> frozenset[str]:
    """What of green's may stay after a promotion, as in an :class:`.Inventory`."""
    names = rollout.names
    kept = {
        f"endpoint config {names.final_config}",
        f"model {rollout.green_model_name}",
        f"parameter {names.previous}",  # what an undo needs
    }
    if rollout.traffic.has_pointer:
        kept |= {f"endpoint {names.green_endpoint}", f"parameter {names.pointer}"}
    if rollout.plan.function is not None:
        kept.add(version_name(names.green_endpoint))
    return frozenset(kept)
