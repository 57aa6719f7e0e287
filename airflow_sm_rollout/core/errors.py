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

from collections.abc import Sequence
from reprlib import Repr

_SHOWN = 200  # characters of a value that can't be
_shorten = Repr()
_shorten.maxstring = _shorten.maxlong = _shorten.maxother = _SHOWN
_shorten.maxdict = _shorten.maxlist = _shorten.maxtuple = _shorten.maxset = _shorten.maxfrozenset = 20


class RolloutError(Exception):
    """Base of all errors of this package."""


class PlanError(RolloutError, ValueError):
    """An option of the plan is wrong, or several are.

    :param option: the option's name, as the user wrote it; of several the first.
    :param value: what it was set to.
    :param allowed: what it may be, as a half sentence.
    :param others: what else is wrong with the same plan.
    """

    def __init__(self, option: str, value: object, allowed: str, others: tuple[PlanError, ...] = ()) -> None:
        self.option = option
        self.value = value
        self.allowed = allowed
        self.others = others
        super().__init__(self._say())

    def _say(self) -> str:
        said = f"{self.option}={describe_value(self.value)} is not possible: {self.allowed}"
        if not self.others:
            return said
        numbered = (f"({number}) {each}" for number, each in enumerate((said, *self.others), 1))
        return f"{len(self.others) + 1} options are wrong: {'; '.join(numbered)}"

    def __reduce__(self) -> tuple[object, ...]:
        return PlanError, (self.option, self.value, self.allowed, self.others)


def describe_value(value: object) -> str:
    """A value as Python writes it, shortened where it is long, so that the sentence around it can be read."""
    try:
        shown = _shorten.repr(value)
    except Exception:  # noqa: BLE001 - a number of so many digits that Python does not write it, or an object that fails at it
        return f"a {type(value).__name__} that can't be written"
    return shown if len(shown) <= 2 * _SHOWN else f"{shown[:_SHOWN]} ..."


def plan_errors(found: Sequence[PlanError]) -> PlanError:
    """Several mistakes of one plan as one error.

    :param found: one at least.
    """
    first, *others = found
    return PlanError(first.option, first.value, first.allowed, tuple(others)) if others else first


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
