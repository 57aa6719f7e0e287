"""What says nothing about the request is waited out, wherever it is met, until the goal or the deadline."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import botocore.exceptions as botocore
import pytest

from airflow_sm_rollout.aws.cloudwatch import read_alarms
from airflow_sm_rollout.aws.world import AwsWorld, translated_errors
from airflow_sm_rollout.core.advance import Passing, advance
from airflow_sm_rollout.core.errors import DeadlinePassed, RolloutGaveUp
from airflow_sm_rollout.core.goals import AsBefore, Done, Goal, GreenDeployed, GreenShare, OnlyGreen, Wait
from aws.answers import answer
from convergence.lab import ENDPOINT, USER_ALARM, Lab

HICCUPS: dict[str, Callable[[], Exception]] = {
    "throttled": lambda: answer("ThrottlingException", "Rate exceeded"),
    "time-out": lambda: botocore.ReadTimeoutError(endpoint_url="https://api.sagemaker"),
    "no DNS": lambda: botocore.EndpointConnectionError(endpoint_url="https://api.sagemaker"),
    "certificate": lambda: botocore.SSLError(endpoint_url="https://api.sagemaker", error="expired"),
    "proxy": lambda: botocore.ProxyConnectionError(proxy_url="http://proxy"),
    "a proxy's page": lambda: answer("403", "<html>Blocked</html>", status=403),
    "expired credentials": lambda: answer("ExpiredTokenException", "The security token is expired", status=403),
    "no credentials": botocore.NoCredentialsError,
    "metadata service": lambda: botocore.MetadataRetrievalError(error_msg="timed out"),
    "credentials being renewed": lambda: botocore.CredentialRetrievalError(provider="web identity", error_msg="x"),
    "half-written credentials": lambda: botocore.PartialCredentialsError(provider="file", cred_var="secret"),
    "role refused": lambda: answer("AccessDenied", "not authorized to perform sts:AssumeRole", operation="AssumeRole"),
    "clock": lambda: answer("RequestTimeTooSkewed", "too skewed", status=403),
    "clock, in a signature": lambda: answer("InvalidSignatureException", "Signature expired", status=403),
}


class Hiccup:
    """Every call of the lab fails for a while."""

    def __init__(self, lab: Lab, error: Callable[[], Exception]) -> None:
        self.calls, self.lasts_until = 0, lab.now() + timedelta(minutes=10)
        self.lab, self.error = lab, error
        lab.hook = self

    def __call__(self, service: str, operation: str, phase: str) -> None:
        if phase == "before" and self.lab.now() < self.lasts_until:
            self.calls += 1
            raise self.error()


@pytest.mark.parametrize("name", HICCUPS)
@pytest.mark.parametrize(
    ("tasks_done", "goal"), [(1, GreenShare(10)), (7, OnlyGreen()), (4, AsBefore())], ids=["shift", "promote", "back"]
)
def test_a_hiccup_of_ten_minutes_ends_nothing(name: str, tasks_done: int, goal: Goal) -> None:
    lab = Lab()
    lab.run(until=tasks_done)
    hiccup = Hiccup(lab, HICCUPS[name])
    lab.reach(goal)
    assert hiccup.calls > 5


@pytest.mark.parametrize("name", HICCUPS)
def test_what_is_waited_out_is_said_with_what_was_tried(name: str) -> None:
    lab = Lab()
    lab.run(until=1)
    Hiccup(lab, HICCUPS[name])
    world = AwsWorld(lab.clients, ENDPOINT, lab.names.rollout_id, lab.now)
    waiting = advance(GreenShare(10), lab.names.rollout_id, world, lab.now() + timedelta(hours=1), print)
    assert isinstance(waiting, Wait)
    assert waiting.reason.startswith("could not look just now: ")
    assert type(HICCUPS[name]()).__name__ in waiting.reason or " answered " in waiting.reason


@pytest.mark.parametrize("goal", [GreenShare(10), OnlyGreen(), AsBefore()], ids=str)
def test_what_does_not_pass_ends_at_the_deadline_with_the_reason_and_not_before(goal: Goal) -> None:
    lab = Lab()
    lab.run(until=1)
    began = lab.now()
    Hiccup(lab, botocore.NoCredentialsError).lasts_until += timedelta(days=1)
    with pytest.raises(DeadlinePassed, match=f"not reached by .*: {goal}; could not look just now: NoCredentialsError"):
        lab.reach(goal, patience=timedelta(hours=2))
    assert timedelta(hours=2) <= lab.now() - began < timedelta(hours=2, minutes=2)


@pytest.mark.parametrize("name", HICCUPS)
def test_a_plan_is_not_refused_for_it(name: str) -> None:
    lab = Lab()
    hiccup = Hiccup(lab, HICCUPS[name])
    rollout = lab.plan()
    assert hiccup.calls > 5
    assert isinstance(lab.reach(GreenDeployed(rollout)), Done)


@pytest.mark.parametrize("name", HICCUPS)
def test_whoever_reads_alarms_is_told_that_it_passes(name: str) -> None:
    lab = Lab()
    Hiccup(lab, HICCUPS[name])
    with pytest.raises(Passing), translated_errors("could not look at the bake"):
        read_alarms(lab.clients.cloudwatch, [USER_ALARM], None)


def test_a_denial_is_an_answer_about_the_request_and_says_what_to_allow() -> None:
    lab = Lab()
    lab.run(until=1)
    Hiccup(lab, lambda: answer("AccessDeniedException", "not authorized", operation="DescribeEndpoint"))
    with pytest.raises(RolloutGaveUp, match="AccessDeniedException: not authorized; allow it; sm-rollout iam-policy"):
        lab.reach(GreenShare(10))
