"""Whatever comes from outside is shown as text, wherever it stands."""

from __future__ import annotations

from dataclasses import replace
from os import utime
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest

from airflow_sm_rollout.core.alarm_limit import AlarmLimit
from airflow_sm_rollout.core.control import Control, Wish
from airflow_sm_rollout.core.guardian import GuardianLook
from airflow_sm_rollout.core.outcome import Aftermath, Outcome
from airflow_sm_rollout.core.plan.strategy import canary
from airflow_sm_rollout.core.report import Live, build_report
from airflow_sm_rollout.core.rollout import Blue, Green, Plan
from airflow_sm_rollout.core.traces import APPROVAL, DID, TaskTrace
from airflow_sm_rollout.plugin import page
from airflow_sm_rollout.plugin.page import render_chart, render_file, render_list, render_rollouts
from airflow_sm_rollout.plugin.reads import Row
from core.test_rollout_report import FIGURES_SEEN, ROLLOUT, minute, settled

SCRIPT = "<script>alert('in')</script>"
QUOTED = '"><img src=x onerror=alert(1)>'
EVIL = SCRIPT + QUOTED


def evil_tasks() -> list[TaskTrace]:
    rate = {"events": 1, "requests": 2, "rate": 0.5, "low": 0.1, "high": 0.9}
    compared: dict[str, Any] = {"sentence": EVIL, "metrics": [{"metric": EVIL, "green": rate, "blue": rate}]}
    verdict = {"verdict": EVIL, "reason": EVIL}
    question = {"before": 100.0, "asked_at": EVIL, "until": EVIL, "may_answer": EVIL}
    answer = {**question, "answer": "rejected", "by": EVIL, "at": EVIL, "note": EVIL}
    return [
        TaskTrace(EVIL, EVIL, minute(0), minute(1), {"return_value": {"share": 25, "state": EVIL}}),
        TaskTrace("bake", "failed", minute(1), minute(2), {"return_value": verdict, "evidence": compared}),
        TaskTrace("did", "success", minute(1), minute(2), {DID: [{"at": EVIL, "what": EVIL}], "reason": EVIL}),
        TaskTrace("open", "deferred", minute(2), None, {APPROVAL: question}),
        TaskTrace("rejected", "failed", minute(2), minute(3), {APPROVAL: answer}),
    ]


def test_the_tab_and_the_picture_show_markup_as_text_in_every_place() -> None:
    config = {"ProductionVariants": [{"VariantName": "AllTraffic", "ModelName": EVIL}]}
    plan = Plan(strategy=replace(canary(), name=EVIL), alarms=(EVIL,), default_alarms=None)
    rollout = replace(
        ROLLOUT, endpoint_name=EVIL, blue=Blue(EVIL, config, "AllTraffic", 1.0, 2), green=Green(EVIL), plan=plan
    )
    live = Live(
        minute(3),
        25.0,
        {EVIL: EVIL},
        Control("0123abcd", Wish.PAUSE, minute(2), EVIL, EVIL),
        FIGURES_SEEN,
        Aftermath.CHANGED,
        EVIL,
        alarm_reasons={EVIL: EVIL},
        alarm_limits={EVIL: AlarmLimit(EVIL, EVIL, 1.0, EVIL, 2.0, by=(EVIL,))},
        guardian=GuardianLook(EVIL, minute(2)),
    )
    unsettled, unreadable = TaskTrace("settle", "failed", None, None, {}), TaskTrace(EVIL, "", None, None, {DID: [5]})
    row = Row(EVIL, EVIL, EVIL, EVIL, EVIL, minute(-9), "rolled_back", 0.0, EVIL)
    around: Any = {"unread": [EVIL], "refused": [EVIL]}
    for tasks in (
        evil_tasks(),
        [*evil_tasks(), settled("as_before")],
        [*evil_tasks(), unsettled],
        [*evil_tasks(), unreadable],
    ):
        built = build_report(EVIL, rollout, tasks, live, comparison={"sentence": EVIL, "metrics": []})
        shown = replace(built, traffic=EVIL, failure=EVIL, figures_failure=EVIL)  # as no rollout has it
        texts = (
            render_rollouts(
                [shown],
                "",
                EVIL,
                EVIL,
                may_edit=True,
                now=minute(5),
                run_url="/run",
                rows=[row],
                **around,
            ),
            render_file([shown], EVIL, now=minute(5), **around),
            render_chart(shown, minute(5)),
        )
        for text in texts:
            assert "<script>alert" not in text
            assert "<img" not in text
            assert "&lt;script&gt;alert" in text


def test_the_list_does_so_too() -> None:
    row = Row(EVIL, EVIL, EVIL, EVIL, EVIL, minute(0), Outcome.ROLLED_BACK, 0.0, EVIL)
    text = render_list([row], "", EVIL, EVIL, minute(5))
    assert "<script>alert" not in text
    assert "<img" not in text
    assert "&lt;script&gt;alert" in text


def test_an_upgrade_beside_a_running_server_does_not_mix_versions(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    templates = tmp_path / "templates"
    copytree(Path(page.__file__).parent / "templates", templates)
    monkeypatch.setattr(page, "__file__", str(tmp_path / "page.py"))
    page._environment.cache_clear()
    before = render_list([], "", "", "", minute(5))
    (templates / "rollouts.html").write_text("{{ what_only_a_later_version_knows }}")
    utime(templates / "rollouts.html", (0, 0))
    assert render_list([], "", "", "", minute(5)) == before
    page._environment.cache_clear()
