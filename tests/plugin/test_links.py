"""Links from tasks."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_sm_rollout import ShiftWeightOperator
from airflow_sm_rollout.operators.links import LINKS, console_url
from airflow_sm_rollout.provider_info import get_provider_info

KEY: Any = SimpleNamespace(dag_id="train", run_id="manual__2026-01-01T00:00:00+00:00")


@pytest.mark.parametrize(
    ("region", "host"),
    [
        ("eu-central-1", "eu-central-1.console.aws.amazon.com"),
        ("cn-north-1", "cn-north-1.console.amazonaws.cn"),
        ("us-gov-west-1", "us-gov-west-1.console.amazonaws-us-gov.com"),
    ],
)
def test_a_region_has_its_partitions_console(region: str, host: str) -> None:
    assert console_url(region, "sagemaker", "/endpoints/wine") == (
        f"https://{host}/sagemaker/home?region={region}#/endpoints/wine"
    )


def test_a_task_leads_to_its_endpoint_its_alarms_its_metrics_and_the_tab() -> None:
    with DAG("train", schedule=None):
        shift = ShiftWeightOperator(task_id="shift", endpoint_name="wine", share=10, region_name="eu-central-1")
    found = {link.name: link.get_link(shift, ti_key=KEY) for link in shift.operator_extra_links}
    assert found["Rollout"] == "/dags/train/runs/manual__2026-01-01T00%3A00%3A00%2B00%3A00/plugin/rollout"
    assert found["SageMaker endpoint"].endswith("#/endpoints/wine")
    assert found["CloudWatch alarms"].endswith("search=wine")
    assert found["CloudWatch metrics"].startswith("https://eu-central-1.console.aws.amazon.com/cloudwatch/")


def test_airflow_is_told_of_every_link() -> None:
    told = {path.rpartition(".")[2] for path in get_provider_info()["extra-links"]}
    assert told == {type(link).__name__ for link in LINKS}
