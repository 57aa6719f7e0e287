"""The policy allows what rollouts do and nothing that they don't: it is compared with the calls that they make."""

from __future__ import annotations

import contextlib
import fnmatch
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from airflow_sm_rollout.aws.after import AfterWatcher
from airflow_sm_rollout.aws.guardian import leave_sign, read_taken_back
from airflow_sm_rollout.aws.iam import client_policy, policy
from airflow_sm_rollout.aws.previous import read_previous, read_promoted
from airflow_sm_rollout.aws.record import read_record
from airflow_sm_rollout.aws.undo import Wanted, begin_undo, end_undo
from airflow_sm_rollout.core.control import Wish
from airflow_sm_rollout.core.converge import WAYS
from airflow_sm_rollout.core.errors import PlanError, RolloutGaveUp, RolloutRefused
from airflow_sm_rollout.core.goals import AsBefore, GreenDeployed, OnlyGreen
from airflow_sm_rollout.core.guardian import Sign
from airflow_sm_rollout.core.names import Names, pointer_name
from airflow_sm_rollout.core.undo import Kept, Undone
from airflow_sm_rollout.core.watch.after import plan_after
from airflow_sm_rollout.core.watch.verdict import Verdict
from airflow_sm_rollout.sandbox.app import CallRecord
from convergence.components_lab import ComponentsLab
from convergence.deploy_lab import WarmDeployLab
from convergence.guardrails_lab import GuardrailsLab
from convergence.lab import BLUE_CONFIG, BLUES_TARGET, ENDPOINT, SCALES, USER_ALARM, Lab
from convergence.lambda_lab import PLACE, LambdaLab, WarmLambdaLab
from convergence.live_lab import LiveLab, second_rollout, with_pointer
from convergence.test_exits import ring, scale, update_by_hand, wish

# What AWS asks for besides the action of the call's own name.
IMPLIED = {
    "sagemaker:CreateModel": {"sagemaker:AddTags", "iam:PassRole"},
    "sagemaker:CreateEndpointConfig": {"sagemaker:AddTags"},
    "cloudwatch:PutMetricAlarm": {"cloudwatch:TagResource"},
    "codedeploy:CreateDeploymentGroup": {"iam:PassRole"},
    "codedeploy:CreateDeployment": {"codedeploy:RegisterApplicationRevision", "codedeploy:GetApplicationRevision"},
    "sagemaker:DeleteEndpoint": {
        "application-autoscaling:DeregisterScalableTarget",
        "application-autoscaling:DeleteScalingPolicy",
    },
}


def promoted(make: Callable[[], Lab]) -> Lab:
    lab = make()
    rollout = lab.plan()
    lab.reach(GreenDeployed(replace(rollout, plan=replace(rollout.plan, delete_blue=True))))
    for task in lab.tasks()[1:]:
        task()
    return lab


def aborted(make: Callable[[], Lab]) -> Lab:
    lab = make()
    lab.run(until=2)
    wish(lab, Wish.ABORT)
    lab.roll_back()
    return lab


def restored_though_somebody_scaled_blue_and_deleted_its_config(make: Callable[[], Lab]) -> Lab:
    lab = make()
    lab.run(until=1)
    calls = len(lab.calls)
    scale(lab, "AllTraffic", 6)
    lab.clients.sagemaker.delete_endpoint_config(EndpointConfigName=BLUE_CONFIG)
    del lab.calls[calls:]
    lab.roll_back()
    return lab


def stopped_by_an_alarm_that_was_over_again(make: Callable[[], Lab]) -> Lab:
    lab = make()
    lab.run(until=2)
    ring(lab, USER_ALARM)
    lab.calls.remove("cloudwatch:SetAlarmState")
    lab.pass_time(180)
    with contextlib.suppress(RolloutGaveUp):
        lab.reach(OnlyGreen())
    return lab


def restored_over_somebodys_changes(make: Callable[[], Lab]) -> Lab:
    lab = make()
    lab.on_drift = "restore"
    lab.run(until=1)
    calls = len(lab.calls)
    lab.clients.autoscaling.deregister_scalable_target(ResourceId=BLUES_TARGET, **SCALES)
    update_by_hand(lab, "theirs")
    del lab.calls[calls:]
    lab.roll_back()
    return lab


