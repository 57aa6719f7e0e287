"""Two DAGs that know nothing of each other but an asset: one trains a model, the other rolls out whatever model there is news of.

The training may be anybody's: all it has to do is to update the asset `wine_model` with the model's URL in the event's extra. A run by hand
rolls out the model that its form names.
"""

from __future__ import annotations

from typing import Any

from airflow.providers.common.compat.sdk import AirflowFailException
from airflow.sdk import DAG, Asset, Param, task

from airflow_sm_rollout import canary_rollout
from airflow_sm_rollout.sample_training import MAY_BE_EMPTY, PARAMS, ROLLOUT, train

MODEL = Asset("wine_model", uri="s3://wine-models/training")
FORM = {
    "model_data_url": Param(
        "",
        title="Model",
        description="S3 URL of a model.tar.gz, for a run by hand; a run that the asset has started takes the one it names.",
        type=MAY_BE_EMPTY,
        pattern="^(s3://.+)?$",
    ),
    **PARAMS,
}


@task(outlets=[MODEL])
def publish(model_data_url: str, *, outlet_events: Any) -> None:
    """Tell everybody who waits for a new model where it is."""
    outlet_events[MODEL].extra = {"model_data_url": model_data_url}


@task(retries=0)
def find_model(*, params: Any, triggering_asset_events: Any) -> str:
    """The form's model, or else the newest that the asset has told of: several updates may have been merged into one run."""
    updates = triggering_asset_events.get(MODEL, ())
    named = params["model_data_url"] or (updates[-1].extra.get("model_data_url") if updates else None)
    if named:
        return str(named)
    if updates:
        raise AirflowFailException(f"the last update of asset {MODEL.name} has no model_data_url in its extra")
    raise AirflowFailException(
        f"no update of asset {MODEL.name} has started this run, and its form names no model: trigger it again with the field Model, "
        "or update the asset"
    )


with DAG("train_wine", schedule=None, params=PARAMS, max_active_runs=1, tags=["sagemaker"], doc_md=__doc__):
    train() >> publish(ROLLOUT["model_data_url"])

with DAG(
    "rollout_wine", schedule=[MODEL], params=FORM, max_active_runs=1, tags=["sagemaker"], doc_md=__doc__
) as rollout_wine:
    newest = {"model_data_url": "{{ ti.xcom_pull('find_model') }}"}
    find_model() >> canary_rollout(steps=[10, 50, 100], bake=600, **{**ROLLOUT, "traffic": "variants", **newest})
