"""Links from tasks."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
from airflow.providers.common.compat.sdk import XCom

from airflow_sm_rollout.operators.links import LINKS, console_url, leave_link
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


@pytest.mark.parametrize(
    ("left", "page"),
    [
        (("eu-central-1", "wine-0392369f", "wine"), "#/endpoints/wine-0392369f"),
        (("eu-central-1", "", "wine"), ""),
        (("", "wine-0392369f", "wine"), ""),
        (None, ""),
    ],
)
def test_a_task_leads_to_what_it_has_left(
    left: tuple[str, str, str] | None, page: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: dict[str, Any] = {}
    if left is not None:
        ti = SimpleNamespace(xcom_push=lambda key, value: kept.update({key: value}))
        leave_link(cast("Any", {"ti": ti}), region=left[0], endpoint=left[1], name=left[2])
    monkeypatch.setattr(XCom, "get_value", lambda *, key, ti_key: kept.get(key))
    found = {link.name: link.get_link(cast("Any", None), ti_key=KEY) for link in LINKS}
    assert found["Rollout"] == "/dags/train/runs/manual__2026-01-01T00%3A00%3A00%2B00%3A00/plugin/rollout"
    assert found["SageMaker endpoint"].endswith(page)
    assert bool(found["SageMaker endpoint"]) is bool(page)
    assert found["CloudWatch alarms"].endswith("search=wine" if left and left[0] else "")


def test_airflow_is_told_of_every_link() -> None:
    told = {path.rpartition(".")[2] for path in get_provider_info()["extra-links"]}
    assert told == {type(link).__name__ for link in LINKS}
