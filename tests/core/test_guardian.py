"""What guardians and those who drive rollouts leave for each other, as texts."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_sm_rollout.core.errors import RolloutError
from airflow_sm_rollout.core.guardian import (
    GuardianLook,
    Sign,
    TakenBack,
    look_from_json,
    sign_from_text,
    sign_to_text,
    taken_back_from_json,
    to_json,
)

MOMENTS = st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1), timezones=st.just(timezone.utc))  # noqa: DTZ001 - bounds are naive by contract
SECONDS = MOMENTS.map(lambda moment: moment.replace(microsecond=0))


@given(st.builds(Sign, SECONDS, st.booleans()) | st.builds(Sign, SECONDS, awaits_retry=st.booleans()))
def test_a_sign_of_life_is_read_as_it_was_written(sign: Sign) -> None:
    assert sign_from_text(sign_to_text(sign)) == sign


@given(st.builds(GuardianLook, st.text(), MOMENTS, st.text()))
def test_a_look_is_read_as_it_was_written(look: GuardianLook) -> None:
    assert look_from_json(to_json(look)) == look


@given(st.builds(TakenBack, st.text(), st.text(), st.text(), MOMENTS))
def test_what_was_taken_back_is_read_as_it_was_written(note: TakenBack) -> None:
    assert taken_back_from_json(to_json(note)) == note


@pytest.mark.parametrize(
    "text", ["", "ended", "yesterday", "2026-01-01", "2026-01-01T00:00:00 ended", "2026-01-01T00:00:00+00:00 begun"]
)
def test_a_tag_of_somebody_elses_is_no_sign_of_life(text: str) -> None:
    assert sign_from_text(text) is None


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", "7", '{"by":"g","at":"2026-01-01","prefix":""}', '{"by":"g","at":7,"prefix":""}']
)
def test_what_no_guardian_has_left_is_no_look(text: str) -> None:
    with pytest.raises(RolloutError):
        look_from_json(text)
