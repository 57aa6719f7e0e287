"""SSM's Parameter Store: PutParameter without Overwrite is atomic, which makes a parameter a lock.

Parameters of AWS's own (``/aws/...``) are moto's to answer. A name of one segment is one parameter with and without a slash before it.

Limits and texts are those of the Systems Manager guide and API reference.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from airflow_sm_rollout.sandbox.errors import AwsError
from airflow_sm_rollout.sandbox.parameter_filters import Filter, filters_of, is_below, passes
from airflow_sm_rollout.sandbox.parameter_records import Parameter, Version, key_of
from airflow_sm_rollout.sandbox.sagemaker.region import Region, timestamp
from airflow_sm_rollout.sandbox.surface import PassOn, not_played

STANDARD_BYTES = 4096
ADVANCED_BYTES = 8192
PAGE = 10
MAX_PAGE = 50
MAX_HISTORY = 100
MAX_LABELS = 10
MAX_TAGS = 50
BY_PATH = ("Type", "KeyId")
DATA_TYPES = ("text", "aws:ec2:image", "aws:ssm:integration")
DEFAULT_KEY = "alias/aws/ssm"
Item = TypeVar("Item")

_NAME = re.compile(r"/?[\w.-]+(/[\w.-]+)*", re.ASCII)
_LABEL = re.compile(r"(?!aws|ssm|\d)[\w.-]{1,100}", re.ASCII | re.IGNORECASE)
_NO_TAGS = (
    "Invalid request: tags and overwrite can't be used together. To create a parameter with tags, please remove "
    "overwrite flag. To update tags for an existing parameter, please use AddTagsToResource or RemoveTagsFromResource."
)
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
    "This parameter uses the advanced-parameter tier. You can't downgrade a parameter from the advanced-parameter tier to the "
    "standard-parameter tier. If necessary, you can delete the advanced parameter and recreate it as a standard parameter."
)


class Parameters:
    """Parameter Store's operations, and those on tags as far as they are about parameters."""

    def __init__(self, region: Region) -> None:
        self._region = region
        self._parameters: dict[str, Parameter] = {}

    def put_parameter(self, params: Mapping[str, Any]) -> dict[str, Any]:
        name = params["Name"]
        _validate_name(name)
        if "Policies" in params:
            raise not_played("PutParameter with Policies")
        found = self._parameters.get(key_of(name))
        if found is not None and not params.get("Overwrite", False):
            raise AwsError("ParameterAlreadyExists", _EXISTS)
        if found is not None and "Tags" in params:
            raise AwsError("ValidationException", _NO_TAGS)
        version = self._next_version(params, found.newest if found else None)
        if found is None:
            tags = {tag["Key"]: tag["Value"] for tag in params.get("Tags", ())}
            self._parameters[key_of(name)] = Parameter(name, [version], tags)
        else:
            _refuse_to_forget_labels(found)
            found.versions = [*found.versions, version][-MAX_HISTORY:]
        return {"Version": version.number, "Tier": version.tier}

    def _next_version(self, params: Mapping[str, Any], previous: Version | None) -> Version:
        type_ = params.get("Type") or (previous.type if previous else None)
        if type_ is None:
            raise AwsError("ValidationException", "A parameter type is required when you create a parameter.")
        data_type = params.get("DataType") or (previous.data_type if previous else "text")
        if data_type not in DATA_TYPES:
            raise AwsError(
                "ValidationException",
                f"The following data type is not supported: {data_type} (Data type names are all lowercase.)",
            )
        pattern = params.get("AllowedPattern", previous.allowed_pattern if previous else None)
        _validate_value(params["Value"], pattern)
        key_id = params.get("KeyId", (previous and previous.key_id) or DEFAULT_KEY) if type_ == "SecureString" else None
        return Version(
            previous.number + 1 if previous else 1,
            params["Value"],
            type_,
            data_type,
            _tier(params["Value"], params.get("Tier"), previous),
            self._region.now(),
            key_id,
            params.get("Description", previous.description if previous else None),
            pattern,
        )

    def get_parameter(self, params: Mapping[str, Any]) -> dict[str, Any]:
        _leave_aws_own(params["Name"])
        return {"Parameter": self._describe(params["Name"], params)}

    def get_parameters(self, params: Mapping[str, Any]) -> dict[str, Any]:
        if all(_is_aws_own(name) for name in params["Names"]):
            raise PassOn
        found: list[dict[str, Any]] = []
        invalid: list[str] = []
        for name in dict.fromkeys(params["Names"]):
            try:
                found.append(self._describe(name, params))
            except AwsError:
                invalid.append(name)
        return {"Parameters": found, "InvalidParameters": invalid}

    def get_parameters_by_path(self, params: Mapping[str, Any]) -> dict[str, Any]:
        _leave_aws_own(params["Path"])
        path, deep = params["Path"], params.get("Recursive", False)
        _refuse_other_keys(params.get("ParameterFilters", ()))
        filters = filters_of(params)
        found = [
            parameter.name
            for parameter in self._sorted()
            if is_below(parameter.name, path, deep=deep) and all(passes(parameter, each) for each in filters)
        ]
        names, token = _page(found, params, PAGE)
        return {"Parameters": [self._describe(name, params) for name in names], **token}

    def get_parameter_history(self, params: Mapping[str, Any]) -> dict[str, Any]:
        parameter = self._named(params["Name"])
        versions, token = _page(parameter.versions, params, MAX_PAGE)
        members: list[dict[str, Any]] = [
            {
                **_metadata(self._region.account, parameter.name, version),
                "Value": _shown(version, params),
                "Labels": sorted(version.labels),
            }
            for version in versions
        ]
        return {"Parameters": members, **token}

    def describe_parameters(self, params: Mapping[str, Any]) -> dict[str, Any]:
        filters = filters_of(params)
        found = [parameter for parameter in self._sorted() if all(passes(parameter, each) for each in filters)]
        chosen, token = _page(found, params, PAGE)
        members: list[dict[str, Any]] = [
            {**_metadata(self._region.account, parameter.name, parameter.newest), "ARN": self._arn(parameter.name)}
            for parameter in chosen
        ]
        return {"Parameters": members, **token}

    def delete_parameter(self, params: Mapping[str, Any]) -> dict[str, Any]:
        if self._parameters.pop(key_of(params["Name"]), None) is None:
            raise AwsError("ParameterNotFound", "")
        return {}

    def delete_parameters(self, params: Mapping[str, Any]) -> dict[str, Any]:
        deleted = [name for name in params["Names"] if self._parameters.pop(key_of(name), None) is not None]
        return {
            "DeletedParameters": deleted,
            "InvalidParameters": [name for name in params["Names"] if name not in deleted],
        }

    def label_parameter_version(self, params: Mapping[str, Any]) -> dict[str, Any]:
        parameter = self._named(params["Name"])
        version = _numbered(parameter, params.get("ParameterVersion", parameter.newest.number))
        valid = [label for label in params["Labels"] if _LABEL.fullmatch(label)]
        if len(version.labels | set(valid)) > MAX_LABELS:
            raise AwsError(
                "ParameterVersionLabelLimitExceeded",
                f"A parameter version can have maximum {MAX_LABELS} labels.Move one or more labels to another version "
                "and try again.",
            )
        for other in parameter.versions:
            other.labels.difference_update(valid)
        version.labels.update(valid)
        return {
            "InvalidLabels": [label for label in params["Labels"] if label not in valid],
            "ParameterVersion": version.number,
        }

    def unlabel_parameter_version(self, params: Mapping[str, Any]) -> dict[str, Any]:
        version = _numbered(self._named(params["Name"]), params["ParameterVersion"])
        removed = [label for label in params["Labels"] if label in version.labels]
        version.labels.difference_update(removed)
        return {"RemovedLabels": removed, "InvalidLabels": [each for each in params["Labels"] if each not in removed]}

    def add_tags_to_resource(self, params: Mapping[str, Any]) -> dict[str, Any]:
        tags = self._tags(params)
        merged = tags | {tag["Key"]: tag["Value"] for tag in params["Tags"]}
        if len(merged) > MAX_TAGS:
            raise AwsError("TooManyTagsError", f"a parameter can have {MAX_TAGS} tags")
        tags.update(merged)
        return {}

    def remove_tags_from_resource(self, params: Mapping[str, Any]) -> dict[str, Any]:
        tags = self._tags(params)
        for key in params["TagKeys"]:
            tags.pop(key, None)
        return {}

    def list_tags_for_resource(self, params: Mapping[str, Any]) -> dict[str, Any]:
        return {"TagList": [{"Key": key, "Value": value} for key, value in self._tags(params).items()]}

    def newest(self, name: str) -> Version | None:
        """What a parameter holds now; ``None`` if there is none of this name."""
        found = self._parameters.get(key_of(name))
        return found.newest if found else None

    def all_tags(self) -> dict[str, dict[str, str]]:
        """The tags of all parameters, by ARN."""
        return {self._arn(parameter.name): dict(parameter.tags) for parameter in self._parameters.values()}

    def _tags(self, params: Mapping[str, Any]) -> dict[str, str]:
        if params["ResourceType"] != "Parameter":
            raise PassOn
        found = self._parameters.get(key_of(params["ResourceId"]))
        if found is None:
            raise AwsError("InvalidResourceId", "")
        return found.tags

    def _sorted(self) -> list[Parameter]:
        return sorted(self._parameters.values(), key=lambda parameter: parameter.name)

    def _named(self, name: str) -> Parameter:
        found = self._parameters.get(key_of(_plain_name(name)))
        if found is None:
            # AWS gives no text with this error.
            raise AwsError("ParameterNotFound", "")
        return found

    def _describe(self, selector: str, params: Mapping[str, Any]) -> dict[str, Any]:
        name, _, wanted = _plain_name(selector).partition(":")
        parameter = self._named(name)
        if ":" in wanted:
            raise AwsError("ParameterNotFound", "")
        version = _selected(parameter, wanted)
        return {
            "Name": parameter.name,
            "Type": version.type,
            "Value": _shown(version, params),
            "Version": version.number,
            "LastModifiedDate": timestamp(version.modified),
            "ARN": self._arn(parameter.name),
            "DataType": version.data_type,
        } | ({"Selector": f":{wanted}"} if wanted else {})

    def _arn(self, name: str) -> str:
        return self._region.arn_of("ssm", f"parameter/{name.lstrip('/')}")


