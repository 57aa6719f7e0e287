"""Train a model, then roll it out linearly: the same share more at fixed intervals. Pause it with `sm-rollout pause ENDPOINT`."""

from __future__ import annotations

from airflow.sdk import DAG, Param

from airflow_sm_rollout import linear_rollout
from airflow_sm_rollout.sample_training import PARAMS, ROLLOUT, traffic, train

LINEAR = {
    "step": Param(
        "25",
        title="Step",
        description="How much more of the requests, in percent, the new model gets each time: 10 or more.",
        type="string",
        pattern=r"^\s*[\d.]+\s*$",
    ),
    "interval": Param(
        "900",
        title="Interval",
        description="Seconds from one step to the next, by the clock.",
        type="string",
        pattern=r"^\s*[\d.]+\s*$",
    ),
    "traffic": traffic("variants", "endpoints", "lambda", "codedeploy", "guardrails"),
}

with DAG("linear", schedule=None, params={**PARAMS, **LINEAR}, max_active_runs=1, tags=["sagemaker"], doc_md=__doc__):
    train() >> linear_rollout(step="{{ params.step }}", interval="{{ params.interval }}", max_steps=10, **ROLLOUT)
