"""What IAM's policy simulator says here. The sandbox checks no permissions: everybody may do everything, and is told so.

moto has no simulator, and the SageMaker SDK of version 3 asks it about a role before it uses it.
"""

from __future__ import annotations

from airflow_sm_rollout.sandbox import wire

_SIMULATORS = ("SimulatePrincipalPolicy", "SimulateCustomPolicy")


def simulate(request: wire.HttpRequest) -> wire.HttpResponse | None:
    """The simulator's answer; ``None`` for a request that does not ask it."""
    operation = wire.named_operation(request)
    if wire.signing_name(request) != "iam" or operation not in _SIMULATORS:
        return None
    call = wire.read_call("iam", operation, "query", request)
    results = [
        {"EvalActionName": action, "EvalResourceName": resource, "EvalDecision": "allowed", "MatchedStatements": []}
        for action in call.params.get("ActionNames", ())
        for resource in call.params.get("ResourceArns") or ["*"]
    ]
    return wire.encode_answer(call, {"EvaluationResults": results, "IsTruncated": False})
