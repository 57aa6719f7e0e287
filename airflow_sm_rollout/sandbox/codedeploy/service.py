"""CodeDeploy's operations on applications, groups, configs and deployments of the Lambda platform."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from airflow_sm_rollout.sandbox.cloudwatch import CloudWatch
from airflow_sm_rollout.sandbox.codedeploy.appspec import read_revision
from airflow_sm_rollout.sandbox.codedeploy.configs import PREDEFINED, Config, read_config
from airflow_sm_rollout.sandbox.codedeploy.deployment import Deployment
from airflow_sm_rollout.sandbox.codedeploy.shifting import Shifting, new_id
from airflow_sm_rollout.sandbox.errors import AwsError
from airflow_sm_rollout.sandbox.functions import Functions
from airflow_sm_rollout.sandbox.sagemaker.region import Region, timestamp
from airflow_sm_rollout.sandbox.surface import not_played

PAGE = 100
MOST_ALARMS = 10
_OF_GROUP = ("serviceRoleArn", "alarmConfiguration", "autoRollbackConfiguration", "deploymentStyle")
_STYLE = {"deploymentType": "BLUE_GREEN", "deploymentOption": "WITH_TRAFFIC_CONTROL"}


class CodeDeploy:
    """The applications of one Region, and what is deployed by them."""

    def __init__(self, region: Region, functions: Functions, cloudwatch: CloudWatch) -> None:
        self._region = region
        self._applications: dict[str, dict[str, Any]] = {}
        self._groups: dict[tuple[str, str], dict[str, Any]] = {}
        self._configs: dict[str, Config] = dict(PREDEFINED)
        self._deployments: dict[str, Deployment] = {}
        self._shifting = Shifting(region, functions, cloudwatch, self._keep)

    def create_application(self, params: Mapping[str, Any]) -> dict[str, Any]:
        name, platform = params["applicationName"], params.get("computePlatform", "Server")
        if platform != "Lambda":
            raise not_played(f"an application of the platform {platform}")
        if name in self._applications:
            raise AwsError("ApplicationAlreadyExistsException", f"Application already exists with name {name}")
        number, made = str(uuid.uuid4()), timestamp(self._region.now())
        described = {"applicationId": number, "applicationName": name, "createTime": made, "computePlatform": platform}
        self._applications[name] = {**described, "linkedToGitHub": False}
        return {"applicationId": number}

    def get_application(self, params: Mapping[str, Any]) -> dict[str, Any]:
        return {"application": self._application(params)}

    def list_applications(self, params: Mapping[str, Any]) -> dict[str, Any]:
        return _page("applications", sorted(self._applications), params)

    def delete_application(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """What is not there is deleted already, to AWS."""
        name = params["applicationName"]
        self._applications.pop(name, None)
        self._groups = {key: group for key, group in self._groups.items() if key[0] != name}
        return {}

    def create_deployment_group(self, params: Mapping[str, Any]) -> dict[str, Any]:
        application = self._application(params)["applicationName"]
        name, number = params["deploymentGroupName"], str(uuid.uuid4())
        if (application, name) in self._groups:
            text = f"Deployment group name: {name} already exists in application: {application}"
            raise AwsError("DeploymentGroupAlreadyExistsException", text)
        if params.get("deploymentStyle", _STYLE) != _STYLE:
            text = "For Lambda deployment group, deployment type must be BLUE_GREEN and option WITH_TRAFFIC_CONTROL"
            raise AwsError("InvalidDeploymentStyleException", text)
        alarms_of(params.get("alarmConfiguration"))
        config = self._config(params.get("deploymentConfigName", "CodeDeployDefault.LambdaAllAtOnce"))
        self._groups[application, name] = {
            "applicationName": application,
            "deploymentGroupId": number,
            "deploymentGroupName": name,
            "deploymentConfigName": config.name,
            "computePlatform": "Lambda",
            "deploymentStyle": _STYLE,
            **{member: params[member] for member in _OF_GROUP if member in params},
        }
        return {"deploymentGroupId": number}

    def get_deployment_group(self, params: Mapping[str, Any]) -> dict[str, Any]:
        return {"deploymentGroupInfo": self._group(params)}

    def list_deployment_groups(self, params: Mapping[str, Any]) -> dict[str, Any]:
        application = self._application(params)["applicationName"]
        names = sorted(name for owner, name in self._groups if owner == application)
        return {"applicationName": application, **_page("deploymentGroups", names, params)}

    def delete_deployment_group(self, params: Mapping[str, Any]) -> dict[str, Any]:
        self._groups.pop((params["applicationName"], params["deploymentGroupName"]), None)
        return {"hooksNotCleanedUp": []}

    def create_deployment_config(self, params: Mapping[str, Any]) -> dict[str, Any]:
        if params.get("computePlatform", "Server") != "Lambda":
            raise not_played(f"a deployment config of the platform {params.get('computePlatform', 'Server')}")
        name = params["deploymentConfigName"]
        if name in self._configs:
            text = f"Deployment configuration with name: {name} already exists"
            raise AwsError("DeploymentConfigAlreadyExistsException", text)
        self._configs[name] = read_config(params, self._region.now())
        return {"deploymentConfigId": str(uuid.uuid5(uuid.NAMESPACE_OID, name))}

    def get_deployment_config(self, params: Mapping[str, Any]) -> dict[str, Any]:
        config = self._config(params["deploymentConfigName"])
        made = {"createTime": timestamp(config.created_at)} if config.created_at else {}
        shown = {
            "deploymentConfigId": str(uuid.uuid5(uuid.NAMESPACE_OID, config.name)),
            "deploymentConfigName": config.name,
            "computePlatform": "Lambda",
            "trafficRoutingConfig": dict(config.routing),
            **made,
        }
        return {"deploymentConfigInfo": shown}

    def list_deployment_configs(self, params: Mapping[str, Any]) -> dict[str, Any]:
        return _page("deploymentConfigsList", sorted(self._configs), params)

    def delete_deployment_config(self, params: Mapping[str, Any]) -> dict[str, Any]:
        name = params["deploymentConfigName"]
        if name in PREDEFINED:
            raise AwsError("InvalidOperationException", "A predefined deployment configuration can't be deleted")
        if any(group["deploymentConfigName"] == name for group in self._groups.values()):
            raise AwsError("DeploymentConfigInUseException", f"Deployment configuration {name} is in use")
        self._configs.pop(name, None)
        return {}

    def create_deployment(self, params: Mapping[str, Any]) -> dict[str, Any]:
        group = self._group(params)
        name = group["deploymentGroupName"]
        busy = next((each for each in self._of(group["applicationName"], name) if not each.has_ended), None)
        if busy is not None:
            text = f"The Deployment Group '{name}' already has an active Deployment '{busy.id}'"
            raise AwsError("DeploymentLimitExceededException", text)
        if "revision" not in params:
            raise AwsError("RevisionRequiredException", "The revision ID was not specified")
        deployment = self._read(params, group)
        self._keep(deployment)
        self._shifting.begin(deployment)
        return {"deploymentId": deployment.id}

    def get_deployment(self, params: Mapping[str, Any]) -> dict[str, Any]:
        return {"deploymentInfo": self._deployment(params["deploymentId"]).answer()}

    def batch_get_deployments(self, params: Mapping[str, Any]) -> dict[str, Any]:
        found = (self._deployments.get(number) for number in params["deploymentIds"])
        return {"deploymentsInfo": [deployment.answer() for deployment in found if deployment]}

    def list_deployments(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """The newest first."""
        asked = params.get("applicationName"), params.get("deploymentGroupName")
        found = self._of(*asked) if any(asked) else list(self._deployments.values())
        span = params.get("createTimeRange") or {}
        start, end = _seconds(span.get("start")), _seconds(span.get("end"))
        statuses = params.get("includeOnlyStatuses")
        ids = [
            each.id
            for each in reversed(found)
            if (start is None or each.created_at >= start)
            and (end is None or each.created_at <= end)
            and (not statuses or each.status in statuses)
        ]
        return _page("deployments", ids, params)

    def stop_deployment(self, params: Mapping[str, Any]) -> dict[str, Any]:
        deployment = self._deployment(params["deploymentId"])
        if deployment.has_ended:
            text = f"The deployment {deployment.id} is already complete"
            raise AwsError("DeploymentAlreadyCompletedException", text)
        self._shifting.stop(deployment, rolls_back=params.get("autoRollbackEnabled"))
        return {"status": "Succeeded", "statusMessage": "No more commands will be scheduled for execution"}

    def get_deployment_target(self, params: Mapping[str, Any]) -> dict[str, Any]:
        return {"deploymentTarget": self._targets(params, [params["targetId"]])[0]}

    def batch_get_deployment_targets(self, params: Mapping[str, Any]) -> dict[str, Any]:
        return {"deploymentTargets": self._targets(params, params["targetIds"])}

    def list_deployment_targets(self, params: Mapping[str, Any]) -> dict[str, Any]:
        deployment = self._deployment(params["deploymentId"])
        return {"targetIds": [f"{deployment.spec.function}:{deployment.spec.alias}"]}

    def put_lifecycle_event_hook_execution_status(self, params: Mapping[str, Any]) -> dict[str, Any]:
        number = params.get("lifecycleEventHookExecutionId", "")
        self._shifting.report(self._deployment(params.get("deploymentId")), number, params.get("status", ""))
        return {"lifecycleEventHookExecutionId": number}

    def close(self) -> None:
        """Wait for the hooks that run."""
        self._shifting.close()

    def _read(self, params: Mapping[str, Any], group: Mapping[str, Any]) -> Deployment:
        """What CreateDeployment is asked for; what it does not say is as its group has it."""
        config = self._config(params.get("deploymentConfigName", group["deploymentConfigName"]))
        spec, revision = read_revision(params["revision"])
        watched = params.get("overrideAlarmConfiguration", group.get("alarmConfiguration"))
        goes_back = params.get("autoRollbackConfiguration", group.get("autoRollbackConfiguration"))
        return Deployment(
            id=new_id(),
            application=group["applicationName"],
            group=group["deploymentGroupName"],
            config=config.name,
            spec=spec,
            revision=revision,
            steps=config.steps(),
            created_at=self._region.now(),
            description=params.get("description", ""),
            alarms=alarms_of(watched),
            ignores_poll_failure=bool((watched or {}).get("ignorePollAlarmFailure")),
            rolls_back_on=_events_of(goes_back, watched),
        )

    def _keep(self, deployment: Deployment) -> None:
        self._deployments[deployment.id] = deployment

    def _targets(self, params: Mapping[str, Any], names: Iterable[str]) -> list[dict[str, Any]]:
        deployment = self._deployment(params["deploymentId"])
        known = f"{deployment.spec.function}:{deployment.spec.alias}"
        if any(name != known for name in names):
            raise AwsError("DeploymentTargetDoesNotExistException", "The provided target ID does not belong to it")
        place = f"{self._region.name}:{self._region.account}"
        return [deployment.target(place, self._region.now()) for _ in names]

    def _of(self, application: str | None, group: str | None) -> list[Deployment]:
        found = self._deployments.values()
        return [each for each in found if each.application == application and group in (None, each.group)]

    def _application(self, params: Mapping[str, Any]) -> dict[str, Any]:
        name = params["applicationName"]
        if name not in self._applications:
            raise AwsError("ApplicationDoesNotExistException", f"No application found for name: {name}")
        return self._applications[name]

    def _group(self, params: Mapping[str, Any]) -> dict[str, Any]:
        application = self._application(params)["applicationName"]
        name = params.get("deploymentGroupName")
        if name is None:
            raise AwsError("DeploymentGroupNameRequiredException", "The deployment group name was not specified")
        if (application, name) not in self._groups:
            raise AwsError("DeploymentGroupDoesNotExistException", f"No Deployment Group found for name: {name}")
        return self._groups[application, name]

    def _config(self, name: str) -> Config:
        if name not in self._configs:
            text = f"No Deployment Configuration found for name: {name}"
            raise AwsError("DeploymentConfigDoesNotExistException", text)
        return self._configs[name]

    def _deployment(self, number: str | None) -> Deployment:
        if number not in self._deployments:
            raise AwsError("DeploymentDoesNotExistException", f"The deployment {number} could not be found")
        return self._deployments[number]


def alarms_of(configuration: Mapping[str, Any] | None) -> tuple[str, ...]:
    """The alarms that an AlarmConfiguration has watched.

    :raises AwsError: for more than CodeDeploy takes.
    """
    if not configuration or not configuration.get("enabled"):
        return ()
    names = tuple(alarm["name"] for alarm in configuration.get("alarms") or () if alarm.get("name"))
    if len(names) > MOST_ALARMS:
        raise AwsError("AlarmsLimitExceededException", f"At most {MOST_ALARMS} alarms can be configured")
    return names


def _events_of(rollback: Mapping[str, Any] | None, alarms: Mapping[str, Any] | None) -> frozenset[str]:
    if not rollback or not rollback.get("enabled"):
        return frozenset()
    events = frozenset(rollback.get("events") or ())
    if "DEPLOYMENT_STOP_ON_ALARM" in events and not (alarms or {}).get("enabled"):
        text = "Alarms must be enabled for a rollback when an alarm's threshold is met"
        raise AwsError("InvalidAutoRollbackConfigException", text)
    return events


def _seconds(moment: datetime | None) -> float | None:
    return moment.timestamp() if moment is not None else None


def _page(member: str, names: list[str], params: Mapping[str, Any]) -> dict[str, Any]:
    token = str(params.get("nextToken") or 0)
    if not (token.isascii() and token.isdigit()):
        raise AwsError("InvalidNextTokenException", "The next token was specified in an invalid format")
    start = int(token)
    more = {"nextToken": str(start + PAGE)} if start + PAGE < len(names) else {}
    return {member: names[start : start + PAGE], **more}
