"""A Lambda alias as a live pointer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from airflow_sm_rollout.core.pointer import Pointer, Split, render_pointer

MARK = "sm-rollout"
_THEN = " | "
_LONGEST = 256
UNTOUCHED = 1
"""The count of a pointer that no rollout has written."""


@dataclass(frozen=True, slots=True)
class Alias:
    """An alias as AWS tells it, or as it is to be.

    :param version: the number of the version that gets all calls but the second one's.
    :param weights: the second version's share, from 0 to 1, by its number; empty: there is none.
    :param description: at most 256 characters.
    :param revision: AWS's mark of this state, which any change replaces.
    """

    version: str
    weights: Mapping[str, float]
    description: str
    revision: str = ""

    def split(self, endpoints: Mapping[str, str]) -> Split | None:
        """Which endpoints get its calls; ``None``: it calls a version of which nobody knows the endpoint.

        :param endpoints: by the number of the version that calls them.
        """
        if not {self.version, *self.weights} <= endpoints.keys():
            return None
        second = next(((number, weight) for number, weight in self.weights.items() if weight > 0), None)
        if second is None:
            return Split(endpoints[self.version])
        if second[1] >= 1:
            return Split(endpoints[second[0]])
        return Split(endpoints[self.version], endpoints[second[0]], round(second[1] * 100, 6))


def alias_for(
    split: Split, versions: Mapping[str, str], rollout_id: str, since: datetime, *, count: int, before: str = ""
) -> Alias:
    """The alias that sends calls there, and says who has meant that.

    :param versions: the number of the version that calls an endpoint, by its name.
    :param count: how often the alias was written by now, this time included; see :data:`UNTOUCHED`.
    :param before: its description by now. What a person has written in it stays, as far as there is room.
    """
    weights = {versions[split.green]: round(split.share / 100, 8)} if split.green else {}
    meant = Alias(versions[split.endpoint_name], weights, "")
    noted = _describe(meant, rollout_id, since.isoformat(timespec="seconds"), count)
    words = before.partition(_THEN)[2] if before.startswith(MARK) else before
    return Alias(meant.version, weights, f"{noted}{_THEN}{words}"[:_LONGEST] if words else noted)


def pointer_of_alias(alias: Alias, endpoints: Mapping[str, str], now: datetime) -> Pointer:
    """What an alias says, as a live pointer.

    One that this project wrote last has its writer and its time. Each has its revision, so that two looks at it are equal only if nobody
    wrote between them, and its description, which is put back in the end.

    :param now: when it was read, which is all that is known of when another one was written.
    """
    split = alias.split(endpoints)
    noted = {"description": alias.description, "revision": alias.revision}
    words = _noted_in(alias)
    if split is not None and _is_as_described(alias, words):
        since, count = datetime.fromisoformat(words[2]), int(words[3])
        return Pointer(_joined(render_pointer(split, words[1], since, count), noted), count, since)
    named = json.loads(render_pointer(split, "", now, UNTOUCHED)) if split else {}
    told = {name: named[name] for name in ("endpoint_name", "green") if name in named}
    return Pointer(_joined(json.dumps(told), noted), UNTOUCHED, now)


def is_written_by(alias: Alias, rollout_id: str) -> bool:
    """Whether that rollout wrote it last, so that it calls no version but blue's and green's."""
    words = _noted_in(alias)
    return _is_as_described(alias, words) and words[1] == rollout_id


def noted_of(pointer_text: str | None) -> tuple[str, str]:
    """The description and the revision of the alias that a pointer was read from."""
    stored = json.loads(pointer_text) if pointer_text else {}
    return stored.get("description", ""), stored.get("revision", "")


def _joined(text: str, noted: Mapping[str, str]) -> str:
    return json.dumps({**json.loads(text), **noted}, separators=(",", ":"))


def _is_as_described(alias: Alias, words: list[str]) -> bool:
    if len(words) < 4 or not words[3].isdigit():
        return False
    try:
        datetime.fromisoformat(words[2])
    except ValueError:
        return False
    return " ".join(words) == _describe(alias, words[1], words[2], int(words[3]))


def _noted_in(alias: Alias) -> list[str]:
    return alias.description.partition(_THEN)[0].split(" ")


def _describe(alias: Alias, rollout_id: str, since: str, count: int) -> str:
    shares = " ".join(f"{number}:{weight:g}" for number, weight in alias.weights.items())
    return f"{MARK} {rollout_id} {since} {count} {alias.version} {shares}".rstrip()
