"""An alias read as a live pointer: what was meant is read back, and whoever changes anything is seen."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from airflow_sm_rollout.core.front.alias import Alias, alias_for, pointer_of_alias
from airflow_sm_rollout.core.pointer import Split, split_between

NOW = datetime(2026, 11, 29, 5, tzinfo=timezone.utc)
VERSIONS = {"blue": "7", "green": "12"}
ENDPOINTS = {"7": "blue", "12": "green"}
SHARES = st.one_of(st.integers(0, 100).map(float), st.floats(0.01, 99.99).map(lambda share: round(share, 4)))
LATER = timedelta(minutes=3)


@given(SHARES, st.integers(2, 500))
def test_what_was_meant_is_read_back_with_its_writer_and_its_time(share: float, count: int) -> None:
    split = split_between("blue", "green", share)
    pointer = pointer_of_alias(alias_for(split, VERSIONS, "orders-r1", NOW, count=count), ENDPOINTS, NOW + LATER)
    assert (pointer.split, pointer.rollout_id, pointer.written_at) == (split, "orders-r1", NOW)
    assert (pointer.version, pointer.is_what_was_meant) == (count, True)


@given(SHARES, SHARES)
def test_shares_that_somebody_else_has_changed_are_nobodys_of_ours(share: float, other: float) -> None:
    meant = alias_for(split_between("blue", "green", share), VERSIONS, "orders-r1", NOW, count=2)
    changed = alias_for(split_between("blue", "green", other), VERSIONS, "orders-r1", NOW, count=2)
    pointer = pointer_of_alias(replace(changed, description=meant.description), ENDPOINTS, NOW)
    same = (meant.version, meant.weights) == (changed.version, changed.weights)
    assert (pointer.rollout_id == "orders-r1") == same
    assert pointer.split == split_between("blue", "green", other)


@given(st.text(max_size=256))
def test_a_persons_description_is_no_writer_of_ours(description: str) -> None:
    alias = Alias("7", {}, description, "revision-1")
    pointer = pointer_of_alias(alias, ENDPOINTS, NOW)
    assert (pointer.split, pointer.rollout_id) == (Split("blue"), None)
    assert pointer.text == pointer_of_alias(alias, ENDPOINTS, NOW + LATER).text
    assert pointer.text != pointer_of_alias(replace(alias, revision="revision-2"), ENDPOINTS, NOW).text


def test_a_version_of_an_unknown_endpoint_is_not_readable() -> None:
    assert pointer_of_alias(Alias("3", {}, ""), ENDPOINTS, NOW).split is None
    assert pointer_of_alias(Alias("7", {"3": 0.5}, ""), ENDPOINTS, NOW).split is None


def test_a_description_fits_into_an_alias() -> None:
    longest = alias_for(Split("blue", "green", 33.3333), VERSIONS, "r" * 120, NOW, count=10**6)
    assert len(longest.description) <= 256


@given(st.text(max_size=256), st.lists(SHARES, min_size=1, max_size=4))
def test_what_a_person_has_written_in_the_description_stays_as_far_as_there_is_room(
    words: str, shares: list[float]
) -> None:
    description = words
    for number, share in enumerate(shares, 2):
        split = split_between("blue", "green", share)
        alias = alias_for(split, VERSIONS, "orders-r1", NOW, count=number, before=description)
        description = alias.description
        assert len(description) <= 256
        assert pointer_of_alias(alias, ENDPOINTS, NOW + LATER).rollout_id == "orders-r1"
        assert words.startswith("sm-rollout") or len(words) > 150 or description.endswith(words)
