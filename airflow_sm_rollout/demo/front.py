"""A Lambda function in front of the demo's endpoint: clients call its alias, and know of no endpoint."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from airflow_sm_rollout.aws.front import read_alias, read_endpoints
from airflow_sm_rollout.core.plan.function import ALIAS, VARIABLE, FunctionAlias
from airflow_sm_rollout.demo.production import ENDPOINT, ROLE

FRONT = FunctionAlias("wine-front", ALIAS, VARIABLE)
TIMEOUT_SECONDS = 10
_MODULE = Path(__file__).with_name("front_function.py")


def put_in_front(session: Any, environment: Mapping[str, str]) -> None:
    """Create the function, its first version and the alias. Again, it changes nothing.

    :param session: a boto3 session, or what has its ``client``.
    :param environment: the variables that lead it to AWS.
    """
    functions = session.client("lambda")
    with suppress(functions.exceptions.ResourceConflictException):
        functions.create_function(
            FunctionName=FRONT.function,
            Runtime="python3.12",
            Role=ROLE,
            Handler=f"{_MODULE.stem}.handler",
            Code={"ZipFile": _packed(_MODULE)},
            Timeout=TIMEOUT_SECONDS,
            Environment={"Variables": {**environment, FRONT.variable: ENDPOINT}},
            Publish=True,
        )
        functions.create_alias(FunctionName=FRONT.function, Name=FRONT.alias, FunctionVersion="1")


def shares_of_alias(session: Any) -> Callable[[], Mapping[str, float]]:
    """What says which endpoints the alias calls at a moment, and for which percentage of its calls each."""
    functions = session.client("lambda")
    known: dict[str, str] = {}  # a version never changes

    def look() -> Mapping[str, float]:
        alias = read_alias(functions, FRONT)
        if alias is None:
            return {}
        if not {alias.version, *alias.weights} <= known.keys():
            known.update(read_endpoints(functions, FRONT, alias))
        second = {known[number]: 100 * weight for number, weight in alias.weights.items()}
        return {known[alias.version]: 100.0 - sum(second.values()), **second}

    return look


def _packed(module: Path) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.write(module, module.name)
    return packed.getvalue()
