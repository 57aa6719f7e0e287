"""What is next on the way to green's version, decided from what was seen alone."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pytest

from airflow_sm_rollout.core.actions import NameEndpoint, PublishVersion
from airflow_sm_rollout.core.front.version import Front, FunctionVersion
from airflow_sm_rollout.core.goals import Act, AsBefore, Decision, GiveUp, GreenShare, Wait
from airflow_sm_rollout.core.observation import Observation
from airflow_sm_rollout.core.plan.function import FunctionAlias
from airflow_sm_rollout.core.rollout import Blue, Green, Plan, Rollout
from airflow_sm_rollout.core.rules.published import (
    green_can_be_called,
    green_is_published,
    latest_left_green,
    latest_names_green,
    why_unready,
)

NOW = datetime(2026, 11, 29, 5, tzinfo=timezone.utc)
PLACE = FunctionAlias("front", "live", "ENDPOINT")


def version(number: str, endpoint: str | None, **settings: Any) -> FunctionVersion:
    variables = {"LEVEL": "info"} | ({"ENDPOINT": endpoint} if endpoint else {})
    return FunctionVersion(
        {"Version": number, "RevisionId": f"r{number}", "Environment": {"Variables": variables}, **settings}
    )


def begun() -> Rollout:
    config = {"ProductionVariants": [{"VariantName": "AllTraffic"}]}
    blue = Blue("blue-1", config, "AllTraffic", 1.0, 1, endpoint_name="blue", function_version="1")
    return Rollout(
        endpoint_name="fraud",
        rollout_id="0badcafe",
        owner={},
        started_at=NOW,
        blue=blue,
        green=Green(model_name="fraud-v2"),
        plan=Plan(traffic="lambda", function=PLACE),
    )


GREEN = begun().green_endpoint_name


def seen(front: Front | None) -> Observation:
    return Observation(NOW, None, begun(), front=front)


def publish(front: Front | None) -> Decision | None:
    return green_is_published(GreenShare(1), begun(), seen(front))


@pytest.mark.parametrize("endpoint", ["blue", GREEN])
def test_nothing_is_asked_of_a_function_that_takes_a_change(endpoint: str) -> None:
    latest = version("$LATEST", endpoint, LastUpdateStatus="InProgress")
    front = Front(latest, version("1", "blue"))
    assert isinstance(publish(front), Wait)
    if endpoint == GREEN:
        assert isinstance(latest_left_green(AsBefore(), begun(), seen(front)), Wait)


def test_other_variables_are_carried_and_the_seen_revision_is_named() -> None:
    decision = publish(Front(version("$LATEST", "blue"), version("1", "blue")))
    assert isinstance(decision, Act)
    assert isinstance(decision.action, NameEndpoint)
    action = decision.action
    assert (action.variables, action.replaces) == ({"LEVEL": "info", "ENDPOINT": GREEN}, "r$LATEST")
    assert "info" not in f"{action}{action!r}"  # a variable may be a secret, and lines go to logs


def test_a_version_is_published_of_what_was_seen_alone() -> None:
    decision = publish(Front(version("$LATEST", GREEN), version("1", "blue")))
    assert isinstance(decision, Act)
    assert isinstance(decision.action, PublishVersion)
    assert decision.action.replaces == "r$LATEST"


@pytest.mark.parametrize(
    ("latest", "blue", "words"),
    [
        (version("$LATEST", "blue", Timeout=9), version("1", "blue", Timeout=3), "differs from version 1"),
        (version("$LATEST", "other"), version("1", "blue"), "in Environment.ENDPOINT"),
        (version("$LATEST", "blue"), None, "no such version"),
        (version("$LATEST", "blue", LastUpdateStatus="Failed"), version("1", "blue"), "has failed: AWS gives no"),
        (
            version(
                "$LATEST", None, Environment={"Error": {"ErrorCode": "AccessDeniedException", "Message": "no key"}}
            ),
            version("1", "blue"),
            "does not show the environment variables of function front, which green's version is to have: no key",
        ),
    ],
)
def test_what_can_not_become_greens_version_is_refused_by_name(
    latest: FunctionVersion, blue: FunctionVersion | None, words: str
) -> None:
    assert words in why_unready(PLACE, Front(latest, blue), ("blue",))
    decision = publish(Front(latest, blue))
    assert isinstance(decision, GiveUp)
    assert words in decision.reason


def test_a_function_that_is_gone_is_told() -> None:
    assert "no function" in why_unready(PLACE, None, ("blue",))
    assert isinstance(publish(None), GiveUp)
    assert latest_left_green(AsBefore(), begun(), seen(None)) is None


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"State": "Active"}, type(None)),
        ({"State": "Pending"}, Wait),
        ({"State": "Failed", "StateReason": "x"}, GiveUp),
    ],
)
def test_greens_version_gets_calls_only_once_aws_has_made_it_ready(settings: dict[str, str], expected: type) -> None:
    front = Front(version("$LATEST", "blue"), version("1", "blue"), version("2", GREEN, **settings))
    for rule in (green_can_be_called, green_is_published):
        assert isinstance(rule(GreenShare(1), begun(), seen(front)), expected)


@pytest.mark.parametrize(("names", "acts"), [("blue", True), (GREEN, False), ("theirs", False)])
def test_latest_calls_green_after_a_promotion_unless_somebody_has_it_call_something_else(
    names: str, acts: bool
) -> None:
    front = Front(version("$LATEST", names), version("1", "blue"), version("2", GREEN))
    assert isinstance(latest_names_green(GreenShare(1), begun(), seen(front)), Act) is acts
