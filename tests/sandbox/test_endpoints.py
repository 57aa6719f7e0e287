from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from airflow_sm_rollout.sandbox.app import Sandbox
from airflow_sm_rollout.sandbox.clock import ManualClock
from airflow_sm_rollout.sandbox.inprocess import connect
from airflow_sm_rollout.sandbox.sagemaker.fleet import shares
from airflow_sm_rollout.sandbox.timings import Timings

Deploy = Callable[..., None]
Refused = Callable[[Callable[[], object]], tuple[str, str, int]]
ARN = "arn:aws:sagemaker:us-east-1:123456789012"


def variants_of(sagemaker: Any, endpoint: str) -> dict[str, dict[str, Any]]:
    described = sagemaker.describe_endpoint(EndpointName=endpoint)["ProductionVariants"]
    return {variant["VariantName"]: variant for variant in described}


def routed(sandbox: Sandbox, endpoint: str) -> dict[str, float]:
    serving = sandbox.endpoints.serving(endpoint)
    assert serving is not None
    return shares(serving.variants)


def reweigh(sagemaker: Any, endpoint: str, **weights: float) -> None:
    wishes = [{"VariantName": name, "DesiredWeight": weight} for name, weight in weights.items()]
    sagemaker.update_endpoint_weights_and_capacities(EndpointName=endpoint, DesiredWeightsAndCapacities=wishes)


def test_a_new_endpoint_is_creating_for_its_time_and_then_in_service(
    sandbox: Sandbox, sagemaker: Any, configure: Deploy
) -> None:
    configure("first", blue=(1, 2))
    created = sagemaker.create_endpoint(EndpointName="Orders", EndpointConfigName="first")
    assert created["EndpointArn"] == f"{ARN}:endpoint/orders"
    sandbox.schedule.advance(133)
    creating = sagemaker.describe_endpoint(EndpointName="Orders")
    assert creating["EndpointStatus"] == "Creating"
    assert "ProductionVariants" not in creating
    sandbox.schedule.advance(1)
    described = sagemaker.describe_endpoint(EndpointName="Orders")
    assert described["EndpointStatus"] == "InService"
    assert described["EndpointName"] == "Orders"
    assert (described["LastModifiedTime"] - described["CreationTime"]).total_seconds() == 134
    blue = variants_of(sagemaker, "Orders")["blue"]
    assert (blue["CurrentInstanceCount"], blue["DesiredInstanceCount"]) == (2, 2)
    assert (blue["CurrentWeight"], blue["DesiredWeight"]) == (1.0, 1.0)
    assert blue["DeployedImages"][0]["SpecifiedImage"] == "repo/blue:1"
    assert blue["DeployedImages"][0]["ResolvedImage"].startswith("repo/blue@sha256:")


def test_an_update_keeps_the_old_config_until_it_is_done(
    sandbox: Sandbox, sagemaker: Any, configure: Deploy, deploy: Deploy
) -> None:
    deploy("orders", blue=(1, 1))
    configure("second", blue=(1, 1), green=(0, 1))
    sagemaker.update_endpoint(EndpointName="orders", EndpointConfigName="second")
    sandbox.schedule.advance(133)
    updating = sagemaker.describe_endpoint(EndpointName="orders")
    assert (updating["EndpointStatus"], updating["EndpointConfigName"]) == ("Updating", "orders-1")
    assert list(variants_of(sagemaker, "orders")) == ["blue"]
    sandbox.schedule.advance(1)
    done = sagemaker.describe_endpoint(EndpointName="orders")
    assert (done["EndpointStatus"], done["EndpointConfigName"]) == ("InService", "second")
    assert routed(sandbox, "orders") == {"blue": 1.0, "green": 0.0}


@pytest.mark.parametrize(
    "change",
    [
        lambda client: client.update_endpoint(EndpointName="orders", EndpointConfigName="orders-1"),
        lambda client: reweigh(client, "orders", blue=2),
        lambda client: client.delete_endpoint(EndpointName="orders"),
    ],
    ids=["UpdateEndpoint", "UpdateEndpointWeightsAndCapacities", "DeleteEndpoint"],
)
def test_an_endpoint_under_change_refuses_every_other_change(
    sagemaker: Any, deploy: Deploy, change: Callable[[Any], object], refused: Refused
) -> None:
    deploy("orders", blue=(1, 1))
    reweigh(sagemaker, "orders", blue=3)
    assert refused(lambda: change(sagemaker)) == (
        "ValidationException",
        f'Cannot update in-progress endpoint "{ARN}:endpoint/orders".',
        400,
    )


