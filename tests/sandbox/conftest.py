"""A sandbox on a manual clock, real boto3 clients on it, and an endpoint to work with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from airflow_sm_rollout.sandbox.app import Sandbox
from airflow_sm_rollout.sandbox.clock import ManualClock
from airflow_sm_rollout.sandbox.inprocess import InProcessSession, connect

INSTANCE = "ml.m5.large"


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    sandbox = Sandbox(clock=ManualClock())
    yield sandbox
    sandbox.close()


@pytest.fixture
def session(sandbox: Sandbox) -> InProcessSession:
    return connect(sandbox)


@pytest.fixture
def sagemaker(session: InProcessSession) -> Any:
    return session.client("sagemaker")


@pytest.fixture
def runtime(session: InProcessSession) -> Any:
    return session.client("sagemaker-runtime")


@pytest.fixture
def ssm(session: InProcessSession) -> Any:
    return session.client("ssm")


@pytest.fixture
def refused() -> Callable[[Callable[[], object]], tuple[str, str, int]]:
    """``refused(call)``: code, text and HTTP status of the error that a call is refused with."""

    def refused(call: Callable[[], object]) -> tuple[str, str, int]:
        with pytest.raises(ClientError) as refusal:
            call()
        response = refusal.value.response
        return response["Error"]["Code"], response["Error"]["Message"], response["ResponseMetadata"]["HTTPStatusCode"]

    return refused


@pytest.fixture
def configure(sagemaker: Any) -> Callable[..., None]:
    """``configure(config, blue=(weight, count), ...)``: a config with these variants, each with a model of its name."""

    def configure(name: str, **variants: tuple[float, int]) -> None:
        known = {model["ModelName"] for model in sagemaker.list_models(MaxResults=100)["Models"]}
        for model in variants.keys() - known:
            sagemaker.create_model(ModelName=model, PrimaryContainer={"Image": f"repo/{model}:1"})
        entries = [
            {
                "VariantName": variant,
                "ModelName": variant,
                "InitialVariantWeight": weight,
                "InitialInstanceCount": count,
                "InstanceType": INSTANCE,
            }
            for variant, (weight, count) in variants.items()
        ]
        sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=entries)

    return configure


@pytest.fixture
def deploy(sandbox: Sandbox, sagemaker: Any, configure: Callable[..., None]) -> Callable[..., None]:
    """``deploy(endpoint, blue=(weight, count), ...)``: an endpoint in service on the config ``<endpoint>-1``."""

    def deploy(endpoint: str, **variants: tuple[float, int]) -> None:
        configure(f"{endpoint}-1", **variants)
        sagemaker.create_endpoint(EndpointName=endpoint, EndpointConfigName=f"{endpoint}-1")
        sandbox.schedule.advance(sandbox.timings.create_endpoint)

    return deploy
