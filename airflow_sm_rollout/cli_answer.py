"""``sm-rollout approve`` and ``reject``: answer the question that a rollout waits for, by Airflow's REST API."""

from __future__ import annotations

import argparse
import json
import os
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote
from urllib.request import Request, urlopen

from airflow_sm_rollout.cli_calls import make_clients
from airflow_sm_rollout.cli_ends import CommandFailed
from airflow_sm_rollout.core.approval import APPROVE, REJECT
from airflow_sm_rollout.core.rollout import Rollout

ANSWERS = {"approve": APPROVE, "reject": REJECT}
_URL, _TOKEN = "AIRFLOW_URL", "AIRFLOW_TOKEN"


def add_answer_options(parser: argparse.ArgumentParser) -> None:
    """Where Airflow is, and who asks."""
    default = os.environ.get(_URL, "http://localhost:8080")
    parser.add_argument(
        "--airflow-url", default=default, help=f"Airflow's address (default: ${_URL}, or http://localhost:8080)"
    )
    parser.add_argument("--note", default="", help="why, for whoever reads the run")


def answer(options: argparse.Namespace) -> None:
    """Answer the one question that is open in the DAG run of the rollout in progress."""
    from airflow_sm_rollout.aws.record import read_record

    clients = make_clients(options.region, options.timeout, options.profile)
    record = read_record(clients.ssm, options.endpoint_name)
    if record is None:
        raise CommandFailed(f"no rollout of endpoint {options.endpoint_name} is in progress")
    run = _run_of(record)
    open_ = _open_questions(options, run)
    if len(open_) != 1:
        found = ", ".join(each["task_id"] for each in open_) or "none"
        raise CommandFailed(f"one question must be open in {record.describe_owner()}; found: {found}")
    [task] = open_
    path = f"{run}/taskInstances/{quote(task['task_id'], safe='')}/{task['map_index']}/hitlDetails"
    params = {"note": options.note} if options.note else {}
    _call(options, "PATCH", path, {"chosen_options": [ANSWERS[options.name]], "params_input": params})
    print(f"{record.describe_owner()}: {options.name}d, in task {task['task_id']}".replace("rejectd", "rejected"))


def _open_questions(options: argparse.Namespace, run: str) -> list[Any]:
    """The task instances that ask. Any task of a DAG may; the rollout's own are those whose two answers are ours."""
    answered = _call(options, "GET", f"{run}/hitlDetails?response_received=false")
    try:
        asked = answered["hitl_details"]
        return [each["task_instance"] for each in asked if set(each["options"]) == set(ANSWERS.values())]
    except (KeyError, TypeError) as error:
        told = json.dumps(answered)[:80]
        raise CommandFailed(f"what answers at {options.airflow_url} is not Airflow's API: {told}") from error


def _run_of(record: Rollout) -> str:
    dag_id, run_id = record.owner.get("dag_id"), record.owner.get("run_id")
    if not dag_id or not run_id:
        raise CommandFailed(f"{record.describe_owner()} is no DAG run's, so nobody can be asked")
    return f"/api/v2/dags/{quote(dag_id, safe='')}/dagRuns/{quote(run_id, safe='')}"


def _call(options: argparse.Namespace, method: str, path: str, body: Any = None) -> Any:
    url = options.airflow_url.rstrip("/")
    if not url.startswith(("http://", "https://")):
        raise CommandFailed(f"{url} is no address: it begins with http:// or https://")
    headers = {"Content-Type": "application/json"}
    if os.environ.get(_TOKEN):
        headers["Authorization"] = f"Bearer {os.environ[_TOKEN]}"
    try:
        request = Request(url + path, json.dumps(body).encode() if body else None, headers, method=method)  # noqa: S310 - checked above
        with urlopen(request, timeout=options.timeout) as answered:  # noqa: S310
            return json.load(answered)
    except HTTPError as error:
        who = f"; {_TOKEN} holds the token of who asks" if error.code in {401, 403} else ""
        raise CommandFailed(f"Airflow refused ({error.code} {error.reason}): {_detail(error)}{who}") from error
    except (URLError, TimeoutError, ValueError, HTTPException) as error:
        raise CommandFailed(f"Airflow does not answer at {url} ({error}). Set --airflow-url, or {_URL}") from error


def _detail(error: HTTPError) -> str:
    try:
        detail = json.load(error)["detail"]
    except (ValueError, KeyError, TypeError):
        return "it gave no reason"
    return detail if isinstance(detail, str) else json.dumps(detail)
