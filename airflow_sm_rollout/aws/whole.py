"""Answers and requests whole, with what the installed botocore does not know of them.

botocore drops from an answer, without a word, what its service model lacks, and refuses to send it. AWS adds members faster than
environments change their boto3: Amazon MWAA 3.2.1 comes with botocore 1.42.84, which knows nothing of a variant's ``InstancePools``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from typing import Any

from botocore import xform_name
from botocore.parsers import ResponseParserError

_TEXT = "airflow_sm_rollout.text"
_REQUEST: ContextVar[Mapping[str, Any] | None] = ContextVar(
    "a request with members that botocore does not know", default=None
)


def read(client: Any, operation: str, **request: Any) -> dict[str, Any]:
    """An answer as AWS has written it, but for what is null: in JSON's types, so that moments are numbers.

    :param client: boto3's client of a service that speaks JSON.
    :param operation: AWS's name of the operation.
    :raises botocore.parsers.ResponseParserError: if it is none of AWS's.
    """
    client.meta.events.register(_event("after-call", client, operation), _keep_text, unique_id=f"{_TEXT} {operation}")
    answer = getattr(client, xform_name(operation))(**request)
    told = answer.get("ResponseMetadata", {})
    # A client that plays AWS without a wire has no text, and drops nothing.
    said: dict[str, Any] = _without_nulls(_parse(told.pop(_TEXT), operation) if _TEXT in told else answer)
    said.pop("ResponseMetadata", None)
    return said


def _parse(text: bytes, operation: str) -> dict[str, Any]:
    try:
        written = json.loads(text)
    except (ValueError, RecursionError):
        written = None
    if not isinstance(written, dict):
        raise ResponseParserError(f"{operation} answered no JSON, so it was not AWS: {text[:80]!r}")
    return written


def send(client: Any, operation: str, request: Mapping[str, Any]) -> None:
    """Send a request with all its members.

    :param request: in JSON's types.
    """
    known = _known(client.meta.service_model.operation_model(operation).input_shape, request)
    call = getattr(client, xform_name(operation))
    if known == request:
        call(**request)
        return
    event = _event("before-call", client, operation)
    client.meta.events.register(event, _write_whole, unique_id=f"{_REQUEST.name} {operation}")
    token = _REQUEST.set(request)
    try:
        call(**known)
    finally:
        _REQUEST.reset(token)


def unknown_members(client: Any, operation: str, answer: Mapping[str, Any]) -> list[str]:
    """What botocore's model lacks of an answer, as paths such as ``ProductionVariants[].InstancePools``."""
    shape = client.meta.service_model.operation_model(operation).output_shape
    return list(dict.fromkeys(_unknown(shape, answer, "")))


def _unknown(shape: Any, value: Any, path: str) -> Iterator[str]:
    if shape.type_name == "list":
        for item in value:
            yield from _unknown(shape.member, item, f"{path}[]")
    elif shape.type_name == "structure":
        for name, each in value.items():
            at = f"{path}.{name}".lstrip(".")
            if name in shape.members:
                yield from _unknown(shape.members[name], each, at)
            else:
                yield at


def _known(shape: Any, value: Any) -> Any:
    """The value without what the model lacks."""
    if shape.type_name == "list":
        return [_known(shape.member, item) for item in value]
    if shape.type_name != "structure":
        return value
    return {name: _known(shape.members[name], each) for name, each in value.items() if name in shape.members}


def _without_nulls(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_nulls(each) for each in value]
    if isinstance(value, dict):
        return {name: _without_nulls(each) for name, each in value.items() if each is not None}
    return value


def _event(kind: str, client: Any, operation: str) -> str:
    return f"{kind}.{client.meta.service_model.service_id.hyphenize()}.{operation}"


def _keep_text(http_response: Any, parsed: dict[str, Any], **_: Any) -> None:
    if http_response.status_code < 300 and http_response.raw is not None:
        parsed.setdefault("ResponseMetadata", {})[_TEXT] = http_response.content


def _write_whole(params: dict[str, Any], **_: Any) -> None:
    request = _REQUEST.get()
    if request is not None:
        params["body"] = json.dumps(request).encode()
