"""What the demo asks of Airflow's REST API."""

from __future__ import annotations

import threading
import time
from contextlib import nullcontext
from datetime import datetime
from functools import cached_property
from typing import Any
from urllib.parse import quote

import urllib3

from airflow_sm_rollout.demo import DemoFailed

APPEARS_WITHIN_SECONDS = 90.0
"""How long a DAG file may take to be parsed for the first time; seconds on an idle machine."""

NOT_FOUND = 404


class AirflowApiError(DemoFailed):
    """Airflow refused a request.

    :param status: HTTP status.
    """

    def __init__(self, method: str, path: str, status: int, text: str) -> None:
        super().__init__(f"{method} {path} answered {status}: {text[:500]}")
        self.status = status


class AirflowApi:
    """A client of one Airflow that takes everybody for an admin (``simple_auth_manager_all_admins``).

    :param url: where its UI is, e.g. ``http://127.0.0.1:8080``.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        # On a busy machine sqlite may be locked for longer than a request waits.
        patient = urllib3.Retry(
            4, backoff_factor=0.5, status_forcelist={500, 503}, allowed_methods={"GET"}, raise_on_status=False
        )
        self._pool = urllib3.PoolManager(retries=patient, timeout=30.0)
        # Two changes at a time can wait in the API server for each other (AirflowProcesses says how).
        self._changing = threading.Lock()

    def token(self) -> str:
        """A bearer token; the same one each time."""
        return self._token

    def api(self, method: str, path: str, json: Any = None) -> Any:
        """One request to the REST API.

        :param path: behind ``/api/v2``, e.g. ``/dags``.
        :param json: the body, if there is one.
        :return: the answer's JSON.
        :raises AirflowApiError: if it is refused.
        """
        headers = {"Authorization": f"Bearer {self._token}", "Accept": "application/json"}
        with nullcontext() if method == "GET" else self._changing:
            answer = self._pool.request(method, f"{self.url}/api/v2{path}", json=json, headers=headers)
        if answer.status >= 400:
            raise AirflowApiError(method, path, answer.status, answer.data.decode(errors="replace"))
        return answer.json() if answer.data else None

    def health(self) -> dict[str, dict[str, str]]:
        """By component what it says of itself; empty while the API server is not there.

        The names are ``metadatabase``, ``scheduler``, ``triggerer`` and ``dag_processor``, with ``status`` and, for the last three,
        ``latest_<name>_heartbeat`` (ISO 8601). All are ``healthy`` when all is well.
        """
        health = self._told(f"{self.url}/api/v2/monitor/health") or {}
        return {name: told for name, told in health.items() if told and told["status"]}

    def trigger(self, dag_id: str, conf: dict[str, Any] | None = None) -> str:
        """Start a run of a DAG, which may have to be parsed yet.

        :param conf: values of the trigger form.
        :return: the run's id.
        :raises AirflowApiError: if it is refused, or there is no such DAG after :data:`APPEARS_WITHIN_SECONDS`.
        """
        deadline = time.monotonic() + APPEARS_WITHIN_SECONDS
        body = {"logical_date": None, "conf": conf or {}}
        while True:
            try:
                return str(self.api("POST", f"/dags/{dag_id}/dagRuns", body)["dag_run_id"])
            except AirflowApiError as error:
                if error.status != NOT_FOUND or time.monotonic() > deadline:
                    raise
                time.sleep(0.5)

    def run_state(self, dag_id: str, run_id: str) -> str:
        """State of a run: ``queued``, ``running``, ``success`` or ``failed``."""
        return str(self.api("GET", _run(dag_id, run_id))["state"])

    def task_states(self, dag_id: str, run_id: str) -> dict[str, str]:
        """State of each task of a run by its id; ``none`` for one that nothing was decided about."""
        answer = self.api("GET", f"{_run(dag_id, run_id)}/taskInstances?limit=1000")
        return {instance["task_id"]: str(instance["state"] or "none") for instance in answer["task_instances"]}

    def failures(self, dag_id: str, run_id: str) -> dict[str, float]:
        """When each task that has failed did so, by its id, in seconds since the epoch."""
        answer = self.api("GET", f"{_run(dag_id, run_id)}/taskInstances?limit=1000&state=failed")
        ended = {instance["task_id"]: instance["end_date"] for instance in answer["task_instances"]}
        # Python 3.10 knows no Z.
        return {
            task_id: datetime.fromisoformat(at.replace("Z", "+00:00")).timestamp()
            for task_id, at in ended.items()
            if at
        }

    def set_run_state(self, dag_id: str, run_id: str, state: str) -> None:
        """Mark a run, as the button in the UI does: ``success`` or ``failed``."""
        self.api("PATCH", _run(dag_id, run_id), {"state": state})

    def set_task_state(self, dag_id: str, run_id: str, task_id: str, state: str) -> None:
        """Mark a task: ``success``, ``failed`` or ``skipped``."""
        self.api("PATCH", f"{_run(dag_id, run_id)}/taskInstances/{quote(task_id)}", {"new_state": state})

    def xcom(self, dag_id: str, run_id: str, task_id: str, key: str = "return_value") -> Any:
        """A value that a task has left; ``None`` if it has left none."""
        path = f"{_run(dag_id, run_id)}/taskInstances/{quote(task_id)}/xcomEntries/{quote(key)}?stringify=false"
        try:
            return self.api("GET", path)["value"]
        except AirflowApiError as error:
            if error.status == NOT_FOUND:
                return None
            raise

    def logs(self, dag_id: str, run_id: str, task_id: str, try_number: int = 1) -> str:
        """The log of one try of a task, a line per event; empty if it has none."""
        path = f"{_run(dag_id, run_id)}/taskInstances/{quote(task_id)}/logs/{try_number}?full_content=true"
        try:
            content = self.api("GET", path)["content"]
        except AirflowApiError as error:
            if error.status == NOT_FOUND:
                return ""
            raise
        return "\n".join(line if isinstance(line, str) else str(line.get("event", line)) for line in content)

    def _told(self, url: str) -> Any:
        """The JSON of a page; ``None`` while it is not there."""
        try:
            answer = self._pool.request("GET", url, timeout=5.0, retries=False)
        except urllib3.exceptions.HTTPError:
            return None
        return answer.json() if answer.status == 200 else None

    @cached_property
    def _token(self) -> str:
        answer = self._pool.request("GET", f"{self.url}/auth/token")
        if answer.status >= 400:
            raise AirflowApiError("GET", "/auth/token", answer.status, answer.data.decode(errors="replace"))
        return str(answer.json()["access_token"])


def _run(dag_id: str, run_id: str) -> str:
    return f"/dags/{dag_id}/dagRuns/{quote(run_id, safe='')}"
