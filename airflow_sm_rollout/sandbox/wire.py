"""HTTP to AWS operation and back, for every protocol that a service's model lists.

Which service a request means is read from its SigV4 credential scope, as AWS does; the signature itself is not
checked. The shapes come from botocore's service models, and moto's protocol code walks them. Three things are done
here instead: CBOR (boto3's choice for CloudWatch), which moto does not have; errors, where AWS's codes go beyond the
modelled ones; and telling SageMaker from its runtime, which sign with one name.
"""

from __future__ import annotations

import gzip
import io
import json
import re
import uuid
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from functools import cache
from typing import Any
from urllib.parse import parse_qsl, unquote
from xml.sax.saxutils import escape

from botocore import parsers
from botocore.parsers import ResponseParserError
from botocore.utils import parse_timestamp
from moto.core.model import OperationModel, ServiceModel
from moto.core.parse import PROTOCOL_PARSERS
from moto.core.parse import RequestParserError as ParserError
from moto.core.serialize import get_serializer_class
from moto.core.utils import get_service_model
from werkzeug.datastructures import Headers, MultiDict

from airflow_sm_rollout.sandbox import cbor, rest
from airflow_sm_rollout.sandbox.errors import AwsError

CBOR = "smithy-rpc-v2-cbor"

_SCOPE = re.compile(r"Credential=[^/]+/\d{8}/([^/]+)/([^/]+)/aws4_request")
_SERVICES = {
    "monitoring": "cloudwatch",
    "codedeploy": "codedeploy",
    "lambda": "lambda",
    "ssm": "ssm",
    "sagemaker": "sagemaker",
    "application-autoscaling": "application-autoscaling",
    "tagging": "resourcegroupstaggingapi",
}
MAX_UNCOMPRESSED_BYTES = 16 * 1024 * 1024
_XML_ERROR_OF = {"s3": "<Error>{0}</Error>", "ec2": "<Response><Errors><Error>{0}</Error></Errors></Response>"}
_REST_JSON = ("lambda",)
_REST_XML = ("cloudfront", "route53")

