"""A group that rolls out an inference component, as Airflow runs it: what is promoted serves, and what an alarm took back does not."""

from __future__ import annotations

import time
from threading import Thread
from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_sm_rollout import linear_rollout
from airflow_sm_rollout.pytest_plugin import SageMakerSandbox

NEEDS = {"MinMemoryRequiredInMb": 1024}
ROLE = "arn:aws:iam::123456789012:role/sagemaker"


@pytest.fixture
def sagemaker(sagemaker_sandbox: SageMakerSandbox) -> Any:
    """A client, and the component ``wine`` of two copies, with an alarm of the user's."""
    sagemaker = sagemaker_sandbox.client("sagemaker")
    container = {"Image": "registry/wine:1", "ModelDataUrl": "s3://models/blue/model.tar.gz"}
    sagemaker.create_model(ModelName="wine-v1", PrimaryContainer=container, ExecutionRoleArn=ROLE)
    variant = {"VariantName": "all", "InstanceType": "ml.g5.2xlarge", "InitialInstanceCount": 1}
    sagemaker.create_endpoint_config(EndpointConfigName="shared", ExecutionRoleArn=ROLE, ProductionVariants=[variant])
    sagemaker.create_endpoint(EndpointName="shared", EndpointConfigName="shared")
    wait_for(lambda: sagemaker.describe_endpoint(EndpointName="shared")["EndpointStatus"])
    sagemaker.create_inference_component(
        InferenceComponentName="wine",
        EndpointName="shared",
        VariantName="all",
        Specification={"ModelName": "wine-v1", "ComputeResourceRequirements": NEEDS},
        RuntimeConfig={"CopyCount": 2},
    )
    wait_for(lambda: described(sagemaker)["InferenceComponentStatus"])
    sagemaker_sandbox.put_alarm("wine-complaints")
    return sagemaker


def wait_for(status: Any) -> None:
    deadline = time.monotonic() + 30
    while status() != "InService":
        assert time.monotonic() < deadline
        time.sleep(0.05)


def described(sagemaker: Any) -> dict[str, Any]:
    return dict(sagemaker.describe_inference_component(InferenceComponentName="wine"))


def build() -> DAG:
    with DAG("component", schedule=None) as dag:
        linear_rollout(
            endpoint_name="wine",
            image="registry/wine:2",
            model_data_url="s3://models/good/model.tar.gz",
            step=50,
            interval=2,
            traffic="components",
            tolerances=None,
            default_alarms=None,
            alarms=["wine-complaints"],
            poke_interval=0.2,
        )
    return dag


def test_a_good_model_runs_on_all_copies_in_the_end(sagemaker_sandbox: SageMakerSandbox, sagemaker: Any) -> None:
    run = sagemaker_sandbox.run(build())
    assert run.state == "success", run.reason
    after = described(sagemaker)
    assert after["Specification"]["ModelName"] != "wine-v1"
    assert after["RuntimeConfig"] == {"DesiredCopyCount": 2, "CurrentCopyCount": 2}


def test_a_model_for_which_an_alarm_rings_is_no_success_though_aws_ends_in_service(
    sagemaker_sandbox: SageMakerSandbox, sagemaker: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    update = sagemaker_sandbox.sandbox.services["sagemaker"][1]
    begin = update.update_inference_component  # type: ignore[attr-defined]

    ringing = Thread(target=lambda: sagemaker_sandbox.ring("wine-complaints", reason="37 complaints"))

    def begin_and_ring(params: Any) -> Any:
        ringing.start()  # the sandbox takes that call as soon as it has answered this one
        return begin(params)

    monkeypatch.setattr(update, "update_inference_component", begin_and_ring)
    run = sagemaker_sandbox.run(build())
    ringing.join()
    assert run.state == "failed"
    assert "wine-complaints" in run.reason
    after = described(sagemaker)
    assert (after["InferenceComponentStatus"], after["Specification"]["ModelName"]) == ("InService", "wine-v1")
    assert [each["ModelName"] for each in sagemaker.list_models()["Models"]] == ["wine-v1"]
