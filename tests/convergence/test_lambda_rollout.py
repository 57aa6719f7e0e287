"""A Lambda function in front of two endpoints: what green gets, what clients meet, and how it ends, whatever somebody else does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from airflow_sm_rollout.aws.planning import plan_rollout
from airflow_sm_rollout.aws.record import read_record
from airflow_sm_rollout.aws.undo import Wanted, begin_undo
from airflow_sm_rollout.core.errors import RolloutGaveUp, RolloutRefused
from airflow_sm_rollout.core.goals import AsBefore, Goal, GreenDeployed, GreenShare, OnlyGreen, Wait
from airflow_sm_rollout.core.outcome import Outcome, find_aftermath
from airflow_sm_rollout.core.rollout import Phase, Rollout
from convergence.lab import ENDPOINT, Killed
from convergence.lambda_lab import MAKERS, PLACE, TIMEOUT_SECONDS, DeletingLambdaLab, LambdaLab, without
from convergence.live_lab import seen_by, step


def change_function(lab: LambdaLab, **members: Any) -> None:
    """Somebody else changes ``$LATEST``."""
    lab.clients.functions.update_function_configuration(FunctionName=PLACE.function, **members)
    lab.pass_time(60)


def variables(endpoint: str, level: str = "info") -> dict[str, Any]:
    return {"Variables": {"ENDPOINT": endpoint, "LEVEL": level}}


def killed_after(lab: LambdaLab, operation: str, goal: Goal) -> None:
    """The process dies right after a call."""

    def hook(service: str, called: str, phase: str) -> None:
        if (called, phase) == (operation, "after"):
            lab.hook = None
            raise Killed

    lab.hook = hook
    with pytest.raises(Killed):
        lab.reach(goal)


@pytest.mark.parametrize("make", MAKERS)
def test_a_rollout_ends_with_the_alias_on_greens_version_and_nothing_else_left(make: Callable[[], LambdaLab]) -> None:
    lab = make()
    lab.run()
    assert lab.is_promoted(lab.describe())
    assert lab.live() == lab.names.green_endpoint
    assert not lab.under_capacity
    assert set(lab.shares) == {0.0, 10.0, 100.0}


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("tasks_done", range(6))
def test_a_rollback_from_every_point_ends_as_before_field_by_field(
    make: Callable[[], LambdaLab], tasks_done: int
) -> None:
    lab = make()
    lab.run(until=tasks_done)
    lab.roll_back()
    assert lab.describe() == lab.before
    assert not lab.under_capacity


@pytest.mark.parametrize(
    "operation", ["UpdateFunctionConfiguration", "PublishVersion", "UpdateAlias", "DeleteFunction", "DeleteEndpoint"]
)
def test_whatever_was_done_last_when_the_process_died_the_way_back_is_whole(operation: str) -> None:
    lab = LambdaLab()
    if operation.startswith("Delete"):
        lab.run(until=3)
        killed_after(lab, operation, AsBefore())
    elif operation == "UpdateAlias":
        lab.run(until=1)
        killed_after(lab, operation, GreenShare(10))
    else:
        killed_after(lab, operation, GreenDeployed(lab.plan()))
    lab.roll_back()
    assert lab.describe() == lab.before
    assert not lab.under_capacity


def test_latest_is_as_it_was_while_green_is_watched() -> None:
    lab = LambdaLab()
    lab.run(until=2)
    assert lab.endpoint_of("$LATEST") == ENDPOINT
    assert {number: lab.endpoint_of(number) for number in ("1", "2")} == {"1": ENDPOINT, "2": lab.names.green_endpoint}


def test_an_endpoint_is_kept_for_as_long_as_a_call_of_the_function_may_last() -> None:
    lab = LambdaLab()
    lab.run(until=3)
    waiting = step(lab, AsBefore(lab.planned))
    assert isinstance(waiting, Wait)
    assert f"alias live of function scorer has left endpoint {lab.names.green_endpoint}" in waiting.reason
    assert waiting.expected > timedelta(seconds=TIMEOUT_SECONDS)
    assert set(lab.describe()["versions"]) == {"$LATEST", "1", "2"}


@pytest.mark.parametrize(
    ("tasks_done", "goal"), [(1, GreenShare(10)), (2, GreenShare(0)), (5, OnlyGreen()), (3, AsBefore())]
)
def test_an_alias_that_somebody_else_moved_is_never_overwritten(tasks_done: int, goal: Goal) -> None:
    lab = LambdaLab()
    lab.run(until=tasks_done)
    lab.pass_time(60)
    change_function(lab, Environment=variables("theirs"))
    number = lab.clients.functions.publish_version(FunctionName=PLACE.function)["Version"]
    lab.put_alias(FunctionVersion=number, RoutingConfig={"AdditionalVersionWeights": {}})
    words = (
        r"somebody else wrote alias live of function scorer: it names endpoint theirs;.*UpdateAlias of function scorer"
    )
    with pytest.raises(RolloutGaveUp, match=words):
        lab.reach(goal)
    assert lab.live() == "theirs"


def test_weights_that_somebody_has_moved_stop_the_way_forward_and_the_way_back_says_so() -> None:
    lab = LambdaLab()
    lab.run(until=2)
    lab.put_alias(RoutingConfig={"AdditionalVersionWeights": {"2": 0.5}})
    for goal in (GreenShare(100), AsBefore()):
        with pytest.raises(RolloutGaveUp, match="for 50 % of the requests, endpoint fraud-"):
            lab.reach(goal)
    assert lab.shares_now()[ENDPOINT] == 50


@pytest.mark.parametrize("by", ["weights", "an own description"])
def test_an_alias_that_a_person_has_put_back_on_blue_is_waited_for_and_then_all_is_as_before(by: str) -> None:
    """How long green's version may still be at work, nobody can tell from the alias: it is told from the rollout's own write on."""
    lab = LambdaLab()
    lab.run(until=3)
    own = {} if by == "weights" else {"Description": "blue again"}
    lab.put_alias(FunctionVersion="1", RoutingConfig={"AdditionalVersionWeights": {}}, **own)
    with pytest.raises(RolloutGaveUp, match="somebody else wrote"):
        lab.reach(GreenShare(100))
    assert isinstance(step(lab, AsBefore(lab.planned)), Wait)
    lab.roll_back()
    assert lab.describe() == lab.before
    assert not lab.under_capacity


def test_a_plan_that_says_so_sends_calls_back_over_somebodys_change() -> None:
    lab = LambdaLab(on_drift="restore")
    lab.run(until=3)
    lab.put_alias(RoutingConfig={"AdditionalVersionWeights": {"2": 0.9}})
    lab.roll_back()
    assert lab.describe() == lab.before


def test_an_alias_that_somebody_has_deleted_stops_the_way_forward() -> None:
    lab = LambdaLab()
    lab.run(until=3)
    lab.clients.functions.delete_alias(FunctionName=PLACE.function, Name=PLACE.alias)
    with pytest.raises(RolloutGaveUp, match="alias live of function scorer: it does not exist any more"):
        lab.reach(GreenShare(100))


def test_a_function_that_somebody_deploys_meanwhile_stops_the_rollout_and_keeps_the_change() -> None:
    lab = LambdaLab()
    goal = GreenDeployed(lab.plan())
    killed_after(lab, "CreateEndpoint", goal)
    change_function(lab, Environment=variables(ENDPOINT, "debug"))
    with pytest.raises(RolloutGaveUp, match=r"differs from version 1, which alias live calls, in Environment\.LEVEL"):
        lab.reach(goal)
    lab.roll_back()
    assert lab.describe()["versions"]["$LATEST"]["Environment"] == variables(ENDPOINT, "debug")
    assert {**lab.describe(), "versions": None} == {**lab.before, "versions": None}


def test_what_somebody_deploys_after_green_was_published_stays_whichever_way_it_ends() -> None:
    for ends in (OnlyGreen(), AsBefore()):
        lab = LambdaLab()
        lab.run(until=5)
        change_function(lab, Environment=variables("theirs", "debug"))
        lab.reach(ends)
        assert lab.describe()["versions"]["$LATEST"]["Environment"] == variables("theirs", "debug")


def test_greens_version_that_somebody_has_deleted_stops_the_way_forward() -> None:
    lab = LambdaLab()
    lab.run(until=1)
    lab.clients.functions.delete_function(FunctionName=PLACE.function, Qualifier="2")
    with pytest.raises(RolloutGaveUp, match=r"has no version that calls endpoint fraud-.*deleted"):
        lab.reach(GreenShare(10))
    lab.roll_back()
    assert lab.describe() == lab.before


def test_a_version_that_somebody_published_at_the_same_moment_is_greens_since_it_calls_green() -> None:
    lab = LambdaLab()
    killed_after(lab, "UpdateFunctionConfiguration", GreenDeployed(lab.plan()))
    lab.pass_time(60)
    lab.clients.functions.publish_version(FunctionName=PLACE.function, Description="theirs")
    lab.run()
    assert lab.is_promoted(lab.describe())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            lambda lab: change_function(lab, Timeout=9),
            r"differs from version 1.*in Timeout: a rollout of the model would",
        ),
        (lambda lab: change_function(lab, Environment=variables("other")), r"in Environment\.ENDPOINT"),
    ],
)
@pytest.mark.parametrize("when", ["before it is planned", "before it begins"])
def test_a_function_with_something_else_to_deploy_is_refused(
    when: str, change: Callable[[LambdaLab], None], words: str
) -> None:
    lab = LambdaLab()
    rollout = lab.plan() if when == "before it begins" else None
    change(lab)
    before = lab.describe()
    with pytest.raises(RolloutRefused, match=rf"{words}.*Nothing was changed"):
        lab.reach(GreenDeployed(rollout)) if rollout else lab.plan()
    assert lab.describe() == before


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda plan: replace(plan, function=replace(PLACE, alias="none")), "no alias none of function scorer"),
        (lambda plan: replace(plan, function=replace(PLACE, function="none")), "or no such function"),
        (
            lambda plan: replace(plan, function=replace(PLACE, variable="URL")),
            r"no environment variable URL.*variable=",
        ),
    ],
)
def test_what_the_options_name_and_is_not_there_is_refused(spoil: Callable[[Any], Any], words: str) -> None:
    lab = LambdaLab()
    planned = lab.plan()
    with pytest.raises(RolloutRefused, match=words):
        plan_rollout(lab.clients, lab.names, planned.owner, planned.green, spoil(planned.plan), lab.now())


@pytest.mark.parametrize(
    "routed", [{"FunctionVersion": "$LATEST"}, {"RoutingConfig": {"AdditionalVersionWeights": {"2": 0.0}}}]
)
def test_an_alias_that_is_not_on_one_published_version_is_refused(routed: dict[str, Any]) -> None:
    lab = LambdaLab()
    change_function(lab, Description="other")
    change_function(lab, Environment=variables(ENDPOINT, "debug"))
    lab.clients.functions.publish_version(FunctionName=PLACE.function)
    lab.put_alias(**routed)
    with pytest.raises(RolloutRefused, match=r"calls versions .*and a rollout begins at one published version"):
        lab.plan()


def test_a_promotion_that_has_begun_to_delete_blue_is_finished_even_by_a_rollback() -> None:
    lab = DeletingLambdaLab()
    lab.run(until=4)
    begin_deleting(lab)
    assert lab.reach(AsBefore()).outcome is Outcome.PROMOTED
    assert lab.is_promoted(lab.describe())
    assert not lab.under_capacity


def begin_deleting(lab: LambdaLab) -> None:
    lab.pass_time(200)
    killed_after(lab, "DeleteEndpoint", OnlyGreen())


def test_a_promotion_that_keeps_blue_can_be_undone_until_its_record_is_gone() -> None:
    lab = LambdaLab()
    lab.run(until=5)
    killed_after(lab, "UpdateFunctionConfiguration", OnlyGreen())
    record = read_record(lab.clients.ssm, ENDPOINT)
    assert record is not None
    assert (record.phase, lab.endpoint_of("$LATEST")) == (Phase.PROMOTED, lab.names.green_endpoint)
    assert lab.reach(AsBefore()).outcome is Outcome.ROLLED_BACK
    assert lab.describe() == lab.before


@pytest.mark.parametrize("tasks_done", [3, 99])
def test_what_became_of_it_is_told_by_the_alias(tasks_done: int) -> None:
    from airflow_sm_rollout.aws.status import read_serving

    lab = LambdaLab()
    lab.run(until=tasks_done)
    if tasks_done == 3:
        lab.roll_back()
    assert lab.planned is not None
    aftermath = find_aftermath(lab.planned, read_serving(lab.clients, lab.planned, lab.now()))
    assert aftermath.value == ("as_before" if tasks_done == 3 else "promoted")


def test_a_person_does_the_same_by_hand_with_boto3() -> None:
    """Each step is one call of AWS's own API, and is read back by it."""
    lab = LambdaLab()
    lab.run(until=1)
    functions, named = lab.clients.functions, {"FunctionName": PLACE.function, "Name": PLACE.alias}
    for weights in ({"2": 0.01}, {"2": 0.5}, {}):
        functions.update_alias(**named, RoutingConfig={"AdditionalVersionWeights": weights})
        assert functions.get_alias(**named).get("RoutingConfig", {}).get("AdditionalVersionWeights", {}) == weights
    functions.update_alias(**named, FunctionVersion="2", RoutingConfig={"AdditionalVersionWeights": {}})
    assert without(functions.get_alias(**named))["FunctionVersion"] == "2"
    assert lab.live() == lab.names.green_endpoint
    assert seen_by(lab, AsBefore(lab.planned)).pointer is not None


def test_a_promotion_is_undone_exactly_days_later() -> None:
    lab = LambdaLab()
    lab.run()
    lab.pass_time(86400)
    lab.planned = begun = begin_undo(lab.clients, Wanted(ENDPOINT, "ada"), lab.now)
    assert isinstance(begun, Rollout)
    lab.roll_back()
    assert lab.describe() == lab.before
    assert not lab.under_capacity


def test_a_promotion_is_not_undone_to_a_version_that_is_gone() -> None:
    lab = LambdaLab()
    lab.run()
    lab.clients.functions.delete_function(FunctionName=PLACE.function, Qualifier="1")
    with pytest.raises(RolloutRefused, match="version 1 of alias live of function scorer, which called fraud, is gone"):
        begin_undo(lab.clients, Wanted(ENDPOINT, "ada"), lab.now)
