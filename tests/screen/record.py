"""Records the states of the Rollout screen: ``PYTHONPATH=.:tests python -m screen.record`` (about five minutes).

It rolls out models in a real Airflow, against the sandbox on its hurried clock, and writes down what the plugin's API answers in each
state. Tests load that (:mod:`screen.recorded`); one of them fails once the recording no longer fits, and then this is run again.
"""

from __future__ import annotations

import json
import logging
import re
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import datetime, timezone
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import quote

from browser.approving import Airflow, approving_site, wait_for_question
from production import BAD, GOOD, wait_until
from screen.recorded import RECORDINGS
from wiring.runs import Run, Site, persist

REQUESTS_PER_SECOND = 8
WITHIN_SECONDS = 600
DAG_FILE = """\
from airflow.sdk import DAG
from airflow_sm_rollout import AlarmDefaults, canary_rollout

VARIANTS = {
    "good": {"approval": {"timeout": 600, "assigned_users": ["alice", "bob"]}},
    "watched": {"default_alarms": AlarmDefaults(min_requests=5, min_bad_requests=3), "tolerances": None},
    "compared": {"default_alarms": None},
}

for dag_id, options in VARIANTS.items():
    with DAG(dag_id, schedule=None, params={"endpoint": "none", "artifact": "none"}):
        canary_rollout(
            endpoint_name="{{ params.endpoint }}",
            image="registry/green:2",
            model_data_url="{{ params.artifact }}",
            steps=[10, 50, 100],
            bake=40 if dag_id == "good" else 120,
            alarms="{{ params.endpoint }}-refused",
            poke_interval=1,
            **options,
        )
"""


