"""The lab with a Lambda function in front, whose alias CodeDeploy shifts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, ClassVar

from airflow_sm_rollout.aws.planning import plan_rollout
from airflow_sm_rollout.core.advance import Passing
from airflow_sm_rollout.core.goals import GreenDeployed, OnlyGreen
from airflow_sm_rollout.core.plan.deployment import Deploying
from airflow_sm_rollout.core.plan.strategy import Strategy, canary, linear
from airflow_sm_rollout.core.rollout import Green, Plan, Rollout
from airflow_sm_rollout.sandbox.codedeploy.deployment import Deployment
from airflow_sm_rollout.sandbox.functions.function import Function
from airflow_sm_rollout.sandbox.functions.runtime import Reply
from convergence.guardrails_lab import JudgedLab
from convergence.lab import ROLE, USER_ALARM
from convergence.lambda_lab import PLACE, LambdaLab, Warm

HOOK = "CodeDeployHook_check"
OWN_GROUP = {"applicationName": "scorer", "deploymentGroupName": "live"}
GROUPS_ALARM = "scorer-errors"


@dataclass
class DeployLab(JudgedLab, LambdaLab):
    """CodeDeploy shifts the alias by a config of its own that the rollout makes."""

    traffic: ClassVar[str] = "codedeploy"
    strategy: ClassVar[Strategy] = canary([20, 100], bake=timedelta(minutes=2))
    deployment: ClassVar[Deploying] = Deploying(role_arn=ROLE)

    def deployments(self) -> list[Deployment]:
        """All that CodeDeploy has had to do, read past the API."""
        [service] = self.sandbox.services["codedeploy"]
        return list(service._deployments.values())  # type: ignore[attr-defined]

    def read_world(self) -> dict[str, Any]:
        codedeploy = self.clients.codedeploy
        applications = codedeploy.list_applications()["applications"]
        listed = [codedeploy.list_deployment_groups(applicationName=name) for name in applications]
        groups = {each["applicationName"]: each["deploymentGroups"] for each in listed}
        return {
            **super().read_world(),
            "groups": groups,
            "deployment_configs": codedeploy.list_deployment_configs()["deploymentConfigsList"],
        }

    def is_promoted(self, after: dict[str, Any]) -> bool:
        """As where the rollout shifts, but that CodeDeploy writes nothing into an alias's description."""
        described = after["alias"]["Description"]
        own = {**after, "alias": {**after["alias"], "Description": f"x | {described}"}}
        if not super().is_promoted(own):
            return False
        assert described == "what clients call"
        assert all(after[name] == self.before[name] for name in ("groups", "deployment_configs"))
        return True

    def plan(self) -> Rollout:
        green = Green(image="green:2", model_data_url="s3://models/green.tar.gz")
        plan = Plan(
            self.strategy,
            alarms=(USER_ALARM,),
            delete_blue=self.delete_blue,
            traffic=self.traffic,
            on_drift=self.on_drift,
            function=PLACE,
            deployment=self.deployment,
        )
        while True:
            try:
                self.planned = plan_rollout(
                    self.clients, self.names, {"dag_id": "dag", "run_id": "run"}, green, plan, self.now()
                )
            except Passing:
                self.pass_time(5)
            else:
                return self.planned

    def look_away(self) -> None:
        super().look_away()
        self.judge()

    def let_pass(self, seconds: float) -> None:
        """Let time pass, with somebody who judges."""
        for _ in range(int(seconds) // 10):
            self.pass_time(10)
            self.judge()
            self.watch()

    def tasks(self) -> list[Callable[[], object]]:
        """The group's tasks, and between them where CodeDeploy is by then: the first share, all, the last bake over."""
        return [
            lambda: self.reach(GreenDeployed(self.plan())),
            lambda: self.look(OnlyGreen(self.planned)),
            lambda: self.let_pass(60),
            lambda: self.let_pass(90),
            lambda: self.reach(OnlyGreen(self.planned)),
        ]


@dataclass
class OwnGroupLab(DeployLab):
    """By a group of the user's, which has an alarm, in equal steps."""

    strategy: ClassVar[Strategy] = linear(40, timedelta(minutes=1))
    deployment: ClassVar[Deploying] = Deploying(application="scorer", group="live")

    def _put_blue_into_production(self) -> None:
        super()._put_blue_into_production()
        codedeploy = self.clients.codedeploy
        codedeploy.create_application(applicationName=OWN_GROUP["applicationName"], computePlatform="Lambda")
        watched = {"enabled": True, "alarms": [{"name": GROUPS_ALARM}]}
        codedeploy.create_deployment_group(**OWN_GROUP, serviceRoleArn=ROLE, alarmConfiguration=watched)
        self.clients.cloudwatch.put_metric_alarm(
            AlarmName=GROUPS_ALARM,
            MetricName="Errors",
            Namespace="AWS/Lambda",
            Statistic="Sum",
            Period=60,
            EvaluationPeriods=1,
            Threshold=5.0,
            ComparisonOperator="GreaterThanThreshold",
            TreatMissingData="notBreaching",
        )


class SilentHost:
    """Functions that run, and say nothing; the test reports for them."""

    def invoke(self, arn: str, version: Any, event: Any) -> Reply:
        return Reply(b"null")

    def forget(self, arn: str) -> None:
        pass

    def close(self) -> None:
        pass


@dataclass
class HookedLab(DeployLab):
    """A function looks before green has traffic, and another one when it has all."""

    deployment: ClassVar[Deploying] = Deploying(role_arn=ROLE, before=HOOK, after=HOOK)

    def _put_blue_into_production(self) -> None:
        super()._put_blue_into_production()
        functions = self.sandbox.services["lambda"][0]
        functions._host = SilentHost()  # type: ignore[attr-defined]
        blue = functions._functions[PLACE.function]  # type: ignore[attr-defined]
        functions._functions[HOOK] = Function(HOOK, blue.latest)  # type: ignore[attr-defined]

    def report(self, word: str) -> None:
        """What the function says that CodeDeploy waits for now."""
        waiting = [
            (each, event)
            for each in self.deployments()
            for event in each.events.values()
            if event.status == "InProgress" and event.execution_id
        ]
        for deployment, event in waiting:
            self.clients.codedeploy.put_lifecycle_event_hook_execution_status(
                deploymentId=deployment.id, lifecycleEventHookExecutionId=event.execution_id, status=word
            )


@dataclass
class WarmDeployLab(Warm, DeployLab):
    """Blue's version has provisioned concurrency."""


MAKERS = [DeployLab, OwnGroupLab]
