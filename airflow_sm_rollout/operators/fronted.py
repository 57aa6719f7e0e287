"""The options that name a Lambda function in front of the endpoint."""

from __future__ import annotations

from typing import Any

from airflow_sm_rollout.operators.judging import JudgingOperator

OF_FUNCTION = ("function", "alias", "variable")


class FrontedOperator(JudgingOperator):
    """Base of the operators whose plan may have a function in front.

    :param function: with ``traffic="lambda"`` the name of the function that calls the endpoint (templated).
    :param alias: with ``traffic="lambda"`` the function's alias that clients call, by default ``live`` (templated).
    :param variable: with ``traffic="lambda"`` the function's environment variable that names the endpoint, by default ``ENDPOINT_NAME``
        (templated).
    """

    def __init__(
        self, *, function: str | None = None, alias: str | None = None, variable: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.function, self.alias, self.variable = function, alias, variable
