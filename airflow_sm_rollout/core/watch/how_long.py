"""How long a bake must be until it can tell: the judge itself is asked, about typical harm, on traffic as blue's is (:mod:`.reach`)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import lru_cache

from airflow_sm_rollout.core.rollout import Rollout
from airflow_sm_rollout.core.watch.reach import Load, Setting, least, setting_in

_BAKES = (3, 5, 8, 10, 15, 20, 30, 45, 60, 90, 120, 180, 240, 360, 480, 720, 1440)  # minutes
_SLOW = 0.6  # of its calls are slower than blue's median


@dataclass(frozen=True, slots=True)
class Need:
    """How long a bake must be for one proof.

    :param proof: what it proves, as half a sentence.
    :param minutes: the least that are enough; ``None``: a day is not.
    """

    proof: str
    minutes: float | None


def needs_of(rollout: Rollout, load: Load, share: float, seconds: int) -> list[Need]:
    """The least bakes for typical proofs, each harm from green's first call on; none where nothing is compared.

    They are what the expected counts prove: by chance a bake needs some more or some less.

    :param share: green's, in percent.
    :param seconds: how often there are figures.
    """

    def needs(is_proven: Callable[[Setting], bool]) -> float | None:
        def is_enough(minutes: float) -> bool:
            setting = setting_in(rollout, load, share, timedelta(minutes=minutes), seconds)
            return setting is not None and is_proven(setting)

        return least(_BAKES, is_enough)

    if setting_in(rollout, load, share, timedelta(hours=1), seconds) is None:
        return []
    is_timed = load.is_timed and rollout.thresholds is not None
    return [Need(proof, needs(is_proven)) for proof, is_proven in _proofs(load.rate_5xx, is_timed)]


@lru_cache(maxsize=256)
def short_of_health(setting: Setting) -> str:
    """That a bake is too short to prove a green healthy that is as good as blue, with how long one must be; empty: it is not."""
    if setting.proves_healthy():
        return ""
    longer = [minutes for minutes in _BAKES if timedelta(minutes=minutes) > setting.bake]
    enough = least(longer, lambda minutes: replace(setting, bake=timedelta(minutes=minutes)).proves_healthy())
    told = "not even a day is enough for that" if enough is None else f"about {enough:g} minutes are enough for that"
    return f"it is too short, on its traffic, to prove green healthy ({told})"


def _proofs(usual: float, is_timed: bool) -> Iterator[tuple[str, Callable[[Setting], bool]]]:
    yield "that every call fails", lambda setting: setting.proves_failing(1.0)
    yield "that 1 more call of 100 fails", lambda setting: setting.proves_failing(min(usual + 0.01, 1.0))
    if usual:
        yield "that twice as many calls fail", lambda setting: setting.proves_failing(min(2 * usual, 1.0))
    if is_timed:
        yield (
            f"that {100 * _SLOW:g} % of calls are slower than blue's median",
            lambda setting: setting.proves_slow(_SLOW),
        )
    yield "that a green as good as blue is healthy", Setting.proves_healthy


def describe_needs(needs: list[Need], load: Load, share: float) -> str:
    """They all in one sentence."""
    enough = [f"{need.minutes:g} minutes to prove {need.proof}" for need in needs if need.minutes is not None]
    never = [need.proof for need in needs if need.minutes is None]
    told = [f"a bake needs about {', '.join(enough)}"] if enough else []
    told += [f"not even a day proves {', or '.join(never)}"] if never else []
    return f"On {load.calls:,.0f} calls a minute, {share:g} % of them green's, {'; '.join(told)}"