_CBOR_PATH = re.compile(r"/service/\w+/operation/(\w+)$")
_INVOCATIONS_PATH = re.compile(r"/endpoints/([^/]+)/(invocations|async-invocations|invocations-response-stream)$")
_INVOCATIONS = {
    "invocations": "InvokeEndpoint",
    "async-invocations": "InvokeEndpointAsync",
    "invocations-response-stream": "InvokeEndpointWithResponseStream",
}


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """One request: ``path`` still percent-encoded, header names in lower case."""

    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """One answer, with its whole body."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


class AnswerLost(Exception):
    """The operation has taken effect and the connection is to be closed without an answer."""


@dataclass(frozen=True, slots=True)
class Call:
    """An operation of one of our services, as asked for.

    :param service: botocore's name, as :func:`.surface.operations` has them.
    :param operation: AWS's name, e.g. ``UpdateEndpoint``.
    :param protocol: how it came, and how it is to be answered.
    :param params: parsed by the input shape; times are aware datetimes.
    :param region: that of the client's signature; ``None`` for the sandbox's own.
    """

    service: str
    operation: str
    protocol: str
    params: Mapping[str, Any]
    region: str | None = None

    @property
    def model(self) -> OperationModel:
        return operation_model(self.service, self.operation)

    @property
    def is_invocation(self) -> bool:
        """Whether it calls what is served, rather than changes or reads what there is."""
        return self.service == "sagemaker-runtime" or (self.service, self.operation) == ("lambda", "Invoke")


def recognise(request: HttpRequest) -> Call | None:
    """The call that a request makes; ``None`` if it is for no operation of our services that their models know."""
    service = _SERVICES.get(signing_name(request) or "")
    if service is None:
        return None
    if service == "sagemaker" and "x-amz-target" not in request.headers:
        service = "sagemaker-runtime"
    operation, protocol = _operation_and_protocol(request)
    if operation not in service_model(service).operation_names:
        return None
    return read_call(service, operation, protocol, request)


def read_call(service: str, operation: str, protocol: str, request: HttpRequest) -> Call:
    """The call of an operation, with its parameters.

    :raises AwsError: if they can't be read.
    """
    try:
        params = _parse(operation_model(service, operation), protocol, request)
    except (
        ArithmeticError,
        ValueError,
        TypeError,
        AttributeError,
        LookupError,
        RuntimeError,
        ParserError,
        ResponseParserError,
    ) as error:
        # botocore's and moto's parsers expect what a client of AWS's sends.
        raise AwsError("SerializationException", f"the request can't be read: {error}") from None
    if not isinstance(params, Mapping):
        raise AwsError("SerializationException", "the request is no structure")
    return Call(service, operation, protocol, params, signing_region(request))


def signing_name(request: HttpRequest) -> str | None:
    """The service in the credential scope of the Authorization header; ``None`` for an unsigned request."""
    scope = _SCOPE.search(request.headers.get("authorization", ""))
    return scope[2] if scope else None


def signing_region(request: HttpRequest) -> str | None:
    """The Region in the credential scope of the Authorization header; ``None`` for an unsigned request."""
    scope = _SCOPE.search(request.headers.get("authorization", ""))
    return scope[1] if scope else None


def named_operation(request: HttpRequest) -> str:
    """The operation that a request of any service names in a header, a path or its parameters; empty for a REST
    service.
    """
    return _operation_and_protocol(request)[0]


def encode_answer(call: Call, answer: Mapping[str, Any]) -> HttpResponse:
    """The answer of an operation in the protocol of its call.

    In AWS's JSON protocol an answer is written as it is, with members named as in AWS's model; the walk along its shape is most of what a
    call costs.
    """
    if call.protocol == CBOR:
        return _response(200, _cbor_headers(), cbor.encode(answer))
    if call.protocol == "json":
        written = json.dumps(answer, default=_in_json).encode()
        return _response(200, {"Content-Type": "application/x-amz-json-1.1"}, written)
    serializer = get_serializer_class(call.service, call.protocol)(call.model)
    encoded = serializer.serialize(answer)
    body = encoded["body"]
    headers = encoded["headers"]
    if call.service == "sagemaker-runtime" and "ContentType" in answer:
        # The serializer takes every body for JSON, but InvokeEndpoint's is whatever the container made.
        headers["Content-Type"] = answer["ContentType"]
    return _response(encoded["status_code"], headers, body.encode() if isinstance(body, str) else body)


def encode_error(call: Call, error: AwsError) -> HttpResponse:
    """An error in the protocol of the call that it answers."""
    name, code, message_key = _error_names(call.service, error.code)
    fault = "Sender" if error.status < 500 else "Receiver"
    if call.protocol == "query":
        return _response(error.status, {"Content-Type": "text/xml"}, _xml_error(code, error.message, fault))
    members = {"__type": name, message_key: error.message, **error.fields}
    headers = {"x-amzn-ErrorType": name}
    if service_model(call.service).is_query_compatible:
        headers["x-amzn-query-error"] = f"{code};{fault}"
    if call.protocol == CBOR:
        return _response(error.status, {**headers, **_cbor_headers()}, cbor.encode(members))
    headers["Content-Type"] = "application/json" if call.protocol == "rest-json" else "application/x-amz-json-1.1"
    return _response(error.status, headers, json.dumps(members).encode())


def encode_refusal(request: HttpRequest, error: AwsError) -> HttpResponse:
    """An error in the form of whatever service a request is for, known to the sandbox or not."""
    service = signing_name(request) or ""
    if "x-amz-target" in request.headers or _CBOR_PATH.search(request.path):
        name = f"{error.code}Exception" if not error.code.endswith(("Exception", "Error", "Failure")) else error.code
        members = {"__type": name, "message": error.message}
        if "x-amz-target" not in request.headers:
            return _response(error.status, {"x-amzn-ErrorType": name, **_cbor_headers()}, cbor.encode(members))
        return _json_error(error.status, name, members, "application/x-amz-json-1.1")
    if _is_rest_json(request, service):
        return _json_error(error.status, error.code, {"message": error.message}, "application/json")
    fault = "Sender" if error.status < 500 else "Receiver"
    if service in _XML_ERROR_OF or not names_a_service(request):
        inner = f"<Code>{escape(error.code)}</Code><Message>{escape(error.message)}</Message>"
        body = _XML_ERROR_OF.get(service, _XML_ERROR_OF["s3"]).format(inner).encode()
    else:
        body = _xml_error(error.code, error.message, fault)
    return _response(error.status, {"Content-Type": "text/xml"}, body)


def names_a_service(request: HttpRequest) -> bool:
    """Whether a request is for a service other than S3, as far as its form tells; S3's needs nothing but a path."""
    in_path = _CBOR_PATH.search(request.path) or _INVOCATIONS_PATH.match(request.path)
    return bool(in_path or signing_name(request) not in (None, "s3") or named_operation(request))


def is_form(request: HttpRequest) -> bool:
    """Whether the body holds the parameters as an HTML form would."""
    return request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded")