def test_described_weights_lag_while_the_data_plane_moves_inside_the_window(
    sandbox: Sandbox, sagemaker: Any, deploy: Deploy
) -> None:
    deploy("orders", blue=(9, 1), green=(1, 1))
    reweigh(sagemaker, "orders", blue=1)
    green, blue = (variants_of(sagemaker, "orders")[name] for name in ("green", "blue"))
    assert (blue["CurrentWeight"], blue["DesiredWeight"]) == (9.0, 1.0)
    assert (green["CurrentWeight"], green["DesiredWeight"]) == (1.0, 1.0)
    sandbox.schedule.advance(30)
    assert routed(sandbox, "orders") == {"blue": 0.9, "green": 0.1}
    sandbox.schedule.advance(1)
    assert routed(sandbox, "orders") == {"blue": 0.5, "green": 0.5}
    assert variants_of(sagemaker, "orders")["blue"]["CurrentWeight"] == 9.0
    sandbox.schedule.advance(31)
    assert sagemaker.describe_endpoint(EndpointName="orders")["EndpointStatus"] == "InService"
    assert variants_of(sagemaker, "orders")["blue"]["CurrentWeight"] == 1.0


@pytest.mark.parametrize(("weights_move", "before", "after"), [(0.0, 0.0, 0.0), (1.0, 0.5, 0.0)])
def test_the_data_plane_can_be_told_to_move_at_once_or_at_the_end(
    weights_move: float, before: float, after: float
) -> None:
    sandbox = Sandbox(clock=ManualClock(), timings=Timings(weights_move=weights_move))
    sagemaker = connect(sandbox).client("sagemaker")
    sagemaker.create_model(ModelName="m", PrimaryContainer={"Image": "i"})
    entry = {"ModelName": "m", "InitialInstanceCount": 1, "InstanceType": "ml.m5.large"}
    variants = [{"VariantName": name, **entry} for name in ("blue", "green")]
    sagemaker.create_endpoint_config(EndpointConfigName="c", ProductionVariants=variants)
    sagemaker.create_endpoint(EndpointName="orders", EndpointConfigName="c")
    sandbox.schedule.advance(134)
    reweigh(sagemaker, "orders", green=0)
    sandbox.schedule.advance(61)
    assert routed(sandbox, "orders")["green"] == before
    sandbox.schedule.advance(1)
    assert routed(sandbox, "orders")["green"] == after


def test_more_instances_take_as_long_as_an_update_and_fewer_go_at_its_end(
    sandbox: Sandbox, sagemaker: Any, deploy: Deploy
) -> None:
    deploy("orders", blue=(1, 3), green=(0, 1))
    wishes = [{"VariantName": "green", "DesiredInstanceCount": 2}, {"VariantName": "blue", "DesiredInstanceCount": 1}]
    sagemaker.update_endpoint_weights_and_capacities(EndpointName="orders", DesiredWeightsAndCapacities=wishes)
    sandbox.schedule.advance(133)
    variants = variants_of(sagemaker, "orders")
    assert [(v["CurrentInstanceCount"], v["DesiredInstanceCount"]) for v in variants.values()] == [(3, 1), (1, 2)]
    sandbox.schedule.advance(1)
    variants = variants_of(sagemaker, "orders")
    assert [(v["CurrentInstanceCount"], v["DesiredInstanceCount"]) for v in variants.values()] == [(1, 1), (2, 2)]


def test_an_unknown_variant_is_refused_with_nothing_changed(sagemaker: Any, deploy: Deploy, refused: Refused) -> None:
    deploy("orders", blue=(1, 1))
    code, text, _ = refused(lambda: reweigh(sagemaker, "orders", blue=5, gren=1))
    assert code == "ValidationException"
    assert text == 'The variant name(s) "gren" is/are not present within endpoint configuration "orders-1".'
    described = sagemaker.describe_endpoint(EndpointName="orders")
    assert described["EndpointStatus"] == "InService"
    assert described["ProductionVariants"][0]["DesiredWeight"] == 1.0


