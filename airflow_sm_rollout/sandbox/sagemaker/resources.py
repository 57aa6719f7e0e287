"""Resources of one kind by name, with SageMaker's errors and its way of listing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Generic, Protocol, TypeVar

from airflow_sm_rollout.sandbox.errors import AwsError
from airflow_sm_rollout.sandbox.sagemaker.region import Region

PAGE = 10


class Resource(Protocol):
    """What a listing needs to know. Times are seconds since the epoch."""

    @property
    def name(self) -> str: ...
    @property
    def arn(self) -> str: ...
    @property
    def created(self) -> float: ...


R = TypeVar("R", bound=Resource)


class Resources(Generic[R]):
    """All resources of one kind. Names differ by more than case: AWS looks them up case-insensitively.

    :param kind: the kind in an ARN, e.g. ``endpoint-config``.
    :param words: the kind in an error's text, e.g. ``endpoint configuration``.
    """

    def __init__(self, region: Region, kind: str, words: str) -> None:
        self._region = region
        self._kind = kind
        self._words = words
        self._by_name: dict[str, R] = {}

    def arn(self, name: str) -> str:
        return self._region.arn(self._kind, name)

    def refuse_existing(self, name: str) -> None:
        """:raises AwsError: AWS's ``Cannot create already existing ...`` if the name is taken."""
        if name.lower() in self._by_name:
            raise AwsError("ValidationException", f'Cannot create already existing {self._words} "{self.arn(name)}".')

    def add(self, resource: R, tags: Sequence[Mapping[str, str]]) -> None:
        self._region.tags.put(resource.arn, tags)
        self._by_name[resource.name.lower()] = resource

    def find(self, name: str) -> R | None:
        return self._by_name.get(name.lower())

    def named(self, name: str) -> R:
        """:raises AwsError: AWS's ``Could not find ...``, which is a ValidationException."""
        found = self.find(name)
        if found is None:
            raise AwsError("ValidationException", f'Could not find {self._words} "{self.arn(name)}".')
        return found

    def remove(self, resource: R) -> None:
        self._region.tags.forget(resource.arn)
        del self._by_name[resource.name.lower()]

    def __iter__(self) -> Iterator[R]:
        return iter(list(self._by_name.values()))


def page_of(
    resources: Iterable[R], params: Mapping[str, Any], member: str, summary: Callable[[R], dict[str, Any]]
) -> dict[str, Any]:
    """One page of a List operation, by the parameters that SageMaker's List operations share.

    :param member: the list's name in the answer, e.g. ``Endpoints``.
    :param summary: the entry of one resource; ``StatusEquals`` and the times are matched on it.
    :raises AwsError: ``ValidationException`` for a token that no earlier page gave out.
    """
    newest_first = params.get("SortOrder", "Descending") == "Descending"
    matching = [
        (resource, entry) for resource in resources if _matches(resource.name, entry := summary(resource), params)
    ]
    matching.sort(
        key=lambda pair: _sort_key(pair[0], pair[1], params.get("SortBy", "CreationTime")), reverse=newest_first
    )
    start = start_of(params.get("NextToken"))
    end = start + int(params.get("MaxResults", PAGE))
    answer: dict[str, Any] = {member: [entry for _, entry in matching[start:end]]}
    return answer | ({"NextToken": str(end)} if end < len(matching) else {})


def start_of(token: str | None) -> int:
    """Where a page begins.

    :raises AwsError: for a token that no earlier page gave out.
    """
    if token is None:
        return 0
    if not token.isdigit():
        raise AwsError("ValidationException", "Invalid pagination token given.")
    return int(token)


def _sort_key(resource: Resource, entry: Mapping[str, Any], by: str) -> Any:
    if by == "CreationTime":
        return (resource.created, resource.name)
    return resource.name if by == "Name" else (str(_status(entry)), resource.name)


def _matches(name: str, entry: Mapping[str, Any], params: Mapping[str, Any]) -> bool:
    if params.get("NameContains", "").lower() not in name.lower():
        return False
    if params.get("StatusEquals", _status(entry)) != _status(entry):
        return False
    return all(_within(entry, params, member) for member in ("CreationTime", "LastModifiedTime"))


def _status(entry: Mapping[str, Any]) -> Any:
    return entry.get("EndpointStatus", entry.get("InferenceComponentStatus"))


def _within(entry: Mapping[str, Any], params: Mapping[str, Any], member: str) -> bool:
    before: datetime | None = params.get(f"{member}Before")
    after: datetime | None = params.get(f"{member}After")
    return (before is None or entry[member] < before) and (after is None or entry[member] > after)
