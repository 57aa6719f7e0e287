"""Requests made from the service models: parameters that hold to them, and mutations of these that do not."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from random import Random
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

from moto.core.utils import get_service_model

from airflow_sm_rollout.sandbox import cbor
from airflow_sm_rollout.sandbox.wire import CBOR, HttpRequest

SIGNED = "AWS4-HMAC-SHA256 Credential=x/20260101/us-east-1/{}/aws4_request, SignedHeaders=host, Signature=0"
_DEPTH = 6
_TEXTS = (
    "a",
    "arn:aws:iam::123456789012:role/name",
    "s3://bucket/key",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "1",
    "/a",
)
_ODD: tuple[Any, ...] = (
    None, "", "x" * 3000, "\u20ac\U0001f600", "<&>\"'",
    "None", True, -1, 0, 1, 10**12, 1.5, [], [None], {}, {"x": 1}, [[1]], "NaN", b"\xff",
)  # fmt: skip


def protocols_of(service: str) -> tuple[str, ...]:
    """How requests to a service may come."""
    if service == "cloudwatch":
        return (CBOR, "json", "query")
    if service == "codedeploy":
        return (CBOR, "json")
    return ("rest-json",) if service in ("sagemaker-runtime", "lambda") else ("json",)


def call_of(service: str, operation: str, params: Any, protocol: str) -> HttpRequest:
    """A request as a client that checks nothing writes it."""
    model = get_service_model(service)
    headers = {"host": "localhost", "authorization": SIGNED.format(model.signing_name)}
    if protocol == CBOR:
        path = f"/service/GraniteServiceVersion20100801/operation/{operation}"
        return HttpRequest("POST", path, "", {**headers, "smithy-protocol": "rpc-v2-cbor"}, cbor.encode(params))
    if protocol == "query":
        form = {**headers, "content-type": "application/x-www-form-urlencoded"}
        return HttpRequest("POST", "/", "", form, urlencode([("Action", operation), *_flat("", params)]).encode())
    if service == "lambda":
        return _rest_call(model.operation_model(operation), dict(params), headers)
    if protocol == "rest-json":
        path = {"InvokeEndpoint": "invocations", "InvokeEndpointAsync": "async-invocations"}
        name = params.get("EndpointName") if isinstance(params, Mapping) else None
        where = f"/endpoints/{quote(str(name), safe='')}/{path.get(operation, 'invocations-response-stream')}"
        texts = {f"x-amzn-sagemaker-{key.lower()}": str(value) for key, value in dict(params).items()}
        return HttpRequest("POST", where, "", headers | _located(service, operation, params) | texts, b"{}")
    target = f"{model.metadata['targetPrefix']}.{operation}"
    body = json.dumps(params, default=_json).encode()
    return HttpRequest(
        "POST", "/", "", {**headers, "x-amz-target": target, "content-type": "application/x-amz-json-1.1"}, body
    )


def _rest_call(model: Any, params: dict[str, Any], headers: dict[str, str]) -> HttpRequest:
    """Each parameter where the model has it: in the path, in the query, in a header or in the body."""
    path, _, fixed = model.http["requestUri"].partition("?")
    query = dict(parse_qsl(fixed, keep_blank_values=True))
    body: dict[str, Any] = {}
    for name, value in params.items():
        member = model.input_shape.members.get(name)
        serialization = member.serialization if member else {}  # what the model does not know goes into the body
        location, key = serialization.get("location"), serialization.get("name", name)
        if location == "uri":
            path = path.replace(f"{{{key}}}", quote(str(value), safe="") or "-")
        elif location == "querystring":
            query[key] = str(value)
        elif location == "header":
            headers = {**headers, key.lower(): quote(str(value))}
        else:
            body[key] = value
    payload = model.input_shape.serialization.get("payload")
    written = b"{}" if payload else json.dumps(body, default=_json).encode()
    return HttpRequest(model.http["method"], path, urlencode(query), headers, written)


def _located(service: str, operation: str, params: Mapping[str, Any]) -> dict[str, str]:
    shape = get_service_model(service).operation_model(operation).input_shape
    return {
        member.serialization["name"].lower(): str(params[name])
        for name, member in shape.members.items()
        if member.serialization.get("location") == "header" and name in params
    }


def _json(value: Any) -> Any:
    return value.timestamp() if isinstance(value, datetime) else str(value)


def _flat(prefix: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for key, member in value.items():
            yield from _flat(f"{prefix}.{key}".lstrip("."), member)
    elif isinstance(value, list):
        for index, item in enumerate(value, 1):
            yield from _flat(f"{prefix}.member.{index}", item)
    elif value is not None:
        yield prefix, value.isoformat() if isinstance(value, datetime) else str(value)


def valid(shape: Any, *, everything: bool = False, depth: int = 0) -> Any:
    """A value that holds to a shape, with what it requires or with all members.

    Patterns are held where one of a few usual texts does.
    """
    if shape is None:
        return {}
    kind = shape.type_name
    if kind == "structure":
        wanted = shape.members if everything and depth < _DEPTH else shape.required_members
        return {
            name: valid(shape.members[name], everything=everything, depth=depth + 1)
            for name in wanted
            if depth < _DEPTH or name in shape.required_members
        }
    if kind == "list":
        count = max(shape.metadata.get("min", 0), 1 if depth < _DEPTH else 0)
        return [valid(shape.member, everything=everything, depth=depth + 1) for _ in range(count)]
    if kind == "map":
        return {valid(shape.key): valid(shape.value, everything=everything, depth=depth + 1)} if depth < _DEPTH else {}
    return _scalar(shape)


def _scalar(shape: Any) -> Any:
    from airflow_sm_rollout.sandbox.constraints import _broken

    if shape.type_name == "string":
        if shape.enum:
            return shape.enum[0]
        texts = [*_TEXTS, *(text * 40 for text in _TEXTS)]
        return next((text for text in texts if not list(_broken(shape, text))), "a" * shape.metadata.get("min", 1))
    if shape.type_name in ("integer", "long"):
        return shape.metadata.get("min", 1)
    if shape.type_name in ("float", "double"):
        return float(shape.metadata.get("min", 1))
    return {"boolean": True, "blob": b"{}", "timestamp": datetime(2026, 1, 1, tzinfo=timezone.utc)}[shape.type_name]


def mutation(shape: Any, random: Random) -> Any:
    """Parameters in which one to three places break the model."""
    params = valid(shape, everything=random.random() < 0.7)
    for _ in range(random.choice((1, 1, 2, 3))):
        params = _mutate(shape, params, random)
    return params


def _mutate(shape: Any, value: Any, random: Random) -> Any:
    if isinstance(value, dict) and value and random.random() < 0.8:
        key = random.choice(sorted(value))
        if random.random() < 0.15:
            return {name: member for name, member in value.items() if name != key}
        member = getattr(shape, "members", {}).get(key, getattr(shape, "value", shape))
        return {**value, key: _mutate(member, value[key], random)}
    if isinstance(value, list) and value and random.random() < 0.7:
        index = random.randrange(len(value))
        if random.random() < 0.2:
            return value * random.choice((2, 11, 60))
        return [*value[:index], _mutate(getattr(shape, "member", shape), value[index], random), *value[index + 1 :]]
    bounds = [shape.metadata[bound] for bound in ("min", "max") if bound in getattr(shape, "metadata", {})]
    beside = [bound + step for bound in bounds for step in (-1, 0, 1) if isinstance(bound, int)]
    if isinstance(value, str) and beside:
        return "a" * min(max(random.choice(beside), 0), 50_000)
    return random.choice([*_ODD, *beside])
