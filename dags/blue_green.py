"""Train a model, then roll it out blue/green: all traffic at once, with blue at full capacity until the new model has proven itself."""

from __future__ import annotations

from airflow.sdk import DAG, Param

from airflow_sm_rollout import blue_green_rollout
from airflow_sm_rollout.sample_training import PARAMS, ROLLOUT, traffic, train

BLUE_GREEN = {
    "bake": Param(
        "1800",
        title="Bake time",
        description="How many seconds the new model is watched before the old one goes.",
        type="string",
        pattern=r"^\s*[\d.]+\s*$",
    ),
    "traffic": traffic("variants", "endpoints", "lambda", "codedeploy", "guardrails"),
}

with DAG(
    "blue_green", schedule=None, params={**PARAMS, **BLUE_GREEN}, max_active_runs=1, tags=["sagemaker"], doc_md=__doc__
):
    train() >> blue_green_rollout(bake="{{ params.bake }}", **ROLLOUT)
