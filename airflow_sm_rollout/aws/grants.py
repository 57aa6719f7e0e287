"""What a grant of an IAM policy is, and those of a deployment by CodeDeploy; the others and the policies are in :mod:`.iam`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import botocore.session
from botocore.exceptions import UnknownRegionError

from airflow_sm_rollout.core.names import Names

ANY = "*"


@cache
def partition_of(region: str) -> str:
    """AWS's partition of a Region, such as ``aws-cn``; ``*`` of one that is not known, or not said.

    A grant on ``arn:aws:...`` allows nothing in China or in GovCloud.
    """
    if region.startswith("${"):  # CloudFormation's own
        return "${AWS::Partition}"
    try:
        return str(botocore.session.get_session().get_partition_for_region(region))
    except UnknownRegionError:
        return ANY


@dataclass(frozen=True, slots=True)
class Grant:
    """Some actions on some resources.

    :param purpose: why, as the statement's Sid.
    :param actions: IAM actions.
    :param resources: the part of an ARN behind the account, with ``{endpoint}`` for the endpoint's name, ``{function}`` for the
        function's, and ``{made}`` for what the names of all that a rollout makes begin with; or ``*``, where AWS knows no narrower
        resource for these actions.
    :param service: of the ARN; by default that of the first action.
    :param condition: what context keys must be equal to; of several values one.
    """

    purpose: str
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    service: str = ""
    condition: Mapping[str, str | list[str]] = field(default_factory=dict)

    def statement(self, endpoint: str, region: str, account: str, function: str = "") -> dict[str, Any]:
        """The grant as a statement of a policy."""
        service = self.service or self.actions[0].partition(":")[0]
        prefix = f"arn:{partition_of(region)}:{service}:{region}:{account}:"
        if service == "sagemaker":
            endpoint = endpoint.lower()  # as SageMaker's ARNs have it
        # Where the endpoint's name is long, it is cut to make room for the rollout's id.
        made = Names(endpoint, "0" * 8).mixed_config.partition("-00000000")[0]
        names = {"endpoint": endpoint, "made": made, "function": function}
        named = [each if each == ANY else prefix + each.format(**names) for each in self.resources]
        allowed = {"Sid": self.purpose, "Effect": "Allow", "Action": list(self.actions), "Resource": named}
        return allowed | ({"Condition": {"StringEquals": dict(self.condition)}} if self.condition else {})


COMPONENT = (
    Grant(
        "RollInferenceComponent",
        ("sagemaker:DescribeInferenceComponent", "sagemaker:UpdateInferenceComponent"),
        ("inference-component/{endpoint}",),
    ),
)
DEPLOYMENT_BACK = (
    Grant(
        "FollowAndStopDeployment",
        (
            "codedeploy:GetApplication",
            "codedeploy:GetDeploymentGroup",
            "codedeploy:ListDeployments",
            "codedeploy:BatchGetDeployments",
            "codedeploy:StopDeployment",
        ),
        ("application:sm-rollout-{endpoint}-*", "deploymentgroup:sm-rollout-{endpoint}-*"),
    ),
    Grant(
        "RemoveWhatItDeploysBy",
        (
            "codedeploy:DeleteApplication",
            "codedeploy:DeleteDeploymentGroup",
            "codedeploy:DeleteDeploymentConfig",
            "codedeploy:GetDeploymentConfig",
        ),
        (
            "application:sm-rollout-{endpoint}-*",
            "deploymentgroup:sm-rollout-{endpoint}-*",
            "deploymentconfig:sm-rollout-{endpoint}-*",
        ),
    ),
)
DEPLOYMENT = (
    *DEPLOYMENT_BACK,
    Grant(
        "MakeWhatItDeploysBy",
        (
            "codedeploy:CreateApplication",
            "codedeploy:CreateDeploymentGroup",
            "codedeploy:CreateDeploymentConfig",
            "codedeploy:CreateDeployment",
            # CodeDeploy's guide to permissions: whoever deploys needs these two.
            "codedeploy:RegisterApplicationRevision",
            "codedeploy:GetApplicationRevision",
        ),
        (
            "application:sm-rollout-{endpoint}-*",
            "deploymentgroup:sm-rollout-{endpoint}-*",
            "deploymentconfig:sm-rollout-{endpoint}-*",
        ),
    ),
    Grant("ReadItsOwnConfigs", ("codedeploy:GetDeploymentConfig",), ("deploymentconfig:CodeDeployDefault.*",)),
)
