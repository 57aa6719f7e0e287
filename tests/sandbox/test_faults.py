from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError

from airflow_sm_rollout.sandbox.app import Sandbox
from airflow_sm_rollout.sandbox.faults import Fault
from airflow_sm_rollout.sandbox.inprocess import InProcessSession

Deploy = Callable[..., None]
Refused = Callable[[Callable[[], object]], tuple[str, str, int]]
ARN = "arn:aws:sagemaker:us-east-1:123456789012"


def reweigh(sagemaker: Any, weight: float) -> None:
    wish = {"VariantName": "blue", "DesiredWeight": weight}
    sagemaker.update_endpoint_weights_and_capacities(EndpointName="orders", DesiredWeightsAndCapacities=[wish])


def desired_weight(sagemaker: Any) -> float:
    weight: float = sagemaker.describe_endpoint(EndpointName="orders")["ProductionVariants"][0]["DesiredWeight"]
    return weight


def test_a_throttled_call_has_no_effect_and_the_next_one_passes(
    sandbox: Sandbox, sagemaker: Any, deploy: Deploy, refused: Refused
) -> None:
    deploy("orders", blue=(1, 1))
    sandbox.faults.add(Fault("throttle", "UpdateEndpointWeightsAndCapacities"))
    assert refused(lambda: reweigh(sagemaker, 5)) == ("ThrottlingException", "Rate exceeded", 400)
    assert desired_weight(sagemaker) == 1.0
    reweigh(sagemaker, 5)
    assert desired_weight(sagemaker) == 5.0


def test_a_fault_lets_pass_what_it_skips_and_hits_as_often_as_asked(sandbox: Sandbox, sagemaker: Any) -> None:
    sandbox.faults.add(Fault("throttle", "ListModels", times=2, skip=1))
    outcomes = []
    for _ in range(5):
        try:
            sagemaker.list_models()
            outcomes.append("ok")
        except ClientError:
            outcomes.append("throttled")
        sagemaker.list_endpoints()
    assert outcomes == ["ok", "throttled", "throttled", "ok", "ok"]
    assert sandbox.faults.waiting() == []


def test_a_denied_call_says_who_may_not_do_what_to_which_resource(
    sandbox: Sandbox, sagemaker: Any, refused: Refused
) -> None:
    sandbox.faults.add(Fault("denied", "UpdateEndpoint"))
    call = lambda: sagemaker.update_endpoint(EndpointName="Orders", EndpointConfigName="c")  # noqa: E731
    code, text, status = refused(call)
    assert (code, status) == ("AccessDeniedException", 400)
    assert text == (
        "User: arn:aws:sts::123456789012:assumed-role/sandbox/session is not authorized to perform: sagemaker:UpdateEndpoint "
        f"on resource: {ARN}:endpoint/orders because no identity-based policy allows the sagemaker:UpdateEndpoint action"
    )


def test_cloudwatch_refuses_with_the_codes_of_its_own_protocol(
    sandbox: Sandbox, session: InProcessSession, refused: Refused
) -> None:
    cloudwatch = session.client("cloudwatch")
    for kind in ("throttle", "denied", "expired_credentials"):
        sandbox.faults.add(Fault(kind, "DescribeAlarms"))
    refusals = [refused(cloudwatch.describe_alarms) for _ in range(3)]
    assert [(code, status) for code, _, status in refusals] == [
        ("Throttling", 400),
        ("AccessDenied", 403),
        ("ExpiredToken", 403),
    ]


def test_a_lost_answer_takes_effect(sandbox: Sandbox, sagemaker: Any, deploy: Deploy) -> None:
    deploy("orders", blue=(1, 1))
    sandbox.faults.add(Fault("lost_answer", "UpdateEndpointWeightsAndCapacities"))
    with pytest.raises(ConnectionClosedError):
        reweigh(sagemaker, 5)
    assert desired_weight(sagemaker) == 5.0
    assert sandbox.calls[-2].error_code is None


def test_missing_capacity_ends_an_update_late_on_the_old_config(
    sandbox: Sandbox, sagemaker: Any, configure: Deploy, deploy: Deploy
) -> None:
    deploy("orders", blue=(1, 1))
    configure("second", blue=(1, 1), green=(0, 1))
    sandbox.faults.add(Fault("no_capacity", "UpdateEndpoint"))
    sagemaker.update_endpoint(EndpointName="orders", EndpointConfigName="second")
    sandbox.schedule.advance(sandbox.timings.failed_update - 1)
    assert sagemaker.describe_endpoint(EndpointName="orders")["EndpointStatus"] == "Updating"
    sandbox.schedule.advance(1)
    described = sagemaker.describe_endpoint(EndpointName="orders")
    assert (described["EndpointStatus"], described["EndpointConfigName"]) == ("InService", "orders-1")
    assert described["FailureReason"] == (
        "CapacityError: Unable to provision requested ML compute capacity. Please retry using a different ML instance type."
    )


