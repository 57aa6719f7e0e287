"""What moves a deployment on: shifts of the alias, hooks, alarms, and the way back. Texts are AWS's where one is recorded."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from airflow_sm_rollout.sandbox.cloudwatch import CloudWatch
from airflow_sm_rollout.sandbox.codedeploy.appspec import AFTER, BEFORE, AppSpec
from airflow_sm_rollout.sandbox.codedeploy.deployment import ALLOW, ROLLBACK, Deployment, Event
from airflow_sm_rollout.sandbox.errors import AwsError
from airflow_sm_rollout.sandbox.functions import Functions
from airflow_sm_rollout.sandbox.sagemaker.region import Region
from airflow_sm_rollout.sandbox.workers import Workers

_MISFIT = (
    "The deployment failed because the AppSpec file that specifies the AWS Lambda deployment configuration is missing or has an invalid "
    "configuration. {0}"
)
_OTHER_VERSION = "The Lambda function alias version does not match the current version in AppSpec file."
_ALARMED = (
    "One or more alarms have been activated according to the Amazon CloudWatch metrics you selected, and the affected deployments have "
    "been stopped. Activated alarms: <{0}>"
)


class Shifting:
    """Carries deployments out, one thing after the other on the sandbox's clock.

    :param keep: takes a deployment that CodeDeploy itself begins.
    """

    def __init__(
        self, region: Region, functions: Functions, cloudwatch: CloudWatch, keep: Callable[[Deployment], None]
    ) -> None:
        self._region, self._functions, self._cloudwatch, self._keep = region, functions, cloudwatch, keep
        self._workers = Workers("sm-rollout-hooks", 4)

    def begin(self, deployment: Deployment) -> None:
        """Have a deployment begin soon."""
        self._after(self._region.timings.start_deployment, self._start, deployment)

    def stop(self, deployment: Deployment, *, rolls_back: bool | None) -> None:
        """End a deployment for a person, and go back if that is wanted, or if its group does so anyway."""
        error = ("MANUAL_STOP", "The deployment was stopped by a user.")
        if rolls_back is not None:
            wanted = {"DEPLOYMENT_STOP_ON_REQUEST"} if rolls_back else set()
            deployment.rolls_back_on = (deployment.rolls_back_on - {"DEPLOYMENT_STOP_ON_REQUEST"}) | wanted
        self._end(deployment, "Stopped", error)

    def report(self, deployment: Deployment, execution_id: str, status: str) -> None:
        """Take a hook's word.

        :raises AwsError: if no hook of that ID is waited for.
        """
        event = next((each for each in deployment.events.values() if each.execution_id == execution_id), None)
        if event is None:
            text = f"The lifecycle event hook execution ID {execution_id} is not known"
            raise AwsError("InvalidLifecycleEventHookExecutionIdException", text)
        if event.status != "InProgress":
            raise AwsError("LifecycleEventAlreadyCompletedException", "The lifecycle event has already completed")
        if status not in ("Succeeded", "Failed"):
            raise AwsError("InvalidLifecycleEventHookExecutionStatusException", "Only Succeeded and Failed can be set")
        event.end(status, self._region.now())
        if status == "Failed":
            text = (
                f"The overall deployment failed because one or more of the lifecycle event hooks failed: {event.name}"
            )
            self._end(deployment, "Failed", ("HOOK_EXECUTION_FAILURE", text))
        else:
            self._follow(deployment, event)

    def close(self) -> None:
        """Wait for the hooks that run."""
        self._workers.close()

    def _after(self, seconds: float, do: Callable[..., None], deployment: Deployment, *more: Any) -> None:
        def act(now: float) -> None:
            if not deployment.has_ended:
                do(deployment, *more)

        self._region.schedule.at(self._region.now() + seconds, act)

    def _start(self, deployment: Deployment) -> None:
        deployment.status, deployment.started_at = "InProgress", self._region.now()
        if deployment.creator == ROLLBACK:
            self._go_back(deployment)
            return
        misfit = self._why_not(deployment.spec)
        if misfit:
            self._end(deployment, "Failed", misfit)
            return
        self._poll_alarms(deployment)
        if not deployment.has_ended:
            self._run_hook(deployment, deployment.events[BEFORE])

    def _why_not(self, spec: AppSpec) -> tuple[str, str] | None:
        """AWS's code and text where the alias is not what the AppSpec says; ``None``: it is."""
        try:
            alias = self._functions.get_alias({"FunctionName": spec.function, "Name": spec.alias})
            for number in (spec.current, spec.target):
                self._functions.get_function_configuration({"FunctionName": spec.function, "Qualifier": number})
        except AwsError as error:
            return "INVALID_LAMBDA_FUNCTION", _MISFIT.format(error.message)
        if alias["FunctionVersion"] != spec.current or "RoutingConfig" in alias:
            return "INVALID_LAMBDA_CONFIGURATION", _MISFIT.format(_OTHER_VERSION)
        return None

    def _run_hook(self, deployment: Deployment, event: Event) -> None:
        function = deployment.spec.hooks.get(event.name)
        if function is None:
            event.status = "Skipped"
            self._follow(deployment, event)
            return
        event.begin(self._region.now())
        event.execution_id = str(uuid.uuid4())
        self._after(self._region.timings.hook_timeout, self._give_hook_up, deployment, event)
        told = {"DeploymentId": deployment.id, "LifecycleEventHookExecutionId": event.execution_id}
        self._workers.start(self._invoke, deployment, event, function, told)

    def _invoke(self, deployment: Deployment, event: Event, function: str, told: Mapping[str, str]) -> None:
        """What the hook returns is without meaning: it has to report."""
        try:
            self._functions.invoke({"FunctionName": function, "Payload": json.dumps(told).encode()})
        except AwsError as error:
            with self._region.schedule.lock:
                if event.status == "InProgress" and not deployment.has_ended:
                    self._end(deployment, "Failed", ("HOOK_EXECUTION_FAILURE", f"{event.name}: {error.message}"))

    def _give_hook_up(self, deployment: Deployment, event: Event) -> None:
        if event.status == "InProgress":
            text = f"The deployment timed out while waiting for a status callback of hook {event.name}."
            self._end(deployment, "Failed", ("TIMEOUT", text))

    def _follow(self, deployment: Deployment, event: Event) -> None:
        """What comes after a lifecycle event."""
        if event.name == BEFORE:
            deployment.events[ALLOW].begin(self._region.now())
            self._shift(deployment, 0)
        elif event.name == AFTER:
            self._end(deployment, "Succeeded")

    def _shift(self, deployment: Deployment, number: int) -> None:
        share, wait = deployment.steps[number]
        if not self._point(deployment, share):
            return
        deployment.weight = share
        if number + 1 < len(deployment.steps):
            self._after(wait, self._shift, deployment, number + 1)
            return
        deployment.events[ALLOW].end("Succeeded", self._region.now())
        self._run_hook(deployment, deployment.events[AFTER])

    def _point(self, deployment: Deployment, share: float) -> bool:
        """Give the new version a share of the alias's calls, whatever they are now; no record says that CodeDeploy compares."""
        spec = deployment.spec
        version, weights = (spec.target, {}) if share == 1 else (spec.current, {spec.target: share} if share else {})
        change = {"FunctionName": spec.function, "Name": spec.alias, "FunctionVersion": version}
        try:
            self._functions.update_alias({**change, "RoutingConfig": {"AdditionalVersionWeights": weights}})
        except AwsError as error:
            self._end(deployment, "Failed", ("INVALID_LAMBDA_FUNCTION", _MISFIT.format(error.message)))
            return False
        return True

    def _poll_alarms(self, deployment: Deployment) -> None:
        alarm = self._ringing(deployment)
        if alarm:
            self._end(deployment, "Stopped", ("ALARM_ACTIVE", _ALARMED.format(alarm)))
        elif deployment.alarms:
            self._after(self._region.timings.poll_alarms, self._poll_alarms, deployment)

    def _ringing(self, deployment: Deployment) -> str:
        """The first alarm that rings, or that can't be read where that counts."""
        asked = {"AlarmNames": list(deployment.alarms), "AlarmTypes": ["MetricAlarm", "CompositeAlarm"]}
        answer = self._cloudwatch.describe_alarms(asked) if deployment.alarms else {}
        states = {each["AlarmName"]: each["StateValue"] for kind in answer.values() for each in kind}
        for name in deployment.alarms:
            state = states.get(name, "OK" if deployment.ignores_poll_failure else "ALARM")
            if state == "ALARM":
                return name
        return ""

    def _go_back(self, rollback: Deployment) -> None:
        if self._point(rollback, 0.0):
            rollback.weight = 0.0
            self._end(rollback, "Succeeded")

    def _end(self, deployment: Deployment, status: str, error: tuple[str, str] | None = None) -> None:
        deployment.end(status, self._region.now(), error)
        if not deployment.goes_back:
            return
        rollback = Deployment(
            id=new_id(),
            application=deployment.application,
            group=deployment.group,
            config="CodeDeployDefault.LambdaAllAtOnce",
            spec=deployment.spec,
            revision=deployment.revision,
            steps=[(0.0, 0.0)],
            created_at=self._region.now(),
            description=f"Rollback of deployment {deployment.id}",
            creator=ROLLBACK,
            rollback={"rollbackTriggeringDeploymentId": deployment.id},
        )
        deployment.rollback = {
            "rollbackDeploymentId": rollback.id,
            "rollbackMessage": f"Deployment {deployment.id} is rolled back by deployment {rollback.id}.",
        }
        self._keep(rollback)
        self._after(self._region.timings.roll_back_deployment, self._start, rollback)


def new_id() -> str:
    """A deployment's ID, in AWS's form."""
    return f"d-{uuid.uuid4().hex[:9].upper()}"
