"""What the installed botocore does not know of blue is carried where this package knows it, and refused by name where nobody does."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import botocore
import botocore.session
import pytest

from airflow_sm_rollout.aws.blue import LATER_MEMBERS
from airflow_sm_rollout.aws.clients import Clients
from airflow_sm_rollout.aws.whole import read
from airflow_sm_rollout.core.advance import Passing
from airflow_sm_rollout.core.rollout import Green
from airflow_sm_rollout.sandbox import inprocess
from airflow_sm_rollout.sandbox.wire import HttpResponse
from aws.answers import change_answers, service_model
from aws.samples import sample
from aws.test_blue import (
    CONTAINER,
    IMAGE,
    VARIANT,
    greens_config,
    greens_model,
    plan,
    put_into_production,
    put_model_into_production,
    refused,
)
from convergence.lab import Lab
from convergence.live_lab import LiveLab

NEW = {"BrandNew": {"Level": 1}}


def in_config(described: dict[str, Any]) -> dict[str, Any]:
    return {**described, **NEW}


def in_variant(described: dict[str, Any]) -> dict[str, Any]:
    return {**described, "ProductionVariants": [{**each, **NEW} for each in described["ProductionVariants"]]}


def in_capture(described: dict[str, Any]) -> dict[str, Any]:
    return {**described, "DataCaptureConfig": {**described["DataCaptureConfig"], **NEW}}


def in_capture_option(described: dict[str, Any]) -> dict[str, Any]:
    options = [{**each, **NEW} for each in described["DataCaptureConfig"]["CaptureOptions"]]
    return {**described, "DataCaptureConfig": {**described["DataCaptureConfig"], "CaptureOptions": options}}


@pytest.mark.parametrize("make", [Lab, LiveLab])
@pytest.mark.parametrize(
    ("add", "path"),
    [
        (in_config, "BrandNew"),
        (in_variant, "ProductionVariants[].BrandNew"),
        (in_capture, "DataCaptureConfig.BrandNew"),
        (in_capture_option, "DataCaptureConfig.CaptureOptions[].BrandNew"),
    ],
)
def test_what_nobody_knows_of_blues_config_is_refused_by_name(
    make: Callable[[], Lab], add: Callable[[dict[str, Any]], dict[str, Any]], path: str
) -> None:
    lab = make()
    change_answers(lab, "DescribeEndpointConfig", add)
    reason = refused(lab)
    assert (
        f"blue's endpoint config fraud-2024 has {path}, which botocore {botocore.__version__} does not know" in reason
    )
    assert "Install a newer boto3" in reason


def in_container(described: dict[str, Any]) -> dict[str, Any]:
    return {**described, "PrimaryContainer": {**described["PrimaryContainer"], **NEW}}


@pytest.mark.parametrize(
    ("add", "path"), [(in_config, "BrandNew"), (in_container, "PrimaryContainer.BrandNew")], ids=["model", "container"]
)
def test_what_nobody_knows_of_blues_model_is_refused_by_name_where_greens_is_made_like_it(
    add: Callable[[dict[str, Any]], dict[str, Any]], path: str
) -> None:
    lab = Lab()
    lab.clients.sagemaker.create_model(ModelName="fraud-v2", PrimaryContainer=CONTAINER)
    change_answers(lab, "DescribeModel", add)
    assert f"blue's model fraud-v1 has {path}" in refused(lab)
    plan(lab, Green(model_name="fraud-v2"))


def test_what_nobody_knows_of_blues_scaling_is_refused_by_name() -> None:
    lab = Lab()

    def in_target_tracking(described: dict[str, Any]) -> dict[str, Any]:
        kind = "TargetTrackingScalingPolicyConfiguration"
        return {"ScalingPolicies": [{**each, kind: {**each[kind], **NEW}} for each in described["ScalingPolicies"]]}

    change_answers(lab, "DescribeScalingPolicies", in_target_tracking)
    reason = refused(lab)
    assert "the scaling of endpoint/fraud/variant/AllTraffic has ScalingPolicies[].TargetTracking" in reason
    assert "ScalingPolicyConfiguration.BrandNew, which botocore" in reason


def test_a_member_that_is_null_is_none() -> None:
    lab = Lab()
    change_answers(lab, "DescribeEndpointConfig", lambda described: {**described, "BrandNew": None, "KmsKeyId": None})
    assert "KmsKeyId" not in plan(lab).blue.config


class Loader:
    """botocore's data of an older day, whose SageMaker model lacks some members."""

    def __init__(self, lacks: str) -> None:
        self.lacks = lacks
        self.data = botocore.session.get_session().get_component("data_loader")

    def __getattr__(self, name: str) -> Any:
        return getattr(self.data, name)

    def load_service_model(self, service: str, *args: Any, **options: Any) -> Any:
        loaded = self.data.load_service_model(service, *args, **options)
        if service != "sagemaker" or "shapes" not in loaded:
            return loaded
        *path, member = self.lacks.replace("[]", "").split(".")
        shapes = copy.deepcopy(loaded["shapes"])
        owners = [_shape_at(shapes, start, path) for start in ("Create{}Input", "Describe{}Output")]
        for owner in owners:
            shapes[owner]["members"].pop(member, None)
        return {**loaded, "shapes": shapes}


