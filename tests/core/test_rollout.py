from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_sm_rollout.core.errors import PlanError, RolloutError
from airflow_sm_rollout.core.plan.alarms import AlarmDefaults
from airflow_sm_rollout.core.plan.evidence import Evidence, Thresholds
from airflow_sm_rollout.core.plan.limits import Kpi, Limits, Metric
from airflow_sm_rollout.core.plan.measures import CloudWatch, Function, HttpJson, Mean, Measure, Prometheus, Sql
from airflow_sm_rollout.core.plan.strategy import Strategy, canary, linear
from airflow_sm_rollout.core.plan.tolerances import Margin, Tolerances
from airflow_sm_rollout.core.record import from_json, to_json
from airflow_sm_rollout.core.rollout import Blue, Green, Phase, Plan, Rollout

START = datetime(2026, 1, 1, tzinfo=timezone.utc)

MOMENTS = st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1), timezones=st.just(timezone.utc))  # noqa: DTZ001 - bounds are naive by contract
JSON = st.recursive(
    st.text() | st.integers() | st.booleans(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
BLUES = st.builds(
    Blue,
    config_name=st.text(min_size=1),
    config=st.dictionaries(st.text(), JSON),
    variant=st.text(),
    weight=st.floats(0, 1000),
    instance_count=st.integers(0, 500),
    config_tags=st.dictionaries(st.text(), st.text()),
)
GREENS = st.one_of(
    st.builds(Green, model_name=st.text(min_size=1)),
    st.builds(
        Green,
        image=st.text(min_size=1),
        model_data_url=st.text(min_size=1),
        environment=st.none() | st.dictionaries(st.text(), st.text()),
    ),
    st.builds(Green, model_package_arn=st.text(min_size=1), instance_type=st.none() | st.text(min_size=1)),
)
KPI = Kpi(
    "refusals", {"m": Metric("Shop", "Refused", "p90", {"Variant": "{variant}"})}, at_most=1.5, relative_to_blue=True
)
MEASURES = (
    Measure("orders", Sql("warehouse", "SELECT '{since}' -- 100 %")),
    Measure("orders", HttpJson("shop", "orders?since={since}", rows="data.rows"), at_most=0.02, compared=False),
    Measure("orders", Prometheus("shop", "failed", "all"), period_seconds=600, final_after=86400, timeout=5),
    Measure("orders", CloudWatch({"m": Metric("Shop", "Failed", "Sum", {"M": "{model}"})}, events="m", trials="m")),
    Measure("orders", Function("shop.counts:count"), margin=Margin(1.5, 0.01, 3.0, 0.03)),
    Measure("seconds", Function("shop.counts:count"), mean=Mean(0, 10, 0.5, "lower")),
)
EVIDENCE = st.builds(
    Evidence,
    tolerances=st.just(Tolerances(false_rollback=0.02, over_p99=Margin(1.0, 0.01, 3.0, 0.02))),
    limits=st.sampled_from([Limits(), Limits(max_error_rate=0.02, max_p99_ms=300.5, min_requests=7, kpis=(KPI,))]),
    when_inconclusive=st.sampled_from(["fail", "extend", "ask", "go_on"]),
    extend_by=st.timedeltas(timedelta(seconds=1), timedelta(days=1)),
    end_early=st.booleans(),
    dry_run=st.booleans(),
    require_proof=st.booleans(),
    metric_seconds=st.sampled_from([None, 10, 60]),
    monitoring_schedules=st.sampled_from([(), ("drift", "quality")]),
    measures=st.sampled_from([(), MEASURES[:1], MEASURES]),
) | st.just(Evidence(tolerances=None))
PLANS = st.builds(
    Plan,
    strategy=st.sampled_from([None, canary([1, 2.5, 100], bake=7.5), linear(30, 60)]),
    alarms=st.lists(st.text()).map(tuple),
    default_alarms=st.none() | st.builds(AlarmDefaults, st.floats(0.1, 99), st.integers(1, 9), st.floats(1.01, 9)),
    delete_blue=st.booleans(),
    evidence=EVIDENCE,
)
ROLLOUTS = st.builds(
    Rollout,
    endpoint_name=st.text(),
    rollout_id=st.text(),
    owner=st.dictionaries(st.text(), st.text()),
    started_at=MOMENTS,
    blue=BLUES,
    green=GREENS,
    plan=PLANS,
    phase=st.sampled_from(Phase),
    green_traffic_since=st.none() | MOMENTS,
    shadow_since=st.none() | MOMENTS,
    thresholds=st.none() | st.builds(Thresholds, *[st.integers(1, 10**9)] * 3),
    metric_period_seconds=st.sampled_from([10, 60]),
)


@given(ROLLOUTS)
def test_a_record_reads_back_as_what_was_written(rollout: Rollout) -> None:
    assert from_json(to_json(rollout)) == rollout


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", "soon"])
def test_what_is_no_record_is_said_to_be_none(text: str) -> None:
    with pytest.raises(RolloutError, match="no rollout record"):
        from_json(text)


def test_a_record_of_a_later_version_is_not_guessed_at() -> None:
    with pytest.raises(RolloutError, match="version 2"):
        from_json(json.dumps({"version": 2}))


@given(ROLLOUTS, st.none() | st.floats(1, 1e6))
def test_a_record_from_before_there_was_evidence_can_still_be_rolled_back(rollout: Rollout, p99: float | None) -> None:
    stored = json.loads(to_json(rollout))
    for member in ("thresholds", "shadow_since", "paused_before_traffic"):
        stored.pop(member, None)
    for member in ("evidence", "on_drift", "capacity"):
        stored["plan"].pop(member)
    read = from_json(json.dumps(stored if p99 is None else {**stored, "baseline_p99_microseconds": p99}))
    assert (read.blue, read.phase, read.plan.alarms) == (rollout.blue, rollout.phase, rollout.plan.alarms)
    assert (read.plan.evidence.tolerances, read.plan.evidence.metric_seconds) == (None, None), "as it was planned"
    assert read.plan.capacity == "when_needed", "or its config would be another than the one that it has made"
    with_latency = p99 is not None and rollout.plan.default_alarms is not None
    assert (read.names.latency_alarm in read.own_alarms) == with_latency, "or the alarm would be left behind"


def test_a_record_with_members_that_are_missing_or_unknown_is_refused_and_not_stumbled_over() -> None:
    stored = json.loads(to_json(planned(canary(), None)))
    for odd in ({**stored, "blue": {**stored["blue"], "colour": "blue"}}, {**stored, "plan": {}}):
        with pytest.raises(RolloutError, match="can't be read by this version"):
            from_json(json.dumps(odd))


@pytest.mark.parametrize(
    "forms", [{}, {"model_name": "a", "image": "b"}, {"model_package_arn": "a", "model_name": "b"}]
)
def test_green_is_given_in_exactly_one_form(forms: dict[str, str]) -> None:
    with pytest.raises(PlanError, match="one of model_name, model_package_arn, or image"):
        Green(**forms)


def test_an_image_needs_its_artifact() -> None:
    with pytest.raises(PlanError, match="model_data_url="):
        Green(image="a")


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("max_error_percent", 0),
        ("max_error_percent", 100),
        ("min_requests", 0),
        ("latency_factor", 1),
        ("latency_factor", 0.5),
        ("max_slow_percent", 0),
        ("max_slow_percent", 100),
        ("min_bad_requests", 0),
    ],
)
def test_alarm_defaults_that_could_never_ring_or_never_be_quiet_are_refused(option: str, value: float) -> None:
    with pytest.raises(PlanError, match=f"{option}="):
        AlarmDefaults(**{option: value})  # type: ignore[arg-type]


