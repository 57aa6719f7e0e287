"""What AWS answers, as botocore raises it, and the calls that rollouts make of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import botocore.session
from botocore.exceptions import ClientError
from botocore.model import OperationModel, ServiceModel

from airflow_sm_rollout.aws.iam import EXTRAS, GRANTS
from airflow_sm_rollout.sandbox.wire import Call
from convergence.lab import Lab

# Which service's model has a call that an IAM action of another name allows.
RUNTIME = {"InvokeEndpoint": "sagemaker-runtime"}


def answer(code: str, message: str = "", *, operation: str = "UpdateEndpoint", status: int = 400) -> ClientError:
    """An error that AWS answers."""
    error = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(error, operation)


@cache
def service_model(service: str) -> ServiceModel:
    return botocore.session.get_session().get_service_model(service)


def calls_of_rollouts() -> Iterator[OperationModel]:
    """Each call that the IAM policy allows, which are those of rollouts (tests/convergence/test_iam.py); the janitor's, and GetObject of
    samples.
    """
    grants = [*(grant for each in GRANTS.values() for grant in each), *EXTRAS.values()]
    for action in sorted(
        {"s3:GetObject", "ssm:GetParametersByPath", *(action for grant in grants for action in grant.actions)}
    ):
        service, operation = action.split(":")
        yield service_model(RUNTIME.get(operation, service)).operation_model(operation)


def change_answers(lab: Lab, operation: str, change: Callable[[Any], Any]) -> None:
    """Let AWS answer something else: ``change`` takes the sandbox's answer to an operation, and gives the one to be sent."""
    carry_out = lab.sandbox.carry_out

    def changed(call: Call) -> dict[str, Any]:
        answered = carry_out(call)
        return change(answered) if call.operation == operation else answered

    lab.sandbox.carry_out = changed  # type: ignore[method-assign]
