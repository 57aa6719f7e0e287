"""Figures that stop in the middle of a bake, for every way to split traffic: what nobody has seen is not healthy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any, ClassVar

import pytest

from airflow_sm_rollout.aws.planning import plan_rollout
from airflow_sm_rollout.aws.record import read_record
from airflow_sm_rollout.aws.watch import Memory, look_at
from airflow_sm_rollout.core.errors import RolloutRefused
from airflow_sm_rollout.core.goals import GreenDeployed, GreenShadowed, GreenShare
from airflow_sm_rollout.core.plan.evidence import Evidence, Thresholds
from airflow_sm_rollout.core.plan.limits import Limits
from airflow_sm_rollout.core.plan.strategy import Strategy, canary
from airflow_sm_rollout.core.rollout import Green, Plan, Rollout
from airflow_sm_rollout.core.watch.sources import judged_since
from airflow_sm_rollout.core.watch.verdict import Judgement, Verdict
from airflow_sm_rollout.core.watch.watch import Watch
from convergence.guardrails_lab import CANARY_BAKES_AT, GuardrailsLab
from convergence.lab import ENDPOINT, USER_ALARM, Lab
from convergence.live_lab import LiveLab, SharedLab
from evidence.published import publish

MINUTES = 60
SLOW = Thresholds(100, 200, 300)


def silence(lab: Lab, dimensions: Mapping[str, str]) -> None:
    """From now on CloudWatch has nothing of these dimensions."""
    record = lab.sandbox.cloudwatch.record

    def heard(namespace: str, metric: str, named: Mapping[str, str], *point: Any) -> None:
        if dict(named) != dict(dimensions):
            record(namespace, metric, named, *point)

    lab.sandbox.cloudwatch.record = heard  # type: ignore[method-assign]


class Baking:
    """A bake of ten minutes on a lab, of a green that has hardly any calls.

    :param share: green's as planned.
    """

    def __init__(self, lab: Lab, share: float | None, **options: Any) -> None:
        rollout = read_record(lab.clients.ssm, ENDPOINT)
        assert rollout is not None
        self.lab, self.share = lab, share
        self.rollout: Rollout = replace(rollout, plan=replace(rollout.plan, evidence=Evidence(**options)))
        lab.pass_time(10)
        self.bake = Watch(lab.now(), lab.now() + timedelta(minutes=10), judged_since(rollout), min_requests=0)

    def judge(self) -> Judgement:
        watch = replace(self.bake, alarms=(USER_ALARM,), rollout=self.rollout, judges_evidence=True, share=self.share)
        return look_at(self.lab.clients, watch, self.lab.now(), Memory()).judgement


def variants(share: float | None, **options: Any) -> Baking:
    lab = Lab()
    lab.run(until=6 if share == 100 else 2)
    return Baking(lab, share, **options)


def endpoints(share: float | None = 100.0, lab: type[LiveLab] = LiveLab, **options: Any) -> Baking:
    begun = lab()
    begun.run(until=2)
    return Baking(begun, share, **options)


def shadow(share: float | None = None, **options: Any) -> Baking:
    lab = Lab()
    lab.reach(GreenShadowed(lab.plan(), 50))
    return Baking(lab, share, **options)


def dimensions_of(watch: Baking, whose: str) -> Mapping[str, str]:
    if whose == "shadow":
        return {"EndpointName": ENDPOINT, "VariantName": watch.lab.names.shadow}
    return watch.rollout.green_dimensions if whose == "green" else watch.rollout.blue_dimensions


@pytest.mark.parametrize(
    ("watch", "whose", "told"),
    [
        (lambda: variants(10), "green", "green"),
        (lambda: variants(10), "blue", "blue"),
        (lambda: variants(None), "blue", "blue"),
        (lambda: variants(100), "green", "green"),
        (lambda: variants(100), "blue", ""),
        (lambda: variants(10, tolerances=None, limits=Limits(max_error_rate=0.1)), "green", "green"),
        (lambda: variants(10, tolerances=None), "green", ""),
        (endpoints, "green", "green"),
        (endpoints, "blue", ""),
        (lambda: endpoints(None), "blue", "blue"),
        (lambda: endpoints(10, lab=SharedLab), "green", "green"),
        (lambda: endpoints(10, lab=SharedLab), "blue", "blue"),
        (shadow, "shadow", "green"),
        (shadow, "blue", "blue"),
    ],
)
@pytest.mark.parametrize("minutes_of_silence", [1.5, 5])
def test_a_bake_whose_figures_have_stopped_is_not_healthy(
    watch: Any, whose: str, told: str, minutes_of_silence: float
) -> None:
    watched: Baking = watch()
    watched.lab.pass_time((10 - minutes_of_silence) * MINUTES)
    silence(watched.lab, dimensions_of(watched, whose))
    stopped_at = watched.lab.now()
    watched.lab.pass_time(minutes_of_silence * MINUTES)
    judgement = watched.judge()
    if not told or minutes_of_silence < 2:
        assert judgement.verdict in {Verdict.HEALTHY, Verdict.INCONCLUSIVE}
        assert "CloudWatch has no" not in judgement.reason
        return
    assert judgement.verdict is Verdict.INCONCLUSIVE
    since = stopped_at.replace(second=0, microsecond=0)
    assert judgement.reason in {
        f"nobody can tell whether green is healthy: CloudWatch has no figures of {told} since {each:%H:%M:%S} UTC"
        for each in (since, since + timedelta(minutes=1))
    }


def call(lab: Lab, minutes: float) -> None:
    """Users who call the endpoint every five seconds."""
    for number in range(int(minutes * 24)):
        lab.pass_time(5 * (number % 2))
        called = sent_to(lab, number) if isinstance(lab, LiveLab) else ENDPOINT
        lab.sandbox.invoke(called)


def sent_to(lab: LiveLab, number: int) -> str:
    """The endpoint that request ``number`` goes to: of each hundred requests as many to green as its share is."""
    sent = lab.shares_now()
    green = lab.names.green_endpoint
    share = sent.get(green, 0.0)
    return green if int((number + 1) * share / 100) > int(number * share / 100) else lab.blue_endpoint


@pytest.mark.parametrize(("lab_type", "shares"), [(Lab, (10, 50, 100)), (LiveLab, (100,)), (SharedLab, (10, 100))])
def test_a_rollout_under_traffic_is_healthy_at_each_step_by_all_that_may_be_watched(
    lab_type: type[Lab], shares: tuple[float, ...]
) -> None:
    lab = lab_type()
    call(lab, minutes=5)
    lab.reach(GreenDeployed(lab.plan()))
    for share in shares:
        lab.reach(GreenShare(share))
        watched = Baking(lab, share, limits=Limits(max_error_rate=0.05, max_p99_ms=60_000))
        assert watched.rollout.thresholds is not None
        call(lab, minutes=10)
        judgement = watched.judge()
        # Beside blue so few calls find no slow green, and that is said. With all traffic on green nothing is compared any more.
        assert judgement.verdict is (Verdict.HEALTHY if share == 100 else Verdict.UNPROVEN)
        assert ("to prove that green is slow" in judgement.reason) is (share < 100)
        assert "were answered with an error; max_error_rate allows 5 %" in judgement.reason


def test_a_rollout_that_wants_proof_is_refused_where_blue_has_had_no_calls_to_compare_with() -> None:
    lab = Lab()
    plan = Plan(lab.strategy, evidence=Evidence(require_proof=True))

    def begin() -> Rollout:
        return plan_rollout(lab.clients, lab.names, {}, Green(model_name=model), plan, lab.now())

    model = lab.clients.sagemaker.list_models()["Models"][0]["ModelName"]
    with pytest.raises(RolloutRefused, match=r"require_proof=True .* Nothing was changed"):
        begin()
    call(lab, minutes=5)
    assert begin().thresholds is not None


def test_a_gap_is_told_while_the_bake_goes_on_and_is_no_end_of_it() -> None:
    watched = variants(10)
    silence(watched.lab, watched.rollout.green_dimensions)
    watched.lab.pass_time(5 * MINUTES)
    judgement = watched.judge()
    assert judgement.verdict is Verdict.WATCHING
    assert "CloudWatch has no figures of green" in judgement.reason


def test_figures_that_come_back_while_the_bake_is_extended_are_enough() -> None:
    watched = variants(10)
    watched.bake = replace(watched.bake, extension=timedelta(minutes=10))
    record = watched.lab.sandbox.cloudwatch.record
    watched.lab.pass_time(7 * MINUTES)
    silence(watched.lab, watched.rollout.green_dimensions)
    watched.lab.pass_time(4 * MINUTES)
    waiting = watched.judge()
    assert (waiting.verdict, "The bake goes on" in waiting.reason) == (Verdict.WATCHING, True)
    watched.lab.sandbox.cloudwatch.record = record  # type: ignore[method-assign]
    watched.lab.pass_time(9 * MINUTES)
    assert watched.judge().verdict is Verdict.HEALTHY


@pytest.mark.parametrize(("thresholds", "verdict"), [(None, Verdict.HEALTHY), (SLOW, Verdict.INCONCLUSIVE)])
def test_calls_whose_latency_nobody_knows_are_not_healthy_where_it_is_compared(
    thresholds: Thresholds | None, verdict: Verdict
) -> None:
    watched = variants(10)
    watched.rollout = replace(watched.rollout, thresholds=thresholds)
    for minute in range(10):
        publish(watched.lab.sandbox, watched.rollout.green_dimensions, watched.lab.now(), requests=1 + minute)
        watched.lab.pass_time(MINUTES)
    judgement = watched.judge()
    assert judgement.verdict is verdict
    assert ("latencies of green" in judgement.reason) is (thresholds is not None)


def test_a_bake_of_a_green_without_traffic_is_not_healthy() -> None:
    watched = variants(10)
    watched.rollout = replace(watched.rollout, green_traffic_since=None)
    watched.lab.pass_time(10 * MINUTES)
    assert watched.judge() == Judgement(
        Verdict.INCONCLUSIVE, "nobody can tell whether green is healthy: green has had no traffic yet"
    )
    alarms_only = replace(watched.rollout.plan, evidence=Evidence(tolerances=None))
    watched.rollout = replace(watched.rollout, plan=alarms_only)
    assert watched.judge().verdict is Verdict.HEALTHY


class LongGuardrailsLab(GuardrailsLab):
    strategy: ClassVar[Strategy] = canary([25, 100], bake=timedelta(minutes=30))


@pytest.mark.parametrize("whose", ["green", "blue", "nobody", "nobody calls"])
def test_sagemakers_own_shift_is_watched_by_fleet_and_an_idle_fleet_is_not_silent(whose: str) -> None:
    lab = LongGuardrailsLab()
    lab.run(until=3)
    lab.let_pass(CANARY_BAKES_AT)
    watched = Baking(lab, None)
    lab.let_pass(5 * MINUTES)
    if whose in {"green", "blue"}:
        silence(lab, dimensions_of(watched, whose))
    if whose == "nobody calls":
        lab.requests_per_look = 0
    lab.let_pass(6 * MINUTES)
    judgement = watched.judge()
    if whose.startswith("nobody"):
        assert judgement.verdict is Verdict.HEALTHY
    else:
        assert judgement.verdict is Verdict.INCONCLUSIVE
        assert f"CloudWatch has no figures of {whose} since" in judgement.reason
