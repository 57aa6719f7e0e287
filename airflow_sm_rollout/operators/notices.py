"""Tells people and other systems how a rollout goes, without ever being in its way.

A notifier is whatever Airflow takes as one (Slack, PagerDuty, SNS, e-mail, ...) or any function of a task's context. It runs in a thread
beside its task. One that fails is logged, one that hangs is left behind after :data:`PATIENCE_SECONDS`.
"""

from __future__ import annotations

import copy
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypedDict
from urllib.parse import urlsplit

from airflow_sm_rollout.core.errors import PlanError
from airflow_sm_rollout.plugin.address import tab_path

if TYPE_CHECKING:
    from airflow.sdk import Context

Notifier = Callable[[Any], Any]

EVENTS = (
    "not_started",
    "started",
    "waiting",
    "going_back",
    "inconclusive",
    "rolled_back",
    "promoted",
    "not_settled",
    "undone",
)
"""What there is to tell: it was refused; green is deployed; a person is asked; it goes back, as green does harm, a person has said no or a
step has failed; it goes back, as nobody can tell; it is back; green serves alone; it ended in between; its promotion was undone, as harm
was found after it.
"""

PATIENCE_SECONDS = 10.0
"""How long a task waits for all of its notifiers together."""

_ALLOWED = f"an Airflow notifier, a list of them, or a mapping of {', '.join(EVENTS)} to these"
_log = logging.getLogger(__name__)


class Notice(TypedDict):
    """What a notifier finds as ``rollout`` in the context, and so in its templates.

    :param event: one of :data:`EVENTS`.
    :param sentence: what happened, with the figures it rests on.
    :param figures: ``green_requests``, ``green_failed``, ``blue_requests``, ``blue_failed``; empty: not known yet.
    :param link: of the Rollout tab; empty where Airflow's ``[api] base_url`` is not set.
    """

    event: str
    sentence: str
    endpoint: str
    rollout_id: str
    green: str
    blue: str
    figures: Mapping[str, int]
    link: str


def parse_notifiers(option: object) -> dict[str, tuple[Notifier, ...]]:
    """The notifiers of each event.

    :param option: one, a list, or a mapping from events to these; ``None``: none.
    :raises PlanError: for something else.
    """
    if not isinstance(option, Mapping):
        return dict.fromkeys(EVENTS, _parse_list(option))
    unknown = sorted(str(event) for event in option if event not in EVENTS)
    if unknown:
        raise PlanError("notifiers", unknown[0], f"events are {', '.join(EVENTS)}")
    return {event: _parse_list(option.get(event)) for event in EVENTS}


def _parse_list(option: Any) -> tuple[Notifier, ...]:
    given = (
        () if option is None else tuple(option) if isinstance(option, Sequence) and not callable(option) else (option,)
    )
    if isinstance(option, (str, bytes)) or not all(callable(each) for each in given):
        raise PlanError("notifiers", option, _ALLOWED)
    return given


def notice(context: Context, event: str, sentence: str, handle: Mapping[str, Any], figures: Any = None) -> Notice:
    """What there is to tell.

    :param handle: the rollout's handle, or as much of it as is known.
    :param figures: XCom :data:`~airflow_sm_rollout.core.traces.FIGURES`.
    """
    from airflow_sm_rollout.core.record import from_json

    ti, frozen = context["ti"], handle.get("frozen")
    return {
        "event": event,
        "sentence": sentence,
        "endpoint": str(handle.get("endpoint_name") or ""),
        "rollout_id": str(handle.get("rollout_id") or ""),
        "green": str(handle.get("green_model") or ""),
        "blue": from_json(frozen).blue.model_name if isinstance(frozen, str) else "",
        "figures": _totals(figures),
        "link": _origin() + tab_path(ti.dag_id, ti.run_id) if _origin() else "",
    }


def _totals(figures: Any) -> dict[str, int]:
    from airflow_sm_rollout.core.figures import figures_from_dict, total

    if not figures:
        return {}
    read = figures_from_dict(figures)
    sides = {"green": total(read.green), "blue": total(read.blue)}
    named = ("requests", "failed")
    return {
        f"{side}_{name}": count for side, counts in sides.items() for name, count in zip(named, counts, strict=True)
    }


def _origin() -> str:
    from airflow.providers.common.compat.sdk import conf

    url = urlsplit(conf.get("api", "base_url", fallback="") or "")
    return f"{url.scheme}://{url.netloc}" if url.netloc else ""


def tell(notifiers: Mapping[str, Sequence[Notifier]], context: Context, build: Callable[[], Notice | None]) -> None:
    """Call an event's notifiers, each in a thread of its own, and wait for them until it has been long enough.

    :param notifiers: by event, see :func:`parse_notifiers`.
    :param build: finds what there is to tell, if anything. It runs in the task, as Airflow answers one question at a time, and may fail.
    """
    if not any(notifiers.values()):
        return
    try:
        told = build()
    except Exception as error:  # noqa: BLE001 - what can't be told must not keep a rollout from going on
        _log.warning("Nobody is told: %r", error)
        return
    if told is None:
        return
    until = time.monotonic() + PATIENCE_SECONDS
    threads = [
        threading.Thread(target=_call, args=(each, context, told), daemon=True) for each in notifiers[told["event"]]
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, until - time.monotonic()))
    if any(thread.is_alive() for thread in threads):
        _log.warning("A notifier has not come to its end in %g s, and is left behind", PATIENCE_SECONDS)


def _call(notifier: Notifier, context: Context, told: Notice) -> None:
    try:
        # Airflow's notifiers render their templates in place: a copy can be told again.
        copy.copy(notifier)({**context, "rollout": told})
    except BaseException as error:  # noqa: BLE001 - whatever it raises, the rollout goes on
        _log.warning("A notifier has failed: %r: %r", notifier, error)