def restored_though_somebody_deleted_the_alias(make: Callable[[], Lab]) -> Lab:
    lab = make()
    lab.run(until=2)
    if isinstance(lab, LambdaLab):
        calls = len(lab.calls)
        lab.clients.functions.delete_alias(FunctionName=PLACE.function, Name=PLACE.alias)
        del lab.calls[calls:]
    lab.roll_back()
    return lab


WALKS = (
    restored_over_somebodys_changes,
    promoted,
    aborted,
    restored_though_somebody_deleted_the_alias,
    restored_though_somebody_scaled_blue_and_deleted_its_config,
    stopped_by_an_alarm_that_was_over_again,
)
# A component has no config, and scales on as it did.
OF_COMPONENTS = (promoted, aborted, stopped_by_an_alarm_that_was_over_again)
LABS: dict[str, tuple[Callable[[], Lab], ...]] = {
    "variants": (Lab,),
    "guardrails": (GuardrailsLab,),
    "endpoints": (LiveLab, with_pointer),
    "lambda": (WarmLambdaLab,),
    "codedeploy": (WarmDeployLab,),
    "components": (ComponentsLab,),
}
FUNCTIONS = {"lambda": "fraud-scorer", "codedeploy": "fraud-scorer"}


def calls_of_rollouts(traffic: str) -> set[str]:
    """Every call of rollouts, of rollbacks, and of a person's wishes."""
    told = {call for make in LABS[traffic] for call in what_tasks_say_and_read_beside(make())}
    walks = OF_COMPONENTS if traffic == "components" else WALKS
    return told | {call for make in LABS[traffic] for walk in walks for call in walk(make).calls}


def what_tasks_say_and_read_beside(lab: Lab) -> list[str]:
    """Signs of life, at the end whether a guardian has taken the rollout back, and for the list of rollouts which were undone."""
    lab.run(until=1)
    lab.calls.clear()
    leave_sign(lab.clients.ssm, ENDPOINT, Sign(lab.now()))
    read_taken_back(lab.clients.ssm, ENDPOINT, lab.names.rollout_id)
    read_promoted(lab.clients.ssm, ENDPOINT)
    return lab.calls


# Blue's config has a name of the user's own.
UNNAMED = ("RestoreBluesConfig", "RestoreBluesEndpointConfig", "ChangeConfig")


def actions_of(statements: list[dict[str, list[str]]]) -> set[str]:
    return {action for statement in statements for action in statement["Action"]}


@pytest.mark.parametrize("traffic", WAYS)
def test_the_policy_names_exactly_the_actions_that_rollouts_need(traffic: str) -> None:
    called = calls_of_rollouts(traffic)
    needed = called | {implied for call in called for implied in IMPLIED.get(call, ())}
    assert (
        actions_of(
            policy(traffic, ENDPOINT, region="us-east-1", account="1", function=FUNCTIONS.get(traffic))["Statement"]
        )
        == needed
    )


@pytest.mark.parametrize("traffic", WAYS)
def test_what_changes_something_is_allowed_on_this_endpoints_things_only(traffic: str) -> None:
    where = {"region": "eu-central-1", "account": "123456789012", "function": FUNCTIONS.get(traffic)}
    for statement in policy(traffic, ENDPOINT, **where)["Statement"]:
        changes = [a for a in statement["Action"] if not a.split(":")[1].startswith(("Describe", "Get", "List"))]
        narrowed = statement.get("Condition") or statement["Sid"] in UNNAMED
        if changes and not narrowed:
            assert all("fraud" in resource for resource in statement["Resource"]), statement


@pytest.mark.parametrize("endpoint", ["fraud", "Fraud-EU", "a" * 63])
def test_the_resources_cover_what_a_rollout_of_that_endpoint_makes(endpoint: str) -> None:
    names = Names(endpoint, "12345678")
    made = {
        "sagemaker:DeleteModel": f"arn:aws:sagemaker:us-east-1:1:model/{names.model.lower()}",
        "sagemaker:DeleteEndpointConfig": f"arn:aws:sagemaker:us-east-1:1:endpoint-config/{names.mixed_config.lower()}",
        "cloudwatch:DeleteAlarms": f"arn:aws:cloudwatch:us-east-1:1:alarm:{names.error_alarm}",
        "ssm:PutParameter": f"arn:aws:ssm:us-east-1:1:parameter{names.record}",
        "sagemaker:UpdateEndpointWeightsAndCapacities": f"arn:aws:sagemaker:us-east-1:1:endpoint/{endpoint.lower()}",
        "sagemaker:DescribeEndpoint": f"arn:aws:sagemaker:us-east-1:1:endpoint/{endpoint.lower()}",
    }
    statements = policy("variants", endpoint, region="us-east-1", account="1")["Statement"]
    for action, arn in made.items():
        allowed = [r for statement in statements if action in statement["Action"] for r in statement["Resource"]]
        assert any(fnmatch.fnmatchcase(arn, pattern) for pattern in allowed), (action, arn, allowed)


