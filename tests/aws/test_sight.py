"""When a rollout is planned, the user's alarms are read whole: one that can't see green is no watch, and is said to be none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from airflow_sm_rollout.aws.planning import plan_rollout
from airflow_sm_rollout.aws.sight import read_watchers
from airflow_sm_rollout.core.errors import RolloutRefused
from airflow_sm_rollout.core.plan.evidence import Evidence
from airflow_sm_rollout.core.rollout import AlarmDefaults, Green, Plan, Rollout
from airflow_sm_rollout.core.watch.sight import why_blind
from aws.answers import change_answers
from convergence.guardrails_lab import GuardrailsLab
from convergence.lab import ENDPOINT, USER_ALARM, Lab
from convergence.live_lab import LiveLab

BLUES = {"EndpointName": ENDPOINT, "VariantName": "AllTraffic"}
LABS: Mapping[str, type[Lab]] = {"variants": Lab, "endpoints": LiveLab, "guardrails": GuardrailsLab}
QUIET = {"EvaluationPeriods": 1, "Threshold": 5, "ComparisonOperator": "GreaterThanThreshold"}


def listed(dimensions: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Name": name, "Value": value} for name, value in dimensions.items()]


def put(lab: Lab, name: str, namespace: str = "AWS/SageMaker", **dimensions: str) -> None:
    lab.clients.cloudwatch.put_metric_alarm(
        AlarmName=name,
        Namespace=namespace,
        MetricName="Invocation5XXErrors",
        Dimensions=listed(dimensions),
        Statistic="Sum",
        Period=60,
        TreatMissingData="notBreaching",
        **QUIET,
    )


def put_math(lab: Lab, name: str, expression: str, **read: Mapping[str, str]) -> None:
    metrics: list[dict[str, Any]] = [
        {
            "Id": key,
            "MetricStat": {
                "Metric": {"Namespace": "AWS/SageMaker", "MetricName": "Invocations", "Dimensions": listed(dimensions)},
                "Period": 60,
                "Stat": "Sum",
            },
            "ReturnData": False,
        }
        for key, dimensions in read.items()
    ]
    metrics.append({"Id": "all", "Expression": expression, "ReturnData": True})
    lab.clients.cloudwatch.put_metric_alarm(AlarmName=name, Metrics=metrics, TreatMissingData="notBreaching", **QUIET)


def plan(lab: Lab, *alarms: str, told: list[str] | None = None, **options: Any) -> Rollout:
    planned = Plan(lab.strategy, alarms=alarms, traffic=lab.traffic, **options)
    green = Green(image="g:2", model_data_url="s3://m/g.tar.gz")
    tell = (told if told is not None else []).append
    return plan_rollout(lab.clients, lab.names, {"run_id": "run"}, green, planned, lab.now(), tell=tell)


ALONE: dict[str, Any] = {"default_alarms": None, "evidence": Evidence(tolerances=None)}


def refused(lab: Lab, *alarms: str, **options: Any) -> str:
    lab.pass_time(180)
    before = lab.describe()
    with pytest.raises(RolloutRefused) as caught:
        plan(lab, *alarms, **options)
    assert lab.describe() == before
    return str(caught.value)


@pytest.mark.parametrize("traffic", ["variants", "endpoints"])
def test_an_alarm_on_blue_alone_is_refused_as_all_that_watches(traffic: str) -> None:
    lab = LABS[traffic]()
    put(lab, "mine", **BLUES)
    reason = refused(lab, "mine", **ALONE)
    assert "nothing would watch green: alarm mine reads " in reason
    assert "after a promotion nothing of this endpoint any more" in reason
    assert "docs/alarms.md" in reason


def test_where_the_variants_name_stays_it_sees_green() -> None:
    lab = GuardrailsLab()
    put(lab, "mine", **BLUES)
    lab.pass_time(180)
    assert plan(lab, "mine", default_alarms=None).plan.alarms == ("mine",)


OTHER_WATCHES: dict[str, dict[str, Any]] = {
    "its own alarms": {"default_alarms": AlarmDefaults(), "evidence": Evidence(tolerances=None)},
    "the comparison": {"default_alarms": None},
    "Model Monitor": {"default_alarms": None, "evidence": Evidence(tolerances=None, monitoring_schedules=("daily",))},
}


@pytest.mark.parametrize("watch", OTHER_WATCHES)
def test_beside_another_watch_it_is_warned_of(watch: str) -> None:
    lab, told = Lab(), []
    put(lab, "mine", **BLUES)
    lab.pass_time(180)
    plan(lab, "mine", told=told, **OTHER_WATCHES[watch])
    [warning] = told
    assert warning.startswith("alarm mine reads VariantName=AllTraffic, and green is endpoint fraud, variant model-")


def test_beside_an_alarm_that_sees_green_it_is_warned_of() -> None:
    lab, told = Lab(), []
    put(lab, "mine", **BLUES)
    lab.pass_time(180)
    plan(lab, USER_ALARM, "mine", told=told, **ALONE)
    assert len(told) == 1
    assert USER_ALARM not in told[0]


def test_alarms_that_see_green_are_taken_without_a_word() -> None:
    lab, told = Lab(), []
    plan(lab, USER_ALARM, told=told, **ALONE)
    assert told == []


@pytest.mark.parametrize(
    ("expression", "sees"),
    [
        ("blues", False),
        ("100 * blues / ours", True),
        ("IF(blues > 1, 1, 0)", False),
        ("SUM(METRICS())", True),
        ('SUM(METRICS("blu"))', False),
        ("SUM(METRICS('our'))", True),
    ],
)
def test_metric_math_is_judged_by_what_it_refers_to(expression: str, sees: bool) -> None:
    lab = Lab()
    greens = {"EndpointName": ENDPOINT, "VariantName": lab.names.variant}
    put_math(lab, "mine", expression, blues=BLUES, ours=greens)
    rollout = plan(lab, USER_ALARM)
    [watcher] = read_watchers(lab.clients.cloudwatch, ["mine"])
    assert (why_blind(watcher, rollout) == "") is sees


@pytest.mark.parametrize(
    ("rule", "sees"),
    [
        ('ALARM("mine")', False),
        (f'ALARM("mine") OR ALARM("{USER_ALARM}")', True),
        (f'ALARM("mine") AND ALARM("{USER_ALARM}")', False),
        ('ALARM("inner")', True),
    ],
)
def test_a_composite_alarm_is_judged_by_the_alarms_in_it(rule: str, sees: bool) -> None:
    lab = Lab()
    put(lab, "mine", **BLUES)
    lab.clients.cloudwatch.put_composite_alarm(AlarmName="inner", AlarmRule=f'ALARM("{USER_ALARM}")')
    lab.clients.cloudwatch.put_composite_alarm(AlarmName="all", AlarmRule=rule)
    if sees:
        lab.pass_time(180)
        plan(lab, "all", **ALONE)
    else:
        assert "alarm all never rings for green alone, by its rule" in refused(lab, "all", **ALONE)


def with_alarm(lab: Lab, kind: str, **alarm: Any) -> None:
    """AWS has an alarm of a kind that the sandbox does not make."""
    described = {"StateValue": "OK", "StateReason": "quiet", **alarm}
    change_answers(lab, "DescribeAlarms", lambda answer: {**answer, kind: [*answer.get(kind, []), described]})


@pytest.mark.parametrize(
    ("group", "sees"), [(f"/aws/sagemaker/Endpoints/{ENDPOINT}", True), ("/aws/sagemaker/Endpoints/churn", False)]
)
def test_an_alarm_on_logs_is_watched_if_they_are_of_greens_endpoint(group: str, sees: bool) -> None:
    lab = Lab()
    logs = {"LogGroupIdentifiers": [group], "QueryString": "fields @message"}
    schedule = {"ScheduleExpression": "rate(1 minute)", "StartTimeOffset": 60}
    logs |= {"ScheduledQueryRoleARN": "arn", "AggregationExpression": "count(*)", "ScheduleConfiguration": schedule}
    with_alarm(lab, "LogAlarms", AlarmName="logs", ScheduledQueryConfiguration=logs)
    if sees:
        assert plan(lab, "logs", **ALONE).plan.alarms == ("logs",)
    else:
        assert "reads the logs of endpoint churn" in refused(lab, "logs", **ALONE)


QUERY = 'SELECT SUM(Invocation5XXErrors) FROM SCHEMA("AWS/SageMaker", EndpointName, VariantName)'


@pytest.mark.parametrize(
    ("where", "sees"),
    [
        (f" WHERE EndpointName = '{ENDPOINT}'", True),
        ("", True),
        (f" WHERE EndpointName = '{ENDPOINT}' AND VariantName = 'AllTraffic'", False),
        (f" WHERE EndpointName = '{ENDPOINT}' AND VariantName != 'AllTraffic'", True),
        (" WHERE EndpointName = 'churn'", False),
        (f" WHERE AWS.AccountId = '210987654321' AND EndpointName = '{ENDPOINT}'", False),
        (f" WHERE AWS.AccountId = '123456789012' AND EndpointName = '{ENDPOINT}'", True),
    ],
)
def test_a_query_is_judged_by_its_conditions(where: str, sees: bool) -> None:
    lab = Lab()
    arn = "arn:aws:cloudwatch:us-east-1:123456789012:alarm:asked"
    metrics = [{"Id": "q", "Expression": QUERY + where, "Period": 60, "ReturnData": True}]
    with_alarm(lab, "MetricAlarms", AlarmName="asked", AlarmArn=arn, Metrics=metrics)
    if sees:
        plan(lab, "asked", **ALONE)
    else:
        assert "nothing would watch green: alarm asked reads " in refused(lab, "asked", **ALONE)


def test_a_misspelt_metric_is_refused_as_all_that_watches_and_said() -> None:
    lab = Lab()
    metrics = [{"Id": "q", "Expression": QUERY.replace("5XX", "5xx"), "Period": 60, "ReturnData": True}]
    with_alarm(lab, "MetricAlarms", AlarmName="asked", Metrics=metrics)
    assert "which SageMaker does not publish (did you mean Invocation5XXErrors?)" in refused(lab, "asked", **ALONE)


@pytest.mark.parametrize(
    ("labels", "sees"),
    [('"aws.sagemaker.variant.name"="AllTraffic"', False), ('"aws.sagemaker.endpoint.name"="fraud"', True)],
)
def test_a_promql_query_is_judged_by_its_labels(labels: str, sees: bool) -> None:
    lab = Lab()
    criteria = {"PromQLCriteria": {"Query": f"sum(rate(errors{{{labels}}}[1m]))"}}
    with_alarm(lab, "MetricAlarms", AlarmName="asked", EvaluationCriteria=criteria)
    if sees:
        plan(lab, "asked", **ALONE)
    else:
        assert "reads aws.sagemaker.variant.name=AllTraffic" in refused(lab, "asked", **ALONE)


@pytest.mark.parametrize(
    ("arn", "said"),
    [
        (
            f"arn:aws:cloudwatch:us-east-1:123456789012:alarm:{USER_ALARM}",
            f"alarms are named by their names: '{USER_ALARM}'",
        ),
        ("arn:aws:cloudwatch:us-east-1:123456789012:alarm:a:b", "alarms are named by their names: 'a:b'"),
        ("arn:aws:cloudwatch:eu-west-1:123456789012:alarm:other", "it is in eu-west-1 and the endpoint in us-east-1"),
    ],
)
def test_an_arn_is_refused_for_what_it_is(arn: str, said: str) -> None:
    assert said in refused(Lab(), arn)


@pytest.mark.parametrize(
    "name", ["a, b", "fraud/business: 5xx > 1 %", "Überwachung ✓", "a" * 255, "<script>alert(1)</script>", "arn:aws"]
)
def test_an_odd_name_is_a_name(name: str) -> None:
    lab = Lab()
    put(lab, name, namespace="Shop")
    lab.pass_time(180)
    assert plan(lab, name, **ALONE).plan.alarms == (name,)


def test_thirty_alarms_named_twice_are_watched() -> None:
    lab = Lab()
    names = [f"alarm-{number}" for number in range(30)]
    for name in names:
        put(lab, name, namespace="Shop")
    lab.pass_time(180)
    lab.plan = lambda: plan(lab, *names, *names)  # type: ignore[method-assign]
    lab.run()
    assert lab.describe()["endpoint"]["EndpointConfigName"] == lab.names.final_config
