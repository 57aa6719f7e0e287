"""The options that name a Lambda function in front of the endpoint."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_sm_rollout.core.plan.deployment import Deploying
from airflow_sm_rollout.operators.judging import JudgingOperator

OF_FUNCTION = ("function", "alias", "variable")
OF_DEPLOYMENT = ("shift_by", "deployment")


class FrontedOperator(JudgingOperator):
    """Base of the operators whose plan may have a function in front.

    :param function: with ``traffic="lambda"`` the name of the function that calls the endpoint (templated).
    :param alias: with ``traffic="lambda"`` the function's alias that clients call, by default ``live`` (templated).
    :param variable: with ``traffic="lambda"`` the function's environment variable that names the endpoint, by default ``ENDPOINT_NAME``
        (templated).
    :param shift_by: with ``traffic="lambda"`` ``codedeploy``: AWS CodeDeploy shifts the alias by the plan's steps, a canary of one first
        step or equal steps (templated). Left out, the rollout does, by any steps.
    :param deployment: with that, by whose means: a :class:`~airflow_sm_rollout.core.plan.deployment.Deploying` or some of its members: your
        ``application`` and ``group``, or the ``role_arn`` of those that the rollout makes; and functions to run ``before`` green has
        traffic and ``after`` it has all (templated).
    """

    def __init__(
        self,
        *,
        function: str | None = None,
        alias: str | None = None,
        variable: str | None = None,
        shift_by: str | None = None,
        deployment: Deploying | Mapping[str, Any] | str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.function, self.alias, self.variable = function, alias, variable
        self.shift_by, self.deployment = shift_by, deployment
