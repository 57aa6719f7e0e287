"""Roll back what was left in the middle of a rollout: by a `dagrun_timeout`, a deleted DAG run, or an Airflow that was lost.

Every other exit of a rollout rolls back by itself; see `sm-rollout status ENDPOINT` for a single one.
"""

from __future__ import annotations

import os
from datetime import timedelta

from airflow.sdk import DAG

from airflow_sm_rollout import FindOrphansOperator, RollbackOperator

POKE_INTERVAL = float(os.environ.get("SM_ROLLOUT_POKE_INTERVAL", "15"))

# Paused until somebody switches it on: it acts on every endpoint of the account and region.
with DAG(
    "janitor",
    schedule=timedelta(minutes=10),
    catchup=False,
    is_paused_upon_creation=True,
    max_active_runs=1,
    tags=["sagemaker"],
    doc_md=__doc__,
) as dag:
    # A rollout whose DAG run this Airflow does not know is left alone for a day: it may be alive in another one.
    orphans = FindOrphansOperator(task_id="find_orphans", retries=2)
    RollbackOperator.partial(
        task_id="roll_back",
        poke_interval=POKE_INTERVAL,
        retries=5,
        map_index_template="{{ task.rollout['endpoint_name'] }}",
    ).expand(rollout=orphans.output)
