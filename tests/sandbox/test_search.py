"""Search finds what the sandbox has by what its Describe operations show, leaves moto's to moto, and refuses the rest by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from airflow_sm_rollout.sandbox import Sandbox

Refused = Callable[[Callable[[], object]], tuple[str, str, int]]


@pytest.fixture
def found(sagemaker: Any) -> Callable[..., list[str]]:
    """``found("Endpoint", filters...)``: the names of the resources that a search finds, in its order."""

    def found(resource: str, *filters: dict[str, str], **more: Any) -> list[str]:
        expression = {"SearchExpression": {"Filters": list(filters)}} if filters else {}
        results = sagemaker.search(Resource=resource, **expression, **more)["Results"]
        return [result[resource][f"{resource}Name"] for result in results]

    return found


@pytest.fixture
def three(sandbox: Sandbox, sagemaker: Any, deploy: Callable[..., None]) -> None:
    """Endpoints in service, ``a`` older than ``b`` older than ``c``, with 1, 2 and 3 instances; ``b`` has a tag."""
    for count, name in enumerate("abc", 1):
        deploy(name, only=(1, count))
    arn = sagemaker.describe_endpoint(EndpointName="b")["EndpointArn"]
    sagemaker.add_tags(ResourceArn=arn, Tags=[{"Key": "team", "Value": "ml"}])


def test_a_record_is_what_describe_shows_with_its_tags(sagemaker: Any, three: None) -> None:
    [record] = sagemaker.search(
        Resource="Endpoint", SearchExpression={"Filters": [{"Name": "EndpointName", "Value": "b"}]}
    )["Results"]
    described = sagemaker.describe_endpoint(EndpointName="b")
    tags = record["Endpoint"].pop("Tags")
    assert tags == [{"Key": "team", "Value": "ml"}]
    assert record["Endpoint"] == {name: described[name] for name in record["Endpoint"]}
    assert record["Endpoint"]["EndpointStatus"] == "InService"


@pytest.mark.parametrize(
    ("wish", "names"),
    [
        ({"Name": "EndpointName", "Operator": "Equals", "Value": "a"}, "a"),
        ({"Name": "EndpointName", "Operator": "NotEquals", "Value": "a"}, "bc"),
        ({"Name": "EndpointConfigName", "Operator": "Contains", "Value": "c-"}, "c"),
        ({"Name": "EndpointName", "Operator": "In", "Value": "a,c"}, "ac"),
        ({"Name": "EndpointName", "Operator": "GreaterThan", "Value": "a"}, "bc"),
        ({"Name": "EndpointName", "Operator": "LessThanOrEqualTo", "Value": "b"}, "ab"),
        ({"Name": "CreationTime", "Operator": "GreaterThan", "Value": "2000-01-01T00:00:00Z"}, "abc"),
        ({"Name": "CreationTime", "Operator": "LessThan", "Value": "2000-01-01T00:00:00Z"}, ""),
        ({"Name": "FailureReason", "Operator": "Exists"}, ""),
        ({"Name": "FailureReason", "Operator": "NotExists"}, "abc"),
        ({"Name": "Tags.team", "Operator": "Equals", "Value": "ml"}, "b"),
        ({"Name": "Tags.team"}, "b"),
        ({"Name": "Tags.team", "Operator": "NotEquals", "Value": "ml"}, "ac"),
    ],
)
def test_each_operator_of_a_filter_has_its_meaning(
    found: Callable[..., list[str]], three: None, wish: dict[str, str], names: str
) -> None:
    assert sorted(found("Endpoint", wish)) == sorted(names)


def test_entries_of_a_list_and_expressions_within_expressions_are_searched_too(sagemaker: Any, three: None) -> None:
    variants = "ProductionVariants"

    def with_instances(operator: str, count: int) -> dict[str, Any]:
        inner = [{"Name": f"{variants}.CurrentInstanceCount", "Operator": operator, "Value": str(count)}]
        return {"NestedFilters": [{"NestedPropertyName": variants, "Filters": inner}]}

    def found(expression: dict[str, Any]) -> list[str]:
        results = sagemaker.search(Resource="Endpoint", SearchExpression=expression)["Results"]
        return sorted(each["Endpoint"]["EndpointName"] for each in results)

    assert found(with_instances("GreaterThan", 1)) == ["b", "c"]
    either = [with_instances("Equals", 1), with_instances("Equals", 3)]
    assert found({"SubExpressions": either, "Operator": "Or"}) == ["a", "c"]
    assert found({"SubExpressions": either}) == []


def test_the_newest_come_first_page_by_page(sagemaker: Any, found: Callable[..., list[str]], three: None) -> None:
    assert found("Endpoint") == ["c", "b", "a"]
    assert found("Endpoint", SortOrder="Ascending", SortBy="EndpointName") == ["a", "b", "c"]
    pages = sagemaker.get_paginator("search").paginate(Resource="Endpoint", PaginationConfig={"PageSize": 2})
    assert [[each["Endpoint"]["EndpointName"] for each in page["Results"]] for page in pages] == [["c", "b"], ["a"]]


def test_packages_groups_and_jobs_are_found(sagemaker: Any, found: Callable[..., list[str]]) -> None:
    sagemaker.create_model_package_group(ModelPackageGroupName="group")
    arn = sagemaker.create_model_package(ModelPackageGroupName="group")["ModelPackageArn"]
    sagemaker.update_model_package(ModelPackageArn=arn, ModelApprovalStatus="Approved")
    assert found("ModelPackageGroup", {"Name": "ModelPackageGroupName", "Operator": "Contains", "Value": "ou"}) == [
        "group"
    ]
    assert found("ModelPackage", {"Name": "ModelApprovalStatus", "Value": "Approved"}) == ["group"]
    assert found("ModelPackage", {"Name": "ModelApprovalStatus", "Value": "Rejected"}) == []
    assert found("TrainingJob") == []


def test_what_moto_has_is_motos_and_what_nobody_has_is_refused_by_name(sagemaker: Any, refused: Refused) -> None:
    sagemaker.create_experiment(ExperimentName="tried")
    [result] = sagemaker.search(Resource="Experiment")["Results"]
    assert result["Experiment"]["ExperimentName"] == "tried"
    assert refused(lambda: sagemaker.search(Resource="HyperParameterTuningJob"))[::2] == ("NotImplemented", 501)


def test_a_value_of_another_type_is_the_callers_fault(sagemaker: Any, refused: Refused, three: None) -> None:
    wrong = {"Filters": [{"Name": "CreationTime", "Operator": "GreaterThan", "Value": "yesterday"}]}
    assert refused(lambda: sagemaker.search(Resource="Endpoint", SearchExpression=wrong))[0] == "ValidationException"


def test_a_package_asked_for_again_with_its_token_is_the_same_one(sagemaker: Any) -> None:
    sagemaker.create_model_package_group(ModelPackageGroupName="group")
    asked = {"ModelPackageGroupName": "group", "ClientToken": "t" * 36}
    first, again = (sagemaker.create_model_package(**asked)["ModelPackageArn"] for _ in range(2))
    other = sagemaker.create_model_package(**asked | {"ClientToken": "u" * 36})["ModelPackageArn"]
    assert (first == again, first == other) == (True, False)


def test_many_packages_are_described_at_once_and_those_missing_are_said(sagemaker: Any) -> None:
    sagemaker.create_model_package_group(ModelPackageGroupName="group")
    arn = sagemaker.create_model_package(ModelPackageGroupName="group")["ModelPackageArn"]
    none = arn.replace("group/1", "group/2")
    answer = sagemaker.batch_describe_model_package(ModelPackageArnList=[arn, none])
    assert answer["ModelPackageSummaries"][arn]["ModelPackageVersion"] == 1
    assert list(answer["BatchDescribeModelPackageErrorMap"]) == [none]