@pytest.mark.parametrize("traffic", [way for way in WAYS if way != "components"])
@pytest.mark.parametrize("action", ["cloudwatch:PutMetricAlarm", "cloudwatch:DeleteAlarms"])
def test_a_scaling_policys_alarms_which_aws_makes_and_deletes_in_the_callers_name_are_allowed(
    traffic: str, action: str
) -> None:
    function = FUNCTIONS.get(traffic)
    statements = policy(traffic, "Fraud-EU", region="eu-west-1", account="1", function=function)["Statement"]
    for endpoint in ("Fraud-EU", Names("Fraud-EU", "12345678").green_endpoint):
        alarm = f"alarm:TargetTracking-endpoint/{endpoint}/variant/AllTraffic-AlarmHigh-0a1b"
        assert is_allowed(action, f"arn:aws:cloudwatch:eu-west-1:1:{alarm}", statements)


ARNS = {
    "EndpointName": "arn:aws:sagemaker:us-east-1:1:endpoint/{lower}",
    "EndpointConfigName": "arn:aws:sagemaker:us-east-1:1:endpoint-config/{lower}",
    "ModelName": "arn:aws:sagemaker:us-east-1:1:model/{lower}",
    "InferenceComponentName": "arn:aws:sagemaker:us-east-1:1:inference-component/{lower}",
    "AlarmName": "arn:aws:cloudwatch:us-east-1:1:alarm:{name}",
    "AlarmNames": "arn:aws:cloudwatch:us-east-1:1:alarm:{name}",
    "Name": "arn:aws:ssm:us-east-1:1:parameter{name}",
    "Names": "arn:aws:ssm:us-east-1:1:parameter{name}",
}


def resources_of(call: CallRecord) -> list[str]:
    """What AWS asks whether a call is allowed on."""
    found = [(ARNS[key], value) for key, value in call.params.items() if key in ARNS]
    named = [(arn, name) for arn, value in found for name in ([value] if isinstance(value, str) else value)]
    if call.service == "lambda":
        return [f"arn:aws:lambda:us-east-1:1:function:{qualified(call)}"]
    return [arn.format(name=name, lower=name.lower()) for arn, name in named]


def qualified(call: CallRecord) -> str:
    """A function, or one version of it."""
    qualifier = call.params.get("Qualifier")
    return f"{call.params['FunctionName']}:{qualifier}" if qualifier else call.params["FunctionName"]


def is_allowed(action: str, arn: str, statements: list[dict[str, list[str]]]) -> bool:
    patterns = [r for statement in statements if action in statement["Action"] for r in statement["Resource"]]
    return any(pattern == "*" or fnmatch.fnmatchcase(arn, pattern) for pattern in patterns)


def promote(lab: Lab) -> None:
    lab.run()


def restore_what_somebody_deleted(lab: Lab) -> None:
    lab.run(until=1)
    rollout = read_record(lab.clients.ssm, ENDPOINT)
    assert rollout is not None
    calls = len(lab.sandbox.calls)
    if isinstance(lab, LiveLab):
        lab.clients.sagemaker.delete_endpoint(EndpointName=rollout.blue_endpoint_name)
    lab.clients.sagemaker.delete_endpoint_config(EndpointConfigName=rollout.blue.config_name)
    lab.pass_time(60)
    del lab.sandbox.calls[calls:]
    lab.roll_back()


