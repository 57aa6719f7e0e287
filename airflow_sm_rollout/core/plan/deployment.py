"""The deployment by AWS CodeDeploy, as the options ``shift_by`` and ``deployment`` say it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from airflow_sm_rollout.core.errors import PlanError
from airflow_sm_rollout.core.plan.options import meant, parse_mapping, parse_text, unrendered

CODEDEPLOY = "codedeploy"
_EXAMPLE = (
    'such as {"role_arn": "arn:aws:iam::123456789012:role/codedeploy"}, or {"application": "scorer", "group": "live"}'
)
_NAME = re.compile(r"[A-Za-z0-9+=,.@_-]{1,100}")
_ROLE = re.compile(r"arn:[^:]+:iam::\d{12}:role/.+")
_HOOK = re.compile(r"(arn:[^:]+:lambda:[^:]+:\d{12}:function:)?[a-zA-Z0-9_-]{1,64}(:[a-zA-Z0-9_$-]+)?")
_FORMS = {
    "application": (_NAME, "the name of an application of CodeDeploy"),
    "group": (_NAME, "the name of a deployment group of that application"),
    "role_arn": (_ROLE, "the ARN of a role by which CodeDeploy may write the alias"),
    "before": (_HOOK, "the name of a Lambda function"),
    "after": (_HOOK, "the name of a Lambda function"),
}


@dataclass(frozen=True, slots=True)
class Deploying:
    """Who shifts the alias for CodeDeploy: a group of your own, or one that the rollout makes and deletes.

    :param application: your application, with
    :param group: your deployment group. Its alarms are watched too. Or
    :param role_arn: the role of a group that the rollout makes.
    :param before: a function that CodeDeploy runs before green has traffic, and that reports whether to go on.
    :param after: one that it runs when green has all of it.
    """

    application: str | None = None
    group: str | None = None
    role_arn: str | None = None
    before: str | None = None
    after: str | None = None

    def __post_init__(self) -> None:
        for option, (form, allowed) in _FORMS.items():
            value = parse_text(f"deployment {option}", getattr(self, option), allowed)
            if value is not None and not form.fullmatch(value):
                raise PlanError(f"deployment {option}", value, allowed)
        is_own = (self.application is not None, self.group is not None)
        if is_own not in ((True, True), (False, False)) or any(is_own) == (self.role_arn is not None):
            given = {
                name: value for name, value in self.as_dict().items() if name in ("application", "group", "role_arn")
            }
            allowed = f"application and group, or role_arn alone, from which the rollout makes both: {_EXAMPLE}"
            raise PlanError("deployment", given or None, allowed)

    def as_dict(self) -> dict[str, str]:
        """What is given of it."""
        named = {each.name: getattr(self, each.name) for each in fields(self)}
        return {name: value for name, value in named.items() if value is not None}


def parse_deployment(value: Deploying | Mapping[str, Any] | str | None) -> Deploying | None:
    """What the option says; ``None``: CodeDeploy has no part in it.

    :raises PlanError: for what CodeDeploy would refuse, and for a member that there is none of.
    """
    if value is None or isinstance(value, Deploying):
        return value
    if isinstance(value, str) and unrendered(value) is None:
        return None
    given = parse_mapping("deployment", value, _EXAMPLE)
    for name in given.keys() - _FORMS.keys():
        raise PlanError("deployment", given, f"{', '.join(_FORMS)}: there is no {name}{meant(name, _FORMS)}")
    return Deploying(**{name: parse_text(f"deployment {name}", each, _FORMS[name][1]) for name, each in given.items()})
