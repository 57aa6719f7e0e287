"""A whole canary that is judged by orders in a database, which its trigger asks."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG, Connection

from airflow_sm_rollout import Measure, Sql, canary_rollout
from hooks.counting import COUNTS, Orders, SqliteHook
from operators.dag_runs import Ended
from production import IMAGE, Production

MEASURE = Measure("orders that fail", Sql("warehouse", COUNTS), at_most=0.02, period_seconds=10, final_after=0)


def test_orders_that_fail_take_a_rollout_back(
    dag: DAG,
    run: Callable[[DAG], Ended],
    production: Production,
    before: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It waits for a whole period of ten seconds in which green has traffic."""
    begun = datetime.now(timezone.utc).replace(second=0, microsecond=0)
    orders = Orders(green=30, since=begun, seconds=10)
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", orders.write(tmp_path / "orders", begun - timedelta(hours=1), 120))
    monkeypatch.setattr(Connection, "get_hook", lambda each: SqliteHook(sqlite_conn_id=each.conn_id))
    with dag:
        canary_rollout(
            group_id="canary",
            endpoint_name="fraud",
            image=IMAGE,
            model_data_url="s3://models/green.tar.gz",
            steps=(25, 100),
            bake=120,
            default_alarms=None,
            tolerances=None,
            limits={"min_requests": 0},
            measures=[MEASURE],
            poke_interval=0.5,
        )
    ended = run(dag)
    assert ended.states["canary.bake_25"] == "failed"
    assert production.describe("fraud") == before
    assert "of green's" in ended.reason("canary.verdict")
    assert "are orders that fail; at_most allows 2 %" in ended.reason("canary.verdict")
