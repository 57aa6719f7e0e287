"""The demo's clients of a Lambda function: each request is a call of its alias.

As a program the same as :mod:`airflow_sm_rollout.sandbox.traffic`, whose clients call the endpoint themselves.
"""

from __future__ import annotations

import json

import urllib3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from airflow_sm_rollout.demo.front import FRONT
from airflow_sm_rollout.sandbox.traffic import TIMEOUT_SECONDS, main


class FrontClient:
    """Calls the alias over one kept-alive connection, signed with credentials that only the sandbox takes.

    :param endpoint_url: of AWS Lambda, e.g. ``http://127.0.0.1:4566``.
    :param region: its Region.
    """

    def __init__(self, endpoint_url: str, region: str) -> None:
        path = f"/2015-03-31/functions/{FRONT.function}:{FRONT.alias}/invocations"
        self._url = endpoint_url.rstrip("/") + path
        self._pool = urllib3.PoolManager(1, maxsize=1, retries=False, timeout=TIMEOUT_SECONDS)
        self._auth = SigV4Auth(Credentials("sandbox", "sandbox"), "lambda", region)

    def invoke(self, endpoint_name: str, body: bytes) -> tuple[int, str | None, str]:
        """Send one request; see :class:`~airflow_sm_rollout.sandbox.traffic.EndpointClient`. The function knows the endpoint."""
        event = json.dumps({"body": body.decode()}).encode()
        request = AWSRequest("POST", self._url, {"Content-Type": "application/json"}, event)
        self._auth.add_auth(request)
        try:
            answer = self._pool.request("POST", self._url, body=event, headers=dict(request.headers.items()))
        except urllib3.exceptions.HTTPError as error:
            return 0, None, repr(error)
        if answer.status != 200 or "X-Amz-Function-Error" in answer.headers:
            return 0, None, answer.data.decode(errors="replace")
        told = json.loads(answer.data)
        return told["status"], told["variant"], "" if told["status"] == 200 else told["body"]

    def close(self) -> None:
        """Close the connection."""
        self._pool.clear()


if __name__ == "__main__":
    main(connect=FrontClient)
