"""The sample DAG that rolls out whatever model an asset tells of, or a person names."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from operators.dag_runs import run_dag
from production import GOOD, Production

DAGS = Path(__file__).parents[2] / "dags"


@pytest.fixture
def sample(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(DAGS)
    return importlib.import_module("rollout_on_new_model")


def found(sample: ModuleType, given: str, *extras: dict[str, Any]) -> str:
    events = [SimpleNamespace(extra=extra) for extra in extras]

    class Triggering:
        """Airflow's own: it takes assets for keys though these can't be hashed before Airflow 3.2."""

        def get(self, asset: object, default: Any = None) -> Any:
            return events if events and asset == sample.MODEL else default

    return str(sample.find_model.function(params={"model_data_url": given}, triggering_asset_events=Triggering()))


def test_the_newest_model_that_the_asset_tells_of_is_rolled_out_unless_the_form_names_one(sample: ModuleType) -> None:
    told = {"model_data_url": "s3://a"}, {"model_data_url": "s3://b"}
    assert found(sample, "", *told) == "s3://b"
    assert found(sample, "s3://c", *told) == found(sample, "s3://c") == "s3://c"


def test_where_nothing_names_a_model_it_says_what_is_missing(sample: ModuleType) -> None:
    with pytest.raises(AirflowFailException, match="wine_model has no model_data_url in its extra"):
        found(sample, "", {"model_data_url": "s3://a"}, {"size": 3})
    with pytest.raises(AirflowFailException, match="trigger it again with the field Model"):
        found(sample, "")


def test_a_run_by_hand_takes_the_forms_model_and_fails_at_once_without_one(
    sample: ModuleType, airflow_database: None, production: Production
) -> None:
    dag = sample.rollout_wine
    without = run_dag(dag)
    assert (without.state, without.states["find_model"]) == ("failed", "failed")
    assert without.tries["find_model"] == 1
    assert without.states["canary.snapshot"] == "upstream_failed"
    given = run_dag(dag, model_data_url=GOOD, endpoint_name="not-there")
    assert given.xcoms["find_model", "return_value"] == GOOD
    assert "not-there" in given.reason("canary.snapshot")
