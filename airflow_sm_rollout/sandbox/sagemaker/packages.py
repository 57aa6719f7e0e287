"""Model packages and their groups: a registered model, from which CreateModel takes image and artifact."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_sm_rollout.sandbox.errors import AwsError
from airflow_sm_rollout.sandbox.sagemaker.region import Region, timestamp
from airflow_sm_rollout.sandbox.sagemaker.resources import Resources, page_of

_IN_BATCH = frozenset(
    {
        "ModelPackageGroupName", "ModelPackageVersion", "ModelPackageArn", "ModelPackageDescription", "CreationTime",
        "InferenceSpecification", "ModelPackageStatus", "ModelApprovalStatus", "ModelPackageRegistrationType",
    }
)  # fmt: skip


@dataclass(eq=False, slots=True)
class PackageGroup:
    """A model package group, and how many versions were ever created in it."""

    name: str
    arn: str
    created: float
    description: Mapping[str, Any]
    versions: int = 0


@dataclass(eq=False, slots=True)
class Package:
    """A model package; ``name`` is ``group/version`` for a versioned one, as in its ARN."""

    name: str
    arn: str
    created: float
    description: dict[str, Any] = field(default_factory=dict)


class ModelPackages:
    """Operations on model packages and groups. A package is ``Completed`` at once: nothing is validated here."""

    def __init__(self, region: Region) -> None:
        self._region = region
        self._groups: Resources[PackageGroup] = Resources(region, "model-package-group", "model package group")
        self._packages: Resources[Package] = Resources(region, "model-package", "model package")
        self._arn_by_token: dict[str, str] = {}

    def containers(self, name_or_arn: str) -> list[Mapping[str, Any]]:
        """The containers of a package, by name or ARN.

        :raises AwsError: ``ValidationException`` if there is no such package, or it has no inference specification.
        """
        package = self._packages.named(_plain_name(name_or_arn))
        containers: list[Mapping[str, Any]] = package.description.get("InferenceSpecification", {}).get(
            "Containers", []
        )
        if not containers:
            raise AwsError("ValidationException", f"Model package {package.arn} has no inference specification.")
        return containers

    def create_model_package_group(self, params: Mapping[str, Any]) -> dict[str, Any]:
        name = params["ModelPackageGroupName"]
        self._groups.refuse_existing(name)
        group = PackageGroup(name, self._groups.arn(name), self._region.now(), _untagged(params))
        self._groups.add(group, params.get("Tags", ()))
        return {"ModelPackageGroupArn": group.arn}

    def describe_model_package_group(self, params: Mapping[str, Any]) -> dict[str, Any]:
        return _described_group(self._groups.named(_plain_name(params["ModelPackageGroupName"])))

    def group_records(self) -> list[dict[str, Any]]:
        """What DescribeModelPackageGroup answers for each group."""
        return [_described_group(group) for group in self._groups]

    def list_model_package_groups(self, params: Mapping[str, Any]) -> dict[str, Any]:
        return page_of(
            self._groups, {"SortOrder": "Ascending", **params}, "ModelPackageGroupSummaryList", _group_summary
        )

    def delete_model_package_group(self, params: Mapping[str, Any]) -> dict[str, Any]:
        group = self._groups.named(_plain_name(params["ModelPackageGroupName"]))
        if any(package.description.get("ModelPackageGroupName") == group.name for package in self._packages):
            raise AwsError(
                "ConflictException", "Model Package Group cannot be deleted because it still contains Model Packages."
            )
        self._groups.remove(group)
        return {}

    def create_model_package(self, params: Mapping[str, Any]) -> dict[str, Any]:
        token = params.get("ClientToken")
        if token in self._arn_by_token:  # the answer to the first call got lost
            return {"ModelPackageArn": self._arn_by_token[token]}
        package = self._new_package(params)
        self._packages.refuse_existing(package.name)
        self._packages.add(package, params.get("Tags", ()))
        if token is not None:
            self._arn_by_token[token] = package.arn
        return {"ModelPackageArn": package.arn}

    def _new_package(self, params: Mapping[str, Any]) -> Package:
        described = _untagged(params)
        if "ModelPackageGroupName" in params and "ModelPackageName" in params:
            text = "Both ModelPackageName and ModelPackageGroupName are provided in the input. Cannot determine which one to use."
            raise AwsError("ValidationException", text)
        if "ModelPackageGroupName" in params:
            group = self._groups.named(_plain_name(params["ModelPackageGroupName"]))
            group.versions += 1
            described |= {"ModelPackageGroupName": group.name, "ModelPackageVersion": group.versions}
            described.setdefault("ModelApprovalStatus", "PendingManualApproval")
            name = f"{group.name}/{group.versions}"
        elif "ModelPackageName" in params:
            name = params["ModelPackageName"]
        else:
            raise AwsError("ValidationException", "Either ModelPackageName or ModelPackageGroupName must be provided.")
        return Package(name, self._packages.arn(name), self._region.now(), described)

    def describe_model_package(self, params: Mapping[str, Any]) -> dict[str, Any]:
        return _described(self._packages.named(_plain_name(params["ModelPackageName"])))

    def records(self) -> list[dict[str, Any]]:
        """What DescribeModelPackage answers for each package."""
        return [_described(package) for package in self._packages]

    def batch_describe_model_package(self, params: Mapping[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        missing: dict[str, Any] = {}
        for arn in params["ModelPackageArnList"]:
            try:
                described = _described(self._packages.named(_plain_name(arn)))
                found[arn] = {name: value for name, value in described.items() if name in _IN_BATCH}
            except AwsError as error:
                missing[arn] = {"ErrorCode": error.code, "ErrorResponse": error.message}
        return {"ModelPackageSummaries": found, "BatchDescribeModelPackageErrorMap": missing}

    def update_model_package(self, params: Mapping[str, Any]) -> dict[str, Any]:
        package = self._packages.named(_plain_name(params["ModelPackageArn"]))
        changed = {"ModelApprovalStatus", "ApprovalDescription", "InferenceSpecification", "CustomerMetadataProperties"}
        package.description |= {member: params[member] for member in changed & params.keys()}
        package.description["LastModifiedTime"] = timestamp(self._region.now())
        return {"ModelPackageArn": package.arn}

    def delete_model_package(self, params: Mapping[str, Any]) -> dict[str, Any]:
        self._packages.remove(self._packages.named(_plain_name(params["ModelPackageName"])))
        return {}

    def list_model_packages(self, params: Mapping[str, Any]) -> dict[str, Any]:
        wanted = {
            member: params[member] for member in ("ModelPackageGroupName", "ModelApprovalStatus") if member in params
        }
        packages = [p for p in self._packages if all(_plain_name(v) == p.description.get(m) for m, v in wanted.items())]
        if params.get("ModelPackageType", "Unversioned") != "Both":
            is_versioned = (
                params.get("ModelPackageType", "Unversioned") == "Versioned" or "ModelPackageGroupName" in params
            )
            packages = [package for package in packages if ("/" in package.name) == is_versioned]
        return page_of(packages, {"SortOrder": "Ascending", **params}, "ModelPackageSummaryList", _summary)


def _described_group(group: PackageGroup) -> dict[str, Any]:
    return {
        **group.description,
        "ModelPackageGroupArn": group.arn,
        "CreationTime": timestamp(group.created),
        "CreatedBy": {},
        "ModelPackageGroupStatus": "Completed",
    }


def _described(package: Package) -> dict[str, Any]:
    return {
        "ModelPackageName": package.name.partition("/")[0],
        **package.description,
        **_summary(package),
        "ModelPackageStatusDetails": {"ValidationStatuses": []},
    }


def _group_summary(group: PackageGroup) -> dict[str, Any]:
    described = {"ModelPackageGroupDescription"} & group.description.keys()
    return {
        "ModelPackageGroupName": group.name,
        "ModelPackageGroupArn": group.arn,
        "CreationTime": timestamp(group.created),
        "ModelPackageGroupStatus": "Completed",
        **{member: group.description[member] for member in described},
    }


def _summary(package: Package) -> dict[str, Any]:
    shown = ("ModelPackageName", "ModelPackageGroupName", "ModelPackageVersion", "ModelApprovalStatus")
    return {
        **{member: package.description[member] for member in shown if member in package.description},
        "ModelPackageArn": package.arn,
        "CreationTime": timestamp(package.created),
        "ModelPackageStatus": "Completed",
    }


def _plain_name(name_or_arn: str) -> str:
    return name_or_arn.partition("/")[2] if name_or_arn.startswith("arn:") else name_or_arn


def _untagged(params: Mapping[str, Any]) -> dict[str, Any]:
    return {member: value for member, value in params.items() if member not in ("Tags", "ClientToken")}
