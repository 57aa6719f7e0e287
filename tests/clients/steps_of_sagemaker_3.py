"""The SageMaker Python SDK, version 3: ModelBuilder."""

from __future__ import annotations

import json

import boto3
from botocore.exceptions import ClientError
from sagemaker.core.helper.session_helper import Session
from sagemaker.core.resources import Endpoint, EndpointConfig, Model
from sagemaker.core.shapes import ProductionVariant
from sagemaker.serve.model_builder import ModelBuilder

from told import ASKED, IMAGE, INSTANCE, MODEL_DATA, NAME, ROLE, equal, refusal, step

SESSION = Session(boto3.Session(region_name="us-east-1"), default_bucket="sagemaker-us-east-1-123456789012")


def builder() -> ModelBuilder:
    return ModelBuilder(
        image_uri=IMAGE,
        s3_model_data_url=MODEL_DATA,
        role_arn=ROLE,
        instance_type=INSTANCE,
        sagemaker_session=SESSION,
    )


def deploy() -> None:
    building = builder()
    equal(building.build(model_name=f"{NAME}-model").model_name, f"{NAME}-model")
    building.deploy(endpoint_name=NAME, initial_instance_count=1)
    equal(Endpoint.get(NAME).endpoint_status, "InService")


def invoke() -> None:
    told = Endpoint.get(NAME).invoke(body=ASKED, content_type="application/json")
    equal(json.loads(told.body.read()), {})


def refused() -> None:
    error = refusal(lambda: Endpoint.get("nobody"), ClientError)
    assert "Could not find endpoint" in str(error), error


def update() -> None:
    # Version 3.27's own deploy(update_endpoint=True) ends with a TypeError of its own, before it calls anything.
    builder().build(model_name=f"{NAME}-other")
    variant = ProductionVariant(
        variant_name="AllTraffic", model_name=f"{NAME}-other", initial_instance_count=2, instance_type=INSTANCE
    )
    endpoint = Endpoint.get(NAME)
    before = EndpointConfig.get(endpoint.endpoint_config_name)
    EndpointConfig.create(endpoint_config_name=f"{NAME}-2", production_variants=[variant])
    endpoint.endpoint_config_name = f"{NAME}-2"
    endpoint.update()
    endpoint.wait_for_status("InService", poll=1, timeout=120)
    now = Endpoint.get(NAME)
    equal((now.endpoint_config_name, now.production_variants[0].current_instance_count), (f"{NAME}-2", 2))
    before.delete()


def lists() -> None:
    found = {model.model_name for model in Model.get_all(name_contains=f"{NAME}-")}
    equal(found, {f"{NAME}-model", f"{NAME}-other"})


def delete() -> None:
    endpoint = Endpoint.get(NAME)
    config = EndpointConfig.get(endpoint.endpoint_config_name)
    endpoint.delete()
    endpoint.wait_for_delete(poll=1, timeout=120)
    config.delete()
    for name in (f"{NAME}-model", f"{NAME}-other"):
        Model.get(name).delete()


if __name__ == "__main__":
    for deed in (deploy, invoke, refused, update, lists, delete):
        step(deed.__name__, deed)