def test_a_failure_reason_outlives_the_next_updates_start_and_goes_with_its_success(
    sandbox: Sandbox, sagemaker: Any, configure: Deploy, deploy: Deploy
) -> None:
    deploy("orders", blue=(1, 1))
    configure("second", blue=(1, 1))
    sandbox.faults.add(Fault("no_capacity", "UpdateEndpoint"))
    for seconds in (sandbox.timings.failed_update, 60):
        sagemaker.update_endpoint(EndpointName="orders", EndpointConfigName="second")
        sandbox.schedule.advance(seconds)
    stale = sagemaker.describe_endpoint(EndpointName="orders")
    assert (stale["EndpointStatus"], "FailureReason" in stale) == ("Updating", True)
    sandbox.schedule.advance(74)
    assert "FailureReason" not in sagemaker.describe_endpoint(EndpointName="orders")


def test_missing_capacity_for_more_instances_leaves_count_and_weight_as_they_were(
    sandbox: Sandbox, sagemaker: Any, deploy: Deploy
) -> None:
    deploy("orders", blue=(1, 1))
    sandbox.faults.add(Fault("no_capacity", "UpdateEndpointWeightsAndCapacities"))
    wish = {"VariantName": "blue", "DesiredWeight": 3, "DesiredInstanceCount": 4}
    sagemaker.update_endpoint_weights_and_capacities(EndpointName="orders", DesiredWeightsAndCapacities=[wish])
    sandbox.schedule.advance(sandbox.timings.failed_update)
    described = sagemaker.describe_endpoint(EndpointName="orders")
    blue = described["ProductionVariants"][0]
    assert described["EndpointStatus"] == "InService"
    assert described["FailureReason"].startswith("CapacityError")
    assert (blue["CurrentInstanceCount"], blue["DesiredInstanceCount"], blue["DesiredWeight"]) == (1, 1, 1.0)


def test_a_quota_refuses_at_once_with_nothing_changed(
    sandbox: Sandbox, sagemaker: Any, configure: Deploy, deploy: Deploy, refused: Refused
) -> None:
    deploy("orders", blue=(1, 1))
    configure("second", blue=(1, 1), green=(0, 2))
    sandbox.faults.add(Fault("quota", "UpdateEndpoint"))
    code, text, status = refused(lambda: sagemaker.update_endpoint(EndpointName="orders", EndpointConfigName="second"))
    assert (code, status) == ("ResourceLimitExceeded", 400)
    assert text.startswith("The account-level service limit 'ml.m5.large for endpoint usage' is 0 Instances")
    assert "a request delta of 3 Instances" in text
    assert sagemaker.describe_endpoint(EndpointName="orders")["EndpointStatus"] == "InService"


def test_a_quota_does_not_concern_a_change_without_new_instances(
    sandbox: Sandbox, sagemaker: Any, deploy: Deploy
) -> None:
    deploy("orders", blue=(1, 1))
    sandbox.faults.add(Fault("quota"))
    reweigh(sagemaker, 5)
    assert desired_weight(sagemaker) == 5.0


def test_a_container_that_fails_its_ping_fails_the_update(
    sandbox: Sandbox, sagemaker: Any, configure: Deploy, deploy: Deploy
) -> None:
    deploy("orders", blue=(1, 1))
    configure("second", blue=(1, 1), green=(0, 1))
    sandbox.faults.add(Fault("bad_ping", model="green"))
    sagemaker.update_endpoint(EndpointName="orders", EndpointConfigName="second")
    sandbox.schedule.advance(sandbox.timings.failed_update - 1)
    assert sagemaker.describe_endpoint(EndpointName="orders")["EndpointStatus"] == "Updating"
    sandbox.schedule.advance(1)
    described = sagemaker.describe_endpoint(EndpointName="orders")
    assert (described["EndpointStatus"], described["EndpointConfigName"]) == ("InService", "orders-1")
    assert described["FailureReason"] == (
        "The primary container for production variant green did not pass the ping health check. "
        "Please check CloudWatch logs for this endpoint."
    )


def test_a_create_that_fails_ends_failed_and_can_only_be_deleted(
    sandbox: Sandbox, sagemaker: Any, configure: Deploy, refused: Refused
) -> None:
    configure("first", blue=(1, 1))
    sandbox.faults.add(Fault("bad_ping", model="blue"))
    sagemaker.create_endpoint(EndpointName="orders", EndpointConfigName="first")
    sandbox.schedule.advance(sandbox.timings.failed_update)
    described = sagemaker.describe_endpoint(EndpointName="orders")
    assert described["EndpointStatus"] == "Failed"
    assert "did not pass the ping" in described["FailureReason"]
    call = lambda: sagemaker.update_endpoint(EndpointName="orders", EndpointConfigName="first")  # noqa: E731
    assert refused(call)[0] == "ValidationException"
    sagemaker.delete_endpoint(EndpointName="orders")


@pytest.mark.parametrize(
    "wrong", [{"kind": "flood"}, {"kind": "throttle", "times": 0}, {"kind": "throttle", "skip": -1}]
)
def test_a_fault_that_can_never_strike_is_refused(wrong: dict[str, Any], refused: Refused) -> None:
    with pytest.raises(ValueError, match="must be"):
        Fault(**wrong)
