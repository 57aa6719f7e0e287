"""What green must have of blue's, and what it must not: 50 tags beside AWS's own, and a model package's own code."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_sm_rollout.aws.planning import plan_rollout
from airflow_sm_rollout.core.goals import GreenDeployed
from airflow_sm_rollout.core.rollout import Green, Plan
from airflow_sm_rollout.sandbox.sagemaker.tags import Tags
from convergence.lab import BLUE_CONFIG, ENDPOINT, ROLE, USER_ALARM, Lab

STACKS = [{"Key": f"aws:cloudformation:{key}", "Value": key} for key in ("logical-id", "stack-id", "stack-name")]
A_PAGE = 50


def code(version: str, program: str) -> dict[str, str]:
    return {"SAGEMAKER_PROGRAM": program, "SAGEMAKER_SUBMIT_DIRECTORY": f"s3://code/{version}/sourcedir.tar.gz"}


def test_a_packages_green_runs_its_own_code_and_not_blues() -> None:
    lab = Lab()
    sagemaker = lab.clients.sagemaker
    blue = {"Image": "sklearn:1", "ModelDataUrl": "s3://m/1.tar.gz", "Environment": code("v1", "inference.py")}
    sagemaker.create_model(ModelName="packaged-v1", PrimaryContainer=blue, ExecutionRoleArn=ROLE)
    variant = {
        "VariantName": "AllTraffic",
        "ModelName": "packaged-v1",
        "InitialInstanceCount": 4,
        "InstanceType": "ml.m5.xlarge",
    }
    sagemaker.create_endpoint_config(EndpointConfigName="packaged", ProductionVariants=[variant])
    sagemaker.update_endpoint(EndpointName=ENDPOINT, EndpointConfigName="packaged")
    lab.pass_time(300)
    container = {"Image": "sklearn:1", "ModelDataUrl": "s3://m/2.tar.gz", "Environment": code("v2", "serve.py")}
    package = sagemaker.create_model_package(
        ModelApprovalStatus="Approved",
        ModelPackageName="fraud-v2",
        InferenceSpecification={
            "Containers": [container],
            "SupportedContentTypes": ["text/csv"],
            "SupportedResponseMIMETypes": ["text/csv"],
        },
    )
    green, plan = Green(model_package_arn=package["ModelPackageArn"]), Plan(lab.strategy, alarms=(USER_ALARM,))
    lab.reach(GreenDeployed(plan_rollout(lab.clients, lab.names, {}, green, plan, lab.now())))
    given = sagemaker.describe_model(ModelName=lab.names.model)["PrimaryContainer"].get("Environment", {})
    assert {**container["Environment"], **given} == container["Environment"]


def test_all_fifty_tags_of_the_users_are_greens_too_and_none_of_awss(monkeypatch: pytest.MonkeyPatch) -> None:
    lab = Lab()
    sagemaker = lab.clients.sagemaker
    arn = sagemaker.describe_endpoint_config(EndpointConfigName=BLUE_CONFIG)["EndpointConfigArn"]
    sagemaker.add_tags(ResourceArn=arn, Tags=[{"Key": f"k{number:02}", "Value": "v"} for number in range(49)])

    def list_a_page(self: Tags, params: dict[str, Any]) -> dict[str, Any]:
        all_tags = (STACKS if params["ResourceArn"] == arn else []) + self.of(params["ResourceArn"])
        start = int(params.get("NextToken", 0))
        more = {"NextToken": str(start + A_PAGE)} if start + A_PAGE < len(all_tags) else {}
        return {"Tags": all_tags[start : start + A_PAGE], **more}

    monkeypatch.setattr(Tags, "list_tags", list_a_page)
    lab.run()
    final = sagemaker.describe_endpoint_config(EndpointConfigName=lab.names.final_config)["EndpointConfigArn"]
    pages = sagemaker.get_paginator("list_tags").paginate(ResourceArn=final)
    assert {tag["Key"] for page in pages for tag in page["Tags"]} == {
        "team",
        *(f"k{number:02}" for number in range(49)),
    }
