"""SSM's Parameter Store: PutParameter without Overwrite is atomic, which makes a parameter a lock.

Limits and texts are those of the Systems Manager guide and API reference.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from airflow_sm_rollout.sandbox.errors import AwsError
from airflow_sm_rollout.sandbox.sagemaker.region import Region, timestamp

STANDARD_BYTES = 4096
ADVANCED_BYTES = 8192
PAGE = 10
MAX_HISTORY = 100

_NAME = re.compile(r"/?[\w.-]+(/[\w.-]+)*", re.ASCII)
_BAD_NAME = (
    'Parameter name: can\'t be prefixed with "ssm" (case-insensitive). If formed as a path, it can consist of '
    "sub-paths divided by slash symbol; each sub-path can be formed as a mix of letters, numbers and the following 3 "
    "symbols .-_"
)
_TOO_LARGE = (
    f"Standard tier parameters support a maximum parameter value of {STANDARD_BYTES} characters. To create a larger "
    "parameter value, upgrade the parameter to use the advanced-parameter tier. For more information, see "
    "https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-advanced-parameters.html"
)
_EXISTS = "The parameter already exists. To overwrite this value, set the overwrite option in the request to true."
_NO_DOWNGRADE = (
    "This parameter uses the advanced-parameter tier. You can't downgrade a parameter from the advanced-parameter tier "
    "to the standard-parameter tier. If necessary, you can delete the advanced parameter and recreate it as a standard "
    "parameter."
)


@dataclass(frozen=True, slots=True)
class Version:
    """One value that a parameter has had."""

    number: int
    value: str
    type: str
    data_type: str
    tier: str
    modified: float


class Parameters:
    """PutParameter, GetParameter, GetParameters, GetParametersByPath, DeleteParameter, DeleteParameters."""

    def __init__(self, region: Region) -> None:
        self._region = region
        self._versions: dict[str, list[Version]] = {}

    def put_parameter(self, params: Mapping[str, Any]) -> dict[str, Any]:
        name = params["Name"]
        _validate_name(name)
        versions = self._versions.get(name, [])
        if versions and not params.get("Overwrite", False):
            raise AwsError("ParameterAlreadyExists", _EXISTS)
        version = self._next_version(params, versions[-1] if versions else None)
        self._versions[name] = [*versions, version][-MAX_HISTORY:]
        return {"Version": version.number, "Tier": version.tier}

    def _next_version(self, params: Mapping[str, Any], previous: Version | None) -> Version:
        type_ = params.get("Type") or (previous.type if previous else None)
        if type_ is None:
            raise AwsError("ValidationException", "A parameter type is required when you create a parameter.")
        data_type = params.get("DataType") or (previous.data_type if previous else "text")
        tier = _tier(params["Value"], params.get("Tier"), previous)
        number = previous.number + 1 if previous else 1
        return Version(number, params["Value"], type_, data_type, tier, self._region.now())

    def get_parameter(self, params: Mapping[str, Any]) -> dict[str, Any]:
        return {"Parameter": self._describe(params["Name"])}

    def get_parameters(self, params: Mapping[str, Any]) -> dict[str, Any]:
        found: list[dict[str, Any]] = []
        invalid: list[str] = []
        for name in params["Names"]:
            try:
                found.append(self._describe(name))
            except AwsError:
                invalid.append(name)
        return {"Parameters": found, "InvalidParameters": invalid}

    def get_parameters_by_path(self, params: Mapping[str, Any]) -> dict[str, Any]:
        prefix = params["Path"].rstrip("/") + "/"
        deep = params.get("Recursive", False)
        names = sorted(n for n in self._versions if n.startswith(prefix) and (deep or "/" not in n[len(prefix) :]))
        start = _start(params.get("NextToken"))
        end = start + int(params.get("MaxResults", PAGE))
        answer: dict[str, Any] = {"Parameters": [self._describe(name) for name in names[start:end]]}
        return answer | ({"NextToken": str(end)} if end < len(names) else {})

    def delete_parameter(self, params: Mapping[str, Any]) -> dict[str, Any]:
        if self._versions.pop(params["Name"], None) is None:
            raise AwsError("ParameterNotFound", "")
        return {}

    def delete_parameters(self, params: Mapping[str, Any]) -> dict[str, Any]:
        deleted = [name for name in params["Names"] if self._versions.pop(name, None) is not None]
        return {
            "DeletedParameters": deleted,
            "InvalidParameters": [name for name in params["Names"] if name not in deleted],
        }

    def _describe(self, selector: str) -> dict[str, Any]:
        name, _, wanted = _plain_name(selector).partition(":")
        versions = self._versions.get(name)
        if not versions:
            # AWS gives no text with this error.
            raise AwsError("ParameterNotFound", "")
        matching = [version for version in versions if wanted in ("", str(version.number))]
        if not matching:
            text = f"Systems Manager could not find version {wanted} of {name}. Verify the version and try again."
            raise AwsError("ParameterVersionNotFound", text)
        return self._answer(name, matching[-1]) | ({"Selector": f":{wanted}"} if wanted else {})

    def _answer(self, name: str, version: Version) -> dict[str, Any]:
        return {
            "Name": name,
            "Type": version.type,
            "Value": version.value,
            "Version": version.number,
            "LastModifiedDate": timestamp(version.modified),
            "ARN": f"arn:aws:ssm:{self._region.name}:{self._region.account}:parameter/{name.lstrip('/')}",
            "DataType": version.data_type,
        }


def _validate_name(name: str) -> None:
    first = name.lstrip("/").partition("/")[0].lower()
    if not _NAME.fullmatch(name) or first.startswith(("ssm", "aws")):
        raise AwsError("ValidationException", _BAD_NAME)
    if "/" in name and not name.startswith("/"):
        raise AwsError("ValidationException", "Parameter name must be a fully qualified name.")


def _tier(value: str, asked: str | None, previous: Version | None) -> str:
    size = len(value.encode())
    if size > ADVANCED_BYTES:
        constraint = f"Member must have length less than or equal to {ADVANCED_BYTES}."
        raise AwsError(
            "ValidationException",
            f"1 validation error detected: Value at 'value' failed to satisfy constraint: {constraint}",
        )
    is_advanced = previous is not None and previous.tier == "Advanced"
    if asked == "Advanced" or (is_advanced and asked != "Standard"):
        return "Advanced"
    if is_advanced:
        raise AwsError("ValidationException", _NO_DOWNGRADE)
    if size <= STANDARD_BYTES:
        return "Standard"
    if asked != "Intelligent-Tiering":
        raise AwsError("ValidationException", _TOO_LARGE)
    return "Advanced"


def _plain_name(selector: str) -> str:
    if not selector.startswith("arn:"):
        return selector
    name = selector.partition(":parameter/")[2]
    return f"/{name}" if "/" in name else name


def _start(token: str | None) -> int:
    if token is None:
        return 0
    if not token.isdigit():
        raise AwsError("InvalidNextToken", "The specified token is not valid.")
    return int(token)
