"""The least that a rollout must be allowed to do, as an IAM policy.

Each grant names the calls that need it. ``tests/convergence/test_iam.py`` compares them with the calls that rollouts, rollbacks and people
really make, and fails for one that is missing and for one that nobody needs.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from airflow_sm_rollout.core.names import Names, control_name, pointer_name, record_name, validate_endpoint_name

ANY = "*"


@dataclass(frozen=True, slots=True)
class Grant:
    """Some actions on some resources.

    :param purpose: why, as the statement's Sid.
    :param actions: IAM actions.
    :param resources: the part of an ARN behind the account, with ``{endpoint}`` for the endpoint's name; or ``*``, where AWS knows no
        narrower resource for these actions.
    :param service: of the ARN; by default that of the first action.
    """

    purpose: str
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    service: str = ""

    def statement(self, endpoint: str, region: str, account: str) -> dict[str, Any]:
        """The grant as a statement of a policy."""
        service = self.service or self.actions[0].partition(":")[0]
        prefix = f"arn:aws:{service}:{region}:{account}:"
        if service == "sagemaker":
            endpoint = endpoint.lower()  # as SageMaker's ARNs have it
        named = [each if each == ANY else prefix + each.format(endpoint=endpoint) for each in self.resources]
        return {"Sid": self.purpose, "Effect": "Allow", "Action": list(self.actions), "Resource": named}


_READ = (
    # Blue's config and model have names of your own.
    Grant(
        "ReadEndpointAndModels",
        (
            "sagemaker:DescribeEndpoint",
            "sagemaker:DescribeEndpointConfig",
            "sagemaker:DescribeModel",
            "sagemaker:ListTags",
        ),
        ("endpoint/*", "endpoint-config/*", "model/*"),
    ),
    Grant(
        "ReadAlarmsAndMetrics",
        ("cloudwatch:DescribeAlarms", "cloudwatch:DescribeAlarmHistory", "cloudwatch:GetMetricData"),
        (ANY,),
    ),
    Grant("ReadLivePointer", ("ssm:GetParameter",), (f"parameter{pointer_name('{endpoint}')}",)),
)
_MAKE = (
    Grant(
        "MakeAndRemoveGreen",
        (
            "sagemaker:CreateModel",
            "sagemaker:DeleteModel",
            "sagemaker:CreateEndpointConfig",
            "sagemaker:DeleteEndpointConfig",
            "sagemaker:AddTags",
        ),
        ("endpoint-config/{endpoint}*", "model/{endpoint}*"),
    ),
    Grant(
        "AlarmsOfTheRollout",
        ("cloudwatch:PutMetricAlarm", "cloudwatch:DeleteAlarms", "cloudwatch:TagResource"),
        ("alarm:sm-rollout-{endpoint}-*",),
    ),
    Grant(
        "RecordAndLock",
        ("ssm:GetParameter", "ssm:PutParameter", "ssm:DeleteParameters"),
        (f"parameter{record_name('{endpoint}')}", f"parameter{control_name('{endpoint}')}"),
    ),
)
_ONE_ENDPOINT = (
    *_READ,
    *_MAKE,
    Grant("RestoreBluesConfig", ("sagemaker:CreateEndpointConfig", "sagemaker:AddTags"), ("endpoint-config/*",)),
    Grant("SetWeightsAndCapacities", ("sagemaker:UpdateEndpointWeightsAndCapacities",), ("endpoint/{endpoint}",)),
    Grant("ChangeConfig", ("sagemaker:UpdateEndpoint",), ("endpoint/{endpoint}", "endpoint-config/*")),
)
_TWO_ENDPOINTS = (
    *_READ,
    *_MAKE,
    Grant(
        "MakeAndRemoveGreensEndpoint",
        ("sagemaker:CreateEndpoint", "sagemaker:DeleteEndpoint", "sagemaker:AddTags"),
        ("endpoint/{endpoint}*", "endpoint-config/{endpoint}*"),
    ),
    Grant("RestoreBluesInstances", ("sagemaker:UpdateEndpointWeightsAndCapacities",), ("endpoint/{endpoint}*",)),
    Grant("SetLivePointer", ("ssm:PutParameter", "ssm:DeleteParameters"), (f"parameter{pointer_name('{endpoint}')}",)),
)
GRANTS = {"variants": _ONE_ENDPOINT, "endpoints": _TWO_ENDPOINTS, "guardrails": _ONE_ENDPOINT}


def policy(
    traffic: str, endpoint_name: str, *, region: str = ANY, account: str = ANY, role_arns: Iterable[str] = (ANY,)
) -> dict[str, Any]:
    """A least-privilege policy for rollouts of one endpoint.

    With ``delete_blue`` a rollout needs to delete blue's config and model too, whose names are your own: add them.

    :param traffic: the way to split traffic, a key of :data:`GRANTS`.
    :param role_arns: execution roles that models made by a rollout may have.
    :raises PlanError: for an endpoint name that SageMaker would refuse.
    """
    validate_endpoint_name(endpoint_name)
    # Names of what a rollout makes begin with the endpoint's name, cut where it is long.
    fitted = Names(endpoint_name, "0" * 8).mixed_config.partition("-00000000")[0]
    statements = [
        grant.statement(fitted if "Green" in grant.purpose else endpoint_name, region, account)
        for grant in GRANTS[traffic]
    ]
    pass_role = {
        "Sid": "RoleOfGreensModel",
        "Effect": "Allow",
        "Action": ["iam:PassRole"],
        "Resource": list(role_arns),
        "Condition": {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}},
    }
    return {"Version": "2012-10-17", "Statement": [*statements, pass_role]}