def planned(strategy: Strategy, since: datetime | None) -> Rollout:
    blue = Blue("config", {}, "AllTraffic", 1.0, 1)
    return Rollout("fraud", "id", {}, START, blue, Green(model_name="m"), Plan(strategy), green_traffic_since=since)


@given(st.integers(0, 3), st.integers(0, 400))
def test_a_canary_is_watched_for_the_whole_bake_however_late_it_begins(index: int, late: int) -> None:
    now = START + timedelta(seconds=late)
    rollout = planned(canary([1, 2, 3, 100], bake=60), START)
    assert rollout.bake_end(index, now, timedelta()) == now + timedelta(seconds=60)


def test_linear_steps_come_at_their_planned_times_whatever_shifting_takes() -> None:
    rollout = planned(linear(10, interval=900), START)
    for index in range(10):
        begins = START + timedelta(seconds=900 * index + 70)
        assert rollout.bake_end(index, begins, timedelta()) == START + timedelta(seconds=900 * (index + 1))
    paused = timedelta(hours=1)
    assert rollout.bake_end(0, START + timedelta(seconds=70), paused) == START + timedelta(seconds=900) + paused


def test_a_linear_step_that_comes_late_is_watched_for_half_its_time_at_least() -> None:
    late = START + timedelta(seconds=800)
    assert planned(linear(10, interval=900), START).bake_end(0, late, timedelta()) == late + timedelta(seconds=450)