def _refuse_other_keys(filters: Sequence[Filter]) -> None:
    """Hold the filters to those of GetParametersByPath, which are fewer."""
    for key in (each["Key"] for each in filters):
        if key == "Label":
            raise not_played("GetParametersByPath with a filter on Label")
        if key not in BY_PATH:
            text = f"The following filter key is not valid: {key}. Valid filter keys include: [{', '.join(BY_PATH)}]."
            raise AwsError("InvalidFilterKey", text)


def _is_aws_own(name: str) -> bool:
    return name.startswith("/aws/")


def _leave_aws_own(name: str) -> None:
    if _is_aws_own(name):
        raise PassOn


def _selected(parameter: Parameter, wanted: str) -> Version:
    """The version of a number or a label; the newest if neither is given."""
    if wanted == "":
        return parameter.newest
    if wanted.isdigit():
        return _numbered(parameter, int(wanted))
    for version in parameter.versions:
        if wanted in version.labels:
            return version
    text = f"Systems Manager could not find label {wanted} for {parameter.name}. Verify the label and try again."
    raise AwsError("ParameterVersionNotFound", text)


def _numbered(parameter: Parameter, number: int) -> Version:
    for version in parameter.versions:
        if version.number == number:
            return version
    text = f"Systems Manager could not find version {number} of {parameter.name}. Verify the version and try again."
    raise AwsError("ParameterVersionNotFound", text)


