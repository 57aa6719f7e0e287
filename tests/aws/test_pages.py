"""Every list is read to its end: AWS answers in pages of one, wherever its models let it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import botocore.session
import pytest
from botocore.model import OperationModel

from airflow_sm_rollout.aws.figures import read_figures
from airflow_sm_rollout.aws.history import list_fleets
from airflow_sm_rollout.aws.listed import read_names
from airflow_sm_rollout.aws.planning import plan_rollout
from airflow_sm_rollout.aws.previous import read_promoted
from airflow_sm_rollout.aws.record import read_record, read_records
from airflow_sm_rollout.aws.scaling import read_scaling, read_whole_scaling
from airflow_sm_rollout.core.goals import GreenDeployed
from airflow_sm_rollout.core.names import previous_name
from airflow_sm_rollout.core.rollout import Green, Plan, Rollout
from airflow_sm_rollout.sandbox.app import Sandbox
from airflow_sm_rollout.sandbox.wire import Call
from aws.answers import calls_of_rollouts
from convergence.deploy_lab import DeployLab
from convergence.lab import BLUES_TARGET, ENDPOINT, ROLE, SCALES, USER_ALARM, Lab
from convergence.lambda_lab import LambdaLab

SYSTEM_TAGS = [
    {"Key": f"aws:cloudformation:{each}", "Value": each} for each in ("logical-id", "stack-id", "stack-name")
]
ID = "0a1b2c3d"
USERS_TAGS = [{"Key": f"k{number:02}", "Value": f"v{number}"} for number in range(49)]  # 50 with the lab's own


def paginator(call: OperationModel) -> dict[str, Any] | None:
    """How an operation's answers are paged, by botocore; ``None``: they are not."""
    pages = botocore.session.get_session().get_paginator_model(call.service_model.service_name)
    try:
        found: dict[str, Any] = pages.get_paginator(call.name)
    except ValueError:
        return None
    return found


PAGED = {call.name: found for call in calls_of_rollouts() if (found := paginator(call)) is not None}


class PagesOfOne:
    """A sandbox that answers each list one item at a time."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.carry_out = sandbox.carry_out
        self.rest: dict[str, tuple[dict[str, Any], list[Any]]] = {}
        self.paged: set[str] = set()
        sandbox.carry_out = self  # type: ignore[method-assign, assignment]

    def __call__(self, call: Call) -> dict[str, Any]:
        how = PAGED.get(call.operation)
        if how is None:
            return self.carry_out(call)
        token_in, token_out = how["input_token"], how["output_token"]
        answer, items = self.rest.pop(call.params[token_in]) if token_in in call.params else self._first(call, how)
        page = {**answer, **{key: [] for key in self._keys(how)}}
        if items:
            key, item = items[0]
            page[key] = [item]
        if len(items) > 1:
            self.paged.add(call.operation)
            token = f"page-{len(self.rest)}-{len(items)}-{call.operation}"
            self.rest[token] = (answer, items[1:])
            page[token_out] = token
        return page

    def _first(self, call: Call, how: dict[str, Any]) -> tuple[dict[str, Any], list[Any]]:
        answer = self.carry_out(call)
        answer.pop(how["output_token"], None)
        return answer, [(key, item) for key in self._keys(how) for item in answer.get(key, ())]

    def _keys(self, how: dict[str, Any]) -> list[str]:
        keys = how["result_key"]
        return [keys] if isinstance(keys, str) else keys


def lab_of_many() -> Lab:
    """A lab where each list has several items."""
    lab = Lab()
    arn = lab.clients.sagemaker.describe_endpoint_config(EndpointConfigName="fraud-2024")["EndpointConfigArn"]
    lab.clients.sagemaker.add_tags(ResourceArn=arn, Tags=USERS_TAGS)
    for number in range(3):
        lab.put_alarm(f"alarm-{number}")
    lab.pass_time(120)
    lab.before = lab.describe()
    return lab


def plan(lab: Lab) -> Rollout:
    alarms = (USER_ALARM, "alarm-0", "alarm-1", "alarm-2")
    green = Green(image="g:2", model_data_url="s3://m/g.tar.gz")
    return plan_rollout(lab.clients, lab.names, {"run_id": "run"}, green, Plan(lab.strategy, alarms=alarms), lab.now())


IN_A_ROLLOUT = {"ListTags", "DescribeAlarms", "DescribeScalingPolicies", "GetMetricData"}


def test_a_rollout_in_pages_of_one_ends_as_any_other(capsys: pytest.CaptureFixture[str]) -> None:
    lab = lab_of_many()
    of_one = PagesOfOne(lab.sandbox)
    lab.plan = lambda: plan(lab)  # type: ignore[method-assign]
    lab.run()
    assert of_one.paged >= IN_A_ROLLOUT
    lab.sandbox.carry_out = of_one.carry_out  # type: ignore[method-assign]
    assert lab.is_promoted(lab.describe())
    with capsys.disabled():
        print(f"\npaged by one in a rollout: {sorted(of_one.paged)}")


def test_all_tags_of_the_users_and_none_of_awss_own_are_greens_too() -> None:
    lab = lab_of_many()
    of_one = PagesOfOne(lab.sandbox)
    real = of_one.carry_out

    def with_system_tags(call: Call) -> dict[str, Any]:
        answer = real(call)
        return {**answer, "Tags": [*SYSTEM_TAGS, *answer["Tags"]]} if call.operation == "ListTags" else answer

    of_one.carry_out = with_system_tags  # type: ignore[method-assign]
    rollout = plan(lab)
    assert rollout.blue.config_tags == {"team": "risk", **{tag["Key"]: tag["Value"] for tag in USERS_TAGS}}


def test_a_rollback_in_pages_of_one_restores_all_policies() -> None:
    lab = lab_of_many()
    of_one = PagesOfOne(lab.sandbox)
    lab.run(until=3)
    lab.roll_back()
    lab.sandbox.carry_out = of_one.carry_out  # type: ignore[method-assign]
    assert lab.describe() == lab.before


def targets(lab: Lab) -> object:
    lab.run(until=1)
    others = [f"endpoint/{ENDPOINT}/variant/{name}" for name in ("AllTraffic", lab.names.variant)]
    lab.clients.autoscaling.register_scalable_target(ResourceId=others[1], MinCapacity=1, MaxCapacity=3, **SCALES)
    return sorted(read_scaling(lab.clients.autoscaling, others))


def scheduled(lab: Lab) -> object:
    target = {"ResourceId": BLUES_TARGET, **SCALES}
    for name in ("day", "night", "sunday"):
        lab.clients.autoscaling.put_scheduled_action(ScheduledActionName=name, Schedule="rate(1 day)", **target)
    return read_whole_scaling(lab.clients.autoscaling, BLUES_TARGET)


def records(lab: Lab) -> object:
    for name in ("a", "b", "c"):
        lab.clients.ssm.put_parameter(Name=f"/sm-rollout/{name}", Value="{}", Type="String")
    return {name: str(record) for name, record in read_records(lab.clients.ssm).items()}


def figures(lab: Lab) -> object:
    lab.reach(GreenDeployed(plan(lab)))
    for state in ("ALARM", "OK", "ALARM", "OK"):
        lab.clients.cloudwatch.set_alarm_state(AlarmName="alarm-0", StateValue=state, StateReason="by hand")
        lab.pass_time(1)
    record = read_record(lab.clients.ssm, ENDPOINT)
    assert record is not None
    found = read_figures(lab.clients, record, lab.now(), is_shadow_read=True)
    return {name: len(spans) for name, spans in found.rang.items()}


def fleets(lab: Lab) -> object:
    lab.run(until=3)
    lab.pass_time(600)
    return list_fleets(lab.clients.cloudwatch, ENDPOINT)


def made(described_by: str) -> Callable[[Lab], object]:
    """What has a rollout's id in its name, of which there is more than one of each kind."""

    def read(lab: Lab) -> object:
        sagemaker = lab.clients.sagemaker
        blue = sagemaker.describe_endpoint_config(EndpointConfigName="fraud-2024")
        for name in (f"{each}-{ID}" for each in "abc"):
            sagemaker.create_model(ModelName=name, ExecutionRoleArn=ROLE, PrimaryContainer={"Image": "g:2"})
            sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=blue["ProductionVariants"])
            sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
        found = read_names(sagemaker, described_by, ID)
        assert found is not None
        assert len(found) == 3
        return found

    return read


