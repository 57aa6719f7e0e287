"""Runs of rollouts in a real Airflow, each on an endpoint of its own."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import psutil

from airflow_sm_rollout.demo.airflow_api import AirflowApiError
from airflow_sm_rollout.demo.airflow_processes import AirflowProcesses
from airflow_sm_rollout.sandbox.app import CallRecord
from production import BLUE_INSTANCES, GOOD, Production, Shares, wait_until

T = TypeVar("T")

ENDED = ("success", "failed", "upstream_failed")
SPEED = 30  # a weight change takes 2 s, an update 4.5 s
PATIENCE_SECONDS = 600  # on a busy machine; the slowest takes some 140 alone
LOOK_SECONDS = 0.7
FAST = {
    "AIRFLOW__CORE__PARALLELISM": "6",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "20",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "5",
    "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "5",
    "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "3",  # of the folder; an edited file is then parsed at once
}
DAG_FILE = """\
from datetime import timedelta

from airflow.sdk import DAG, task
from airflow_sm_rollout import AlarmDefaults, canary_rollout

PARAMS = {{"endpoint": "none", "artifact": "none", "bake": "8"}}
SILENT = {{"min_requests": 0}}
VARIANTS = {{
    "{dag_id}": {{"default_alarms": None, "limits": SILENT, "poke_interval": 1}},
    "{dag_id}_deferring": {{"default_alarms": None, "limits": SILENT, "poke_interval": 6}},
    # The comparison would prove the harm before the alarm rings.
    "{dag_id}_own_alarms": {{
        "default_alarms": AlarmDefaults(min_requests=5),
        "tolerances": None,
        "poke_interval": 1,
    }},
}}


@task
def announce():
    return "the new model serves"


for dag_id, options in VARIANTS.items():
    with DAG(dag_id, schedule=None, params=PARAMS):
        canary_rollout(
            endpoint_name="{{{{ params.endpoint }}}}",
            image="registry/green:2",
            model_data_url="{{{{ params.artifact }}}}",
            steps={steps},
            bake="{{{{ params.bake }}}}",
            alarms="{{{{ params.endpoint }}}}-refused",
            retry_delay=timedelta(seconds=2),
            **options,
        ) >> announce()
"""
OTHERS_FILE = """\
from datetime import timedelta

from airflow.sdk import DAG, task
from airflow_sm_rollout import blue_green_rollout, canary_rollout, linear_rollout

PARAMS = {"endpoint": "none", "artifact": "none", "bake": "8"}
SILENT = {"limits": {"min_requests": 0}}
ROLLOUTS = {
    "linear": (linear_rollout, {"step": 50, "interval": "{{ params.bake }}", **SILENT}),
    "blue_green": (blue_green_rollout, {"bake": "{{ params.bake }}", **SILENT}),
    "switched": (blue_green_rollout, {"bake": "{{ params.bake }}", "traffic": "endpoints", **SILENT}),
    "guardrails": (canary_rollout, {"steps": [25, 100], "bake": "{{ params.bake }}", "traffic": "guardrails"}),
}


@task
def announce():
    return "the new model serves"


for dag_id, (rollout, options) in ROLLOUTS.items():
    with DAG(dag_id, schedule=None, params=PARAMS):
        rollout(
            group_id=dag_id,
            endpoint_name="{{ params.endpoint }}",
            image="registry/green:2",
            model_data_url="{{ params.artifact }}",
            alarms="{{ params.endpoint }}-refused",
            default_alarms=None,
            poke_interval=1,
            retry_delay=timedelta(seconds=2),
            **options,
        ) >> announce()