def _shown(version: Version, params: Mapping[str, Any]) -> str:
    """What a reader gets: of a secret, something that only looks encrypted unless it asks for decryption."""
    if version.type != "SecureString" or params.get("WithDecryption", False):
        return version.value
    return base64.b64encode(b"\x01\x02\x02\x00x" + hashlib.sha512(version.value.encode()).digest()).decode()


def _metadata(account: str, name: str, version: Version) -> dict[str, Any]:
    members: dict[str, Any] = {
        "Name": name,
        "Type": version.type,
        "KeyId": version.key_id,
        "LastModifiedDate": timestamp(version.modified),
        "LastModifiedUser": f"arn:aws:iam::{account}:user/sandbox",
        "Description": version.description,
        "AllowedPattern": version.allowed_pattern,
        "Version": version.number,
        "Tier": version.tier,
        "Policies": [],
        "DataType": version.data_type,
    }
    return {member: value for member, value in members.items() if value is not None}


def _validate_name(name: str) -> None:
    first = name.lstrip("/").partition("/")[0].lower()
    is_path = "/" in name
    if is_path and first.startswith("aws"):
        raise AwsError("AccessDeniedException", f"No access to reserved parameter name: {name}.")
    if not is_path and first.startswith(("ssm", "aws")):
        text = 'Parameter name: can\'t be prefixed with "aws" or "ssm" (case-insensitive).'
        raise AwsError("ValidationException", text)
    if not _NAME.fullmatch(name) or first.startswith("ssm"):
        raise AwsError("ValidationException", _BAD_NAME)
    if "/" in name and not name.startswith("/"):
        raise AwsError("ValidationException", "Parameter name must be a fully qualified name.")


def _validate_value(value: str, pattern: str | None) -> None:
    if not value:
        constraint = (
            "Value '' at 'value' failed to satisfy constraint: Member must have length greater than or equal to 1."
        )
        raise AwsError("ValidationException", f"1 validation error detected: {constraint}")
    try:
        if pattern is not None and not re.fullmatch(pattern, value):
            text = f"Parameter value, cannot be validated against allowedPattern: {pattern}"
            raise AwsError("ParameterPatternMismatchException", text)
    except re.error:
        raise AwsError("InvalidAllowedPatternException", f"The pattern {pattern} is not valid.") from None


def _refuse_to_forget_labels(parameter: Parameter) -> None:
    oldest = parameter.versions[0]
    if len(parameter.versions) >= MAX_HISTORY and oldest.labels:
        text = (
            f"You attempted to create a new version of {parameter.name} by calling the PutParameter API with the overwrite "
            f"flag. Version {oldest.number}, the oldest version, can't be deleted because it has a label associated with it. "
            "Move the label to another version of the parameter, and try again."
        )
        raise AwsError("ParameterMaxVersionLimitExceeded", text)


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
    return "/" + selector.partition(":parameter/")[2]


def _page(found: list[Item], params: Mapping[str, Any], size: int) -> tuple[list[Item], dict[str, Any]]:
    start = _start(params.get("NextToken"))
    end = start + int(params.get("MaxResults", size))
    return found[start:end], {"NextToken": str(end)} if end < len(found) else {}


def _start(token: str | None) -> int:
    if token is None:
        return 0
    if not token.isdigit():
        raise AwsError("InvalidNextToken", "The specified token is not valid.")
    return int(token)