class Recorder:
    """Writes down states of runs.

    :param site: where they take place.
    """

    def __init__(self, site: Site) -> None:
        assert isinstance(site.airflow, Airflow)
        self._airflow = site.airflow
        self.site = site

    def write(self, run: Run, state: str, is_it: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
        """Wait until the API's answer is that of a state, and keep it."""
        path = f"{_page(run.dag_id, run.run_id)}/report.json"

        def look() -> tuple[str, Any] | None:
            at = datetime.now(timezone.utc).isoformat()
            status, text = self._airflow.ask("GET", path, "alice")
            reports = json.loads(text) if status == 200 else []
            return (at, reports[0]) if reports and is_it(reports[0]) else None

        at, report = wait_until(look, WITHIN_SECONDS, pause=0.3)
        _keep(state, {"at": at, "report": report})
        return dict(report)

    def wish(self, run: Run, wish: str, note: str = "") -> None:
        """As a button of the screen does."""
        rollout_id = self._airflow.xcom(run.dag_id, run.run_id, "canary.snapshot")["rollout_id"]
        body = {"rollout_id": rollout_id, "wish": wish, "note": note}
        status, text = self._airflow.ask("POST", f"{_page(run.dag_id, run.run_id)}/wishes", "alice", body)
        assert status == 200, text

    def answer(self, run: Run, option: str, note: str) -> None:
        """As a person does in Airflow."""
        wait_for_question(run)
        path = f"/api/v2/dags/{run.dag_id}/dagRuns/{quote(run.run_id)}/taskInstances/canary.approve_100/-1/hitlDetails"
        body = {"chosen_options": [option], "params_input": {"note": note}}
        status, text = self._airflow.ask("PATCH", path, "bob", body)
        assert status == 200, text

    def write_refused(self) -> None:
        """A rollout of an endpoint that is not there."""
        run_id = persist(lambda: self._airflow.trigger("good", {"endpoint": "missing", "artifact": GOOD}))

        def look() -> str:
            page = self._airflow.ask("GET", _page("good", run_id), "alice")[1]
            found = re.search(r'<p class="outcome refused">Not started: ([^<]+)</p>', page)
            return unescape(found[1]) if found else ""

        told = wait_until(look, WITHIN_SECONDS, pause=0.5)
        _keep("refused", {"at": datetime.now(timezone.utc).isoformat(), "refused": told})


def _page(dag_id: str, run_id: str) -> str:
    return f"/sm-rollout/dags/{dag_id}/runs/{quote(run_id, safe='')}"


def _keep(state: str, recorded: dict[str, Any]) -> None:
    (RECORDINGS / f"{state}.json").write_text(json.dumps(recorded, separators=(",", ":")) + "\n")
    print(f"{datetime.now(timezone.utc):%H:%M:%S} {state}", flush=True)


def _is(state: str, *members: str) -> Callable[[dict[str, Any]], bool]:
    """Whether a report is in a state, and has these members."""
    return lambda report: report["state"] == state and all(report[each] for each in members)


def good(recorder: Recorder) -> None:
    """From its beginning to its promotion, with a pause and a question, and back from there."""
    run = recorder.site.start("wine", "good")
    with recorder.site.production.traffic("wine", REQUESTS_PER_SECOND):
        recorder.write(
            run, "deploying", lambda report: _is("deploying", "figures")(report) and report["figures"]["blue"]
        )
        recorder.write(
            run,
            "baking",
            lambda report: _is("baking", "comparison")(report) and len(report["figures"]["green"]) > 2,
        )
        recorder.write(
            run, "baking, later", lambda report: _is("baking")(report) and len(report["figures"]["green"]) > 3
        )
        recorder.wish(run, "pause", "waiting for the weekly report")
        recorder.write(run, "paused", _is("paused", "comparison"))
        recorder.wish(run, "go_on")
        recorder.write(run, "waiting for a person", _is("asking", "comparison", "figures"))
        recorder.answer(run, "Approve", "as good as the old one")
        recorder.write(run, "promoted", _is("promoted", "figures", "buttons"))
        recorder.wish(run, "undo", "complaints since Monday")
        recorder.write(run, "undone", _is("undone", "figures"))


def alarmed(recorder: Recorder) -> None:
    """A model that fails every request, seen by the rollout's own alarm."""
    run = recorder.site.start("beer", "watched", artifact=BAD)
    with recorder.site.production.traffic("beer", 4 * REQUESTS_PER_SECOND):
        recorder.write(run, "rolling back", _is("rolling_back", "figures"))
        recorder.write(run, "rolled back by an alarm", _is("rolled_back", "figures"))


def compared(recorder: Recorder) -> None:
    """The same, seen by the comparison with blue."""
    run = recorder.site.start("cider", "compared", artifact=BAD)
    with recorder.site.production.traffic("cider", REQUESTS_PER_SECOND):
        recorder.write(run, "rolled back by the comparison", _is("rolled_back", "figures"))


def rejected(recorder: Recorder) -> None:
    """A good model that a person does not want."""
    run = recorder.site.start("mead", "good")
    with recorder.site.production.traffic("mead", REQUESTS_PER_SECOND):
        recorder.answer(run, "Reject", "release freeze")
        recorder.write(run, "rolled back by a person", _is("rolled_back", "figures"))


def unsettled(recorder: Recorder) -> None:
    """Whose tasks a person marks as failed, the one that would roll it back, too."""
    run = recorder.site.start("sake", "good")
    with recorder.site.production.traffic("sake", REQUESTS_PER_SECOND):
        run.wait_for("bake_10", "running", "deferred")
        recorder.wish(run, "pause")
        wait_until(lambda: recorder.site.production.shares("sake").green > 0, WITHIN_SECONDS)
        run.mark_task("settle", "failed")
        run.mark("failed")
        recorder.write(run, "not settled", _is("not_settled", "read_at", "figures"))


def offline(recorder: Recorder) -> None:
    """One that is paused when AWS goes out of reach. The last one: AWS does not come back."""
    run = recorder.site.start("port", "compared")
    with recorder.site.production.traffic("port", REQUESTS_PER_SECOND):
        run.wait_for("bake_10", "running", "deferred")
        recorder.wish(run, "pause")
        recorder.write(run, "paused, with AWS in reach", _is("paused", "figures"))
    recorder.site.production.server.close()
    recorder.write(run, "offline", _is("paused", "failure"))


def main() -> int:
    """Record all states."""
    logging.disable(logging.WARNING)  # the sandbox tells of each call that nobody captures
    RECORDINGS.mkdir(exist_ok=True)
    for old in RECORDINGS.glob("*.json"):
        old.unlink()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        recorder = Recorder(stack.enter_context(approving_site(Path(folder), DAG_FILE)))
        with ThreadPoolExecutor(6) as pool:
            begun = [pool.submit(each, recorder) for each in (good, alarmed, compared, rejected, unsettled)]
            begun.append(pool.submit(recorder.write_refused))
            for each in begun:
                each.result()
        offline(recorder)
    (RECORDINGS / "paused, with AWS in reach.json").unlink()
    return 0


if __name__ == "__main__":
    sys.exit(main())
