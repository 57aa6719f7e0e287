"""Which alarms can see green: by what they read, for each way to split traffic."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone

import pytest

from airflow_sm_rollout.core.plan.strategy import canary
from airflow_sm_rollout.core.rollout import Blue, Green, Plan, Rollout
from airflow_sm_rollout.core.watch.rule import parse_rule
from airflow_sm_rollout.core.watch.sight import Condition, Source, Watcher, describe_blind, why_blind

WAYS = ("variants", "endpoints", "guardrails")
BLUE = Blue(
    "fraud-v1", {"ProductionVariants": [{"VariantName": "AllTraffic", "ModelName": "v1"}]}, "AllTraffic", 1.0, 2
)
ROLLOUT = Rollout(
    endpoint_name="fraud",
    rollout_id="12345678",
    owner={},
    started_at=datetime(2026, 7, 1, tzinfo=timezone.utc),
    blue=BLUE,
    green=Green(model_name="v2"),
    plan=Plan(canary([10, 100], 60)),
)


def by(traffic: str) -> Rollout:
    return replace(ROLLOUT, plan=replace(ROLLOUT.plan, traffic=traffic))


def metric(namespace: str = "AWS/SageMaker", **dimensions: str) -> Source:
    return Source(namespace, tuple(Condition(name, value) for name, value in dimensions.items()))


def query(*conditions: Condition, namespace: str = "AWS/SageMaker") -> Source:
    return Source(namespace, conditions, is_exact=False)


BLUES = metric(EndpointName="fraud", VariantName="AllTraffic")
BLUES_FLEET = metric(EndpointName="fraud", VariantName="AllTraffic", EndpointConfigName="fraud-v1")
GREENS_VARIANT = metric(EndpointName="fraud", VariantName="model-12345678")
GREENS_ENDPOINT = metric(EndpointName="fraud-12345678", VariantName="AllTraffic")
OF_ENDPOINT = Condition("EndpointName", "fraud")

# What is read, and by which ways to split traffic green is among it.
SIGHTS = {
    "blue's variant": (BLUES, {"guardrails"}),
    "blue's fleet": (BLUES_FLEET, set()),
    "green's variant": (GREENS_VARIANT, {"variants"}),
    "green's endpoint": (GREENS_ENDPOINT, {"endpoints"}),
    "another endpoint": (metric(EndpointName="churn", VariantName="AllTraffic"), set()),
    "the endpoint, without a variant": (metric(EndpointName="fraud"), set()),
    "a variant, without an endpoint": (metric(VariantName="AllTraffic"), set()),
    "all endpoints": (metric(), set()),
    "an instance of the variant": (metric(EndpointName="fraud", VariantName="AllTraffic", InstanceId="i-1"), set()),
    "an inference component": (metric(InferenceComponentName="one"), set()),
    "the variant's hardware": (
        metric("/aws/sagemaker/Endpoints", EndpointName="fraud", VariantName="AllTraffic"),
        {"guardrails"},
    ),
    "Model Monitor of the endpoint": (
        metric("aws/sagemaker/Endpoints/model-metrics", Endpoint="fraud", MonitoringSchedule="daily"),
        {"variants", "guardrails"},
    ),
    "a metric of the shop's": (metric("Shop"), set(WAYS)),
    "a metric of the shop's, by a variant of the shop's": (metric("Shop", Variant="A"), set(WAYS)),
    "a metric of clients', by the name they know": (metric("Clients", EndpointName="fraud"), set(WAYS)),
    "a function in front": (metric("AWS/Lambda", FunctionName="fraud"), set(WAYS)),
    "a query over the endpoint's variants": (query(OF_ENDPOINT), {"variants", "guardrails"}),
    "a query over all endpoints": (query(), set(WAYS)),
    "a query over blue's variant": (query(OF_ENDPOINT, Condition("VariantName", "AllTraffic")), {"guardrails"}),
    "a query over all but blue's variant": (
        query(OF_ENDPOINT, Condition("VariantName", "AllTraffic", is_wanted=False)),
        {"variants"},
    ),
    "a query of the shop's": (query(Condition("Variant", "A"), namespace="Shop"), set(WAYS)),
    "PromQL over blue's variant": (
        query(Condition("aws.sagemaker.variant.name", "AllTraffic"), namespace=""),
        {"endpoints", "guardrails"},
    ),
    "PromQL over another's variant": (query(Condition("variant", "A"), namespace=""), set(WAYS)),
    "another account": (replace(metric("Shop"), account="210987654321"), set()),
}


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("Invocation5xxErrors", "Invocation5XXErrors"),
        ("Invocations5XXErrors", "Invocation5XXErrors"),
        ("invocation5XXError", "Invocation5XXErrors"),
        ("Invocation_5XX_Errors", "Invocation5XXErrors"),
        ("Modellatency", "ModelLatency"),
        ("Invocation", "Invocations"),
        ("Invocation5XXErrors", ""),
        ("GPUUtilization", ""),
        ("AMetricThatIsNewByThen", ""),
    ],
)
@pytest.mark.parametrize("is_exact", [True, False])
def test_a_metric_that_sagemaker_does_not_publish_but_for_its_spelling_sees_nothing(
    is_exact: bool, name: str, meant: str
) -> None:
    source = replace(GREENS_VARIANT, metric=name, is_exact=is_exact)
    why = why_blind(Watcher("a", (source,)), by("variants"))
    assert (f"did you mean {meant}?" in why) if meant else why == ""
    assert why_blind(Watcher("a", (replace(source, namespace="Shop"),)), by("variants")) == ""


COMPONENT = replace(by("components"), blue=replace(BLUE, config={**BLUE.config, "EndpointName": "shared"}))
OF_COMPONENT = {
    "the component": (metric(InferenceComponentName="fraud"), True),
    "another component": (metric(InferenceComponentName="churn"), False),
    "its host's variant": (metric(EndpointName="shared", VariantName="AllTraffic"), True),
    "its host's config": (
        metric(EndpointName="shared", VariantName="AllTraffic", EndpointConfigName="shared-1"),
        False,
    ),
    "an endpoint of its name": (metric(EndpointName="fraud", VariantName="AllTraffic"), False),
    "a metric of the shop's": (metric("Shop"), True),
}


@pytest.mark.parametrize("name", OF_COMPONENT)
def test_an_alarm_sees_a_component_if_it_reads_its_name_or_its_hosts_variant(name: str) -> None:
    source, sees = OF_COMPONENT[name]
    why = why_blind(Watcher("a", (source,)), COMPONENT)
    assert (why == "") is sees, why


@pytest.mark.parametrize("traffic", WAYS)
@pytest.mark.parametrize("name", SIGHTS)
def test_an_alarm_sees_green_if_green_is_among_what_it_reads(name: str, traffic: str) -> None:
    source, seen_by = SIGHTS[name]
    why = why_blind(Watcher("a", (source,)), by(traffic))
    assert (why == "") is (traffic in seen_by), why


def test_metric_math_sees_green_if_one_of_its_metrics_does() -> None:
    assert why_blind(Watcher("a", (BLUES, GREENS_VARIANT)), by("variants")) == ""
    assert why_blind(Watcher("a", (BLUES, BLUES_FLEET)), by("variants")) != ""


def test_an_alarm_of_which_nobody_can_tell_what_it_reads_is_not_called_blind() -> None:
    assert why_blind(Watcher("a"), by("variants")) == ""


@pytest.mark.parametrize(
    ("group", "seen_by"),
    [
        ("/aws/sagemaker/Endpoints/fraud", {"variants", "guardrails"}),
        ("arn:aws:logs:us-east-1:1:log-group:/aws/sagemaker/Endpoints/fraud-12345678:*", {"endpoints"}),
        ("/aws/sagemaker/Endpoints/churn", set()),
        ("/aws/lambda/fraud", set(WAYS)),
    ],
)
@pytest.mark.parametrize("traffic", WAYS)
def test_an_alarm_on_logs_sees_greens_endpoint_or_none_of_sagemakers(
    group: str, seen_by: set[str], traffic: str
) -> None:
    assert (why_blind(Watcher("a", log_groups=(group,)), by(traffic)) == "") is (traffic in seen_by)


SEEING, BLIND = Watcher("green", (GREENS_VARIANT,)), Watcher("blue", (BLUES,))


@pytest.mark.parametrize(
    ("rule", "sees"),
    [
        ("ALARM(green)", True),
        ('ALARM("green")', True),
        ("ALARM(arn:aws:cloudwatch:us-east-1:1:alarm:green)", True),
        ("ALARM(blue)", False),
        ("ALARM(green) OR ALARM(blue)", True),
        ("ALARM(green) AND ALARM(blue)", False),
        ("ALARM(green) AND NOT ALARM(blue)", True),
        ("ALARM(green) AND NOT OK(blue)", False),
        ("ALARM(green) AND OK(blue)", True),
        ("(ALARM(blue) OR ALARM(green)) AND NOT ALARM(deploying)", True),
        ("ALARM(green) AND INSUFFICIENT_DATA(blue)", False),
        ("NOT (ALARM(blue) OR OK(green))", True),
        ("FALSE", False),
        ("AT_LEAST(1, ALARM, (green, blue))", True),
        ("ALARM(nosuch)", False),
        # Of two that see green only one must ring.
        ("ALARM(green) AND NOT ALARM(second)", True),
    ],
)
def test_a_composite_alarm_sees_green_if_it_rings_for_those_alone_that_do(rule: str, sees: bool) -> None:
    children = {"green": SEEING, "blue": BLIND, "second": replace(SEEING, name="second")}
    parsed = parse_rule(rule)
    found = {name: child for name, child in children.items() if name in parsed.names or "AT_LEAST" in rule}
    why = why_blind(Watcher("all", rule=parsed, children=found), by("variants"))
    assert (why == "") is sees, why


def test_a_composite_alarm_of_a_composite_alarm_is_looked_through() -> None:
    inner = Watcher("inner", rule=parse_rule("ALARM(blue)"), children={"blue": BLIND})
    outer = Watcher("outer", rule=parse_rule("ALARM(inner)"), children={"inner": inner})
    assert "inner never rings for green alone" in why_blind(outer, by("variants"))
    seeing = Watcher("inner", rule=parse_rule("ALARM(green)"), children={"green": SEEING})
    assert why_blind(replace(outer, children={"inner": seeing}), by("variants")) == ""


@pytest.mark.parametrize("text", ["ALARM(", "ALARM(a) AND", "ALARM(a) ALARM(b)", "(ALARM(a)", "SOMETIMES(a)", ")"])
def test_a_rule_in_words_that_are_new_rings_for_each_alarm_that_it_names(text: str) -> None:
    rule = parse_rule(text)
    assert rule.rings(frozenset({"a"}))
    assert not rule.rings(frozenset())


@pytest.mark.parametrize(
    ("traffic", "instead"),
    [
        ("variants", "FROM SCHEMA(\"AWS/SageMaker\", EndpointName, VariantName) WHERE EndpointName = 'fraud'"),
        ("guardrails", "Alarm on EndpointName=fraud and VariantName=AllTraffic, which both fleets publish under"),
        ("endpoints", "alarm on what your clients meet"),
    ],
)
def test_what_to_alarm_on_instead_is_said(traffic: str, instead: str) -> None:
    said = describe_blind({"mine": "reads VariantName=AllTraffic, and green is another"}, by(traffic))
    assert said.startswith("alarm mine reads VariantName=AllTraffic")
    assert instead in said
