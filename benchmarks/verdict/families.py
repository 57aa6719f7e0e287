"""Traffic beyond the halves: what a rollout meets in production, with a green that is as good as blue, and harm that is hard to see.

Three kinds: what a judge must leave alone, what is known to break a comparison's level, and harm that goes unseen easily.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from benchmarks.verdict.cells import BUNCHES_OF_TEN, Half
from benchmarks.verdict.worlds import Cell, Effect, World

DAY = 24 * 60


def harmless(half: Half) -> Iterator[Cell]:
    """Traffic with a green as good as blue, which no judge should take back."""
    for name, world in _ordinary(half.real).items():
        for requests in (600, 6_000):
            yield Cell(name, requests, 0.1, harmful=False, world=world)
    for requests in (1, 5, 20):
        yield Cell("few calls", requests, 0.1, harmful=False, world=half.real)
        yield Cell("few calls, half of them green's", requests, 0.5, harmful=False, world=half.real)
    for share in (0.5, 0.9, 0.98):
        for requests in (600, 6_000):
            yield Cell("a larger share", requests, share, harmful=False, world=half.real)
    for name, world in (("a day", half.real), ("a day, bunches of 10", replace(half.real, bunches=BUNCHES_OF_TEN))):
        for requests in (600, 6_000):
            yield Cell(name, requests, 0.1, harmful=False, world=world, minutes=DAY)


def _ordinary(real: World) -> dict[str, World]:
    return {
        "noise": real,
        "shared bursts": replace(real, bursts=0.08, burst_errors=30, burst_slowness=1.6),
        "bunches of 10": replace(real, bunches=BUNCHES_OF_TEN),
        "own noise cv 0.6": replace(real, own_noise=0.6),
        "an incident on both that heals": replace(real, incident=(8, 6, 0.4, 4.0)),
        "4XX of 20 % on both": replace(real, rate_4xx=0.2),
        "errors of 10 % on both": replace(real, rate_5xx=0.1),
        "other payloads on both": replace(real, shift=1.6),
        "figures that are not whole": replace(real, partial=0.3),
        "gaps of 40 %": replace(real, gaps=0.4),
        "traffic that stops": replace(real, stops=15),
        "a daily cycle": replace(real, drift=1.2),
        "a cold start of 4 minutes": replace(real, cold_minutes=4),
    }


def breaking(half: Half) -> Iterator[Cell]:
    """Traffic that breaks what a comparison assumes, with a green as good as blue."""
    real = half.real
    worlds = {
        "blue gets 12 % faster": replace(real, blue_faster=1.12),
        "new instances each 10 minutes": replace(real, steps=10),
        "one instance beside nine, wandering": replace(real, wander=0.05),
        "pauses of an instance": replace(real, pauses=0.1),
        "a cache warms up in 12 minutes": replace(real, warming=12),
    }
    for name, world in worlds.items():
        for requests in (600, 6_000):
            yield Cell(name, requests, 0.1, harmful=False, world=world)


def hard(half: Half) -> Iterator[Cell]:
    """Harm that is easily missed."""
    far = {
        "1 of 200 calls hangs": Effect(slow_path=0.005, slow_path_takes=300.0),
        "slowest 0.9 % 20 times slower": Effect(slowest=(0.009, 20.0)),
    }
    for name, effect in far.items():
        for requests in (600, 6_000):
            yield Cell(name, requests, 0.1, harmful=True, world=half.real, effect=effect)
    for requests in (5, 10, 20):
        world = replace(half.real, rate_5xx=0.005)
        yield Cell("every call fails", requests, 0.1, harmful=True, world=world, effect=Effect(points=1.0), minutes=120)
    for name, effect in {"errors x5": Effect(errors=5), "errors +5 points": Effect(points=0.05)}.items():
        for share in (0.5, 0.9):
            yield Cell(name, 6_000, share, harmful=True, world=half.real, effect=effect)
