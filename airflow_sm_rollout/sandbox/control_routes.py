"""The sandbox's own routes, beside AWS's: plain JSON under ``/_sandbox/``, which is no legal name of an S3 bucket."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from airflow_sm_rollout.sandbox.app import Sandbox
from airflow_sm_rollout.sandbox.faults import Fault
from airflow_sm_rollout.sandbox.sagemaker.fleet import Fleet
from airflow_sm_rollout.sandbox.wire import HttpRequest, HttpResponse

PREFIX = "/_sandbox/"


def answer(sandbox: Sandbox, request: HttpRequest) -> HttpResponse:
    """Answer a request under ``/_sandbox/``.

    ``GET health``; ``GET``, ``POST`` and ``DELETE faults`` (a fault is the JSON of :class:`.Fault`); ``GET
    endpoints/<name>``: the shares and instance counts that the data plane has at this moment, which DescribeEndpoint
    does not tell: by variant name, and by the fleets' configurations, since both fleets of a deployment use one name.
    """
    name, _, argument = request.path.removeprefix(PREFIX).partition("/")
    if (request.method, name) == ("GET", "health"):
        return _json(200, {"status": "ok", "now": sandbox.clock.now()})
    if name == "faults":
        return _faults(sandbox, request)
    if (request.method, name) == ("GET", "endpoints"):
        return _endpoint(sandbox, argument)
    return _json(404, {"error": f"no route for {request.method} {request.path}"})


def _faults(sandbox: Sandbox, request: HttpRequest) -> HttpResponse:
    if request.method == "DELETE":
        sandbox.put_fault(None)
    elif request.method == "POST":
        try:
            sandbox.put_fault(Fault(**json.loads(request.body)))
        except (TypeError, ValueError) as error:
            return _json(400, {"error": str(error)})
    return _json(200, {"faults": [asdict(fault) for fault in sandbox.faults.waiting()]})


def _endpoint(sandbox: Sandbox, name: str) -> HttpResponse:
    sandbox.schedule.run_due()
    with sandbox.schedule.lock:
        endpoint = sandbox.endpoints.serving(name)
        if endpoint is None:
            return _json(404, {"error": f"no endpoint {name} in service"})
        fleets = {fleet.config.name: _variants(fleet) for fleet in endpoint.fleets}
        return _json(
            200,
            {
                "status": endpoint.status,
                "config": endpoint.config.name,
                "variants": _by_name(fleets.values()),
                "fleets": fleets,
            },
        )


def _variants(fleet: Fleet) -> dict[str, dict[str, float]]:
    share_of = fleet.shares()
    return {v.name: {"share": share_of[v.name], "instances": v.active_count} for v in fleet.variants}


def _by_name(fleets: Iterable[dict[str, dict[str, float]]]) -> dict[str, dict[str, float]]:
    """Variants of the same name, in the old and the new fleet of a deployment, added up."""
    summed: dict[str, dict[str, float]] = {}
    for fleet in fleets:
        for name, variant in fleet.items():
            before = summed.get(name, {})
            summed[name] = {key: before.get(key, 0) + value for key, value in variant.items()}
    return summed


def _json(status: int, content: dict[str, Any]) -> HttpResponse:
    return HttpResponse(status, {"Content-Type": "application/json"}, json.dumps(content).encode())
