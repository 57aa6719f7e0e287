"""Somebody edits a record by hand. What reads it says so in a sentence: the command line and ``settle`` depend on it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import is_dataclass
from datetime import timedelta
from typing import Any, get_args

import pytest

from airflow_sm_rollout.aws.record import record_of
from airflow_sm_rollout.core.control import Control, Wish, control_from_json, control_to_json
from airflow_sm_rollout.core.errors import RolloutError
from airflow_sm_rollout.core.record import from_json, to_json
from airflow_sm_rollout.core.rollout import Rollout, with_green_traffic
from airflow_sm_rollout.core.shape import hints
from airflow_sm_rollout.core.watch.sources import sources_of
from convergence.guardrails_lab import GuardrailsLab
from convergence.lab import Lab
from convergence.live_lab import LiveLab, SharedLab

PROPERTIES = [name for name, each in vars(Rollout).items() if isinstance(each, property)]

ODD: tuple[Any, ...] = (None, 0, "", "x", [], {}, [1], True, -1.5, 1e300, "2024-01-01", "\u0000", {"version": 1})


def spoilt(whole: Any, at: Any = None) -> Iterator[Any]:
    """The value with each of its parts, down to the last one, replaced by each of :data:`ODD`, and left out."""
    at = whole if at is None else at
    for key in list(at) if isinstance(at, dict) else range(len(at)):
        kept = at[key]
        for odd in ODD:
            at[key] = odd
            yield whole
        at[key] = kept
        if isinstance(kept, (dict, list)) and kept:
            yield from spoilt(whole, kept)
        if isinstance(at, dict):
            del at[key]
            yield whole
            at[key] = kept


def read_all(stored: Any, read: Any) -> int:
    count = 0
    for each in [*({"": odd}[""] for odd in ODD), *(json.loads(json.dumps(one)) for one in spoilt(stored))]:
        count += 1
        with suppress(RolloutError):
            read(json.dumps(each))
    return count


def use(text: str) -> None:
    """Read a record, and ask it all that anybody asks of one before he acts."""
    rollout = record_of({"Value": text}, "/sm-rollout/fraud")
    moment = rollout.started_at + timedelta(hours=1)
    for name in PROPERTIES:
        getattr(rollout, name)
    for config in (rollout.names.configs, rollout.blue.variant_config.items()):
        assert config
    index = len(rollout.plan.strategy.steps) - 1 if rollout.plan.strategy else 0
    for asked in (rollout, with_green_traffic(rollout, moment)):
        asked.bake_end(index, moment, timedelta(minutes=1))
        sources_of(asked, moment)
    assert rollout.describe_owner()
    assert rollout.how_to_end()
    assert from_json(to_json(rollout)) == rollout


def test_a_record_with_any_part_spoilt_can_be_used_or_is_refused_in_a_sentence() -> None:
    stored = json.loads(to_json(Lab().plan()))
    count = read_all(stored, use)
    print(f"{count} spoilt records read")
    assert count > 500


def test_a_wish_with_any_part_spoilt_is_read_or_refused_in_a_sentence() -> None:
    stored = json.loads(control_to_json(Control("0badcafe", Wish.PAUSE, Lab().now())))
    count = read_all(stored, control_from_json)
    print(f"{count} spoilt wishes read")
    assert count > 80


@pytest.mark.parametrize("make", [Lab, LiveLab, SharedLab, GuardrailsLab])
def test_a_record_cut_short_anywhere_is_refused(make: type[Lab]) -> None:
    text = to_json(make().plan())
    assert from_json(text)
    for length in range(0, len(text), 3):
        with pytest.raises(RolloutError):
            from_json(text[:length])
    print(f"{len(text)} records cut short")


@pytest.mark.parametrize(
    "text", ["", "pause", "{", "\ufeff{}", "NaN", "[" * 100_000, "1" * 5000, '{"version":' * 9999], ids=range(8)
)
def test_what_is_no_json_is_refused(text: str) -> None:
    for read in (from_json, control_from_json):
        with pytest.raises(RolloutError):
            read(text)


def test_a_record_that_was_copied_from_another_endpoint_is_refused_with_both_names() -> None:
    with pytest.raises(RolloutError, match=r"/sm-rollout/wine: .* another endpoint, fraud"):
        record_of({"Value": to_json(Lab().plan())}, "/sm-rollout/wine")


def dataclasses_in(stored: Any, declared: Any = Rollout, where: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """All objects of a record that are read as dataclasses, with their paths."""
    if isinstance(stored, list):
        for index, each in enumerate(stored):
            yield from dataclasses_in(each, declared, f"{where}[{index}]")
    elif isinstance(stored, dict) and is_dataclass(declared):
        yield where, stored
        for name, each in stored.items():
            yield from dataclasses_in(each, hints(declared).get(name), f"{where}.{name}")
    else:
        for inner in get_args(declared):
            yield from dataclasses_in(stored, inner, where)


@pytest.mark.parametrize("make", [Lab, LiveLab, SharedLab, GuardrailsLab])
def test_a_member_that_a_newer_version_has_written_is_refused_by_name_wherever_it_stands(make: type[Lab]) -> None:
    stored = json.loads(to_json(make().plan()))
    places = list(dataclasses_in(stored))
    assert {where for where, _ in places} >= {
        "",
        ".blue",
        ".green",
        ".plan",
        ".plan.evidence",
        ".plan.strategy.steps[0]",
    }
    for where, part in places:
        part["newer"] = {"since": 2}
        with pytest.raises(RolloutError, match=r"newer, which a newer version has written. Act where that one runs"):
            from_json(json.dumps(stored))
        del part["newer"]
        assert from_json(json.dumps(stored)), where


def test_what_is_as_aws_or_people_name_it_may_have_any_name() -> None:
    stored = json.loads(to_json(Lab().plan()))
    for part in (stored["owner"], stored["blue"]["config"], stored["blue"]["config_tags"]):
        part["newer"] = "2"
    assert from_json(json.dumps(stored)).blue.config_tags["newer"] == "2"
