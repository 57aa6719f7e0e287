"""A rollout whose record somebody has deleted: what gives it away, and what a person is told where its plan is not known."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from airflow_sm_rollout.core.names import Names
from airflow_sm_rollout.core.observation import Endpoint, Observation
from airflow_sm_rollout.core.pointer import Pointer, Split, is_as_recorded, is_ours, share_on_green
from airflow_sm_rollout.core.rollout import Rollout
from airflow_sm_rollout.core.scaling import ALL_SUSPENDED, resource_id
from airflow_sm_rollout.core.undo import Kept, Undone

_HOW_TO_END = (
    "Task settle of its DAG run has the plan, makes the record again and goes back by it: clear it, if it is over. So does sm-rollout "
    "rollback {endpoint} --plan FILE, with what task snapshot has left in XCom return_value, as JSON. Without that plan {by_hand}, and "
    "delete what is named after the rollout"
)
_ON_ONE = "give blue all of the traffic yourself, put its endpoint on the config that it had before"
_ON_TWO = "let all clients call blue's endpoint yourself, by the live pointer or by the function's alias"
_ID = "([0-9a-f]{8})"


def is_lost(rollout: Rollout, seen: Observation) -> bool:
    """Whether AWS shows what only a rollout in progress has, and none that has ended.

    Green's model and config are no such thing, nor is its endpoint where clients were sent to it: after a promotion they stay.

    :param rollout: the rollout as it was planned.
    :param seen: what going back needs to know; without a record.
    """
    if seen.endpoint is not None and is_on_passing_config(rollout.rollout_id, seen.endpoint):
        return True
    if seen.green_endpoint is not None and _leaves_some_to_blue(rollout, seen.pointer):
        return True
    if _answers(seen.endpoint) and not _answers(seen.green_endpoint) and share_on_green(rollout, seen.pointer) > 0:
        return True
    own = {alarm.name for alarm in seen.alarms if alarm.state != "MISSING"} & set(rollout.made_alarms)
    if own or _passing_configs(rollout.names) & seen.configs.keys():
        return True
    return _scaling_rests(rollout, seen) or _never_used(rollout, seen)


def is_on_passing_config(rollout_id: str, endpoint: Endpoint) -> bool:
    """Whether an endpoint is on a config that a rollout makes for its time only."""
    return endpoint.config_name in _passing_configs(Names(endpoint.name, rollout_id))


def why_pointer_is_left(rollout_id: str, pointer: Pointer | None, endpoint: Endpoint | None) -> str:
    """What a rollout has left in the live pointer though it has no record, and how a person ends that; empty: nothing amiss.

    :param endpoint: the one that the pointer names before all others.
    """
    split = pointer.split if pointer is not None and pointer.rollout_id == rollout_id else None
    if split is None:
        return ""
    if split.green:
        record = f"the record of rollout {rollout_id} is gone (its SSM parameter was deleted?)"
        how = _HOW_TO_END.format(endpoint="ENDPOINT", by_hand=_ON_TWO)
        return f"{record}, but the rollout has not ended: the live pointer names {split}. {how}"
    if _answers(endpoint):
        return ""
    return (
        f"rollout {rollout_id} has ended, and the live pointer names {split}, but no endpoint answers there (deleted?), nor does blue's. "
        "Create an endpoint that serves, and write its name into the live pointer"
    )


def describe_lost(names: Names, seen: Observation) -> str:
    """What stands, and how a person ends it."""
    record = f"the record of rollout {names.rollout_id} is gone (SSM parameter {names.record} was deleted?)"
    return f"{record}, but the rollout has not ended: {seen.describe()}. {_how_to_end(names, seen.green_endpoint)}"


def _how_to_end(names: Names, green_endpoint: object) -> str:
    return _HOW_TO_END.format(endpoint=names.endpoint, by_hand=_ON_TWO if green_endpoint else _ON_ONE)


@dataclass(frozen=True, slots=True)
class Rests:
    """What is left of a rollout that has no record.

    :param things: each in a few words, such as ``endpoint config fraud-0badcafe-mixed``.
    :param green_endpoint: green's own one, if there is one.
    """

    names: Names
    things: tuple[str, ...]
    green_endpoint: Endpoint | None = None

    def describe(self, state: str) -> str:
        """What stands, and how a person ends it.

        :param state: the endpoint's.
        """
        record = (
            f"the record of rollout {self.names.rollout_id} is gone (SSM parameter {self.names.record} was deleted?)"
        )
        left = f"and there are {', '.join(self.things)}" if self.things else "and nothing else of it is left"
        return (
            f"{record}, but the rollout has not ended: {state}, {left}. {_how_to_end(self.names, self.green_endpoint)}"
        )


def find_unrecorded(endpoint_name: str, seen_names: Iterable[str]) -> list[Names]:
    """The rollouts of an endpoint that names on AWS give away: of its config and of alarms, which all go at a rollout's end.

    :param seen_names: names of endpoint configs in use and of alarms.
    """
    found: dict[str, Names] = {}
    for seen in seen_names:
        for rollout_id in re.findall(rf"-{_ID}(?=-)", seen):
            names = Names(endpoint_name, rollout_id)
            if seen in _passing_configs(names) | set(names.alarms):
                found[rollout_id] = names
    return list(found.values())


def find_unrecorded_endpoints(
    endpoint_name: str,
    made: Mapping[str, datetime],
    pointer: Pointer | None,
    promoted: Kept | Undone | None,
) -> list[Names]:
    """The rollouts of an endpoint that a green endpoint of theirs gives away.

    A promotion leaves green's endpoint, too, and blue's where that is kept. So it is one that was made since the last promotion; and one
    that has all clients, though what was promoted last is another's. Where nothing was promoted before, nobody can tell that.

    :param made: when which endpoint was made.
    :param promoted: what there is of the rollout that was promoted last.
    """
    found = {name: Names(endpoint_name, name[-8:]) for name in made if re.search(rf"-{_ID}$", name)}
    ended = promoted.rollout_id if isinstance(promoted, Undone) else promoted and promoted.rollout.rollout_id
    unfinished = (name for name, names in found.items() if name == names.green_endpoint and names.rollout_id != ended)
    promoted_at = promoted.at if promoted else None
    return [found[name] for name in unfinished if _is_of_no_promotion(found[name], made[name], pointer, promoted_at)]


def _is_of_no_promotion(names: Names, made_at: datetime, pointer: Pointer | None, promoted_at: datetime | None) -> bool:
    """Whether an endpoint of another rollout than the one that was promoted last is none that one before has left."""
    is_own = pointer is not None and pointer.rollout_id == names.rollout_id
    if pointer is not None and pointer.split == Split(names.green_endpoint):
        return is_own and promoted_at is not None and pointer.written_at > promoted_at
    written = [pointer.written_at] if pointer is not None and not is_own else []
    return all(made_at > moment for moment in [*written, *([promoted_at] if promoted_at else [])])


def _answers(endpoint: Endpoint | None) -> bool:
    return endpoint is not None and endpoint.answers


def _leaves_some_to_blue(rollout: Rollout, pointer: Pointer | None) -> bool:
    """Whether clients call blue, some of them at least, and nobody but the rollout has written that."""
    is_shared = is_ours(rollout, pointer) and share_on_green(rollout, pointer) < 100
    return is_shared or is_as_recorded(rollout, pointer)


def _passing_configs(names: Names) -> set[str]:
    return {names.mixed_config, names.shadow_config, names.spare_config}


def _never_used(rollout: Rollout, seen: Observation) -> bool:
    """Whether green's config or model was made, and the endpoint not changed since. All times are AWS's."""
    endpoint, made_at = seen.endpoint, seen.configs.get(rollout.names.final_config)
    if endpoint is None or endpoint.config_name != rollout.blue.config_name:
        return False
    if made_at is not None:
        return made_at > endpoint.last_modified
    return rollout.green.is_made_by_rollout and rollout.green_model_name in seen.models


def _scaling_rests(rollout: Rollout, seen: Observation) -> bool:
    """Whether blue's autoscaling is suspended as a rollout suspends it."""
    before, now = rollout.blue.scaling, seen.scaling.get(resource_id(rollout.blue_endpoint_name, rollout.blue.variant))
    return before is not None and now is not None and now.suspended == ALL_SUSPENDED != before.suspended
