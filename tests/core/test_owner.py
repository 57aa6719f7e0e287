"""Whose a rollout is, over pairs of an owner and another that differ in one or several of the things that a record says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import product
from typing import Any

import pytest

from airflow_sm_rollout.core.names import derive_rollout_id
from airflow_sm_rollout.core.owner import describe_owner, is_of_run_that_is_gone, is_own, own_id
from airflow_sm_rollout.core.record import from_json, to_json
from airflow_sm_rollout.core.rollout import Rollout
from core.test_orphans import RECORD

OWNER = {
    "dag_id": "train",
    "run_id": "monday",
    "group_id": "a",
    "map_index": "-1",
    "environment": "airflow.shop.example",
    "task_id": "a.snapshot",
    "try_number": "2",
    "task_instance": "0196",
}
OTHERS = {
    "dag_id": ("train", "train_2"),
    "run_id": ("monday", "tuesday"),
    "group_id": ("a", "b", "", "a.b", "ab"),
    "map_index": ("-1", "0", "1"),
    "environment": ("airflow.shop.example", "staging.shop.example"),
}
PAIRS = [
    ({**OWNER, "group_id": group, "map_index": index}, {**OWNER, **dict(zip(OTHERS, other, strict=True))})
    for group, index in product(OTHERS["group_id"], OTHERS["map_index"])
    for other in product(*OTHERS.values())
]


def recorded(owner: dict[str, str], **changed: Any) -> Rollout:
    """The record of an owner's rollout, as it is read."""
    made = replace(RECORD, owner=owner, rollout_id=own_id("fraud", owner) if "group_id" in owner else "", **changed)
    return from_json(to_json(made))


def differ(one: dict[str, str], other: dict[str, str]) -> set[str]:
    return {name for name in OTHERS if one[name] != other[name]}


def test_nobody_is_taken_for_another_and_no_two_have_rollouts_of_one_name(
    record_property: Callable[[str, Any], None],
) -> None:
    for owner, other in PAIRS:
        is_same = not differ(owner, other)
        assert is_own(recorded(owner), other) == is_same, (owner, other)
        assert (own_id("fraud", owner) == own_id("fraud", other)) == is_same, (owner, other)
    record_property("pairs", len(PAIRS))
    assert len(PAIRS) == 1800


def test_a_task_outside_looks_into_the_groups_inside_its_own_and_nowhere_else() -> None:
    for owner, other in PAIRS:
        unlike = differ(owner, other)
        group, outer = owner["group_id"], other["group_id"]
        is_inside = group != outer and (not outer or group.startswith(f"{outer}.")) and other["map_index"] == "-1"
        expected = not unlike or (unlike <= {"group_id", "map_index"} and is_inside)
        assert is_own(recorded(owner), other, looks_inside=True) == expected, (owner, other)


@pytest.mark.parametrize("whose", ["recorded", "asking", "both"])
def test_where_an_airflow_is_not_known_the_rest_says_whose_it_is(whose: str) -> None:
    nowhere = {**OWNER, "environment": ""}
    owner, other = OWNER if whose == "asking" else nowhere, OWNER if whose == "recorded" else nowhere
    assert is_own(recorded(owner), other)
    assert not is_own(recorded(owner), {**other, "group_id": "b"})


def test_a_record_of_an_earlier_version_is_told_by_its_rollouts_id() -> None:
    for group, asking in product(OTHERS["group_id"], repeat=2):
        old = recorded({"dag_id": "train", "run_id": "monday"})
        old = replace(old, rollout_id=derive_rollout_id("fraud", "train", "monday", group))
        asks = {**OWNER, "group_id": asking}
        assert is_own(old, asks) == (group == asking)
        assert is_own(old, asks, looks_inside=True) == (asking in (group, ""))
        assert not is_own(old, {**asks, "run_id": "tuesday"}, looks_inside=True)


@pytest.mark.parametrize(
    ("changed", "is_gone"),
    [
        ({}, False),
        ({"try_number": "3", "task_instance": "0197"}, False),
        ({"try_number": "2", "task_instance": "0197"}, True),
        ({"try_number": "1", "task_instance": "0197"}, True),
        ({"task_id": "a.settle", "try_number": "1", "task_instance": "0198"}, False),
    ],
)
def test_a_run_of_the_same_name_is_told_by_its_tries(changed: dict[str, str], is_gone: bool) -> None:
    assert is_of_run_that_is_gone(OWNER, {**OWNER, **changed}) == is_gone
    assert not is_of_run_that_is_gone({"dag_id": "train", "run_id": "monday"}, {**OWNER, **changed})


@pytest.mark.parametrize(
    ("owner", "told"),
    [
        ({}, "somebody"),
        ({"dag_id": "train", "run_id": "monday"}, "dag_id train, run_id monday"),
        (OWNER, "dag_id train, run_id monday, group a, Airflow airflow.shop.example"),
        ({**OWNER, "map_index": "3", "environment": ""}, "dag_id train, run_id monday, group a[3]"),
    ],
)
def test_a_person_is_told_what_tells_owners_apart(owner: dict[str, str], told: str) -> None:
    assert describe_owner(owner) == told
