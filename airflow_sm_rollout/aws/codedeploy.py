"""Reads what CodeDeploy tells of a rollout's deployment, and has it shift an alias or stop."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from botocore.exceptions import ClientError

from airflow_sm_rollout.aws.answers import told
from airflow_sm_rollout.aws.causes import Meaning
from airflow_sm_rollout.aws.errors import if_found, meaning_of
from airflow_sm_rollout.core import appspec
from airflow_sm_rollout.core.errors import RolloutGaveUp
from airflow_sm_rollout.core.front.deeds import BeginDeployment, MakeForDeployment, RemoveOfDeployment, StopDeployment
from airflow_sm_rollout.core.front.deployments import APPLICATION, CONFIG, Deployment, Deployments
from airflow_sm_rollout.core.rollout import Rollout

_AT_ONCE = 25  # BatchGetDeployments takes no more


def read_deployments(client: Any, rollout: Rollout) -> Deployments:
    """What there is in CodeDeploy of a rollout."""
    place = appspec.group_of(rollout)
    group = if_found(lambda: client.get_deployment_group(**place))
    named = {"applicationName": place["applicationName"]}
    application = group or if_found(lambda: client.get_application(**named))
    config = appspec.config_name(rollout)
    is_made = appspec.is_config_made(rollout)
    has_config = not is_made or if_found(lambda: client.get_deployment_config(deploymentConfigName=config)) is not None
    if group is None:
        return Deployments(application is not None, None, has_config)
    info = told(group, "deploymentGroupInfo", f"deployment group {place['deploymentGroupName']}")
    watched = info.get("alarmConfiguration") or {}
    alarms = tuple(each["name"] for each in watched.get("alarms") or () if watched.get("enabled") and each.get("name"))
    own, back = _find(client, place, rollout)
    return Deployments(True, alarms, has_config, info.get("computePlatform", "Lambda"), own, back)


def _find(client: Any, place: Mapping[str, str], rollout: Rollout) -> tuple[Deployment | None, Deployment | None]:
    """The rollout's deployment, and the one by which CodeDeploy goes back after it."""
    since = {"createTimeRange": {"start": rollout.started_at}}
    listed = [name for page in _pages(client, {**place, **since}) for name in page]
    found: dict[str, Mapping[str, Any]] = {}
    for start in range(0, len(listed), _AT_ONCE):
        asked = client.batch_get_deployments(deploymentIds=listed[start : start + _AT_ONCE])
        found |= {each["deploymentId"]: each for each in asked.get("deploymentsInfo") or ()}
    described = appspec.description_of(rollout)
    own = next((each for each in found.values() if each.get("description") == described), None)
    if own is None:
        return None, None
    back = found.get((own.get("rollbackInfo") or {}).get("rollbackDeploymentId", ""))
    return _deployment(own), _deployment(back) if back else None


def _pages(client: Any, asked: Mapping[str, Any]) -> Any:
    for page in client.get_paginator("list_deployments").paginate(**asked):
        yield page.get("deployments") or ()


def _deployment(info: Mapping[str, Any]) -> Deployment:
    error = info.get("errorInformation") or {}
    reason = ": ".join(str(error[name]) for name in ("code", "message") if error.get(name))
    whose = f"deployment {info['deploymentId']}"
    status, created = (told(info, name, whose) for name in ("status", "createTime"))
    return Deployment(info["deploymentId"], status, created, reason, info.get("completeTime"))


def make(client: Any, action: MakeForDeployment) -> None:
    """Make what a deployment stands on; that it is there already is no error."""
    _tolerating(Meaning.EXISTS, lambda: _make(client, action.what, action.rollout))


def _make(client: Any, what: str, rollout: Rollout) -> None:
    place, deployment = appspec.group_of(rollout), rollout.plan.deployment
    if what == APPLICATION:
        client.create_application(applicationName=place["applicationName"], computePlatform="Lambda")
    elif what == CONFIG:
        if rollout.plan.strategy is None:
            raise RolloutGaveUp("the plan has no strategy that CodeDeploy could shift by")
        routing = appspec.routing(rollout.plan.strategy)
        client.create_deployment_config(
            deploymentConfigName=rollout.names.deployment, computePlatform="Lambda", trafficRoutingConfig=routing
        )
    else:
        role = deployment.role_arn if deployment else None
        client.create_deployment_group(**place, serviceRoleArn=role, deploymentStyle=appspec.STYLE)


def remove(client: Any, action: RemoveOfDeployment) -> None:
    """Delete what was made for a deployment; that it is gone already is no error."""
    place, name = appspec.group_of(action.rollout), action.rollout.names.deployment
    calls: Mapping[str, Callable[[], Any]] = {
        APPLICATION: lambda: client.delete_application(applicationName=place["applicationName"]),
        CONFIG: lambda: client.delete_deployment_config(deploymentConfigName=name),
    }
    _tolerating(Meaning.GONE, calls.get(action.what, lambda: client.delete_deployment_group(**place)))


def begin(client: Any, action: BeginDeployment) -> None:
    """Have CodeDeploy shift the alias. A group has one deployment at a time, so that a second try makes no second one."""
    rollout = action.rollout
    function, blue = rollout.plan.function, rollout.blue.function_version
    if function is None or blue is None:
        raise LookupError("the plan names no function")
    client.create_deployment(
        **appspec.group_of(rollout),
        deploymentConfigName=appspec.config_name(rollout),
        description=appspec.description_of(rollout),
        revision=appspec.revision(function, blue, action.version, rollout.plan.deployment),
        autoRollbackConfiguration=appspec.go_back(action.alarms),
        overrideAlarmConfiguration={
            "enabled": bool(action.alarms),
            "ignorePollAlarmFailure": False,
            "alarms": [{"name": name} for name in action.alarms],
        },
    )


def stop(client: Any, action: StopDeployment) -> None:
    """Have CodeDeploy stop and go back; that it has ended already is no error: the next look shows how."""
    asked = {"deploymentId": action.deployment_id, "autoRollbackEnabled": True}
    _tolerating(Meaning.GONE, lambda: client.stop_deployment(**asked))


def _tolerating(meaning: Meaning, call: Callable[[], Any]) -> None:
    try:
        call()
    except ClientError as error:
        if meaning_of(error) is not meaning:
            raise
