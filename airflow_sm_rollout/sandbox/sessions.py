"""Credentials that end: those of a role that STS has given, by the sandbox's clock."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime, timezone
from urllib.parse import parse_qs

from airflow_sm_rollout.sandbox.clock import Clock
from airflow_sm_rollout.sandbox.wire import HttpRequest, HttpResponse

LIFETIME_SECONDS = 3600.0
"""Of a role's credentials, unless ``DurationSeconds`` says otherwise."""

_SIGNED_BY = re.compile(r"Credential=([^/]+)/")
_KEY = re.compile(rb"<AccessKeyId>([^<]+)</AccessKeyId>")
_END = re.compile(rb"(?<=<Expiration>)[^<]+(?=</Expiration>)")


class Sessions:
    """The ends of what STS has given."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._ends: dict[str, float] = {}

    def has_ended(self, request: HttpRequest) -> bool:
        """Whether a request is signed with credentials whose time is over."""
        signed = _SIGNED_BY.search(request.headers.get("authorization", ""))
        return signed is not None and self._clock.now() >= self._ends.get(signed[1], float("inf"))

    def noted(self, request: HttpRequest, answer: HttpResponse) -> HttpResponse:
        """STS's answer, with the end of the credentials in it, if there are any, by the sandbox's clock."""
        key = _KEY.search(answer.body)
        if key is None:
            return answer
        asked = parse_qs(request.body.decode("latin-1")).get("DurationSeconds", [LIFETIME_SECONDS])
        end = self._ends[key[1].decode()] = self._clock.now() + float(asked[0])
        written = datetime.fromtimestamp(end, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        return replace(answer, body=_END.sub(written.encode(), answer.body))
