"""The AWS clients a rollout needs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING, Any, Protocol

from airflow_sm_rollout.aws.clock import follow
from airflow_sm_rollout.aws.counting import count_calls_of
from airflow_sm_rollout.core.plan.measures import Measure
from airflow_sm_rollout.core.watch.rows import Answer, Question

if TYPE_CHECKING:
    from airflow_sm_rollout.aws.cloudwatch import FlapsSeen  # which imports botocore, and DAG files import this module

_ATTEMPTS = 2  # at a call, by clients that give up soon


class ClientFactory(Protocol):
    """What makes clients: a boto3 session, or Airflow's hook behind the same method."""

    def client(self, service_name: str) -> Any:
        """A boto3 client of that service."""
        ...


class Outside(Protocol):
    """Asks sources of counts that are not AWS's. It never waits: an answer is there at a later look."""

    def ask(self, measure: Measure, question: Question) -> Answer:
        """The last answer to that question, as far as there is one."""
        ...


@dataclass(frozen=True, slots=True)
class Clients:
    """boto3 clients of one account and region.

    :param outside: who asks other sources than AWS; ``None``: nobody can here.
    :param functions: of AWS Lambda.
    :param codedeploy: of AWS CodeDeploy.
    :param flaps_seen: what alarms' histories have told, which is not asked again; see :mod:`~airflow_sm_rollout.aws.cloudwatch`.
    """

    sagemaker: Any
    cloudwatch: Any
    ssm: Any
    autoscaling: Any
    outside: Outside | None = None
    functions: Any = None
    codedeploy: Any = None
    flaps_seen: FlapsSeen = field(default_factory=dict, compare=False, repr=False)

    def __post_init__(self) -> None:
        for client in (self.sagemaker, self.cloudwatch, self.ssm, self.autoscaling):
            follow(client)
            count_calls_of(client)

    @classmethod
    def of(cls, factory: ClientFactory, outside: Outside | None = None) -> Clients:
        """Make them all from a boto3 session."""
        names = ("sagemaker", "cloudwatch", "ssm", "application-autoscaling")
        sagemaker, cloudwatch, ssm, autoscaling = (factory.client(name) for name in names)
        functions, codedeploy = (_MadeLater(partial(factory.client, name)) for name in ("lambda", "codedeploy"))
        return cls(sagemaker, cloudwatch, ssm, autoscaling, outside, functions, codedeploy)

    @classmethod
    def impatient(cls, region: str | None, answer_seconds: float, profile: str | None = None) -> Clients:
        """Clients that give up soon.

        :param region: AWS region; ``None``: as boto3 finds it.
        :param answer_seconds: how long AWS has for an answer, with all attempts at the call.
        :param profile: of AWS's configuration; ``None``: as boto3 finds it.
        """
        import boto3
        import botocore.session
        from botocore.config import Config

        each = answer_seconds / _ATTEMPTS
        session = botocore.session.Session(profile=profile)
        session.set_default_client_config(
            Config(
                connect_timeout=each, read_timeout=each, retries={"mode": "standard", "total_max_attempts": _ATTEMPTS}
            )
        )
        return cls.of(boto3.Session(botocore_session=session, region_name=region))


class _MadeLater:
    """A client that is made when it is first asked something: most rollouts have no function in front."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        self._made: Any = None
        self._lock = Lock()

    def __getattr__(self, name: str) -> Any:
        with self._lock:
            if self._made is None:
                self._made = self._make()
                follow(self._made)
                count_calls_of(self._made)
        return getattr(self._made, name)
