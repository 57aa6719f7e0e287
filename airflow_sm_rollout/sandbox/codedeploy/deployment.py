"""A deployment as a value that changes: what it is to do, how far it is, and how it ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_sm_rollout.sandbox.codedeploy.appspec import AFTER, BEFORE, AppSpec
from airflow_sm_rollout.sandbox.sagemaker.region import timestamp

ROLLBACK = "codeDeployRollback"
ALLOW = "AllowTraffic"
ENDED = frozenset({"Succeeded", "Failed", "Stopped"})
# After which end a group goes back by itself.
_EVENT_OF = {"ALARM_ACTIVE": "DEPLOYMENT_STOP_ON_ALARM", "MANUAL_STOP": "DEPLOYMENT_STOP_ON_REQUEST"}


@dataclass(slots=True)
class Event:
    """One of a deployment's lifecycle events, as AWS names it. The hook's execution has an ID while it is waited for."""

    name: str
    status: str = "Pending"
    started_at: float | None = None
    ended_at: float | None = None
    execution_id: str = ""

    def begin(self, now: float) -> None:
        self.status, self.started_at = "InProgress", now

    def end(self, status: str, now: float) -> None:
        self.status, self.ended_at = status, now

    def answer(self) -> dict[str, Any]:
        times = {"startTime": self.started_at, "endTime": self.ended_at}
        return {"lifecycleEventName": self.name, "status": self.status, **_times(times)}


@dataclass(slots=True)
class Deployment:
    """One deployment.

    :param steps: the new version's shares, each with the seconds until the next.
    :param alarms: those that stop it.
    :param ignores_poll_failure: whether it goes on where an alarm can't be read.
    :param rolls_back_on: AWS's names of the events after which it goes back by itself.
    :param weight: the new version's share now.
    """

    id: str
    application: str
    group: str
    config: str
    spec: AppSpec
    revision: Mapping[str, Any]
    steps: list[tuple[float, float]]
    created_at: float
    description: str = ""
    creator: str = "user"
    alarms: tuple[str, ...] = ()
    ignores_poll_failure: bool = False
    rolls_back_on: frozenset[str] = frozenset()
    status: str = "Created"
    weight: float = 0.0
    error: tuple[str, str] | None = None
    rollback: dict[str, str] = field(default_factory=dict)
    started_at: float | None = None
    completed_at: float | None = None
    events: dict[str, Event] = field(init=False)

    def __post_init__(self) -> None:
        self.events = {name: Event(name) for name in (BEFORE, ALLOW, AFTER)}

    @property
    def has_ended(self) -> bool:
        return self.status in ENDED

    @property
    def goes_back(self) -> bool:
        """Whether it is to go back by itself, now that it has ended so."""
        if self.status == "Succeeded" or self.creator == ROLLBACK or self.error is None:
            return False
        return _EVENT_OF.get(self.error[0], "DEPLOYMENT_FAILURE") in self.rolls_back_on

    def end(self, status: str, now: float, error: tuple[str, str] | None = None) -> None:
        """:param error: AWS's code and text."""
        self.status, self.completed_at, self.error = status, now, error
        for event in self.events.values():
            if event.status == "InProgress":
                event.end("Succeeded" if status == "Succeeded" else "Failed", now)
            elif event.status == "Pending":
                event.status = "Skipped"

    def answer(self) -> dict[str, Any]:
        """GetDeployment's ``deploymentInfo``."""
        times = {"createTime": self.created_at, "startTime": self.started_at, "completeTime": self.completed_at}
        counted = {"InProgress": "InProgress", "Succeeded": "Succeeded", "Created": "Pending"}.get(
            self.status, "Failed"
        )
        states = ("Pending", "InProgress", "Succeeded", "Failed", "Skipped", "Ready")
        failed = {"errorInformation": {"code": self.error[0], "message": self.error[1]}} if self.error else {}
        return {
            "applicationName": self.application,
            "deploymentGroupName": self.group,
            "deploymentConfigName": self.config,
            "deploymentId": self.id,
            "revision": dict(self.revision),
            "status": self.status,
            "description": self.description,
            "creator": self.creator,
            "computePlatform": "Lambda",
            "deploymentStyle": {"deploymentType": "BLUE_GREEN", "deploymentOption": "WITH_TRAFFIC_CONTROL"},
            "deploymentOverview": {state: int(state == counted) for state in states},
            "autoRollbackConfiguration": {"enabled": bool(self.rolls_back_on), "events": sorted(self.rolls_back_on)},
            "rollbackInfo": dict(self.rollback),
            **failed,
            **_times(times),
        }

    def target(self, account_arn: str, now: float) -> dict[str, Any]:
        """A DeploymentTarget: what AWS tells of the alias that it shifts.

        :param account_arn: the part of ARNs between ``aws`` and the resource, such as ``us-east-1:123456789012``.
        """
        spec = self.spec
        status = {"Created": "Pending", "Stopped": "Failed"}.get(self.status, self.status)
        shown = {
            "deploymentId": self.id,
            "targetId": f"{spec.function}:{spec.alias}",
            "targetArn": f"arn:aws:lambda:{account_arn}:function:{spec.function}:{spec.alias}",
            "status": status,
            "lastUpdatedAt": timestamp(self.completed_at or now),
            "lifecycleEvents": [event.answer() for event in self.events.values()],
            "lambdaFunctionInfo": {
                "functionName": spec.function,
                "functionAlias": spec.alias,
                "currentVersion": spec.current,
                "targetVersion": spec.target,
                "targetVersionWeight": self.weight,
            },
        }
        return {"deploymentTargetType": "LambdaTarget", "lambdaTarget": shown}


def _times(given: Mapping[str, float | None]) -> dict[str, Any]:
    return {name: timestamp(moment) for name, moment in given.items() if moment is not None}