def watch_what_was_promoted_and_undo_it(lab: Lab) -> None:
    """As ``watch_after`` does, with an alarm that rings, is quiet again, and rings."""
    lab.run()
    previous = read_previous(lab.clients.ssm, ENDPOINT)
    assert isinstance(previous, Kept)
    watcher = AfterWatcher(plan_after(previous, timedelta(hours=1)), lab.now)
    assert watcher.look(lab.clients).verdict is Verdict.WATCHING
    ring(lab, USER_ALARM)
    lab.pass_time(180)
    assert watcher.look(lab.clients).verdict is Verdict.HARMFUL
    if previous.rollout.plan.delete_blue:  # then there is nothing to go back to
        with pytest.raises(RolloutRefused):
            begin_undo(lab.clients, Wanted(ENDPOINT, "ada"), lab.now)
    else:
        begun = begin_undo(lab.clients, Wanted(ENDPOINT, "ada"), lab.now)
        assert not isinstance(begun, Undone)
        end_undo(lab.clients, begun, lab.reach(AsBefore(begun)))
    lab.sandbox.calls[:] = [call for call in lab.sandbox.calls if call.operation != "SetAlarmState"]


def with_another_endpoint_in_the_pointer() -> LiveLab:
    lab = LiveLab()
    lab.clients.sagemaker.create_endpoint(EndpointName="legacy", EndpointConfigName=BLUE_CONFIG)
    lab.pass_time(200)
    lab.put_pointer(endpoint_name="legacy")
    lab.next_rollout("run")
    return lab


@pytest.mark.parametrize("walk", [promote, restore_what_somebody_deleted, watch_what_was_promoted_and_undo_it])
@pytest.mark.parametrize(
    "make", [Lab, GuardrailsLab, LiveLab, second_rollout, with_another_endpoint_in_the_pointer, LambdaLab]
)
def test_every_call_is_allowed_on_what_it_names(make: Callable[[], Lab], walk: Callable[[Lab], None]) -> None:
    lab = make()
    blue = "legacy" if make is with_another_endpoint_in_the_pointer else None
    function = PLACE.function if isinstance(lab, LambdaLab) else None
    where = {"region": "us-east-1", "account": "1", "blue_endpoint": blue, "function": function}
    statements = policy(lab.traffic, ENDPOINT, **where)["Statement"]
    lab.sandbox.calls.clear()
    walk(lab)
    calls = [(f"{call.service}:{call.operation}", arn) for call in lab.sandbox.calls for arn in resources_of(call)]
    assert "sagemaker:CreateEndpointConfig" in dict(calls)
    assert {call for call in calls if not is_allowed(*call, statements)} == set()


def test_clients_may_ask_the_pointer_and_call_what_it_names_and_nothing_else() -> None:
    where = {"region": "us-east-1", "account": "1"}
    statements = client_policy(ENDPOINT, **where, blue_endpoint="legacy")["Statement"]
    invoke = {"sagemaker:InvokeEndpoint", "sagemaker:InvokeEndpointAsync"}
    assert actions_of(statements) == {"ssm:GetParameter", *invoke}
    assert is_allowed("ssm:GetParameter", f"arn:aws:ssm:us-east-1:1:parameter{pointer_name(ENDPOINT)}", statements)
    called = {name: f"arn:aws:sagemaker:us-east-1:1:endpoint/{name}" for name in (ENDPOINT, "legacy", "other")}
    called["green"] = f"arn:aws:sagemaker:us-east-1:1:endpoint/{Names(ENDPOINT, '12345678').green_endpoint}"
    may = {name for name, arn in called.items() if is_allowed("sagemaker:InvokeEndpoint", arn, statements)}
    assert may == {ENDPOINT, "legacy", "green"}


def test_a_name_that_could_widen_the_policy_is_refused() -> None:
    with pytest.raises(PlanError):
        policy("variants", "*")


@pytest.mark.parametrize("traffic", ["endpoints", "lambda"])
def test_what_scales_a_serverless_endpoint_may_be_changed_and_nothing_else_that_scales(traffic: str) -> None:
    statements = policy(traffic, ENDPOINT, region="us-east-1", account="1", function=FUNCTIONS.get(traffic))[
        "Statement"
    ]
    scaling = [each for each in statements if "application-autoscaling:RegisterScalableTarget" in each["Action"]]
    dimensions = "application-autoscaling:scalable-dimension"
    assert [each["Condition"]["StringEquals"][dimensions] for each in scaling] == [
        ["sagemaker:variant:DesiredInstanceCount", "sagemaker:variant:DesiredProvisionedConcurrency"]
    ]
