"""All mistakes of a plan, said at once.

What reads the options stops at the first one that is wrong. So it is read again without that one, until nothing is wrong or it can't be
told which option it was; and then all that was found is one error.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from typing import Any, TypeVar

from airflow.sdk import DAG

from airflow_sm_rollout.core.errors import PlanError, plan_errors
from airflow_sm_rollout.core.plan.options import meant

Options = Mapping[str, Any]
_T = TypeVar("_T")
_MOST = 50
_MODELS = ("model_name", "model_package_arn", "image", "model_data_url")
_PLACES = ("dag", "task_group", "parent_group")
"""Where it is put: what is read again is put nowhere."""
_STANDING_IN: Mapping[str, Options] = {
    "endpoint_name": {"endpoint_name": "any"},
    "group_id": {"group_id": "any"},
    "model": {"model_name": "any"},
}
"""What stands in for an option that can't be left out."""
_is_read_inside: ContextVar[bool] = ContextVar("is_read_inside", default=False)


def saying_all(build: Callable[[Options], _T], options: Options) -> _T:
    """Build something from options.

    :param build: raises :class:`PlanError` at the first that is wrong. It is called again, in a DAG of its own, to find the others.
    :raises PlanError: with all that is wrong.
    """
    if _is_read_inside.get():
        return build(options)  # whoever builds this one says it
    with _reading_inside():
        try:
            return build(options)
        except PlanError as error:
            found = [error, *_others(build, options, error)]
    raise plan_errors(found)


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


def _others(build: Callable[[Options], object], options: Options, first: PlanError) -> Iterator[PlanError]:
    error, named = first, {first.option}
    left = {name: value for name, value in options.items() if name not in _PLACES}
    for _ in range(_MOST):
        fewer = _without(left, error.option)
        if fewer is None:
            return
        left = fewer
        try:
            with DAG("airflow_sm_rollout_options", schedule=None), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                build(left)
        except PlanError as found:
            error = found
        except Exception:  # noqa: BLE001 - without an option others may make no sense; what was found is said
            return
        else:
            return
        if error.option not in named:
            named.add(error.option)
            yield error


def _without(options: dict[str, Any], named: str) -> dict[str, Any] | None:
    """The options without the one that an error names, or the member of one; ``None``: none has that name."""
    option, _, member = str(named).replace(".", " ").partition(" ")
    if named == "model" or option in _MODELS:
        return _replaced(options, _MODELS, "model")
    if option in options:
        value = options[option]
        if member and isinstance(value, Mapping) and member in value:
            return {**options, option: _less(value, member)}
        return _replaced(options, (option,), option)
    for name, value in options.items():
        if isinstance(value, Mapping) and option in value:
            return {**options, name: _less(value, option)}
    return None


def _replaced(options: dict[str, Any], gone: tuple[str, ...], named: str) -> dict[str, Any] | None:
    left = {name: value for name, value in options.items() if name not in gone}
    left.update(_STANDING_IN.get(named, {}))
    return None if left == options else left


def _less(mapping: Options, member: str) -> dict[str, Any]:
    return {name: value for name, value in mapping.items() if name != member}


@contextmanager
def _reading_inside() -> Iterator[None]:
    before = _is_read_inside.set(True)
    try:
        yield
    finally:
        _is_read_inside.reset(before)
