"""The SageMaker Python SDK, version 2: models, predictors and estimators' ways."""

from __future__ import annotations

import boto3
import sagemaker
from botocore.exceptions import ClientError
from sagemaker.deserializers import JSONDeserializer
from sagemaker.model import Model
from sagemaker.predictor import Predictor
from sagemaker.serializers import JSONSerializer

from told import IMAGE, INSTANCE, MODEL_DATA, NAME, ROLE, equal, refusal, step

SESSION = sagemaker.Session(boto3.Session(region_name="us-east-1"), default_bucket="sagemaker-us-east-1-123456789012")


def predictor() -> Predictor:
    return Predictor(NAME, SESSION, JSONSerializer(), JSONDeserializer())


def model(name: str) -> Model:
    return Model(IMAGE, MODEL_DATA, role=ROLE, name=name, sagemaker_session=SESSION)


def deploy() -> None:
    model(f"{NAME}-model").deploy(1, INSTANCE, endpoint_name=NAME, tags=[{"Key": "team", "Value": "ml"}])
    equal(SESSION.describe_endpoint(NAME)["EndpointStatus"], "InService")


def invoke() -> None:
    equal(predictor().predict({"instances": [{"alcohol": 13.2}]}), {})


def refused() -> None:
    error = refusal(lambda: Predictor("nobody", SESSION).predict(b"{}"), ClientError)
    assert "not found" in str(error), error
    error = refusal(lambda: SESSION.describe_endpoint("nobody"), ClientError)
    assert "Could not find endpoint" in str(error), error


def update() -> None:
    model(f"{NAME}-other").create(INSTANCE)
    before = SESSION.describe_endpoint(NAME)["EndpointConfigName"]
    predictor().update_endpoint(2, INSTANCE, model_name=f"{NAME}-other")
    now = SESSION.describe_endpoint(NAME)
    equal((now["EndpointConfigName"] == before, now["ProductionVariants"][0]["CurrentInstanceCount"]), (False, 2))


def lists() -> None:
    found = SESSION.sagemaker_client.list_models(NameContains=f"{NAME}-", SortBy="Name", SortOrder="Ascending")
    equal([entry["ModelName"] for entry in found["Models"]], [f"{NAME}-model", f"{NAME}-other"])


def delete() -> None:
    predictor().delete_model()
    predictor().delete_endpoint(delete_endpoint_config=True)
    SESSION.delete_model(f"{NAME}-model")


if __name__ == "__main__":
    for deed in (deploy, invoke, refused, update, lists, delete):
        step(deed.__name__, deed)
