"""The alarms to copy from docs/alarms.md: for each way to split traffic the same alarm in three languages, and one that sees green."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cfnlint.api
import hcl2
import pytest
import yaml

from airflow_sm_rollout.aws.clients import Clients
from airflow_sm_rollout.aws.planning import plan_rollout
from airflow_sm_rollout.core.names import Names
from airflow_sm_rollout.core.plan.evidence import Evidence
from airflow_sm_rollout.core.plan.strategy import blue_green
from airflow_sm_rollout.core.rollout import Green, Plan
from airflow_sm_rollout.core.traffic import TRAFFIC
from convergence.components_lab import ComponentsLab
from convergence.lambda_lab import PLACE, LambdaLab
from production import Production, alarm_of

PAGE = (Path(__file__).parent.parent / "docs/alarms.md").read_text()
ENDPOINT = "wine"
GREEN = Green(image="registry/wine:2", model_data_url="s3://models/wine-2.tar.gz")
# What CloudWatch tells of an alarm besides what it was made of.
TOLD_ONLY = re.compile("State|Timestamp|Arn$|Actions")


def of_way(traffic: str, language: str) -> str:
    """The block of a language below the heading of a way to split traffic."""
    section = PAGE.split(f'## With `traffic="{traffic}"`')[1].split("\n## ")[0]
    [block] = re.findall(rf"```{language}\n(.*?)```", section, re.DOTALL)
    return str(block)


WAYS = re.findall(r'^## With `traffic="(\w+)"`$', PAGE, re.MULTILINE)


@pytest.fixture
def serving(production: Production) -> Production:
    """An endpoint of the name that the alarms have."""
    production.put_endpoint(ENDPOINT)
    return production


def described(production: Production) -> dict[str, Any]:
    """The one alarm that there is besides those of the endpoints; it is deleted."""
    alarms = production.cloudwatch.describe_alarms()["MetricAlarms"]
    [alarm] = [each for each in alarms if each["AlarmName"] not in (alarm_of(ENDPOINT), alarm_of("fraud"))]
    production.cloudwatch.delete_alarms(AlarmNames=[alarm["AlarmName"]])
    return {name: value for name, value in alarm.items() if not TOLD_ONLY.search(name)}


def put_by_cli(traffic: str, production: Production) -> None:
    words = shlex.split(of_way(traffic, "sh"))
    assert words[0] == "aws"
    endpoint = ["--endpoint-url", production.server.url, "--region", "us-east-1"]
    command = [sys.executable, "-m", "awscli", *words[1:], *endpoint]
    ran = subprocess.run(command, env=production.environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr


def put_by_template(traffic: str, production: Production) -> None:
    template = of_way(traffic, "yaml")
    assert [str(match) for match in cfnlint.api.lint(template, regions=["us-east-1"])] == []
    [resource] = yaml.safe_load(template)["Resources"].values()
    production.cloudwatch.put_metric_alarm(**resource["Properties"])


def put_by_terraform(traffic: str, production: Production) -> None:
    [resource] = hcl2.loads(of_way(traffic, "hcl"))["resource"]
    [(kind, named)] = resource.items()
    assert kind.strip('"') == "aws_cloudwatch_metric_alarm"
    [alarm] = named.values()
    production.cloudwatch.put_metric_alarm(**dict(_as_request(_plain(alarm))))


def _plain(value: Any) -> Any:
    """Without the quotation marks and marks of blocks that the parser keeps."""
    if isinstance(value, dict):
        return {name.strip('"'): _plain(each) for name, each in value.items() if not name.startswith("__")}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return value.strip('"').replace('\\"', '"') if isinstance(value, str) else value


def _as_request(alarm: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Terraform's words for an alarm as AWS's."""
    for name, value in alarm.items():
        if name == "dimensions":
            yield "Dimensions", [{"Name": each, "Value": named} for each, named in value.items()]
        elif name == "metric_query":
            yield "Metrics", [dict(_as_request(query)) for query in value]
        else:
            yield "".join(word.capitalize() for word in name.split("_")), value


def test_there_is_an_alarm_for_each_way_to_split_traffic() -> None:
    by_others = {
        name for way in TRAFFIC.values() for name in way.shifted_by.values()
    }  # who shifts makes no other metrics
    assert sorted(WAYS) == sorted(TRAFFIC.keys() - by_others)


@pytest.mark.parametrize("traffic", WAYS)
def test_it_is_the_same_alarm_in_each_language(traffic: str, serving: Production) -> None:
    put_by_cli(traffic, serving)
    by_cli = described(serving)
    put_by_template(traffic, serving)
    assert described(serving) == by_cli
    put_by_terraform(traffic, serving)
    assert described(serving) == by_cli


def test_the_functions_alarm_is_enough_to_watch_a_rollout_behind_it() -> None:
    [resource] = yaml.safe_load(of_way("lambda", "yaml"))["Resources"].values()
    lab, told, name = LambdaLab(), list[str](), resource["Properties"]["AlarmName"]
    lab.clients.cloudwatch.put_metric_alarm(**resource["Properties"])
    lab.pass_time(120)
    plan = Plan(lab.strategy, (name,), None, traffic="lambda", evidence=Evidence(tolerances=None), function=PLACE)
    rollout = plan_rollout(lab.clients, lab.names, {}, GREEN, plan, lab.now(), tell=told.append)
    assert rollout.watched_alarms == (name,)
    assert told == []


def test_the_components_alarm_is_enough_to_watch_a_rollout_of_it() -> None:
    [resource] = yaml.safe_load(of_way("components", "yaml"))["Resources"].values()
    lab, told, name = ComponentsLab(), list[str](), resource["Properties"]["AlarmName"]
    of_lab = [{"Name": "InferenceComponentName", "Value": lab.names.endpoint}]
    lab.clients.cloudwatch.put_metric_alarm(**{**resource["Properties"], "Dimensions": of_lab})
    lab.pass_time(120)
    plan = Plan(lab.strategy, (name,), None, traffic="components", evidence=Evidence(tolerances=None))
    rollout = plan_rollout(lab.clients, lab.names, {}, GREEN, plan, lab.now(), tell=told.append)
    assert rollout.watched_alarms == (name,)
    assert told == []


@pytest.mark.parametrize("traffic", [way for way in WAYS if way not in ("lambda", "components")])
def test_it_is_enough_to_watch_a_rollout(traffic: str, serving: Production) -> None:
    put_by_template(traffic, serving)
    [resource] = yaml.safe_load(of_way(traffic, "yaml"))["Resources"].values()
    name = resource["Properties"]["AlarmName"]
    told: list[str] = []
    plan = Plan(blue_green(60), (name,), None, traffic=traffic, evidence=Evidence(tolerances=None))
    clients = Clients(serving.sagemaker, serving.cloudwatch, serving.ssm, serving.autoscaling)
    rollout = plan_rollout(clients, Names(ENDPOINT, "12345678"), {}, GREEN, plan, tell=told.append)
    assert rollout.watched_alarms == (name,)
    assert told == []
