"""Errors a caller may want to tell apart.

::

    RolloutError
    ├── PlanError            an option of the plan is wrong; nothing was done
    ├── RolloutRefused       the endpoint can't be rolled out now; nothing was done
    └── RolloutGaveUp        a goal can't be reached; the message says in which state the endpoint is
        ├── DeadlinePassed   the same, because it took too long
        └── RefusedByAws     the same, because AWS refuses a call
            └── NotThere     the same, because something that the call names does not exist
"""

from __future__ import annotations


class RolloutError(Exception):
    """Base of all errors of this package."""


class PlanError(RolloutError, ValueError):
    """An option of the plan is wrong.

    :param option: the option's name, as the user wrote it.
    :param value: what it was set to.
    :param allowed: what it may be, as a half sentence.
    """

    def __init__(self, option: str, value: object, allowed: str) -> None:
        super().__init__(f"{option}={value!r} is not possible: {allowed}")
        self.option = option
        self.value = value
        self.allowed = allowed


class RolloutRefused(RolloutError):
    """The rollout was not started; the endpoint and everything around it are untouched."""


class RolloutGaveUp(RolloutError):
    """A goal can't be reached. A retry would meet the same, so none is made."""


class DeadlinePassed(RolloutGaveUp):
    """A goal was not reached in the time it was given."""


class RefusedByAws(RolloutGaveUp):
    """AWS answers that a call is not allowed or not possible. That ends a way forward; a way back is tried again."""


class NotThere(RefusedByAws):
    """AWS answers that something which a call names does not exist."""
