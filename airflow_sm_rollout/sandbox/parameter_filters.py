"""Which filters DescribeParameters takes, in AWS's words, and which parameters pass them.

The texts are those that moto's tests quote.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from airflow_sm_rollout.sandbox.errors import AwsError
from airflow_sm_rollout.sandbox.parameter_records import Parameter, key_of

Filter = Mapping[str, Any]

_PATH = re.compile(r"(/[\w.-]+)*/?", re.ASCII)
_BAD_PATH = (
    "The parameter doesn't meet the parameter name requirements. The parameter name must begin with a forward slash "
    '"/". It can\'t be prefixed with "aws" or "ssm" (case-insensitive). It must use only letters, numbers, or the '
    "following symbols: . (period), - (hyphen), _ (underscore). Special characters are not allowed. All sub-paths, if "
    'specified, must use the forward slash symbol "/". Valid example: /get/parameters2-/by1./path0_.'
)
_KEYS = ("Path", "Name", "Type", "KeyId", "Tier")
_VALUES: Mapping[str, Sequence[str]] = {
    "Tier": ("Standard", "Advanced", "Intelligent-Tiering"),
    "Type": ("String", "StringList", "SecureString"),
}
_OWN: Mapping[str, Callable[[Parameter], str]] = {
    "Type": lambda parameter: parameter.newest.type,
    "KeyId": lambda parameter: parameter.newest.key_id or "",
    "Tier": lambda parameter: parameter.newest.tier,
    "DataType": lambda parameter: parameter.newest.data_type,
}


def filters_of(params: Mapping[str, Any]) -> list[Filter]:
    """The filters of a call, of the old kind or of the new one.

    :raises AwsError: if they are of both kinds, or AWS would refuse one.
    """
    if params.get("Filters") and params.get("ParameterFilters"):
        raise AwsError("ValidationException", "You can use either Filters or ParameterFilters in a single request.")
    filters = params.get("ParameterFilters", ())
    for key, times in Counter(each["Key"] for each in filters).items():
        if times > 1:
            text = f"The following filter is duplicated in the request: {key}."
            once = "A request can contain only one occurrence of a specific filter."
            raise AwsError("InvalidFilterKey", f"{text} {once}")
    for each in filters:
        _validate(each)
    return [*filters, *params.get("Filters", ())]


def _validate(each: Filter) -> None:
    key, values = each["Key"], each.get("Values", ())
    if key.startswith("tag:"):
        return
    if key not in (*_KEYS, *_OWN):
        valid = ", ".join(_KEYS)
        text = f"The following filter key is not valid: {key}. Valid filter keys include: [{valid}]"
        raise AwsError("InvalidFilterKey", text)
    if not values:
        raise AwsError("InvalidFilterValue", f"The following filter values are missing : null for filter key {key}")
    for value in values:
        if value not in _VALUES.get(key, (value,)):
            valid = ", ".join(_VALUES[key])
            text = f"The following filter value is not valid: {value}. Valid values include: [{valid}]"
            raise AwsError("InvalidFilterValue", text)
    _validate_option(key, each.get("Option"))
    if key == "Path":
        _validate_paths(values)


def _validate_option(key: str, option: str | None) -> None:
    if key == "Path":
        valid, shown = ("Recursive", "OneLevel"), "[Recursive, OneLevel]"
    else:
        # AWS's text leaves Contains out, which is for names only.
        valid, shown = ("BeginsWith", "Equals", *(("Contains",) if key == "Name" else ())), "[BeginsWith, Equals]."
    if option is not None and option not in valid:
        text = f"The following filter option is not valid: {option}. Valid options include: {shown}"
        raise AwsError("InvalidFilterOption", text)


def _validate_paths(paths: Iterable[str]) -> None:
    for path in paths:
        if path.lower().lstrip("/").startswith(("aws", "ssm")):
            text = 'Filters for common parameters can\'t be prefixed with "aws" or "ssm" (case-insensitive).'
            raise AwsError("ValidationException", text)
        if not path.startswith("/") or not _PATH.fullmatch(path):
            raise AwsError("ValidationException", _BAD_PATH)


def passes(parameter: Parameter, each: Filter) -> bool:
    """Whether a parameter passes a filter."""
    key, option, wanted = each["Key"], each.get("Option", "Equals"), each.get("Values", ())
    if key == "Path":
        return any(is_below(parameter.name, path, deep=option == "Recursive") for path in wanted)
    if key.startswith("tag:"):
        own = parameter.tags.get(key[4:])
        return own is not None and (not wanted or _matches(own, wanted, option))
    if key == "Name":
        return _matches(_full(parameter.name), map(_full if option != "Contains" else str, wanted), option)
    return _matches(_OWN[key](parameter), wanted, option)


def is_below(name: str, path: str, *, deep: bool) -> bool:
    """Whether a parameter stands below a path; one without a slash stands at the root.

    :param deep: not only right below it.
    """
    prefix = path.rstrip("/") + "/"
    full = _full(name)
    return full.startswith(prefix) and (deep or "/" not in full[len(prefix) :])


def _full(name: str) -> str:
    return f"/{key_of(name)}"


def _matches(own: str, wanted: Iterable[str], option: str) -> bool:
    if option == "BeginsWith":
        return any(own.startswith(value) for value in wanted)
    if option == "Contains":
        return any(value in own for value in wanted)
    return own in wanted
