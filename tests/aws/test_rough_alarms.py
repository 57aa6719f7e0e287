"""Alarms as people make them: whatever CloudWatch tells of one, it is read, or refused in a sentence."""

from __future__ import annotations

from itertools import product
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_sm_rollout.aws.cloudwatch import read_alarms
from airflow_sm_rollout.aws.sight import read_watchers
from airflow_sm_rollout.core.watch.rule import parse_rule
from airflow_sm_rollout.core.watch.sight import describe_blind, why_blind
from convergence.lab import Lab

NAMES = (
    "a b",
    "caf\u00e9 \U0001f980",
    'say "no"',
    "it's",
    "a\\b",
    "x" * 255,
    "AND",
    "NOT(x)",
    "ALARM(a)",
    "{0} %s",
    "arn:aws:cloudwatch:::x",
    "<b>",
)
RULES = (
    *('ALARM("{0}")', "ALARM({0})", "ALARM('{0}')", 'NOT ALARM("{0}") AND (OK("{0}"))', 'ALARM("{0}"', "ALARM()", "", " ", "TRUE", "FALSE"),
    *('ALARM("arn:aws:cloudwatch:eu-west-1:999999999999:alarm:{0}")', '((((ALARM("{0}"))))', 'alarm("{0}") or alarm("{0}")', "\U0001f980"),
    *('AT_LEAST(1, ALARM, ("{0}"))', "(" * 900 + 'ALARM("{0}")' + ")" * 900, 'AT_LEAST(50%, ALARM, (ALARM("{0}")))', "(" * 2000),
    *("NOT " * 3000 + 'ALARM("{0}")', " AND ".join(['ALARM("{0}")'] * 500)),
)  # fmt: skip
DIMENSIONS: tuple[Any, ...] = (
    [],
    [{}],
    [{"Name": "EndpointName"}],
    [{"Value": "fraud"}],
    [{"Name": "EndpointName", "Value": "fraud"}, {"Name": "EndpointName", "Value": "other"}],
    [{"Name": "VariantName", "Value": "\U0001f980" * 1000}],
    [{"Name": f"d{number}", "Value": ""} for number in range(30)],
)
EXPRESSIONS = (
    *("", " ", "m1", "m1 + ", "m1 / m1 * (", "METRICS()", "SUM(METRICS('m'))", "SELECT", "select max(x) from", "e1", "\U0001f980"),
    *('SELECT SUM(x) FROM SCHEMA("AWS/SageMaker", EndpointName) WHERE EndpointName =', 'SELECT SUM(x) FROM "'),
    *("SEARCH('{{AWS/SageMaker,EndpointName}} \"x\"', 'Sum', 60)", "m1 " * 5000, "SELECT SUM(x) FROM x WHERE EndpointName = 'fraud' AND"),
)  # fmt: skip


def alarms() -> list[dict[str, Any]]:
    """As DescribeAlarms tells them, without names; members that AWS calls optional are missing in some."""
    one = {"Namespace": "AWS/SageMaker", "MetricName": "Invocation5XXErrors"}
    plain = [{**one, "Dimensions": each} for each in DIMENSIONS] + [{"MetricName": "x"}, {"Namespace": "x"}, {}]
    stat = {"Id": "m1", "MetricStat": {"Metric": {**one, "Dimensions": DIMENSIONS[4]}}}
    math = []
    for expression, returns in product(EXPRESSIONS, ({}, {"ReturnData": True}, {"ReturnData": False})):
        math.append({"Metrics": [stat, {"Id": "e1", "Expression": expression, **returns}]})
    math += [
        {"Metrics": each}
        for each in ([], [{}], [{"Id": "m1"}], [{"MetricStat": {}}], [{"Expression": "m1"}], [stat, stat], [stat] * 500)
    ]
    math += [{"Metrics": [{**stat, "AccountId": "999999999999", **returns}]} for returns in ({}, {"ReturnData": False})]
    others = [
        {"EvaluationCriteria": each} for each in ({}, {"PromQLCriteria": {}}, {"PromQLCriteria": {"Query": 'x{a="'}})
    ]
    others += [
        {"ScheduledQueryConfiguration": each}
        for each in ({}, {"LogGroupIdentifiers": []}, {"LogGroupIdentifiers": ["\U0001f980"]})
    ]
    return [*plain, *math, *others]


class CloudWatch:
    """Knows alarms by name, as CloudWatch does."""

    def __init__(self, known: dict[str, dict[str, Any]], meta: Any) -> None:
        self._known, self.meta = known, meta

    def describe_alarms(self, *, AlarmNames: list[str], **_: Any) -> dict[str, Any]:  # noqa: N803 - AWS's name
        found = [
            {"StateValue": "OK", "AlarmName": name, **self._known[name]} for name in AlarmNames if name in self._known
        ]
        composite = [alarm for alarm in found if "AlarmRule" in alarm]
        return {"CompositeAlarms": composite, "MetricAlarms": [alarm for alarm in found if "AlarmRule" not in alarm]}


def see(known: dict[str, dict[str, Any]], lab: Lab, rollout: Any) -> None:
    cloudwatch = CloudWatch(known, SimpleNamespace(service_model=lab.clients.cloudwatch.meta.service_model))
    for watcher in read_watchers(cloudwatch, known):
        why = why_blind(watcher, rollout)
        if why:
            assert describe_blind({watcher.name: why}, rollout)
    assert len(read_alarms(cloudwatch, list(known), None)) == len(known)


@pytest.fixture(scope="module")
def lab() -> Lab:
    return Lab()


def test_every_alarm_that_people_make_can_be_looked_at(lab: Lab) -> None:
    rollout, tried = lab.plan(), 0
    for alarm in alarms():
        see({NAMES[tried % len(NAMES)]: alarm}, lab, rollout)
        tried += 1
    print(f"{tried} alarms looked at")
    assert tried > 60


def test_every_composite_alarm_can_be_looked_at_whatever_its_rule_is_and_its_children_are_called(lab: Lab) -> None:
    rollout, children, tried = lab.plan(), Random(3), 0
    for rule, name in product(RULES, NAMES):
        text = rule.replace("{0}", name)
        see({"above": {"AlarmRule": text}, name: children.choice(alarms())}, lab, rollout)
        see({name: {"AlarmRule": text}}, lab, rollout)  # made of itself
        tried += 2
    print(f"{tried} composite alarms looked at")
    assert tried > 300


@pytest.mark.parametrize("name", [name for name in NAMES if not name.startswith("arn:")])
def test_a_composite_alarm_names_its_child_whatever_that_is_called(name: str) -> None:
    quoted = name.replace("\\", "\\\\").replace('"', '\\"')
    rule = parse_rule(f'ALARM("{quoted}") AND NOT OK("arn:aws:cloudwatch:us-east-1:1:alarm:{quoted}")')
    assert rule.names == (name,)
    assert rule.rings(frozenset({name}))
    assert not rule.rings(frozenset())


def test_a_rule_that_is_nested_deeper_than_anybody_reads_rings_for_each_of_its_alarms() -> None:
    for deep in ("(" * 900 + 'ALARM("a")' + ")" * 900, "NOT " * 900 + 'ALARM("a")'):
        assert parse_rule(deep).names == ("a",)
        assert parse_rule(deep).rings(frozenset({"a"}))
