"""Two DAGs that know nothing of each other but an asset: one trains a model, the other rolls out whatever model there is news of.

The training may be anybody's: all it has to do is to update the asset `wine_model` with the model's URL in the event's extra.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, Asset, task
from training import PARAMS, ROLLOUT, train

from airflow_sm_rollout import canary_rollout

MODEL = Asset("wine_model", uri="s3://wine-models/training")


@task(outlets=[MODEL])
def publish(model_data_url: str, *, outlet_events: Any) -> None:
    """Tell everybody who waits for a new model where it is."""
    outlet_events[MODEL].extra = {"model_data_url": model_data_url}


with DAG("train_wine", schedule=None, params=PARAMS, max_active_runs=1, tags=["sagemaker"], doc_md=__doc__):
    train() >> publish(ROLLOUT["model_data_url"])

# Several updates may have been merged into one run: the last one counts. Everything else has the form's defaults.
NEWEST = "{{ (triggering_asset_events.values() | first | last).extra['model_data_url'] }}"

with DAG("rollout_wine", schedule=[MODEL], params=PARAMS, max_active_runs=1, tags=["sagemaker"], doc_md=__doc__):
    canary_rollout(steps=[10, 50, 100], bake=600, **{**ROLLOUT, "traffic": "variants", "model_data_url": NEWEST})
