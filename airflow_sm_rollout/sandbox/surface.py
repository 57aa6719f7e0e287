"""Which operations the sandbox plays, which it leaves to moto, and which it refuses by name.

All operations of a service that the sandbox plays stand in ``operations.json``, in one of three lists. Left to moto is only what
shares no state with what is played, and does not pretend to have done something: anything else would be answered by somebody
who does not know the sandbox's resources.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import NoReturn

from airflow_sm_rollout.sandbox.errors import AwsError

PLAYED, PASSED_ON, REFUSED = "played", "passed on", "refused"


class PassOn(Exception):
    """Raised by an operation that, for what it is asked about, is moto's to answer."""


@cache
def operations() -> Mapping[str, Mapping[str, frozenset[str]]]:
    """AWS's names of operations by botocore's name of the service and by what becomes of them."""
    table = json.loads(Path(__file__).with_name("operations.json").read_text())
    return {service: {kind: frozenset(names) for kind, names in kinds.items()} for service, kinds in table.items()}


def leave_to_others(service: str, operation: str, validate: Callable[[], None]) -> NoReturn:
    """Say who answers for an operation that the sandbox does not play.

    :param validate: refuses parameters that moto is not to see.
    :raises PassOn: if that is moto.
    :raises AwsError: ``NotImplemented``, with its name, if nobody does. Its status, 501, is one that no client tries again.
    """
    if operation in operations()[service][PASSED_ON]:
        validate()
        raise PassOn
    raise not_played(operation)


def not_played(what: str) -> AwsError:
    """The refusal of an operation, or of a part of one, that the sandbox does not play."""
    return AwsError("NotImplemented", f"sandbox does not play {what}", 501)
