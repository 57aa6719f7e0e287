"""What made-up traffic may be like, and in what green may differ in it."""

from __future__ import annotations

from dataclasses import dataclass, replace

BAKE_MINUTES = 30
ONE_BY_ONE = (1.0,)


@dataclass(frozen=True)
class World:
    """What traffic is like that has nothing to do with green.

    :param rate_5xx: share of calls that fail with 5XX, before all else; so ``rate_4xx``.
    :param own_noise: coefficient of variation of a variant's error rate from minute to minute, independent of the other's.
    :param own_slowness: standard deviation of the logarithm of a variant's latency from minute to minute, independent of the other's.
    :param bunches: probability of a bunch of 1, 2, 3, ... errors: a client that retries.
    :param bursts: probability that a burst begins in a minute; it lasts one to four and is the same for both.
    :param burst_errors: by how much it multiplies the error rate at most.
    :param burst_slowness: by how much it multiplies latency at most.
    :param drift: amplitude of the logarithm of the error rate over a day; traffic and latency follow with a part of it.
    :param cold_minutes: how long green is slow from its first call on.
    :param gaps: share of minutes without figures for both or for green.
    :param silent: green gets no traffic at all.
    :param incident: begin, length in minutes, share of calls that fail and factor on latency of what hits both in the bake.
    :param shift: factor on both variants' latency from minute 12 of the bake on: other payloads.
    :param stops: minute of the bake with which all traffic stops.
    :param partial: most of the calls that a minute's figures of a variant lack, as a share.
    :param blue_faster: factor on blue's speed from minute 10 of the bake on: it has scaled out.
    :param steps: minutes between two steps at which green's instances are new, and twice as slow for three minutes.
    :param wander: standard deviation of the logarithm of an instance's latency, which wanders (an hour's half-life of ten minutes).
    :param pauses: chance of an instance's pause in a minute, in which a tenth of its calls takes ten times as long.
    :param warming: minutes in which green's cache gets warm, from half as slow again.
    :param instances: of blue; green has one. They share what is an instance's own.
    """

    rate_5xx: float = 0.005
    rate_4xx: float = 0.01
    own_noise: float = 0.0
    own_slowness: float = 0.0
    bunches: tuple[float, ...] = ONE_BY_ONE
    bursts: float = 0.0
    burst_errors: float = 10.0
    burst_slowness: float = 1.3
    drift: float = 0.0
    cold_minutes: int = 0
    gaps: float = 0.0
    silent: bool = False
    incident: tuple[int, int, float, float] | None = None
    shift: float = 1.0
    stops: int | None = None
    partial: float = 0.0
    blue_faster: float = 1.0
    steps: int | None = None
    wander: float = 0.0
    pauses: float = 0.0
    warming: int = 0
    instances: int = 9


@dataclass(frozen=True)
class Effect:
    """In what green differs from blue.

    :param errors: factor on its 5XX rate.
    :param points: added to its 5XX rate.
    :param onset: minute of the bake with which that begins.
    :param leak: added to its 5XX rate with each minute.
    :param latency: factor on its latency.
    :param tail: factor on its 99th percentile that leaves the median where it is.
    :param slow_path: share of calls that take so many times as long.
    :param slow_path_takes: how many.
    :param slowest: share of the slowest calls that take so many times as long, and how many.
    """

    errors: float = 1.0
    points: float = 0.0
    onset: int = 0
    leak: float = 0.0
    latency: float = 1.0
    tail: float = 1.0
    slow_path: float = 0.0
    slow_path_takes: float = 3.0
    slowest: tuple[float, float] | None = None


@dataclass(frozen=True)
class Cell:
    """One row of the benchmark.

    :param name: what is special about it.
    :param requests: a minute, both variants together.
    :param share: green's, 0 to 1.
    :param harmful: whether green should be rolled back.
    :param minutes: of the bake.
    """

    name: str
    requests: int
    share: float
    harmful: bool
    world: World
    effect: Effect = Effect()
    minutes: int = BAKE_MINUTES

    def at(self, requests: int, share: float) -> Cell:
        """The same with other traffic."""
        return replace(self, requests=requests, share=share)
