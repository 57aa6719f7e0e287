"""An Airflow that knows one connection."""

from __future__ import annotations

import pytest
from airflow.providers.amazon.aws.hooks.base_aws import AwsBaseHook

from hooks.stored import Airflow


@pytest.fixture
def airflow(monkeypatch: pytest.MonkeyPatch) -> Airflow:
    airflow = Airflow()
    monkeypatch.setattr(AwsBaseHook, "get_connection", classmethod(lambda cls, conn_id: airflow.answer(conn_id)))
    return airflow
