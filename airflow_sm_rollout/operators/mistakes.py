"""All mistakes of a task or a task group, said at once; see :mod:`airflow_sm_rollout.core.plan.mistakes`."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial, wraps
from typing import Any, TypeVar

from airflow.sdk import DAG

from airflow_sm_rollout.core.errors import PlanError
from airflow_sm_rollout.core.plan.mistakes import Options, with_others
from airflow_sm_rollout.core.plan.options import meant, plain

_T = TypeVar("_T")
_PLACES = ("dag", "task_group", "parent_group")
"""Where it is put: what is read again is put nowhere."""
_is_read_inside: ContextVar[bool] = ContextVar("is_read_inside", default=False)


def saying_all(build: Callable[[Options], _T], options: Options) -> _T:
    """Build something from options.

    :param build: raises :class:`PlanError` at the first that is wrong. It is called again, in a DAG of its own, to find the others.
    :raises PlanError: with all that is wrong.
    """
    if _is_read_inside.get():
        return build(options)  # whoever builds this one says it

    def build_of_plain(given: Options) -> _T:
        return build({name: plain(name, value) for name, value in given.items()})

    with _reading_inside():
        try:
            return build_of_plain(options)
        except PlanError as error:
            found = with_others(error, partial(_read_nowhere, build_of_plain), options)
    raise found


def says_all(init: Callable[..., None]) -> Callable[..., None]:
    """A constructor that says all mistakes at once."""

    @wraps(init)
    def constructor(self: Any, **options: Any) -> None:
        made = [self]  # the others are made for their mistakes only
        saying_all(lambda given: init(made.pop() if made else object.__new__(type(self)), **given), options)

    return constructor


def refuse_unknown(factory: Callable[..., Any], options: Options, known: Iterable[str]) -> None:
    """Check the names of a factory's options.

    :raises PlanError: for the first one that it does not take.
    """
    taken = {*known, *inspect.signature(factory).parameters}
    for name in options:
        if name not in taken:
            said = f"{getattr(factory, '__name__', factory)} has no such option{meant(name, taken)}"
            raise PlanError(name, options[name], said)


def _read_nowhere(build: Callable[[Options], object], options: Options) -> None:
    """Read options for their mistakes alone: what is built is part of no DAG of the user's."""
    with DAG("airflow_sm_rollout_options", schedule=None), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        build({name: value for name, value in options.items() if name not in _PLACES})


@contextmanager
def _reading_inside() -> Iterator[None]:
    before = _is_read_inside.set(True)
    try:
        yield
    finally:
        _is_read_inside.reset(before)
