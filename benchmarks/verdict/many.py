"""The product's comparison for many runs at once: the same arithmetic on arrays, a hundred times as fast.

It has no numbers of its own: all are read from :mod:`airflow_sm_rollout.core.comparison`. Whoever uses it has the product itself judge
some runs of each cell, which must come to the same (:mod:`~benchmarks.verdict.ours`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from airflow_sm_rollout.core.comparison import bets, deadline, health, metric, rate
from airflow_sm_rollout.core.plan.tolerances import METRICS, Tolerances
from benchmarks.verdict.outcome import Outcome
from benchmarks.verdict.scatter import Scatter, estimate
from benchmarks.verdict.traffic import BASELINE_MINUTES, Floats, Side, Traffic

Flags = NDArray[np.bool_]
_NAN, _INF = float("nan"), float("inf")
_Z = np.linspace(-6.2, 6.2, 12_401)
_BELOW = np.array([NormalDist().cdf(z) for z in _Z])


def judge(
    traffic: Traffic, bake: Traffic, tolerances: Tolerances, seconds: int, *, steps: int | None = None
) -> Outcome:
    """What is said of each run.

    :param bake: the bake of ``traffic`` alone, in periods of so many seconds.
    :param steps: minutes between two steps at which green gets new instances.
    """
    course = _Course(traffic, tolerances, bake.known.shape[1] * seconds / 60, steps)
    green, blue = _counts(bake.green), _counts(bake.blue)
    for index in range(bake.known.shape[1]):
        known = bake.known[:, index].all(axis=-1)
        course.take(index * seconds / 60, seconds / 60, known, green[..., index], blue[..., index])
    return Outcome(course.harmful_at, np.where(np.isnan(course.harmful_at), course.healthy_at, _NAN))


def _counts(side: Side) -> Floats:
    """Calls, then the events of each metric: (1 + metrics) x runs x periods."""
    return np.stack(
        [side.requests, side.errors_5xx, side.errors_4xx, *np.moveaxis(side.over, -1, 0), side.over_far]
    ).astype(float)


@dataclass
class _Course:
    """All runs up to some period; see :class:`airflow_sm_rollout.core.comparison.comparison.Course`."""

    traffic: Traffic
    tolerances: Tolerances
    planned_minutes: float
    steps: int | None
    harmful_at: Floats = field(init=False)
    healthy_at: Floats = field(init=False)

    def __post_init__(self) -> None:
        runs = len(self.traffic.known)
        self.harmful_at, self.healthy_at = np.full(runs, _NAN), np.full(runs, _NAN)
        self._first_call = np.full(runs, _NAN)
        self._waiting = np.zeros((2, 1 + len(METRICS), runs))
        self._begun, self._length = np.full(runs, _NAN), np.zeros(runs)
        before = np.s_[..., :BASELINE_MINUTES]
        self._metrics = _Metrics(
            _counts(self.traffic.blue)[before], self.traffic.known[:, :BASELINE_MINUTES, 0], self.tolerances
        )

    def take(self, start: float, minutes: float, known: Flags, green: Floats, blue: Floats) -> None:
        """Take one more period."""
        goes_on = known & np.isnan(self.harmful_at)
        self._first_call = np.where(goes_on & np.isnan(self._first_call) & (green[0] > 0), start, self._first_call)
        self._begun = np.where(goes_on & np.isnan(self._begun), start, self._begun)
        self._length += np.where(goes_on, minutes, 0.0)
        self._waiting += np.where(goes_on, np.stack([green, blue]), 0.0)
        ready = goes_on & (self._waiting[:, 0] > 0).all(axis=0)
        if ready.any():
            length = np.where(ready, self._length, minutes)
            self._metrics.asks_health = np.isnan(self.healthy_at)
            self._metrics.take(*self._waiting, length, length / self.planned_minutes, ready, self._is_warm())
            self._decide(ready, start + minutes)
        self._waiting = np.where(ready, 0.0, self._waiting)
        self._length, self._begun = np.where(ready, 0.0, self._length), np.where(ready, _NAN, self._begun)

    def _is_warm(self) -> Flags:
        begun, warm_up = self._begun, self.tolerances.warm_up_minutes
        warm = begun >= self._first_call + warm_up
        for at in np.arange(0, self.planned_minutes, self.steps) if self.steps else ():
            warm &= (begun + self._length <= at - 1) | (begun >= at + warm_up)
        return warm

    def _decide(self, ready: Flags, end: float) -> None:
        harm, health = self._metrics.evidence.sum(axis=0), self._metrics.health.min(axis=0)
        harmful = harm >= 1 / self.tolerances.false_rollback
        baked = end >= self._first_call + self.tolerances.min_bake_minutes
        healthy = (harm < 1) & baked & (health >= 1 / self.tolerances.false_pass)
        self.harmful_at = np.where(ready & harmful, end, self.harmful_at)
        first = ready & healthy & ~harmful & np.isnan(self.healthy_at)
        self.healthy_at = np.where(first, end, self.healthy_at)


class _Metrics:
    """All metrics of all runs: arrays of metrics x runs."""

    def __init__(self, blue: Floats, known: Flags, tolerances: Tolerances) -> None:
        margins = [tolerances.margin(name) for name in METRICS]
        self._ratio, self._points, healthy_ratio, healthy_points = (
            np.array([[getattr(margin, name)] for margin in margins])
            for name in ("ratio", "points", "healthy_ratio", "healthy_points")
        )
        self._scatter, of_health = _estimate_all(blue, known)
        shape = self._scatter.bunching.shape
        self._odds = np.array([[odds for odds, _ in metric.ODDS[name]] for name in METRICS]).T[..., None]
        weights = np.array([[weight for _, weight in metric.ODDS[name]] for name in METRICS]).T[..., None]
        self._capital = _Capital(np.broadcast_to(weights, (2, *shape)))
        self._expected = np.zeros(shape)
        self._line = _Line(self._ratio, self._points, self._scatter)
        self._weights = np.array([[metric.WEIGHTS[name]] for name in METRICS])
        self._hedge = _Hedge(1 / (self._weights * tolerances.false_rollback * bets.BY_DEADLINE), self._scatter)
        self._guard = _Guard(self._scatter)
        self._health = _Health(_Line(healthy_ratio, healthy_points, of_health), tolerances, shape)
        self._calls, self._events = np.where(known, blue[0], 0).sum(-1), np.where(known, blue[1:], 0).sum(-1)
        self._errors = np.array([[name in metric.ERRORS] for name in METRICS])
        self._was_warm = np.zeros(shape, dtype=bool)
        self.asks_health = np.ones(shape[1], dtype=bool)

    @property
    def evidence(self) -> Floats:
        """Of harm."""
        of_guards = np.zeros_like(self._capital.total)
        for row, name in enumerate(metric.GUARD_WEIGHTS):
            of_guards[METRICS.index(name)] = metric.GUARD_WEIGHTS[name] * self._guard.capital.total[row]
        of_rates = (1 - bets.BY_DEADLINE) * self._capital.total + bets.BY_DEADLINE * self._hedge.total
        return self._weights * of_rates + of_guards

    @property
    def health(self) -> Floats:
        """Evidence of health."""
        return self._health.evidence

    def take(self, green: Floats, blue: Floats, minutes: Floats, planned: Floats, ready: Flags, is_warm: Flags) -> None:
        """Take one more period of the runs that are ready."""
        n_green, n_blue = np.maximum(green[0], 1), np.maximum(blue[0], 1)
        counts = n_green, np.minimum(green[1:], n_green), n_blue, np.minimum(blue[1:], n_blue)
        blue_rate = (self._events + 0.5) / (self._calls + 1)
        warm = is_warm | self._errors
        begins = ready & warm & ~self._was_warm
        self._was_warm |= begins
        self._health.stake_all(begins)
        self._guard.bet(counts, blue_rate, minutes, planned, ready)
        self._bet(counts, blue_rate, minutes, planned, (ready & warm, np.broadcast_to(ready, warm.shape)))
        self._health.bet(counts, blue_rate, minutes, ready & self.asks_health & (warm | ~self._was_warm))
        self._calls = self._calls + np.where(ready, blue[0], 0)
        self._events = self._events + np.where(ready, counts[3], 0)

    def _bet(
        self,
        counts: tuple[Floats, ...],
        blue_rate: Floats,
        minutes: Floats,
        planned: Floats,
        taken: tuple[Flags, Flags],
    ) -> None:
        bets_on, ready = taken
        hardly_ever = self._points > bets._HARDLY_EVER * blue_rate
        chosen = self._hedge.choose_odds(counts, blue_rate, planned, minutes)
        odds = np.concatenate([np.broadcast_to(self._odds, (2, *chosen.shape)), chosen[None]])
        ratio = self._open_ratio(counts[0], blue_rate, ready & self._was_warm & ~hardly_ever)
        split = _split(counts, ratio, self._scatter, odds, minutes)
        line = self._line.log_factors(counts, blue_rate, odds, minutes)
        factors = np.minimum(np.where(hardly_ever, line, split), bets._MOST_LOG_A_MINUTE * np.maximum(0.5, minutes))
        self._capital.multiply(factors[:2], planned, bets_on)
        self._hedge.take(factors[2], planned, bets_on, ready)

    def _open_ratio(self, n_green: Floats, blue_rate: Floats, splits: Flags) -> Floats:
        tolerated = np.maximum(self._ratio, 1 + self._points / blue_rate) - 1
        expected = n_green * blue_rate / np.maximum(1 - blue_rate, 1 - bets._NEAR_CERTAIN)
        self._expected = self._expected + np.where(splits, expected, 0.0)
        return 1 + tolerated * np.minimum(1.0, self._expected * tolerated**2 / bets._OPENING)


def _estimate_all(blue: Floats, known: Flags) -> tuple[Scatter, Scatter]:
    """How each metric scatters where harm is bet on, and where health is."""
    of_harm, of_health = [], []
    for row, name in enumerate(METRICS):
        least, minutes = metric.DEFAULT_DISPERSIONS[name], (blue[0], blue[1 + row], known)
        of_harm.append(estimate(*minutes, least, bunched=name in metric.BUNCHED))
        healthy = metric.HEALTH_DISPERSION
        unknown = least
        in_health = estimate(*minutes, healthy, bunched=True, unknown=unknown) if name in metric.ERRORS else of_harm[-1]
        of_health.append(in_health)
    return Scatter.stack(of_harm), Scatter.stack(of_health)


def _split(counts: tuple[Floats, ...], ratio: Floats, scatter: Scatter, odds: Floats, minutes: Floats) -> Floats:
    n_green, x_green, n_blue, x_blue = counts
    events = x_green + x_blue
    p = ratio * n_green / (ratio * n_green + n_blue)
    trials = np.minimum(n_green, events)
    g = p * events / np.maximum(trials, 1)
    tells = (trials > 0) & (g < bets._NEAR_CERTAIN)
    g = np.where(tells, g, 0.5)
    noise = 2 * scatter.own_noise**2 * p * events * (1 - p) ** 2 / ((1 - g) * np.minimum(minutes, 1.0))
    told = (x_green * np.log(odds) - trials * np.log(1 + (odds - 1) * g)) / (scatter.bunching + noise)
    return np.where(tells, told, 0.0)


class _Capital:
    """See :class:`airflow_sm_rollout.core.comparison.bets.Capital`; arrays of alternatives x metrics x runs."""

    def __init__(self, weights: Floats) -> None:
        self._weights, self._bets = weights, np.zeros(weights.shape)
        self._waiting = np.ones(weights.shape[1:])

    @property
    def total(self) -> Floats:
        """What it has become."""
        total: Floats = self._waiting + self._bets.sum(axis=0)
        return total

    def multiply(self, factors: Floats, planned: Floats, bets_on: Flags) -> None:
        """Bet in one period, where ``bets_on``."""
        first = bets.FIRST_STAKE
        joining = np.where(self._waiting < 1, (1 - first) * planned, first)
        joining = np.where(bets_on, np.minimum(joining, self._waiting), 0.0)
        self._waiting = self._waiting - joining
        grown = (self._bets + joining * self._weights) * np.exp(factors)
        self._bets = np.where(bets_on, np.minimum(grown, 1e200), self._bets)


@dataclass
class _Line:
    """See :class:`airflow_sm_rollout.core.comparison.bets.LineTest`."""

    ratio: Floats
    points: Floats
    scatter: Scatter

    def log_factors(self, counts: tuple[Floats, ...], blue_rate: Floats, odds: Floats, minutes: Floats) -> Floats:
        """Of alternatives above the line."""
        meeting = _Meeting(self, counts, blue_rate, minutes)
        line = meeting.line
        return meeting.log_factor(odds * line / (1 - line + odds * line))


class _Meeting:
    """See :class:`airflow_sm_rollout.core.comparison.bets.Meeting`."""

    def __init__(self, of: _Line, counts: tuple[Floats, ...], blue_rate: Floats, minutes: Floats) -> None:
        self._of, self._counts, self._blue_rate = of, counts, blue_rate
        line = of.ratio * blue_rate + of.points
        self._tells = line < bets._NEAR_CERTAIN
        self.line = line = np.minimum(line, bets._NEAR_CERTAIN)
        noise = of.scatter.own_noise**2 / np.minimum(minutes, 1.0)
        self._powers = [
            1 / (of.scatter.bunching + noise * calls * each / (1 - each))
            for calls, each in ((counts[0], line), (counts[2], blue_rate))
        ]
        self._m_green, self._m_blue = counts[0] * self._powers[0], counts[2] * self._powers[1]
        self._pull = self._m_green / (line * (1 - line))
        self._hold = self._m_blue / (blue_rate * (1 - blue_rate))

    @property
    def tells(self) -> Floats:
        """Of a green as good as blue."""
        squared: Floats = (self.line - self._blue_rate) ** 2 / (1 / self._pull + self._of.ratio**2 / self._hold)
        return squared

    def log_factor(self, target: Floats) -> Floats:
        """Of a green bet to be at ``target``."""
        ratio, (n_green, x_green, n_blue, x_blue) = self._of.ratio, self._counts
        b0 = self._project(target)
        g0 = ratio * b0 + self._of.points
        u = (target - g0) / (g0 * (1 - g0))
        fair = self._tells & ((u > 0) != (target <= self.line))
        w = ratio * self._m_green * u / self._m_blue
        most = np.maximum(1.0, np.where(w > 0, w * (1 - b0), -w * b0) / 0.95)
        u, w = np.where(fair, u / most, 0.0), np.where(fair, w / most, 0.0)
        of_green = x_green * np.log1p(u * (1 - g0)) + (n_green - x_green) * np.log1p(-u * g0)
        of_blue = x_blue * np.log1p(-w * (1 - b0)) + (n_blue - x_blue) * np.log1p(w * b0)
        return np.where(fair, self._powers[0] * of_green + self._powers[1] * of_blue, 0.0)

    def _project(self, target: Floats) -> Floats:
        ratio, points, pull = self._of.ratio, self._of.points, self._of.ratio * self._pull
        b0 = self._blue_rate - (self.line - target) * pull / (ratio * pull + self._hold)
        all_fail = (ratio * self._m_green - points * self._m_blue) / (ratio * (self._m_green + self._m_blue))
        b0 = np.where(target > self.line, np.maximum(b0, target * target * all_fail), b0)
        return np.minimum(np.maximum(b0, self._blue_rate / 4), bets._NEAR_CERTAIN * (1 - points) / ratio)


class _Guard:
    """See :class:`airflow_sm_rollout.core.comparison.metric.Guard`."""

    def __init__(self, scatter: Scatter) -> None:
        self._rows = [METRICS.index(name) for name in metric.GUARD_WEIGHTS]
        found = scatter.rows(self._rows)
        least = Scatter.stack(
            [
                Scatter(
                    np.full(found.bunching.shape[1], each.bunching), np.full(found.bunching.shape[1], each.own_noise)
                )
                for each in (metric.DEFAULT_DISPERSIONS[name] for name in metric.GUARD_WEIGHTS)
            ]
        )
        line = np.full((len(self._rows), 1), metric.GUARD_RATIO), np.full((len(self._rows), 1), metric.GUARD_POINTS)
        self._line, self._bunched = _Line(*line, least), _Line(*line, found)
        self.capital = _Capital(np.full((2, *found.bunching.shape), 0.5))
        self._left = np.full(found.bunching.shape, metric._MOST_OF_A_BUNCH)

    def bet(
        self, counts: tuple[Floats, ...], blue_rate: Floats, minutes: Floats, planned: Floats, ready: Flags
    ) -> None:
        """Take one more period."""
        most = metric._MOST_OF_A_BUNCH
        mine = counts[0], counts[1][self._rows], counts[2], counts[3][self._rows]
        odds = np.array(metric.GUARD_ODDS)[:, None, None]
        factors = self._line.log_factors(mine, blue_rate[self._rows], odds, minutes)
        left = np.minimum(most, self._left + most * minutes)
        beyond = self._bunched.log_factors(mine, blue_rate[self._rows], odds, minutes)
        bounded = np.minimum(np.minimum(factors, np.maximum(left, beyond)), deadline.MOST_EXPONENT)
        factors = np.where((factors > left).any(axis=0), bounded, factors)
        left = np.maximum(0.0, left - np.maximum(0.0, factors.max(axis=0)))
        self._left = np.where(ready, left, self._left)
        self.capital.multiply(factors, planned, np.broadcast_to(ready, left.shape))


class _Health:
    """See :class:`airflow_sm_rollout.core.comparison.bets.HealthTest`."""

    def __init__(self, line: _Line, tolerances: Tolerances, shape: tuple[int, ...]) -> None:
        self._line, self._goal = line, 1 / tolerances.false_pass
        self._bet, self._waiting = np.full(shape, rate.FROM_THE_BEGIN), np.full(shape, 1 - rate.FROM_THE_BEGIN)
        self._deadline = np.full(shape, float(tolerances.min_bake_minutes))
        self._elapsed = np.zeros(shape)

    @property
    def evidence(self) -> Floats:
        """What the capital of 1 has become."""
        return self._bet + self._waiting

    def stake_all(self, begins: Flags) -> None:
        """From now on bet all, where a green has warmed up."""
        self._bet, self._waiting = np.where(begins, self.evidence, self._bet), np.where(begins, 0.0, self._waiting)

    def bet(self, counts: tuple[Floats, ...], blue_rate: Floats, minutes: Floats, bets_on: Flags) -> None:
        """Take one more period."""
        meeting = _Meeting(self._line, counts, blue_rate, minutes)
        line, possible = meeting.line, bets_on & meeting._tells & (meeting.line > blue_rate)
        target = line - self._boldness(meeting.tells / minutes, minutes, possible) * (line - blue_rate)
        factor = np.minimum(meeting.log_factor(target), deadline.MOST_EXPONENT)
        grown = np.minimum(self._bet * np.exp(factor), health._ENOUGH * self._goal)
        self._bet = np.where(possible, grown, self._bet)
        self._elapsed = self._elapsed + np.where(bets_on, minutes, 0.0)

    def _boldness(self, tells: Floats, minutes: Floats, possible: Flags) -> Floats:
        while (late := possible & (self._deadline < self._elapsed + minutes)).any():
            later = deadline.NEXT_DEADLINE * np.maximum(self._deadline, minutes)
            self._deadline = np.where(late, later, self._deadline)
        told = np.sqrt(np.maximum(tells * (self._deadline - self._elapsed), 1e-300))
        stake = _stake_by_deadline(self.evidence / (health._ABOVE_GOAL * self._goal)) / told
        return np.clip(stake, health._LEAST_STAKE, 1.0)


class _Hedge:
    """See :class:`airflow_sm_rollout.core.comparison.deadline.Hedge`."""

    def __init__(self, goal: Floats, scatter: Scatter) -> None:
        self._goal, self._scatter = goal, scatter
        self.total = np.ones(scatter.bunching.shape)
        self._deadline, self._passed = np.ones(self.total.shape), np.zeros(self.total.shape)

    def choose_odds(self, counts: tuple[Floats, ...], blue_rate: Floats, planned: Floats, minutes: Floats) -> Floats:
        """What to bet on in a period."""
        while (late := self._deadline < self._passed + planned).any():
            self._deadline = np.where(late, deadline.NEXT_DEADLINE * self._deadline, self._deadline)
        n_green, _, n_blue, _ = counts
        p, events = n_green / (n_green + n_blue), blue_rate * (n_green + n_blue)
        g = np.minimum(p * events / np.minimum(n_green, events), deadline._MOST_PART)
        noise = 2 * self._scatter.own_noise**2 * p * events * (1 - p) ** 2 / ((1 - g) * np.minimum(minutes, 1.0))
        phi = self._scatter.bunching + noise
        left = phi * p * (1 - p) * events * (self._deadline - self._passed) / planned
        stake = _stake_by_deadline(self.total / self._goal) / np.sqrt(np.maximum(left, 1e-12))
        odds: Floats = np.exp(np.clip(phi * stake, np.log(deadline._LEAST_ODDS), np.log(deadline._MOST_ODDS)))
        return odds

    def take(self, factor: Floats, planned: Floats, bets_on: Flags, ready: Flags) -> None:
        """What the period has brought."""
        grown = np.minimum(
            self.total * np.exp(np.minimum(factor, deadline.MOST_EXPONENT)), np.exp(deadline.MOST_EXPONENT)
        )
        self.total = np.where(bets_on, grown, self.total)
        self._passed = self._passed + np.where(ready, planned, 0.0)


def _stake_by_deadline(reached: Floats) -> Floats:
    reached = np.maximum(reached, deadline._LEAST_OF_GOAL)
    z = np.interp(np.minimum(reached, deadline.MOST_OF_GOAL), _BELOW, _Z)
    return np.where(reached >= deadline.MOST_OF_GOAL, 0.0, np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi) / reached)
