"""sagemaker-core: AWS's resources as objects."""

from __future__ import annotations

import json

from botocore.exceptions import ClientError
from sagemaker.core.resources import Endpoint, EndpointConfig, Model
from sagemaker.core.shapes import ContainerDefinition, DesiredWeightAndCapacity, ProductionVariant, Tag

from told import ASKED, IMAGE, INSTANCE, MODEL_DATA, NAME, ROLE, equal, refusal, step

SOON = {"poll": 1, "timeout": 120}


def configure(name: str, **weights: float) -> EndpointConfig:
    entries = [
        ProductionVariant(
            variant_name=variant,
            model_name=f"{NAME}-model",
            initial_instance_count=1,
            instance_type=INSTANCE,
            initial_variant_weight=weight,
        )
        for variant, weight in weights.items()
    ]
    return EndpointConfig.create(endpoint_config_name=name, production_variants=entries)


def deploy() -> None:
    container = ContainerDefinition(image=IMAGE, model_data_url=MODEL_DATA)
    Model.create(model_name=f"{NAME}-model", primary_container=container, execution_role_arn=ROLE)
    config = configure(f"{NAME}-1", blue=1)
    endpoint = Endpoint.create(NAME, endpoint_config_name=config, tags=[Tag(key="team", value="ml")])
    endpoint.wait_for_status("InService", **SOON)


def invoke() -> None:
    told = Endpoint.get(NAME).invoke(body=ASKED, content_type="application/json")
    equal((told.invoked_production_variant, json.loads(told.body.read())), ("blue", {}))


def refused() -> None:
    error = refusal(lambda: Endpoint.get("nobody"), ClientError)
    assert "Could not find endpoint" in str(error), error


def update() -> None:
    configure(f"{NAME}-2", blue=9, green=1)
    endpoint = Endpoint.get(NAME)
    endpoint.endpoint_config_name = f"{NAME}-2"
    endpoint.update()
    endpoint.wait_for_status("InService", **SOON)
    equal(Endpoint.get(NAME).endpoint_config_name, f"{NAME}-2")


def weights() -> None:
    wished = [DesiredWeightAndCapacity(variant_name="green", desired_weight=9)]
    endpoint = Endpoint.get(NAME)
    endpoint.update_weights_and_capacities(desired_weights_and_capacities=wished)
    endpoint.wait_for_status("InService", **SOON)
    now = Endpoint.get(NAME).production_variants
    equal({variant.variant_name: variant.current_weight for variant in now}, {"blue": 9.0, "green": 9.0})


def lists() -> None:
    found = {config.endpoint_config_name for config in EndpointConfig.get_all(name_contains=f"{NAME}-")}
    equal(found, {f"{NAME}-1", f"{NAME}-2"})


def delete() -> None:
    endpoint = Endpoint.get(NAME)
    endpoint.delete()
    endpoint.wait_for_delete(**SOON)
    for name in (f"{NAME}-1", f"{NAME}-2"):
        EndpointConfig.get(name).delete()
    Model.get(f"{NAME}-model").delete()


if __name__ == "__main__":
    for deed in (deploy, invoke, refused, update, weights, lists, delete):
        step(deed.__name__, deed)
