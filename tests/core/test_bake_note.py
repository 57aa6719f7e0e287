"""Until when a bake watches is noted beside the record, and the command line counts down to that."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from airflow_sm_rollout.aws.bake_note import leave_note, read_note
from airflow_sm_rollout.aws.record import read_record
from airflow_sm_rollout.core.bake_note import BakeNote, note_from_text, note_of, note_to_text
from airflow_sm_rollout.core.control import Control, Wish
from airflow_sm_rollout.core.observation import Observation
from airflow_sm_rollout.core.plan.strategy import canary
from airflow_sm_rollout.core.screen.summary import describe_summary, summarize, summary_to_dict
from airflow_sm_rollout.core.watch.watch import Watch
from airflow_sm_rollout.sandbox.faults import Fault
from convergence.lab import ENDPOINT, Lab
from core.test_status import BEGUN, NOW, endpoint
from test_cli_status import rollout

NOTE = BakeNote(10.0, BEGUN, BEGUN + timedelta(minutes=33), timedelta(minutes=2))


def test_the_countdown_is_exact_where_the_bake_has_noted_its_end_and_a_pause_moves_it() -> None:
    seen = Observation(NOW, endpoint(10), rollout(strategy=canary([10, 50, 100], bake=1800)))
    noted = summarize("fraud", seen, None, NOTE)
    assert noted.way is not None
    assert (noted.way.next_at, noted.is_estimate) == (BEGUN + timedelta(minutes=33), False)
    assert "green gets 50 % in 13:00" in "\n".join(describe_summary(noted, NOW))
    assert summary_to_dict(noted)["rollout"]["is_estimate"] is False
    resumed = Control("0badcafe", Wish.GO_ON, NOW, "ada", paused_before=timedelta(minutes=7))
    moved = summarize("fraud", replace(seen, control=resumed), None, NOTE).way
    assert moved is not None
    assert moved.next_at == BEGUN + timedelta(minutes=38)
    of_the_step_before = summarize("fraud", replace(seen, endpoint=endpoint(50)), None, NOTE)
    assert of_the_step_before.is_estimate


@given(
    st.floats(0, 100, allow_nan=False),
    st.datetimes(timezones=st.just(timezone.utc)),
    st.integers(0, 10**7),
    st.integers(0, 10**6),
)
def test_a_bakes_note_is_a_tag_that_says_the_same(share: float, begun: datetime, bake: int, paused: int) -> None:
    begun = begun.replace(microsecond=0, year=min(begun.year, 9000))
    note = BakeNote(float(f"{share:g}"), begun, begun + timedelta(seconds=bake), timedelta(seconds=paused))
    text = note_to_text(note)
    assert note_from_text(text) == note
    assert re.fullmatch(r"[\w\s.:/=+@-]{1,256}", text), "what SSM lets a tag be"


@given(st.text() | st.from_regex(r"[0-9.e]{1,6} 2026-1[0-3]-\d\dT08:00:00(\+00:00)? 2026-11-28 [0-9e]{1,5}"))
def test_a_tag_that_is_no_note_counts_for_none(text: str) -> None:
    assert note_from_text(text) is None or text


def test_it_stands_beside_the_record_goes_with_it_and_keeps_nobody_from_watching() -> None:
    lab = Lab()
    lab.run(until=2)
    ssm, recorded = lab.clients.ssm, read_record(lab.clients.ssm, ENDPOINT)
    assert recorded is not None
    watch = Watch(lab.now(), lab.now() + timedelta(minutes=5), lab.now(), 0, rollout=recorded, share=10.0)
    assert read_note(ssm, ENDPOINT) is None
    lab.sandbox.faults.add(Fault("denied", "AddTagsToResource"))
    leave_note(ssm, watch)
    assert read_note(ssm, ENDPOINT) is None
    leave_note(ssm, watch)
    noted = note_of(watch)
    assert noted is not None
    assert read_note(ssm, ENDPOINT) == note_from_text(note_to_text(noted))
    lab.sandbox.faults.add(Fault("denied", "ListTagsForResource"))
    assert read_note(ssm, ENDPOINT) is None
    ssm.delete_parameter(Name=recorded.names.record)
    leave_note(ssm, watch)
    assert read_note(ssm, ENDPOINT) is None
