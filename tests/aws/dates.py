"""Answers with the Date header that AWS gives them."""

from __future__ import annotations

from dataclasses import replace
from email.utils import format_datetime

from airflow_sm_rollout.sandbox.wire import HttpRequest, HttpResponse
from convergence.lab import Lab


def date_answers(lab: Lab) -> None:
    """Let each of the lab's answers say when it was given."""
    handle = lab.sandbox.handle

    def dated(request: HttpRequest) -> HttpResponse:
        response = handle(request)
        return replace(response, headers={**response.headers, "Date": format_datetime(lab.now(), usegmt=True)})

    lab.sandbox.handle = dated  # type: ignore[method-assign]
