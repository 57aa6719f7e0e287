"""An AppSpec file for Lambda, read: whose alias goes from which version to which, and what is asked before and after."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from airflow_sm_rollout.sandbox.errors import AwsError
from airflow_sm_rollout.sandbox.surface import not_played

BEFORE, AFTER = "BeforeAllowTraffic", "AfterAllowTraffic"
_MEMBERS = ("Name", "Alias", "CurrentVersion", "TargetVersion")
_CONTENTS = {"AppSpecContent": "appSpecContent", "String": "string"}


@dataclass(frozen=True, slots=True)
class AppSpec:
    """What a deployment is to do.

    :param current: the number of the version that the alias calls now.
    :param target: the one that it is to call.
    :param hooks: function names by the event at which they are run.
    """

    function: str
    alias: str
    current: str
    target: str
    hooks: Mapping[str, str]


def read_revision(revision: Mapping[str, Any]) -> tuple[AppSpec, dict[str, Any]]:
    """The AppSpec of a RevisionLocation, and the location as GetDeployment gives it back: without the content.

    :raises AwsError: for one that is no AppSpec for Lambda.
    """
    kind = str(revision.get("revisionType", ""))
    if kind not in _CONTENTS:
        raise not_played(f"a revision of type {kind or 'none'}")
    member = _CONTENTS[kind]
    given = revision.get(member) or {}
    content = str(given.get("content", ""))
    digest = hashlib.sha256(content.encode()).hexdigest()
    if given.get("sha256", digest) != digest:
        raise _invalid("The SHA256 of the AppSpec content does not match the content")
    return _read(content), {"revisionType": kind, member: {"sha256": digest}}


def _read(content: str) -> AppSpec:
    try:
        written = json.loads(content)
    except ValueError:
        raise not_played("an AppSpec that is no JSON") from None
    try:
        (properties,) = (each["Properties"] for resource in written["Resources"] for each in resource.values())
        hooks = {event: function for hook in written.get("Hooks") or () for event, function in hook.items()}
        function, alias, current, target = (str(properties[name]) for name in _MEMBERS)
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError):
        needed = ", ".join(_MEMBERS)
        raise _invalid(f"The AppSpec needs one resource of type AWS::Lambda::Function with {needed}") from None
    unknown = sorted(hooks.keys() - {BEFORE, AFTER})
    if unknown:
        raise _invalid(f"The AppSpec has an unknown hook for Lambda: {unknown[0]}")
    return AppSpec(function, alias, current, target, {event: str(name) for event, name in hooks.items()})


def _invalid(text: str) -> AwsError:
    return AwsError("InvalidRevisionException", text)
