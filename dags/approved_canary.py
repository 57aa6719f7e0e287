"""Train a model, roll it out as a canary, and ask a person before it gets all of the traffic.

The question is a Required Action of the run in Airflow's UI; it shows the evidence so far. Whoever rejects, or nobody within a day, rolls
everything back. Green is watched while the question is open.
"""

from __future__ import annotations

from airflow.sdk import DAG

from airflow_sm_rollout import canary_rollout
from airflow_sm_rollout.sample_training import PARAMS, ROLLOUT, train

with DAG("approved_canary", schedule=None, params=PARAMS, max_active_runs=1, tags=["sagemaker"], doc_md=__doc__):
    train() >> canary_rollout(
        steps=[10, 50, 100], bake=600, approval="before_full_traffic", **{**ROLLOUT, "traffic": "variants"}
    )
