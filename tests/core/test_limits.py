"""Fixed limits: which are possible."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from airflow_sm_rollout.core.errors import PlanError
from airflow_sm_rollout.core.plan.evidence import Evidence
from airflow_sm_rollout.core.plan.limits import Kpi, Metric, parse_limits

REFUSED = {"m": Metric("Shop", "Refused")}


@pytest.mark.parametrize(
    ("option", "build"),
    [
        ("max_error_rate", lambda: parse_limits({"max_error_rate": 2})),
        ("max_p99_ms", lambda: parse_limits({"max_p99_ms": 0})),
        ("min_requests", lambda: parse_limits({"min_requests": -1})),
        ("limits", lambda: parse_limits({"max_eror_rate": 0.1})),
        ("kpis", lambda: parse_limits({"kpis": [{"label": "refusals"}]})),
        ("at_most", lambda: Kpi("refusals", REFUSED)),
        ("metrics", lambda: Kpi("refusals", {"Refused": REFUSED["m"]}, at_most=1)),
        ("dimensions", lambda: Metric("Shop", "Refused", dimensions={"Model": "{modle}"})),
        ("expression", lambda: Kpi("refusals", {**REFUSED, "n": REFUSED["m"]}, at_most=1)),
        ("period_seconds", lambda: Kpi("refusals", REFUSED, at_most=1, period_seconds=90)),
        ("when_inconclusive", lambda: Evidence(when_inconclusive="hope")),
        ("end_early", lambda: Evidence(tolerances=None, end_early=True)),
        ("require_proof", lambda: Evidence(tolerances=None, require_proof=True)),
        ("metric_seconds", lambda: Evidence(metric_seconds=45)),
    ],
)
def test_a_limit_that_is_not_possible_is_refused_by_its_name(option: str, build: Callable[[], Any]) -> None:
    with pytest.raises(PlanError) as refusal:
        build()
    assert refusal.value.option == option