def promoted(lab: Lab) -> object:
    lab.run()
    name = previous_name(ENDPOINT)
    kept = lab.clients.ssm.get_parameter(Name=name)["Parameter"]["Value"]
    [promotion] = read_promoted(lab.clients.ssm, ENDPOINT)
    for other in ("0000000a", "0000000b"):
        lab.clients.ssm.put_parameter(Name=name, Value=kept.replace(promotion, other), Type="String", Overwrite=True)
    found = sorted(read_promoted(lab.clients.ssm, ENDPOINT))
    assert len(found) == 3
    return len(found)


READS: dict[str, Callable[[Lab], object]] = {
    "DescribeScalableTargets": targets,
    "DescribeScheduledActions": scheduled,
    "GetParametersByPath": records,
    "DescribeAlarmHistory": figures,
    "GetParameterHistory": promoted,
    "ListMetrics": fleets,
    "ListEndpoints": made("DescribeEndpoint"),
    "ListEndpointConfigs": made("DescribeEndpointConfig"),
    "ListModels": made("DescribeModel"),
}


@pytest.mark.parametrize("operation", READS)
def test_what_is_read_in_pages_of_one_is_all_that_there_is(operation: str) -> None:
    at_once = READS[operation](lab_of_many())
    lab = lab_of_many()
    of_one = PagesOfOne(lab.sandbox)
    assert READS[operation](lab) == at_once
    assert operation in of_one.paged


def test_greens_version_is_found_behind_many_others() -> None:
    lab = LambdaLab()
    of_one = PagesOfOne(lab.sandbox)
    lab.run()
    assert of_one.paged >= OF_A_FUNCTION
    lab.sandbox.carry_out = of_one.carry_out  # type: ignore[method-assign]
    assert lab.is_promoted(lab.describe())


OF_A_FUNCTION = {"ListVersionsByFunction"}


def test_a_deployment_is_found_behind_the_one_by_which_codedeploy_goes_back() -> None:
    lab = DeployLab()
    of_one = PagesOfOne(lab.sandbox)
    lab.run(until=2)
    lab.roll_back()
    assert of_one.paged >= OF_A_DEPLOYMENT
    lab.sandbox.carry_out = of_one.carry_out  # type: ignore[method-assign]
    assert lab.describe() == lab.before


OF_A_DEPLOYMENT = {"ListDeployments"}


def test_every_list_that_is_read_was_read_in_pages() -> None:
    of_monitoring = {"ListMonitoringExecutions"}  # the sandbox plays none: see tests/evidence/test_monitor.py
    assert PAGED.keys() - IN_A_ROLLOUT - OF_A_FUNCTION - OF_A_DEPLOYMENT - READS.keys() == of_monitoring
