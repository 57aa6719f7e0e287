"""CodeDeploy on AWS's wire: an alias is shifted by the clock, alarms, hooks and people end that, and the way back is a deployment."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any

import pytest

from airflow_sm_rollout.sandbox.app import Sandbox
from airflow_sm_rollout.sandbox.inprocess import InProcessSession
from tests.sandbox.test_functions import ROLE, packed

GROUP = {"applicationName": "app", "deploymentGroupName": "group"}
CANARY = "CodeDeployDefault.LambdaCanary10Percent5Minutes"
ALL_EVENTS = ["DEPLOYMENT_FAILURE", "DEPLOYMENT_STOP_ON_ALARM", "DEPLOYMENT_STOP_ON_REQUEST"]


@pytest.fixture
def functions(session: InProcessSession, sandbox: Sandbox) -> Any:
    """Lambda, with a function ``front`` of two versions, of which the alias ``live`` calls the first."""
    client = session.client("lambda")
    made = {"Runtime": "python3.12", "Role": ROLE, "Handler": "front.handler", "Code": {"ZipFile": packed()}}
    for name in ("front", "hook"):
        client.create_function(FunctionName=name, Environment={"Variables": {"ENDPOINT": "blue"}}, Publish=True, **made)
    client.create_alias(FunctionName="front", Name="live", FunctionVersion="1", Description="as people know it")
    client.update_function_configuration(FunctionName="front", Environment={"Variables": {"ENDPOINT": "green"}})
    sandbox.schedule.advance(sandbox.timings.update_function)
    client.publish_version(FunctionName="front")
    return client


@pytest.fixture
def codedeploy(session: InProcessSession, functions: Any) -> Any:
    client = session.client("codedeploy")
    client.create_application(applicationName="app", computePlatform="Lambda")
    client.create_deployment_group(
        **GROUP,
        serviceRoleArn=ROLE,
        deploymentConfigName=CANARY,
        deploymentStyle={"deploymentType": "BLUE_GREEN", "deploymentOption": "WITH_TRAFFIC_CONTROL"},
    )
    return client


def revision(current: str = "1", target: str = "2", **hooks: str) -> dict[str, Any]:
    properties = {"Name": "front", "Alias": "live", "CurrentVersion": current, "TargetVersion": target}
    resource = {"Type": "AWS::Lambda::Function", "Properties": properties}
    spec = {
        "version": "0.0",
        "Resources": [{"front": resource}],
        "Hooks": [{event: name} for event, name in hooks.items()],
    }
    content = json.dumps(spec)
    digest = hashlib.sha256(content.encode()).hexdigest()
    return {"revisionType": "AppSpecContent", "appSpecContent": {"content": content, "sha256": digest}}


def begin(codedeploy: Any, events: list[str] = ALL_EVENTS, alarms: tuple[str, ...] = (), **more: Any) -> str:
    watched = {"enabled": bool(alarms), "alarms": [{"name": name} for name in alarms]}
    wanted = [event for event in events if alarms or event != "DEPLOYMENT_STOP_ON_ALARM"]
    rollback = {"enabled": bool(events), "events": wanted}
    asked = {"revision": revision(), "autoRollbackConfiguration": rollback, "overrideAlarmConfiguration": watched}
    number: str = codedeploy.create_deployment(**GROUP, **asked | more)["deploymentId"]
    return number


def told(codedeploy: Any, number: str) -> dict[str, Any]:
    info: dict[str, Any] = codedeploy.get_deployment(deploymentId=number)["deploymentInfo"]
    return info


def alias(functions: Any) -> tuple[str, dict[str, float], str]:
    found = functions.get_alias(FunctionName="front", Name="live")
    weights = found.get("RoutingConfig", {}).get("AdditionalVersionWeights", {})
    return found["FunctionVersion"], weights, found["Description"]


BLUE = ("1", {}, "as people know it")
GREEN = ("2", {}, "as people know it")


def shared(share: float) -> tuple[str, dict[str, float], str]:
    return ("1", {"2": share}, "as people know it")


def test_a_canary_gives_its_share_for_its_minutes_and_then_all(
    codedeploy: Any, functions: Any, sandbox: Sandbox
) -> None:
    number = begin(codedeploy)
    assert (told(codedeploy, number)["status"], alias(functions)) == ("Created", BLUE)
    sandbox.schedule.advance(sandbox.timings.start_deployment)
    assert (told(codedeploy, number)["status"], alias(functions)) == ("InProgress", shared(0.1))
    sandbox.schedule.advance(299)
    assert alias(functions) == shared(0.1)
    sandbox.schedule.advance(1)
    info = told(codedeploy, number)
    assert (info["status"], alias(functions)) == ("Succeeded", GREEN)
    assert "errorInformation" not in info
    assert info["completeTime"] > info["startTime"] > info["createTime"]
    assert "content" not in info["revision"]["appSpecContent"]  # AWS keeps it to itself


def test_a_custom_linear_config_takes_equal_steps_and_the_target_tells_the_weight(
    codedeploy: Any, functions: Any, sandbox: Sandbox
) -> None:
    routing = {"type": "TimeBasedLinear", "timeBasedLinear": {"linearPercentage": 40, "linearInterval": 2}}
    codedeploy.create_deployment_config(
        deploymentConfigName="forty", computePlatform="Lambda", trafficRoutingConfig=routing
    )
    number = begin(codedeploy, deploymentConfigName="forty")
    sandbox.schedule.advance(sandbox.timings.start_deployment)
    seen = []
    for _ in range(3):
        target = codedeploy.get_deployment_target(deploymentId=number, targetId="front:live")["deploymentTarget"]
        shown = target["lambdaTarget"]["lambdaFunctionInfo"]
        seen.append((shown["currentVersion"], shown["targetVersion"], shown["targetVersionWeight"]))
        sandbox.schedule.advance(120)
    assert seen == [("1", "2", 0.4), ("1", "2", 0.8), ("1", "2", 1.0)]
    assert alias(functions) == GREEN
    codedeploy.delete_deployment_config(deploymentConfigName="forty")


def test_an_alarm_stops_it_and_another_deployment_goes_back(
    codedeploy: Any, functions: Any, sandbox: Sandbox, session: InProcessSession
) -> None:
    cloudwatch = session.client("cloudwatch")
    cloudwatch.put_metric_alarm(
        AlarmName="bad", MetricName="m", Namespace="n", Statistic="Sum", Period=60, EvaluationPeriods=1,
        Threshold=1.0, ComparisonOperator="GreaterThanThreshold",
    )  # fmt: skip
    number = begin(codedeploy, alarms=("bad",))
    sandbox.schedule.advance(60)
    assert alias(functions) == shared(0.1)
    cloudwatch.set_alarm_state(AlarmName="bad", StateValue="ALARM", StateReason="a test")
    sandbox.schedule.advance(sandbox.timings.poll_alarms)
    info = told(codedeploy, number)
    assert (info["status"], info["errorInformation"]["code"]) == ("Stopped", "ALARM_ACTIVE")
    back = told(codedeploy, info["rollbackInfo"]["rollbackDeploymentId"])
    assert (back["creator"], back["rollbackInfo"]["rollbackTriggeringDeploymentId"]) == ("codeDeployRollback", number)
    sandbox.schedule.advance(sandbox.timings.roll_back_deployment)
    assert (told(codedeploy, back["deploymentId"])["status"], alias(functions)) == ("Succeeded", BLUE)
    sandbox.schedule.advance(3600)
    assert alias(functions) == BLUE


def test_an_alarm_that_rings_or_is_missing_before_lets_nothing_begin(
    codedeploy: Any, functions: Any, sandbox: Sandbox
) -> None:
    number = begin(codedeploy, alarms=("not there",))
    sandbox.schedule.advance(60)
    assert (told(codedeploy, number)["status"], alias(functions)) == ("Stopped", BLUE)


@pytest.mark.parametrize("event", ["BeforeAllowTraffic", "AfterAllowTraffic"])
@pytest.mark.parametrize("word", ["Succeeded", "Failed", "none"])
def test_a_hook_is_waited_for_and_its_word_counts(
    codedeploy: Any, functions: Any, sandbox: Sandbox, event: str, word: str
) -> None:
    number = begin(
        codedeploy, revision=revision(**{event: "hook"}), deploymentConfigName="CodeDeployDefault.LambdaAllAtOnce"
    )
    sandbox.schedule.advance(60)
    during = BLUE if event == "BeforeAllowTraffic" else GREEN
    assert (told(codedeploy, number)["status"], alias(functions)) == ("InProgress", during)
    execution = _execution_of(sandbox, number, event)
    if word == "none":
        sandbox.schedule.advance(sandbox.timings.hook_timeout)
    else:
        codedeploy.put_lifecycle_event_hook_execution_status(
            deploymentId=number, lifecycleEventHookExecutionId=execution, status=word
        )
    sandbox.schedule.advance(60)
    info = told(codedeploy, number)
    if word == "Succeeded":
        assert (info["status"], alias(functions)) == ("Succeeded", GREEN)
        return
    code = "TIMEOUT" if word == "none" else "HOOK_EXECUTION_FAILURE"
    assert (info["status"], info["errorInformation"]["code"], alias(functions)) == ("Failed", code, BLUE)


def _execution_of(sandbox: Sandbox, number: str, event: str) -> str:
    (service,) = sandbox.services["codedeploy"]
    execution: str = service._deployments[number].events[event].execution_id  # type: ignore[attr-defined]
    return execution


@pytest.mark.parametrize("goes_back", [True, False])
def test_who_stops_it_says_whether_it_goes_back(
    codedeploy: Any, functions: Any, sandbox: Sandbox, goes_back: bool, refused: Callable[..., Any]
) -> None:
    number = begin(codedeploy, events=[])
    sandbox.schedule.advance(60)
    codedeploy.stop_deployment(deploymentId=number, autoRollbackEnabled=goes_back)
    info = told(codedeploy, number)
    assert (info["status"], info["errorInformation"]["code"]) == ("Stopped", "MANUAL_STOP")
    sandbox.schedule.advance(3600)
    # Documented: stopped without a way back, the alias goes on calling both.
    assert alias(functions) == (BLUE if goes_back else shared(0.1))
    assert refused(lambda: codedeploy.stop_deployment(deploymentId=number))[0] == "DeploymentAlreadyCompletedException"


def test_an_alias_that_is_not_where_the_appspec_says_fails_it(
    codedeploy: Any, functions: Any, sandbox: Sandbox
) -> None:
    functions.update_alias(FunctionName="front", Name="live", RoutingConfig={"AdditionalVersionWeights": {"2": 0.5}})
    number = begin(codedeploy, events=[])
    sandbox.schedule.advance(60)
    info = told(codedeploy, number)
    assert (info["status"], info["errorInformation"]["code"]) == ("Failed", "INVALID_LAMBDA_CONFIGURATION")
    assert "alias version does not match the current version" in info["errorInformation"]["message"]
    assert alias(functions) == shared(0.5)


def test_a_group_has_one_deployment_at_a_time(codedeploy: Any, refused: Callable[..., Any], sandbox: Sandbox) -> None:
    number = begin(codedeploy)
    code, text, _ = refused(lambda: begin(codedeploy))
    assert code == "DeploymentLimitExceededException"
    assert number in text
    sandbox.schedule.advance(600)
    second = begin(codedeploy)
    assert codedeploy.list_deployments(**GROUP)["deployments"] == [second, number]
    assert codedeploy.list_deployments(**GROUP, includeOnlyStatuses=["Succeeded"])["deployments"] == [number]


@pytest.mark.parametrize(
    ("routing", "code"),
    [
        ({"type": "TimeBasedCanary", "timeBasedCanary": {"canaryPercentage": 100, "canaryInterval": 5}}, "Routing"),
        ({"type": "TimeBasedCanary", "timeBasedCanary": {"canaryPercentage": 10, "canaryInterval": 0}}, "Routing"),
        ({"type": "TimeBasedLinear", "timeBasedLinear": {"linearPercentage": 1, "linearInterval": 30}}, "Routing"),
        ({"type": "TimeBasedLinear"}, "Routing"),
    ],
)
def test_a_config_that_codedeploy_does_not_have_is_refused(
    codedeploy: Any, routing: dict[str, Any], code: str, refused: Callable[..., Any]
) -> None:
    made = {"deploymentConfigName": "odd", "computePlatform": "Lambda", "trafficRoutingConfig": routing}
    assert code in refused(lambda: codedeploy.create_deployment_config(**made))[0]
    assert "odd" not in codedeploy.list_deployment_configs()["deploymentConfigsList"]


def test_what_is_not_lambda_is_refused_by_name(session: InProcessSession, refused: Callable[..., Any]) -> None:
    client = session.client("codedeploy")
    code, text, status = refused(lambda: client.create_application(applicationName="servers"))
    assert (code, status) == ("NotImplemented", 501)
    assert "platform Server" in text


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"revision": {"revisionType": "S3"}}, "NotImplemented"),
        (
            {"revision": {"revisionType": "AppSpecContent", "appSpecContent": {"content": "{}"}}},
            "InvalidRevisionException",
        ),
        ({"revision": revision(BeforeInstall="hook")}, "InvalidRevisionException"),
        ({"deploymentConfigName": "none"}, "DeploymentConfigDoesNotExistException"),
        ({"deploymentGroupName": "none"}, "DeploymentGroupDoesNotExistException"),
        ({"applicationName": "none"}, "ApplicationDoesNotExistException"),
        ({"alarms": tuple(map(str, range(11)))}, "AlarmsLimitExceededException"),
    ],
)
def test_a_deployment_that_can_not_be_is_refused(
    codedeploy: Any, change: dict[str, Any], code: str, refused: Callable[..., Any]
) -> None:
    def ask() -> None:
        alarms = change.get("alarms", ())
        asked = {**GROUP, "revision": revision(), **{key: each for key, each in change.items() if key != "alarms"}}
        watched = {"enabled": bool(alarms), "alarms": [{"name": name} for name in alarms]}
        codedeploy.create_deployment(**asked, overrideAlarmConfiguration=watched)

    assert refused(ask)[0] == code
    assert codedeploy.list_deployments(**GROUP)["deployments"] == []
