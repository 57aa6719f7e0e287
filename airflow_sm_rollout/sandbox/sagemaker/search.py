"""Search over what the sandbox has itself; what moto has is moto's to answer, and the rest is refused by name.

Each record is what the Describe operation of its kind answers, cut down to the members that the service model gives a
record, with the resource's tags.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any

from botocore.utils import parse_timestamp
from moto.core.utils import get_service_model

from airflow_sm_rollout.sandbox.errors import AwsError
from airflow_sm_rollout.sandbox.sagemaker.resources import PAGE, start_of
from airflow_sm_rollout.sandbox.sagemaker.tags import Tags
from airflow_sm_rollout.sandbox.surface import PassOn, not_played

Record = Mapping[str, Any]
Records = Callable[[], Iterable[Record]]

MOTOS = ("Experiment", "ExperimentTrial", "ExperimentTrialComponent", "FeatureGroup", "Pipeline")
_MISSING = object()
_BY_SIZE: Mapping[str, Callable[[Any, Any], bool]] = {
    "GreaterThan": lambda actual, wanted: actual > wanted,
    "GreaterThanOrEqualTo": lambda actual, wanted: actual >= wanted,
    "LessThan": lambda actual, wanted: actual < wanted,
    "LessThanOrEqualTo": lambda actual, wanted: actual <= wanted,
}


class Search:
    """The Search operation.

    :param tags: those of all resources.
    :param records: by the ResourceType of a search, what gives the descriptions of all resources of it.
    """

    def __init__(self, tags: Tags, records: Mapping[str, Records]) -> None:
        self._tags = tags
        self._records = records

    def search(self, params: Mapping[str, Any]) -> dict[str, Any]:
        kind = params["Resource"]
        if kind in MOTOS:
            raise PassOn
        if kind not in self._records:
            raise not_played(f"Search for the resource {kind}")
        expression = params.get("SearchExpression", {})
        found = [record for record in map(self._record_of(kind), self._records[kind]()) if _holds(expression, record)]
        ordered = _sorted(found, params)
        start = start_of(params.get("NextToken"))
        end = start + int(params.get("MaxResults", PAGE))
        answer: dict[str, Any] = {
            "Results": [{kind: record} for record in ordered[start:end]],
            "TotalHits": {"Value": len(ordered), "Relation": "EqualTo"},
        }
        return answer | ({"NextToken": str(end)} if end < len(ordered) else {})

    def _record_of(self, kind: str) -> Callable[[Record], Record]:
        shown = _members(kind)

        def record(described: Record) -> Record:
            tags = self._tags.of(described[f"{kind}Arn"])
            return {name: value for name, value in described.items() if name in shown} | (
                {"Tags": tags} if tags else {}
            )

        return record


@cache
def _members(kind: str) -> frozenset[str]:
    return frozenset(get_service_model("sagemaker").shape_for(kind).members)


def _sorted(records: list[Record], params: Mapping[str, Any]) -> list[Record]:
    by = params.get("SortBy", "LastModifiedTime")
    newest_first = params.get("SortOrder", "Descending") == "Descending"

    def key(record: Record) -> tuple[bool, Any]:
        value = _value_at(record, by)
        value = record["CreationTime"] if value is _MISSING and by == "LastModifiedTime" else value
        return (value is not _MISSING, "" if value is _MISSING else _comparable(value))

    return sorted(records, key=key, reverse=newest_first)


def _holds(expression: Mapping[str, Any], record: Record) -> bool:
    answers = [
        *(_passes(each, record) for each in expression.get("Filters", ())),
        *(_some_entry_passes(each, record) for each in expression.get("NestedFilters", ())),
        *(_holds(each, record) for each in expression.get("SubExpressions", ())),
    ]
    if not answers:
        return True
    return any(answers) if expression.get("Operator") == "Or" else all(answers)


def _some_entry_passes(nested: Mapping[str, Any], record: Record) -> bool:
    path = nested["NestedPropertyName"]
    entries = _value_at(record, path)
    if not isinstance(entries, Sequence) or isinstance(entries, str):
        return False
    inner = [{**each, "Name": each["Name"].removeprefix(f"{path}.")} for each in nested["Filters"]]
    return any(all(_passes(each, entry) for each in inner) for entry in entries if isinstance(entry, Mapping))


def _passes(wish: Mapping[str, Any], record: Record) -> bool:
    """Whether a record passes one filter; one without an operator asks for equality, one without a value for existence."""
    actual = _value_at(record, wish["Name"])
    operator = wish.get("Operator", "Equals" if "Value" in wish else "Exists")
    if operator in ("Exists", "NotExists"):
        return bool((actual is not _MISSING) == (operator == "Exists"))
    if actual is _MISSING:
        return bool(operator == "NotEquals")
    return _compares(actual, operator, wish.get("Value", ""))


def _compares(actual: Any, operator: str, wanted: str) -> bool:
    if operator == "Contains":
        return wanted in str(actual)
    if operator == "In":
        return _text(actual) in wanted.split(",")
    if operator in ("Equals", "NotEquals"):
        return (_text(actual) == _text(_as_kind_of(actual, wanted))) == (operator == "Equals")
    return _BY_SIZE[operator](_comparable(actual), _comparable(_as_kind_of(actual, wanted)))


def _value_at(record: Record, path: str) -> Any:
    """What a record has at ``A.B`` or ``Tags.key``, else :data:`_MISSING`."""
    name, _, rest = path.partition(".")
    value = record.get(name, _MISSING)
    if name == "Tags" and rest:
        return next((tag["Value"] for tag in record.get("Tags", ()) if tag["Key"] == rest), _MISSING)
    if not rest or value is _MISSING:
        return value
    return _value_at(value, rest) if isinstance(value, Mapping) else _MISSING


def _as_kind_of(actual: Any, text: str) -> Any:
    """A filter's text as a value that can stand beside a record's.

    :raises AwsError: ``ValidationException`` if it can't.
    """
    try:
        if isinstance(actual, datetime):
            return parse_timestamp(text)
        return float(text) if isinstance(actual, (int, float)) and not isinstance(actual, bool) else text
    except ValueError:
        raise AwsError("ValidationException", f"The filter's value {text!r} is of another type.") from None


def _comparable(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.timestamp()
    return value if isinstance(value, (int, float)) else str(value)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return str(float(value)) if isinstance(value, (int, float)) else str(_comparable(value))