@pytest.mark.parametrize(
    ("options", "weight", "count"),
    [
        ({}, 1.0, 1),
        ({"RetainAllVariantProperties": False}, 1.0, 1),
        ({"RetainAllVariantProperties": True}, 7.0, 3),
        (
            {
                "RetainAllVariantProperties": True,
                "ExcludeRetainedVariantProperties": [{"VariantPropertyType": "DesiredWeight"}],
            },
            1.0,
            3,
        ),
        (
            {
                "RetainAllVariantProperties": True,
                "ExcludeRetainedVariantProperties": [{"VariantPropertyType": "DesiredInstanceCount"}],
            },
            7.0,
            1,
        ),
    ],
    ids=["default", "false", "retained", "but the weight", "but the count"],
)
def test_an_update_resets_counts_and_weights_unless_told_to_retain_them(
    sandbox: Sandbox,
    sagemaker: Any,
    configure: Deploy,
    deploy: Deploy,
    options: dict[str, Any],
    weight: float,
    count: int,
) -> None:
    deploy("orders", blue=(1, 1))
    wish = {"VariantName": "blue", "DesiredWeight": 7, "DesiredInstanceCount": 3}
    sagemaker.update_endpoint_weights_and_capacities(EndpointName="orders", DesiredWeightsAndCapacities=[wish])
    sandbox.schedule.advance(134)
    configure("second", blue=(1, 1), green=(0.5, 2))
    sagemaker.update_endpoint(EndpointName="orders", EndpointConfigName="second", **options)
    sandbox.schedule.advance(134)
    variants = variants_of(sagemaker, "orders")
    assert (variants["blue"]["CurrentWeight"], variants["blue"]["CurrentInstanceCount"]) == (weight, count)
    assert (variants["green"]["CurrentWeight"], variants["green"]["CurrentInstanceCount"]) == (0.5, 2)


def test_a_config_in_use_can_be_deleted_and_the_next_update_fails_for_it(
    sagemaker: Any, configure: Deploy, deploy: Deploy, refused: Refused
) -> None:
    deploy("orders", blue=(1, 1))
    configure("second", blue=(1, 1))
    sagemaker.delete_endpoint_config(EndpointConfigName="orders-1")
    assert sagemaker.describe_endpoint(EndpointName="orders")["EndpointConfigName"] == "orders-1"
    assert refused(lambda: sagemaker.update_endpoint(EndpointName="orders", EndpointConfigName="second")) == (
        "ValidationException",
        f'Could not find endpoint configuration "{ARN}:endpoint-config/orders-1".',
        400,
    )


def test_a_model_that_is_gone_fails_an_update_late_and_on_the_old_config(
    sandbox: Sandbox, sagemaker: Any, configure: Deploy, deploy: Deploy
) -> None:
    deploy("orders", blue=(1, 1))
    configure("second", green=(1, 1))
    sagemaker.delete_model(ModelName="green")
    sagemaker.update_endpoint(EndpointName="orders", EndpointConfigName="second")
    sandbox.schedule.advance(1439)
    assert sagemaker.describe_endpoint(EndpointName="orders")["EndpointStatus"] == "Updating"
    sandbox.schedule.advance(1)
    described = sagemaker.describe_endpoint(EndpointName="orders")
    assert (described["EndpointStatus"], described["EndpointConfigName"]) == ("InService", "orders-1")
    assert described["FailureReason"] == f'Could not find model "{ARN}:model/green".'


def test_a_deleted_endpoint_is_gone_after_a_while_and_its_tags_with_it(
    sandbox: Sandbox, sagemaker: Any, deploy: Deploy, refused: Refused
) -> None:
    deploy("orders", blue=(1, 1))
    arn = f"{ARN}:endpoint/orders"
    sagemaker.add_tags(ResourceArn=arn, Tags=[{"Key": "team", "Value": "ml"}])
    sagemaker.delete_endpoint(EndpointName="orders")
    assert sagemaker.describe_endpoint(EndpointName="orders")["EndpointStatus"] == "Deleting"
    sandbox.schedule.advance(30)
    assert refused(lambda: sagemaker.describe_endpoint(EndpointName="orders")) == (
        "ValidationException",
        f'Could not find endpoint "{arn}".',
        400,
    )
    assert sagemaker.list_tags(ResourceArn=arn)["Tags"] == []


def test_every_control_call_is_on_record_with_its_error(sandbox: Sandbox, sagemaker: Any, refused: Refused) -> None:
    refused(lambda: sagemaker.describe_endpoint(EndpointName="gone"))
    sagemaker.list_endpoints()
    records = [(call.service, call.operation, call.error_code) for call in sandbox.calls]
    assert records == [
        ("sagemaker", "DescribeEndpoint", "ValidationException"),
        ("sagemaker", "ListEndpoints", None),
    ]
    assert sandbox.calls[0].params["EndpointName"] == "gone"
