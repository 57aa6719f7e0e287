"""States of the Rollout screen as the plugin's API has answered them, recorded from real rollouts by :mod:`screen.record`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from airflow_sm_rollout.core.report import Report
from airflow_sm_rollout.plugin.page import render_rollouts

RECORDINGS = Path(__file__).parent / "recordings"
REPORT = TypeAdapter(Report)
FORWARD = ("Pause", "Promote", "Abort")


@dataclass(frozen=True, slots=True)
class Recorded:
    """What a state must show.

    :param chip: where it stands.
    :param buttons: what there is to press.
    :param told: words that must stand in the reason.
    """

    chip: str
    buttons: tuple[str, ...]
    told: tuple[str, ...]


STATES = {
    "deploying": Recorded("Deploying green", FORWARD, ("has 0 % of the requests",)),
    "baking": Recorded("Baking 10 %", FORWARD, ("has 10 % of the requests",)),
    "paused": Recorded(
        "Paused at 10 %",
        ("Resume", "Promote", "Abort"),
        ("paused by alice", "waiting for the weekly report", "harm still rolls it back"),
    ),
    "waiting for a person": Recorded("Waiting for a person", FORWARD, ("alice, bob", "Required Actions")),
    "rolling back": Recorded("Rolling back", (), ("beer-v1 gets all requests back",)),
    "rolled back by an alarm": Recorded(
        "Rolled back", (), ("beer-v1 serves all requests as before", "failed too many calls", "; blue failed 0 of")
    ),
    "rolled back by the comparison": Recorded(
        "Rolled back",
        (),
        ("cider-v1 serves all requests as before", "worse than tolerated", "blue in the same minutes"),
    ),
    "rolled back by a person": Recorded("Rolled back", (), ("bob rejected 100 %", "release freeze")),
    "promoted": Recorded("Promoted", ("Undo",), ("serves all requests of wine",)),
    "undone": Recorded("Undone", (), ("was undone by alice", "complaints since Monday")),
    "not settled": Recorded("NOT SETTLED", (), ("sm-rollout rollback sake", "endpoint sake is InService")),
    "offline": Recorded("Paused at 10 %", ("Resume", "Promote", "Abort"), ("has 10 %", "paused by alice")),
    "refused": Recorded("Refused", (), ("endpoint_name='missing': there is no such endpoint", "Nothing was changed")),
}

ALIKE = (("baking", "baking, later"),)
"""Two looks at one state, of which the second has newer figures."""


@cache
def answer_of(state: str) -> dict[str, Any]:
    """What was recorded: ``at``, and ``report`` or why it was ``refused``."""
    return dict(json.loads((RECORDINGS / f"{state}.json").read_text()))


@cache
def report_of(state: str) -> Report:
    """The report of a state that has one."""
    return REPORT.validate_python(answer_of(state)["report"])


def moment_of(state: str) -> datetime:
    """When it was recorded."""
    return datetime.fromisoformat(answer_of(state)["at"])


def page_of(state: str, *, may_edit: bool = True) -> str:
    """The page that shows it, to whoever opened it when it was recorded."""
    recorded = answer_of(state)
    return render_rollouts(
        [report_of(state)] if "report" in recorded else [],
        "",
        "canary",
        "run",
        may_edit=may_edit,
        now=moment_of(state),
        refused=[recorded["refused"]] if "refused" in recorded else [],
        run_url="/run",
    )