def _shape_at(shapes: dict[str, Any], start: str, path: list[str]) -> str:
    name = start.format("Model" if path[:1] in (["PrimaryContainer"], ["Containers"]) else "EndpointConfig")
    for member in path:
        name = shapes[name]["members"][member]["shape"]
        if shapes[name]["type"] == "list":
            name = shapes[name]["member"]["shape"]
    return name


@pytest.fixture
def older(monkeypatch: pytest.MonkeyPatch) -> Callable[[Lab, str], None]:
    """Gives a lab's rollout the clients of an older boto3, which lacks a member."""

    def give(lab: Lab, lacks: str) -> None:
        monkeypatch.setattr(inprocess, "_loader", lambda: Loader(lacks))
        session = inprocess.connect(lab.sandbox)
        lab.clients = Clients.of(session)

    return give


def sample_at(path: str) -> Any:
    operation = "CreateModel" if path.startswith(("PrimaryContainer", "Containers")) else "CreateEndpointConfig"
    shape = service_model("sagemaker").operation_model(operation).input_shape
    for member in path.replace("[]", "").split("."):
        shape = shape.member.members[member] if shape.type_name == "list" else shape.members[member]
    return sample(shape)


def value_at(described: Any, path: str) -> Any:
    for member in path.replace("[]", "").split("."):
        described = described[0][member] if isinstance(described, list) else described[member]
    return described


