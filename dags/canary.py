"""Train a model, then roll it out as a canary: a small share of the requests first, more while it is healthy, then all."""

from __future__ import annotations

from airflow.sdk import DAG, Param

from airflow_sm_rollout import canary_rollout
from airflow_sm_rollout.sample_training import PARAMS, ROLLOUT, traffic, train

CANARY = {
    "steps": Param(
        "10,50,100",
        title="Steps",
        description="The new model's share of the requests in percent, step by step: rising, at most four, the last one 100.",
        type="string",
        pattern=r"^\s*[\d.]+(\s*,\s*[\d.]+){0,3}\s*$",
    ),
    "bake": Param(
        "600",
        title="Bake time",
        description="How many seconds each step is watched: one number, or one for each step, such as 900,300,300.",
        type="string",
        pattern=r"^\s*[\d.]+(\s*,\s*[\d.]+)*\s*$",
    ),
    "traffic": traffic("variants", "endpoints", "lambda", "codedeploy", "guardrails"),
}

with DAG("canary", schedule=None, params={**PARAMS, **CANARY}, max_active_runs=1, tags=["sagemaker"], doc_md=__doc__):
    train() >> canary_rollout(steps="{{ params.steps }}", bake="{{ params.bake }}", max_steps=4, **ROLLOUT)
