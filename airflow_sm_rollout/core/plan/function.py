"""The Lambda function in front of the endpoint, as the options ``function``, ``alias`` and ``variable`` name it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from airflow_sm_rollout.core.errors import PlanError
from airflow_sm_rollout.core.plan.options import parse_text

ALIAS, VARIABLE = "live", "ENDPOINT_NAME"
_FUNCTION = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_ALIAS = re.compile(r"(?![0-9]+$)[a-zA-Z0-9_-]{1,128}")
_VARIABLE = re.compile(r"[a-zA-Z][a-zA-Z0-9_]+")


@dataclass(frozen=True, slots=True)
class FunctionAlias:
    """The alias that clients call, of a function that calls the endpoint.

    :param function: the function's name; it is in the endpoint's account and Region.
    :param alias: the alias's name.
    :param variable: the environment variable by which the function knows its endpoint.
    """

    function: str
    alias: str = ALIAS
    variable: str = VARIABLE

    def __str__(self) -> str:
        return f"alias {self.alias} of function {self.function}"


def parse_function(function: object, alias: object, variable: object) -> FunctionAlias | None:
    """What the three options say; ``None``: there is no such function.

    :raises PlanError: for a name that Lambda would refuse, and for an alias or a variable of no function.
    """
    name = _parse("function", function, _FUNCTION, "a function's own name, of letters, digits, hyphens and _: no ARN")
    other = _parse("alias", alias, _ALIAS, "the name of an alias of the function: letters, digits, hyphens and _")
    named = _parse("variable", variable, _VARIABLE, "the name of an environment variable of the function")
    if name is None:
        for option, value in (("alias", other), ("variable", named)):
            if value is not None:
                raise PlanError(option, value, "left out, or given with function")
        return None
    return FunctionAlias(name, other or ALIAS, named or VARIABLE)


def _parse(option: str, value: object, form: re.Pattern[str], allowed: str) -> str | None:
    text = parse_text(option, value, allowed)
    if text is not None and not form.fullmatch(text):
        raise PlanError(option, value, allowed)
    return text