"""
OTHERS = frozenset({"linear", "blue_green", "switched", "guardrails"})
"""DAGs of :data:`OTHERS_FILE`; each one's task group is called as it is, all others' ``canary``."""


@dataclass(frozen=True, slots=True)
class Run:
    """One DAG run on an endpoint of its own.

    :param before: what the endpoint was, see :meth:`Production.describe`.
    :param started_at: when, in seconds since the epoch.
    """

    site: Site
    dag_id: str
    run_id: str
    endpoint: str
    before: dict[str, Any]
    started_at: float

    @property
    def group(self) -> str:
        return self.dag_id if self.dag_id in OTHERS else "canary"

    @property
    def state(self) -> str:
        return self.site.airflow.run_state(self.dag_id, self.run_id)

    def task(self, name: str) -> str:
        """State of a task of the rollout's group."""
        return self.site.airflow.task_states(self.dag_id, self.run_id).get(f"{self.group}.{name}", "none")

    def wait_for(self, name: str, *states: str) -> None:
        wait_until(lambda: self.task(name) in states or self._is_over(), PATIENCE_SECONDS, LOOK_SECONDS)
        assert self.task(name) in states, f"{name} ended as {self.task(name)}: {self.reason()}"

    def wait_for_weights_call(self, times: int = 1) -> None:
        """Until the rollout has asked for other weights, and the endpoint is changing them."""
        wait_until(lambda: len(self.weight_calls()) >= times, PATIENCE_SECONDS, pause=0.02)

    def wait_for_call(self, operation: str) -> None:
        """Until the rollout has made a call, whose effect may take a while."""
        wait_until(lambda: any(call.operation == operation for call in self._writes()), PATIENCE_SECONDS, pause=0.02)

    def wait_for_end(self) -> None:
        wait_until(self._is_over, PATIENCE_SECONDS, LOOK_SECONDS)

    def _is_over(self) -> bool:
        return self.task("verdict") in ENDED and self.state in ENDED

    def weight_calls(self) -> list[tuple[float, dict[str, float]]]:
        """When this run has asked for which weights."""
        found = []
        for call in self._writes():
            if call.operation == "UpdateEndpointWeightsAndCapacities":
                changes = call.params["DesiredWeightsAndCapacities"]
                weights = {each["VariantName"]: each["DesiredWeight"] for each in changes if "DesiredWeight" in each}
                found += [(call.at, weights)] if weights else []
        return found

    def _writes(self) -> list[CallRecord]:
        return [call for call in self.site.production.writes(self.endpoint) if call.at >= self.started_at]

    def reason(self, name: str = "verdict") -> str:
        return str(self.site.airflow.xcom(self.dag_id, self.run_id, f"{self.group}.{name}", "reason") or "")

    def mark_task(self, name: str, state: str) -> None:
        persist(lambda: self.site.airflow.set_task_state(self.dag_id, self.run_id, f"{self.group}.{name}", state))

    def mark(self, state: str) -> None:
        persist(lambda: self.site.airflow.set_run_state(self.dag_id, self.run_id, state))

    def announced(self) -> str:
        return self.site.airflow.task_states(self.dag_id, self.run_id).get("announce", "none")

    def instance(self, name: str) -> dict[str, Any]:
        """A task instance as the REST API has it."""
        path = f"/dags/{self.dag_id}/dagRuns/{quote(self.run_id)}/taskInstances/{self.group}.{name}"
        return dict(self.site.airflow.api("GET", path))

    def process_of(self, name: str) -> psutil.Process:
        """The process that runs a task; its parent is the supervisor."""
        return psutil.Process(self.instance(name)["pid"])

    def clear(self, name: str) -> None:
        """Clear a task and all that follow it, as the button in the UI does."""
        asked = {"dag_run_id": self.run_id, "task_ids": [f"{self.group}.{name}"], "include_downstream": True}
        body = {**asked, "only_failed": False, "dry_run": False}
        persist(lambda: self.site.airflow.api("POST", f"/dags/{self.dag_id}/clearTaskInstances", body))

    def assert_promoted(self) -> None:
        production, before = self.site.production, self.before
        assert self.state == "success", self.reason()
        assert self.announced() == "success"
        after = production.describe(self.endpoint)
        [green] = after["endpoint"]["ProductionVariants"]
        assert green["VariantName"].startswith("model-")
        assert green["CurrentInstanceCount"] == BLUE_INSTANCES
        assert after["shares"] == {green["VariantName"]: 100}
        assert after["configs"] == sorted([*before["configs"], after["endpoint"]["EndpointConfigName"]])
        assert len(after["models"]) == len(before["models"]) + 1
        assert (after["alarms"], after["records"]) == (before["alarms"], [])

    def assert_undone(self) -> None:
        """Its promotion was undone when the run was over: that stays as it ended."""
        assert self.site.production.describe(self.endpoint) == self.before
        assert self.state == "success"

    def assert_rolled_back(self) -> None:
        assert self.site.production.describe(self.endpoint) == self.before
        assert self.state == "failed"
        assert self.announced() != "success"
        assert self.reason().startswith("Rolled back"), self.reason()


@dataclass(frozen=True, slots=True)
class Site:
    """Where the runs take place."""

    production: Production
    airflow: AirflowProcesses
    dags: Path

    def start(self, endpoint: str, dag_id: str = "canary", **conf: str) -> Run:
        """Put an endpoint into production and start a run that rolls out a model on it."""
        self.production.put_endpoint(endpoint)
        before = self.production.describe(endpoint)
        started_at = time.time()
        run_id = persist(lambda: self.airflow.trigger(dag_id, {"endpoint": endpoint, "artifact": GOOD, **conf}))
        return Run(self, dag_id, run_id, endpoint, before, started_at)

    def write_dags(self, dag_id: str, steps: str) -> None:
        (self.dags / f"{dag_id}.py").write_text(DAG_FILE.format(dag_id=dag_id, steps=steps))


def persist(ask: Callable[[], T]) -> T:
    """Ask Airflow again while its database, a file that everybody writes to here, is locked."""
    for _ in range(20):
        try:
            return ask()
        except AirflowApiError as error:
            if error.status != 500:
                raise
            time.sleep(1)
    return ask()


def planned_only(seen: Sequence[Shares], *planned: float) -> bool:
    """Whether green has never had another share than these."""
    return {looked.green for looked in seen} <= {0.0, *planned}
