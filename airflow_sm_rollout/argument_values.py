"""What Airflow's own arguments may be.

Airflow takes some values for what they are not, such as a callback that can't be called, and says of others what went wrong inside it, not
which argument was meant. So each is looked at when the DAG file is read, and refused by its name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from numbers import Integral
from operator import index
from typing import Any

from airflow.sdk import TaskGroup

from airflow_sm_rollout.core.errors import PlanError

_MOST = 2**31 - 1  # Airflow's database holds no more
_LONGEST = timedelta(days=366)
_WEIGHT_RULES = ("absolute", "downstream", "upstream")
_RESOURCES = ("cpus", "ram", "disk", "gpus")


@dataclass(frozen=True, slots=True)
class _Kind:
    """A kind of values.

    :param allowed: what belongs to it, as a half sentence.
    :param fits: whether a value does.
    :param may_be_none: whether ``None`` does.
    """

    allowed: str
    fits: Callable[[Any], bool]
    may_be_none: bool = True


def _is_count(value: Any, least: int) -> bool:
    if isinstance(value, bool) or not isinstance(value, Integral):
        return False
    with suppress(TypeError):  # numpy calls a duration integral, too
        return least <= index(value) <= _MOST
    return False


def _is_delay(value: Any) -> bool:
    if isinstance(value, timedelta):
        return timedelta() <= value <= _LONGEST
    return _is_number(value) and 0 <= value <= _LONGEST.total_seconds()


def _is_number(value: Any) -> bool:
    is_real = isinstance(value, (int, float)) and not isinstance(value, bool)  # Airflow takes no other kinds
    return is_real and abs(value) <= _MOST  # no comparison with NaN is true


def _are_callbacks(value: Any) -> bool:
    return callable(value) or (isinstance(value, Sequence) and all(callable(each) for each in value) and value != "")


def _are_texts(value: Any) -> bool:
    return isinstance(value, str) or (
        isinstance(value, (list, tuple, set)) and all(isinstance(each, str) for each in value)
    )


def _is_weight_rule(value: Any) -> bool:
    by_name = isinstance(value, str) and (value in _WEIGHT_RULES or "." in value)
    return by_name or callable(getattr(value, "get_weight", None))


_TEXT = _Kind("a text", lambda value: isinstance(value, str))
_TEXT_ALWAYS = _Kind("a text", _TEXT.fits, may_be_none=False)
_FLAG = _Kind("True or False", lambda value: isinstance(value, bool))
_CALLBACKS = _Kind("a function that takes the context, a notifier, or a list of these", _are_callbacks)
_DELAY = _Kind("a timedelta or a number of seconds, from 0 to a year", _is_delay)

KINDS: Mapping[str, _Kind] = {
    **dict.fromkeys(("doc", "doc_json", "doc_md", "doc_rst", "doc_yaml"), _TEXT),
    **dict.fromkeys(("executor", "logger_name", "map_index_template", "pool", "queue", "run_as_user"), _TEXT),
    **dict.fromkeys(("group_display_name", "owner", "tooltip", "ui_color", "ui_fgcolor"), _TEXT_ALWAYS),
    **dict.fromkeys(("add_suffix_on_collision", "allow_nested_operators", "email_on_failure", "email_on_retry"), _FLAG),
    **dict.fromkeys(("on_execute_callback", "on_failure_callback", "on_retry_callback"), _CALLBACKS),
    **dict.fromkeys(("on_skipped_callback", "on_success_callback"), _CALLBACKS),
    **dict.fromkeys(("max_retry_delay", "retry_delay"), _DELAY),
    "email": _Kind("an address, or a list of addresses", _are_texts),
    "executor_config": _Kind("a mapping", lambda value: isinstance(value, Mapping)),
    "parent_group": _Kind("a task group", lambda value: isinstance(value, TaskGroup)),
    "pool_slots": _Kind("a whole number above 0", lambda value: _is_count(value, 1), may_be_none=False),
    "priority_weight": _Kind(
        f"a whole number from {-_MOST:,} to {_MOST:,}", lambda value: _is_count(value, -_MOST), may_be_none=False
    ),
    "render_template_as_native_obj": _FLAG,
    "resources": _Kind(
        f"a mapping of {', '.join(_RESOURCES)}, such as {{'cpus': 1}}",
        lambda value: isinstance(value, Mapping) and set(value) <= set(_RESOURCES),
    ),
    "retries": _Kind("a whole number, 0 at least", lambda value: _is_count(value, 0)),
    "retry_exponential_backoff": _Kind(
        "True, False or a factor, 0 at least",
        lambda value: isinstance(value, bool) or (_is_number(value) and value >= 0),
    ),
    "sla": _Kind("a timedelta", lambda value: isinstance(value, timedelta)),
    "weight_rule": _Kind(f"{', '.join(_WEIGHT_RULES)}, or a strategy of priorities of your own", _is_weight_rule),
}
"""By argument, its kind of values. The other ones are Airflow's alone, or refused whatever they are."""


def refuse_misfit(name: str, value: Any) -> None:
    """Check the value of one of Airflow's own arguments; any other option is passed over.

    :raises PlanError: naming the argument.
    """
    kind = KINDS.get(name)
    if kind is None or (value is None and kind.may_be_none) or (value is not None and kind.fits(value)):
        return
    raise PlanError(name, value, kind.allowed)
