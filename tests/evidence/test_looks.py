"""A look at a bake: alarms, wishes, requests, limits and the comparison, read and judged together."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from airflow_sm_rollout.aws.control import write_control
from airflow_sm_rollout.aws.record import read_record
from airflow_sm_rollout.aws.watch import Memory, look, look_at
from airflow_sm_rollout.core.control import Control, Wish
from airflow_sm_rollout.core.goals import GreenShadowed
from airflow_sm_rollout.core.plan.evidence import Evidence, Thresholds
from airflow_sm_rollout.core.plan.limits import Kpi, Limits, Metric
from airflow_sm_rollout.core.plan.strategy import Strategy, blue_green, canary
from airflow_sm_rollout.core.plan.tolerances import DEFAULTS, Tolerances
from airflow_sm_rollout.core.rollout import Rollout
from airflow_sm_rollout.core.watch.judge import Look
from airflow_sm_rollout.core.watch.policy import tolerances_in
from airflow_sm_rollout.core.watch.sources import final_until, judged_alarms
from airflow_sm_rollout.core.watch.verdict import Verdict
from airflow_sm_rollout.core.watch.watch import Watch
from airflow_sm_rollout.sandbox.faults import Fault
from convergence.lab import ENDPOINT, USER_ALARM, Lab
from evidence.published import publish

STRICT = Tolerances(warm_up_minutes=0, min_bake_minutes=1)


class BakingLab(Lab):
    """A canary whose first step has just been taken, with figures as a test wants them."""

    def __init__(self, **options: Any) -> None:
        super().__init__()
        self.run(until=2)
        rollout = read_record(self.clients.ssm, ENDPOINT)
        assert rollout is not None
        self.rollout: Rollout = replace(rollout, plan=replace(rollout.plan, evidence=Evidence(**options)))
        self.bake = Watch(self.now(), self.now() + timedelta(minutes=10), rollout.green_traffic_since, 20)
        self.memory = Memory()
        self.share: float | None = None

    def serve(self, periods: int, blue: dict[str, Any], green: dict[str, Any]) -> None:
        """Figures of so many periods of 10 s from now on, and the time until they are final."""
        for number in range(periods):
            at = self.now() + timedelta(seconds=10 * number)
            publish(self.sandbox, self.rollout.blue_dimensions, at, **blue)
            publish(self.sandbox, self.rollout.green_dimensions, at, **green)
        self.pass_time(10 * periods + 20)

    @property
    def asked(self) -> Watch:
        evidence = {"alarms": (USER_ALARM,), "judges_evidence": True}
        return replace(self.bake, rollout=self.rollout, share=self.share, share_since=self.bake.started_at, **evidence)

    def look(self) -> Look:
        return look_at(self.clients, self.asked, self.now(), self.memory)


def test_the_mixed_config_publishes_metrics_every_ten_seconds() -> None:
    lab = BakingLab()
    config = lab.clients.sagemaker.describe_endpoint_config(EndpointConfigName=lab.names.mixed_config)
    fast = {"EnableEnhancedMetrics": True, "MetricPublishFrequencyInSeconds": 10}
    assert config["MetricsConfig"].items() >= fast.items()
    before = lab.clients.sagemaker.describe_endpoint_config(EndpointConfigName=lab.rollout.blue.config_name)
    assert "MetricsConfig" not in before


def test_a_limit_that_is_proven_to_be_exceeded_ends_a_bake_at_once() -> None:
    lab = BakingLab(limits=Limits(max_error_rate=0.05), tolerances=None)
    lab.serve(2, blue={"requests": 90}, green={"requests": 10, "e4": 4})
    seen = lab.look()
    assert seen.judgement.verdict is Verdict.HARMFUL
    assert "8 of green's 20 calls (40 %) were answered with an error" in seen.judgement.reason
    assert seen.comparison is None


def test_a_model_that_fails_every_call_is_proven_harmful_by_the_comparison_within_two_periods() -> None:
    lab = BakingLab(tolerances=STRICT)
    lab.serve(2, blue={"requests": 90}, green={"requests": 10, "e5": 10})
    seen = lab.look()
    assert seen.judgement.verdict is Verdict.HARMFUL
    assert seen.comparison is not None
    assert seen.comparison.culprit == "errors_5xx"
    assert seen.judgement.reason == seen.comparison.sentence


@pytest.mark.parametrize(("require_proof", "verdict"), [(True, Verdict.INCONCLUSIVE), (False, Verdict.HEALTHY)])
def test_no_figures_are_no_proof_of_health_where_the_plan_wants_one(require_proof: bool, verdict: Verdict) -> None:
    lab = BakingLab(require_proof=require_proof)
    lab.bake = replace(lab.bake, min_requests=0)
    lab.pass_time(600)
    assert lab.look().judgement.verdict is verdict


WITHOUT_BLUES_FIGURES = pytest.mark.parametrize(
    ("steps", "share", "verdict"),
    [
        (canary([10, 100]), 10.0, Verdict.INCONCLUSIVE),
        (canary([10, 100]), 100.0, Verdict.HEALTHY),
        (blue_green(), 100.0, Verdict.INCONCLUSIVE),
        (None, None, Verdict.INCONCLUSIVE),
    ],
)
"""What a bake in which blue has no calls comes to, if it is to be judged beside blue where there is one."""


@WITHOUT_BLUES_FIGURES
def test_proof_is_wanted_of_each_bake_in_which_there_is_a_blue_to_compare_with(
    steps: Strategy | None, share: float | None, verdict: Verdict
) -> None:
    lab = BakingLab(require_proof=True)
    lab.rollout = replace(lab.rollout, plan=replace(lab.rollout.plan, strategy=steps))
    lab.share = share
    lab.serve(3, blue={"requests": 0}, green={"requests": 20})
    lab.pass_time(600)
    assert lab.look().judgement.verdict is verdict


@WITHOUT_BLUES_FIGURES
def test_a_kpi_relative_to_blue_is_judged_while_there_is_a_blue_to_be_relative_to(
    steps: Strategy | None, share: float | None, verdict: Verdict
) -> None:
    refused = Metric("Shop", "Refused", "Sum", {"Variant": "{variant}"})
    kpi = Kpi("refused orders", {"m": refused}, at_most=1.2, relative_to_blue=True)
    lab = BakingLab(limits=Limits(kpis=(kpi,)))
    lab.rollout = replace(lab.rollout, plan=replace(lab.rollout.plan, strategy=steps))
    lab.share = share
    lab.serve(3, blue={"requests": 0}, green={"requests": 20})
    lab.pass_time(600)
    assert lab.look().judgement.verdict is verdict


def latencies(calls: int) -> list[float]:
    """As blue's thresholds have them."""
    return [50] * (calls // 2) + [150] * (45 * calls // 100) + [250] * (4 * calls // 100) + [350] * (calls // 100)


@pytest.mark.parametrize("minutes", [5, 10])
def test_health_is_proven_in_a_bake_that_is_no_longer_than_the_shortest_that_is_wanted(minutes: int) -> None:
    lab = BakingLab(require_proof=True, end_early=True)
    lab.rollout = replace(lab.rollout, thresholds=Thresholds(100_000, 200_000, 300_000))
    lab.bake = replace(lab.bake, ends_at=lab.now() + timedelta(minutes=minutes), ends_early=True)
    blue, green = ({"requests": calls, "milliseconds": latencies(calls)} for calls in (500, 300))
    for _ in range(6 * minutes):
        publish(lab.sandbox, lab.rollout.blue_dimensions, lab.now(), **blue)
        publish(lab.sandbox, lab.rollout.green_dimensions, lab.now(), **green)
        lab.pass_time(10)
        if lab.now() < lab.bake.ends_at:
            assert lab.look().judgement.verdict is Verdict.WATCHING
    proven = lab.look()
    assert proven.judgement.verdict is Verdict.HEALTHY
    assert "does as well as blue" in proven.judgement.reason


@pytest.mark.parametrize("seconds", [10, 30, 60])
def test_by_the_end_of_the_shortest_bake_that_is_not_warned_of_figures_reach_far_enough_to_prove_health(
    seconds: int,
) -> None:
    for periods in (3, 4, 5, 20):
        bake = periods * timedelta(seconds=seconds)
        for late in range(seconds):
            began = datetime(2026, 3, 2, 9, 0, late, 500, tzinfo=timezone.utc)
            assert final_until(began + bake, seconds) >= began + tolerances_in(DEFAULTS, bake, seconds).min_bake


def test_a_shadow_is_judged_by_what_it_did_with_the_copies() -> None:
    lab = Lab()
    plan = lab.plan()
    lab.reach(GreenShadowed(plan, 50))
    rollout = read_record(lab.clients.ssm, ENDPOINT)
    assert rollout is not None
    rollout = replace(rollout, plan=replace(rollout.plan, evidence=Evidence(tolerances=STRICT)))
    shadow = {"EndpointName": ENDPOINT, "VariantName": lab.names.shadow}
    for _ in range(3):
        publish(lab.sandbox, rollout.blue_dimensions, lab.now(), requests=90)
        publish(lab.sandbox, shadow, lab.now(), requests=45, e5=45)
        lab.pass_time(10)
    lab.pass_time(20)
    ends_at, asked = lab.now() + timedelta(minutes=10), {"rollout": rollout, "judges_evidence": True}
    watch = Watch(lab.now(), ends_at, rollout.shadow_since, 20, alarms=judged_alarms(rollout), **asked)
    seen = look_at(lab.clients, watch, lab.now(), Memory())
    assert judged_alarms(rollout) == (USER_ALARM,)
    assert seen.judgement.verdict is Verdict.HARMFUL
    assert "Green failed" in seen.judgement.reason


def test_too_little_traffic_at_the_end_is_inconclusive_and_enough_is_not() -> None:
    lab = BakingLab()
    lab.serve(1, blue={"requests": 90}, green={"requests": 19})
    lab.pass_time(600)
    assert lab.look().judgement.verdict is Verdict.INCONCLUSIVE
    publish(lab.sandbox, lab.rollout.green_dimensions, lab.now() - timedelta(seconds=5), requests=1)
    assert lab.look().judgement.verdict is Verdict.HEALTHY


def test_requests_of_a_bake_of_many_hours_are_counted_by_the_minute_since_nothing_finer_is_kept() -> None:
    lab = BakingLab(tolerances=None)
    lab.rollout = replace(lab.rollout, metric_period_seconds=10)
    publish(lab.sandbox, lab.rollout.green_dimensions, lab.now() + timedelta(minutes=1), requests=30)
    asked: list[Any] = []
    lab.clients.cloudwatch.meta.events.register(
        "provide-client-params.cloudwatch.GetMetricData", lambda params, **_: asked.append(params)
    )
    lab.pass_time(4 * 3600)
    assert lab.look().judgement.verdict is Verdict.HEALTHY
    of_long_ago = [params for params in asked if lab.now() - params["StartTime"] >= timedelta(hours=3)]
    periods = {query["MetricStat"]["Period"] for params in of_long_ago for query in params["MetricDataQueries"]}
    assert periods == {60}


def test_blues_baseline_is_read_once_by_who_looks_often() -> None:
    lab = BakingLab()
    begins: list[datetime] = []
    lab.clients.cloudwatch.meta.events.register(
        "provide-client-params.cloudwatch.GetMetricData", lambda params, **_: begins.append(params["StartTime"])
    )
    for _ in range(3):
        lab.serve(1, blue={"requests": 90}, green={"requests": 10})
        lab.look()
    assert len([begin for begin in begins if begin < lab.rollout.started_at]) == 1


def test_a_look_that_fails_once_is_waited_out_also_where_the_bake_is_longer_by_a_pause() -> None:
    lab = BakingLab(tolerances=None)
    write_control(lab.clients.ssm, ENDPOINT, Control(lab.rollout.rollout_id, Wish.PAUSE, lab.now()))
    lab.pass_time(1200)
    assert look(lab.clients, lab.asked, lab.now(), lab.memory).judgement.verdict is Verdict.WATCHING
    lab.sandbox.faults.add(Fault("throttle", "DescribeAlarms", times=50))
    lab.pass_time(15)
    failed = look(lab.clients, lab.asked, lab.now(), lab.memory).judgement
    assert "DescribeAlarms" in failed.reason
    assert failed.verdict is Verdict.WATCHING
    lab.pass_time(1200)
    assert look(lab.clients, lab.asked, lab.now(), lab.memory).judgement.verdict is Verdict.INCONCLUSIVE


def test_a_look_that_fails_once_is_waited_out_also_where_the_bake_is_held() -> None:
    lab = BakingLab(limits=Limits(min_requests=0))
    lab.rollout = replace(lab.rollout, thresholds=Thresholds(100_000, 200_000, 300_000))
    lab.bake, lab.share = replace(lab.bake, ends_at=lab.now() + timedelta(minutes=3)), 10.0
    slow = {"requests": 10, "milliseconds": [150.0] * 10}
    for _ in range(4):
        lab.serve(6, blue={"requests": 90, "milliseconds": latencies(90)}, green=slow)
        held = lab.look().judgement
    assert "holding green at 10 %" in held.reason
    lab.sandbox.faults.add(Fault("throttle", "DescribeAlarms", times=50))
    lab.pass_time(30)
    assert look(lab.clients, lab.asked, lab.now(), lab.memory).judgement.verdict is Verdict.WATCHING
    lab.pass_time(60)
    assert look(lab.clients, lab.asked, lab.now(), lab.memory).judgement.verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize("seed", range(4))
def test_a_look_that_begins_anew_reads_what_all_looks_before_have_read(seed: int) -> None:
    chance = random.Random(seed)
    by_variant = {"EndpointName": "{endpoint}", "VariantName": "{variant}"}
    kpi = Kpi(
        "refused",
        {"m": Metric("AWS/SageMaker", "Invocation4XXErrors", "Sum", by_variant)},
        at_most=9,
        relative_to_blue=True,
        period_seconds=10,
    )
    lab = BakingLab(limits=Limits(max_error_rate=0.3, max_p99_ms=400, kpis=(kpi,)), tolerances=STRICT, end_early=True)
    lab.rollout = replace(lab.rollout, thresholds=Thresholds(100_000, 200_000, 300_000))
    lab.bake = replace(lab.bake, ends_at=lab.now() + timedelta(minutes=4), ends_early=True)
    lab.is_test_looking = True  # so that no time passes in a look
    looks = []
    for _ in range(30):
        for dimensions, calls in ((lab.rollout.blue_dimensions, 40), (lab.rollout.green_dimensions, 20)):
            if chance.random() < 0.9:
                late = lab.now() + timedelta(seconds=chance.choice([0, 0, 0, 40, 100]))
                served = {"requests": calls, "milliseconds": latencies(calls), "e4": chance.randrange(4)}
                publish(lab.sandbox, dimensions, lab.now(), **served, visible_at=late, counted_at=lab.now())
        lab.pass_time(10)
        if chance.random() < 0.5:
            looks.append(lab.look())
            assert looks[-1] == look_at(lab.clients, lab.asked, lab.now(), Memory())
    judged = [each.comparison.green_requests for each in looks if each.comparison]
    assert judged == sorted(judged)
    assert judged[-1] > 300
