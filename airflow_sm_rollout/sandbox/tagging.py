"""The Resource Groups Tagging API's GetResources, over what the sandbox has and what moto has."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from airflow_sm_rollout.sandbox.errors import AwsError

OWN_SERVICES = ("sagemaker", "ssm", "cloudwatch")
PAGE = 50

TagsByArn = Mapping[str, Mapping[str, str]]


class Tagging:
    """GetResources.

    :param own: the tags of the sandbox's own resources, by ARN.
    :param others: asks moto for GetResources with parameters, and gives its answer.
    """

    def __init__(self, own: Callable[[], TagsByArn], others: Callable[[Mapping[str, Any]], Mapping[str, Any]]) -> None:
        self._own = own
        self._others = others

    def get_resources(self, params: Mapping[str, Any]) -> dict[str, Any]:
        found = {arn: tags for arn, tags in self._own().items() if _is_wanted(arn, tags, params)}
        found |= {arn: tags for arn, tags in self._of_others(params) if _is_wanted(arn, tags, params)}
        arns = sorted(found)
        token = params.get("PaginationToken") or "0"
        if not token.isdecimal():
            raise AwsError("PaginationTokenExpiredException", "The pagination token is not valid.")
        end = int(token) + params.get("ResourcesPerPage", PAGE)
        members = [{"ResourceARN": arn, "Tags": _as_list(found[arn])} for arn in arns[int(token) : end]]
        return {"ResourceTagMappingList": members, "PaginationToken": str(end) if end < len(arns) else ""}

    def _of_others(self, params: Mapping[str, Any]) -> Iterable[tuple[str, dict[str, str]]]:
        types = [each.partition(":")[0] for each in params.get("ResourceTypeFilters", ())]
        if types and set(types) <= set(OWN_SERVICES):
            return
        asked = {name: params[name] for name in ("TagFilters", "ResourceTypeFilters") if name in params}
        for each in self._others(asked).get("ResourceTagMappingList", ()):
            if each["ResourceARN"].split(":")[2] not in OWN_SERVICES:
                yield each["ResourceARN"], {tag["Key"]: tag["Value"] for tag in each["Tags"]}


def _is_wanted(arn: str, tags: Mapping[str, str], params: Mapping[str, Any]) -> bool:
    if not tags or arn not in params.get("ResourceARNList", (arn,)):
        return False
    types = params.get("ResourceTypeFilters")
    if types and not any(_is_of(arn, each) for each in types):
        return False
    return all(
        each["Key"] in tags and (not each.get("Values") or tags[each["Key"]] in each["Values"])
        for each in params.get("TagFilters", ())
    )


def _is_of(arn: str, resource_type: str) -> bool:
    service, _, kind = resource_type.partition(":")
    own = arn.split(":", 5)
    return own[2] == service and (not kind or own[5].replace(":", "/").partition("/")[0] == kind)


def _as_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]