def uncompressed(request: HttpRequest) -> HttpRequest:
    """A request for a service of ours with its body as it was before the client packed it (boto3 does so from 10 KB on).

    :raises AwsError: if the body is not what its encoding says, or is over 16 MiB.
    """
    if request.headers.get("content-encoding", "").lower() != "gzip":
        return request
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(request.body)) as packed:
            body = packed.read(MAX_UNCOMPRESSED_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise AwsError("SerializationException", f"the body is not gzip: {error}") from None
    if len(body) > MAX_UNCOMPRESSED_BYTES:
        raise AwsError("RequestEntityTooLarge", f"the body is over {MAX_UNCOMPRESSED_BYTES} bytes", 413)
    headers = {name: value for name, value in request.headers.items() if name != "content-encoding"}
    return replace(request, headers=headers, body=body)


def names_unknown_operation(request: HttpRequest) -> bool:
    """Whether a request is for a service of ours, and for an operation that its model does not have."""
    service = _SERVICES.get(signing_name(request) or "")
    operation = named_operation(request)
    return bool(service and operation) and not is_invocation(request)


def is_invocation(request: HttpRequest) -> bool:
    """Whether a request invokes an endpoint."""
    return bool(_INVOCATIONS_PATH.match(request.path))


def is_ours(request: HttpRequest) -> bool:
    """Whether a request is for a control plane that the sandbox plays itself."""
    return signing_name(request) in _SERVICES and not is_invocation(request)


@cache
def service_model(service: str) -> ServiceModel:
    """botocore's model of a service, loaded once per process."""
    return get_service_model(service)


@cache
def operation_model(service: str, operation: str) -> OperationModel:
    """botocore's model of one operation."""
    model: OperationModel = service_model(service).operation_model(operation)
    return model


def _operation_and_protocol(request: HttpRequest) -> tuple[str, str]:
    target = request.headers.get("x-amz-target")
    if target is not None:
        return target.rpartition(".")[2], "json"
    if in_path := _CBOR_PATH.search(request.path):
        return in_path[1], CBOR
    if invoked := _INVOCATIONS_PATH.match(request.path):
        return _INVOCATIONS[invoked[2]], "rest-json"
    if signing_name(request) in _REST_JSON:
        return _at_rest(request)[0], "rest-json"
    return _form(request).get("Action", ""), "query"


def _parse(model: OperationModel, protocol: str, request: HttpRequest) -> dict[str, Any]:
    if protocol == CBOR:
        return _cbor_parse(request.body)
    if protocol == "json" and request.body:
        json.loads(request.body)  # moto takes what is no JSON for an empty request
    parsed: dict[str, Any] = _request_parser(model.service_model.service_name, model.name, protocol).parse(
        {
            "body": request.body,
            "headers": Headers(list(request.headers.items())),
            "method": request.method,
            "url_params": _in_path(request),
            "url_path": request.path,
            "values": MultiDict(_form(request)) if protocol in ("query", "rest-json") else {},
        }
    )
    return parsed


def _at_rest(request: HttpRequest) -> tuple[str, Mapping[str, str]]:
    service = signing_name(request)
    if service not in _REST_JSON:
        return "", {}
    return rest.operation_at(service, request.method, request.path, request.query)


def _in_path(request: HttpRequest) -> Mapping[str, str]:
    """The parameters that a REST service has in its path."""
    if invoked := _INVOCATIONS_PATH.match(request.path):
        return {"EndpointName": unquote(invoked[1])}
    return _at_rest(request)[1]


@cache
def _request_parser(service: str, operation: str, protocol: str) -> Any:
    return PROTOCOL_PARSERS[protocol](operation_model(service, operation), timestamp_parser=_utc)


def _utc(value: Any) -> datetime:
    moment: datetime = parse_timestamp(value)
    return moment.astimezone(timezone.utc)


def _form(request: HttpRequest) -> dict[str, str]:
    text = request.body.decode(errors="replace") if is_form(request) else request.query
    return dict(parse_qsl(text, keep_blank_values=True))


def _is_rest_json(request: HttpRequest, service: str) -> bool:
    is_xml = service in _XML_ERROR_OF or service in _REST_XML
    is_rest = bool(service) and not named_operation(request)
    return bool(_INVOCATIONS_PATH.match(request.path)) or (is_rest and not is_xml)


def _json_error(status: int, name: str, members: Mapping[str, Any], content_type: str) -> HttpResponse:
    return _response(status, {"x-amzn-ErrorType": name, "Content-Type": content_type}, json.dumps(members).encode())


def _in_json(value: Any) -> Any:
    """What JSON has no type for; for AWS's JSON services a time is seconds since the epoch, to the millisecond."""
    if isinstance(value, datetime):
        return value.replace(microsecond=value.microsecond // 1000 * 1000).timestamp()
    raise TypeError(f"no way to answer with {value!r}")


def _response(status: int, headers: Mapping[str, str], body: bytes) -> HttpResponse:
    return HttpResponse(status, {"x-amzn-RequestId": str(uuid.uuid4()), **headers}, body)


@cache
def _error_names(service: str, code: str) -> tuple[str, str, str]:
    """The name of an error's shape, its code in the query protocol, and how it spells ``message``."""
    shapes = service_model(service).error_shapes
    # A name wins over a code: CloudWatch's DashboardNotFoundError has the code ResourceNotFound, which names another
    # shape.
    for shape in [shape for shape in shapes if shape.name == code] + [
        shape for shape in shapes if shape.error_code == code
    ]:
        return shape.name, str(shape.error_code), "Message" if "Message" in shape.members else "message"
    return code, code, "message"


def _xml_error(code: str, message: str, fault: str) -> bytes:
    inner = f"<Type>{fault}</Type><Code>{escape(code)}</Code><Message>{escape(message)}</Message>"
    return f"<ErrorResponse><Error>{inner}</Error></ErrorResponse>".encode()


def _cbor_headers() -> dict[str, str]:
    return {"smithy-protocol": "rpc-v2-cbor", "Content-Type": "application/cbor"}


def _cbor_parse(body: bytes) -> dict[str, Any]:
    if not body:
        return {}
    parser = parsers.create_parser(CBOR)
    items: dict[str, Any] = parser.parse_data_item(parser.get_peekable_stream_from_bytes(body))
    return items
