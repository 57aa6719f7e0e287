"""The demo's Lambda function: passes a request on to the endpoint that its environment names, and the answer back."""

from __future__ import annotations

import os
from contextlib import closing
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

_URL, _REGION = os.environ["AWS_ENDPOINT_URL"], os.environ["AWS_DEFAULT_REGION"]
# Not boto3, which takes half a second of processor time to import: a function's first call is to be quick.
_AUTH = SigV4Auth(
    Credentials(os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"]), "sagemaker", _REGION
)


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Ask the model.

    :param event: ``body`` is the request.
    :return: the answer as ``body``, with AWS's ``status`` and the ``variant`` that answered.
    """
    path, body = f"/endpoints/{os.environ['ENDPOINT_NAME']}/invocations", event["body"].encode()
    request = AWSRequest("POST", f"{_URL}{path}", {"Content-Type": "application/json"}, body)
    _AUTH.add_auth(request)
    with closing(HTTPConnection(urlsplit(_URL).netloc)) as connection:
        connection.request("POST", path, body, dict(request.headers.items()))
        answer = connection.getresponse()
        variant = answer.getheader("x-Amzn-Invoked-Production-Variant")
        return {"status": answer.status, "variant": variant, "body": answer.read().decode(errors="replace")}