def with_member(base: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """The request with a member at a path such as ``ProductionVariants[].RoutingConfig.PrefixAwareRoutingConfig``."""
    first, _, rest = path.partition(".")
    name = first.removesuffix("[]")
    if not rest:
        return {**base, name: value}
    if first.endswith("[]"):
        return {**base, name: [with_member(each, rest, value) for each in base[name]]}
    return {**base, name: with_member(base.get(name, {}), rest, value)}


OF_MODELS = sorted(each for each in LATER_MEMBERS if "Container" in each)
OF_CONFIGS = sorted(LATER_MEMBERS - {*OF_MODELS})
BESIDE = {
    "ProductionVariants[].RoutingConfig.PrefixAwareRoutingConfig": {
        "RoutingConfig": {"RoutingStrategy": "PREFIX_AWARE"}
    },
}


@pytest.mark.parametrize("path", OF_CONFIGS)
def test_a_later_member_of_a_config_is_greens_too_though_botocore_does_not_know_it(
    path: str, older: Callable[[Lab, str], None]
) -> None:
    lab, newer = Lab(), Lab().clients
    lab.clients = newer = Clients.of(inprocess.connect(lab.sandbox))
    value = sample_at(path)
    if path.endswith("InstancePools"):
        [value] = [[{"InstanceType": "ml.m5.xlarge", "Priority": 1}]]
    request = with_member({"ProductionVariants": [{**VARIANT, **BESIDE.get(path, {})}]}, path, value)
    [variant] = request.pop("ProductionVariants")
    put_into_production(lab, variant, **request)
    older(lab, path)
    lab.run()
    lab.clients = newer
    assert value_at(greens_config(lab), path) == value


@pytest.mark.parametrize("path", OF_MODELS)
def test_a_later_member_of_a_model_is_greens_too_though_botocore_does_not_know_it(
    path: str, older: Callable[[Lab, str], None]
) -> None:
    lab = Lab()
    lab.clients = newer = Clients.of(inprocess.connect(lab.sandbox))
    value = sample_at(path)
    form = path.partition(".")[0].removesuffix("[]")
    container = {**CONTAINER, "ContainerMetricsConfig": value}
    put_model_into_production(lab, **{form: [container] if form == "Containers" else container})
    older(lab, path)
    lab.run()
    lab.clients = newer
    assert value_at(greens_model(lab), path) == value


def test_detailed_observability_is_said_to_be_off_by_a_botocore_that_does_not_know_it(
    older: Callable[[Lab, str], None],
) -> None:
    lab = Lab()
    lab.clients = newer = Clients.of(inprocess.connect(lab.sandbox))
    older(lab, "MetricsConfig.EnableDetailedObservability")
    lab.run()
    lab.clients = newer
    assert greens_config(lab)["MetricsConfig"] == {"EnableDetailedObservability": False}


def test_a_client_that_has_sent_what_it_does_not_know_sends_everything_else_as_ever(
    older: Callable[[Lab, str], None],
) -> None:
    lab = Lab()
    older(lab, "MetricsConfig.EnableDetailedObservability")
    lab.run()
    sagemaker = lab.clients.sagemaker
    sagemaker.create_endpoint_config(EndpointConfigName="mine", ProductionVariants=[VARIANT])
    [variant] = sagemaker.describe_endpoint_config(EndpointConfigName="mine")["ProductionVariants"]
    assert variant["VariantName"] == VARIANT["VariantName"]


@pytest.mark.parametrize(
    "path", ["ExplainerConfig", "ProductionVariants[].VolumeSizeInGB", "DataCaptureConfig.KmsKeyId"]
)
def test_a_member_that_only_botocore_should_know_is_refused_by_one_that_does_not(
    path: str, older: Callable[[Lab, str], None]
) -> None:
    lab = Lab()
    lab.clients = Clients.of(inprocess.connect(lab.sandbox))
    capture = {"DataCaptureConfig": sample_at("DataCaptureConfig")}
    request = with_member({"ProductionVariants": [VARIANT], **capture}, path, sample_at(path))
    [variant] = request.pop("ProductionVariants")
    put_into_production(lab, variant, **request)
    older(lab, path)
    assert f"has {path}, which botocore" in refused(lab)


@pytest.mark.parametrize("path", sorted(LATER_MEMBERS))
def test_a_later_member_is_one_of_the_newest_model(path: str) -> None:
    assert sample_at(path) is not None


def test_an_answer_is_compared_with_what_aws_has_written() -> None:
    """And not with what botocore has made of it, which would lack just what it does not know."""
    lab = Lab()
    change_answers(lab, "DescribeModel", in_config)
    assert read(lab.clients.sagemaker, "DescribeModel", ModelName="fraud-v1")["BrandNew"] == {"Level": 1}
    assert "BrandNew" not in lab.clients.sagemaker.describe_model(ModelName="fraud-v1")
    assert service_model("sagemaker").metadata["protocol"] == "json"


@pytest.mark.parametrize("text", [b"<html>It works!</html>", b""])
def test_a_page_that_is_no_answer_of_aws_is_waited_out(text: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    lab = Lab()
    real = lab.sandbox.handle

    def proxied(request: Any) -> HttpResponse:
        is_asked = request.headers.get("x-amz-target", "").endswith("DescribeEndpointConfig")
        return HttpResponse(200, {"Content-Type": "text/html"}, text) if is_asked else real(request)

    monkeypatch.setattr(lab.sandbox, "handle", proxied)
    with pytest.raises(Passing, match="DescribeEndpointConfig answered no JSON, so it was not AWS"):
        plan(lab, IMAGE)
