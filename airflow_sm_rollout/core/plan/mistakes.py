"""All mistakes of a plan, said at once.

What reads the options stops at the first one that is wrong. So it is read again without that one, until nothing is wrong or it can't be
told which option it was; and then all that was found is one error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from airflow_sm_rollout.core.errors import PlanError, plan_errors

Options = Mapping[str, Any]
_MOST = 50
_MODELS = ("model_name", "model_package_arn", "image", "model_data_url")
_STANDING_IN: Mapping[str, Options] = {
    "endpoint_name": {"endpoint_name": "any"},
    "group_id": {"group_id": "any"},
    "model": {"model_name": "any"},
}
"""What stands in for an option that can't be left out."""


def with_others(first: PlanError, read: Callable[[Options], object], options: Options) -> PlanError:
    """A mistake together with the others of the same options.

    :param first: the one that ended the first reading.
    :param read: reads options once more; raises :class:`PlanError` at the first that is wrong.
    """
    return plan_errors([first, *_others(first, read, options)])


def _others(first: PlanError, read: Callable[[Options], object], options: Options) -> Iterator[PlanError]:
    error, named, left = first, {first.option}, dict(options)
    for _ in range(_MOST):
        fewer = _without(left, error.option)
        if fewer is None:
            return
        left = fewer
        try:
            read(left)
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
    is_same = left.keys() == options.keys() and all(left[name] is options[name] for name in left)  # == may fail
    return None if is_same else left


def _less(mapping: Options, member: str) -> dict[str, Any]:
    return {name: value for name, value in mapping.items() if name != member}
