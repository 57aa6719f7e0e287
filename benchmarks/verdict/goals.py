"""Whether what was promised of the figures holds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.verdict.rows import KAYENTA, KAYENTA_CAREFUL, KAYENTA_WARM, OURS, Row


@dataclass(frozen=True)
class Goal:
    """A promise and the cells in which it is broken.

    :param broken: one line for each.
    :param figures: what was reached, in words.
    """

    promise: str
    figures: str
    broken: tuple[str, ...] = ()

    def render(self) -> str:
        """Some lines of text."""
        return "\n".join(
            [
                f"{'holds     ' if not self.broken else 'NOT REACHED'} {self.promise}: {self.figures}",
                *(f"            {line}" for line in self.broken),
            ]
        )


def judge_goals(rows: Sequence[Row]) -> list[Goal]:
    """The goals of which these rows tell something."""
    harmful = [row for row in rows if row.cell.harmful]
    harmless = [row for row in rows if not row.cell.harmful]
    silent = [row for row in harmless if row.cell.world.silent]
    failing = [
        row
        for row in harmful
        if row.cell.name == "every call fails" and row.cell.share >= 0.1 and row.cell.requests >= 60
    ]
    goals = [
        _limit("false rollback <= 1 % in every harmless cell", harmless, lambda row: row.ours.rolled_back, 0.01),
        _limit("pass of a harmful model <= 5 % in every harmful cell", harmful, lambda row: row.ours.passed, 0.05),
        _limit("no pass without traffic", silent, lambda row: row.ours.passed, 0.0),
        _least(
            "every call fails at 10 % share: proven within 2 periods",
            failing,
            lambda row: row.ours.harmful_by(2 * row.seconds / 60),
            1.0,
        ),
        *(
            _least(
                f"{name} at 6,000/min: passed by minute 10 in 95 % of runs",
                _at_6000(harmless, name),
                _passed_by_10,
                0.95,
            )
            for name in ("clean", "real noise")
        ),
        *(
            _against(harmful, harmless, judge)
            for judge in (KAYENTA_CAREFUL, KAYENTA_WARM, KAYENTA)
            if all(judge in row.outcomes for row in rows)
        ),
    ]
    return [goal for goal in goals if goal]


def _at_6000(rows: Sequence[Row], name: str) -> list[Row]:
    return [row for row in rows if (row.cell.name, row.cell.requests) == (name, 6_000) and row.cell.share >= 0.1]


def _passed_by_10(row: Row) -> float:
    return row.ours.passed_by(10)


def name_of(row: Row) -> str:
    """A row in words."""
    return f"{row.cell.name}, {row.cell.requests:,}/min, green {100 * row.cell.share:g} %"


def _limit(promise: str, rows: Sequence[Row], measure: Callable[[Row], float], most: float) -> Goal | None:
    if not rows:
        return None
    rates = [100 * measure(row) for row in rows]
    broken = [
        f"{name_of(row)}: {rate:.1f} %" for row, rate in zip(rows, rates, strict=True) if rate > 100 * most + 1e-9
    ]
    figures = f"{len(rows)} cells, worst {max(rates):.1f} %, mean {np.mean(rates):.2f} %"
    return Goal(promise, figures, tuple(broken))


def _least(promise: str, rows: Sequence[Row], measure: Callable[[Row], float], least: float) -> Goal | None:
    if not rows:
        return None
    rates = [100 * measure(row) for row in rows]
    broken = [f"{name_of(row)}: {rate:.1f} %" for row, rate in zip(rows, rates, strict=True) if rate < 100 * least]
    return Goal(promise, ", ".join(f"{rate:.0f} %" for rate in rates), tuple(broken))


def _against(harmful: Sequence[Row], harmless: Sequence[Row], judge: str) -> Goal | None:
    rows = [row for row in harmful if row.cell.requests >= 600]
    served = [row for row in harmless if not row.cell.world.silent]
    if not rows or not served:
        return None
    broken = [f"{name_of(row)}: {lost}" for row in rows if (lost := _lost(row, judge))]
    ours, theirs = (100 * float(np.mean([row.outcomes[who].rolled_back for row in served])) for who in (OURS, judge))
    if ours > theirs:
        broken.append("it rolls back more harmless ones")
    figures = f"{len(rows)} cells; harmless ones rolled back {ours:.2f} % against {theirs:.2f} %"
    return Goal(
        f"at 600/min and more as often and as soon as {judge}, with no more false rollbacks", figures, tuple(broken)
    )


def _lost(row: Row, judge: str) -> str:
    ours, theirs = row.ours, row.outcomes[judge]
    # Two shares of some hundred runs differ by chance; one standard error is no loss.
    likely = (ours.rolled_back + theirs.rolled_back + 2 / theirs.harm.size) / (2 + 4 / theirs.harm.size)
    slack = np.sqrt(2 * likely * (1 - likely) / theirs.harm.size)
    half = theirs.rolled_back / 2
    seldom = ours.rolled_back < theirs.rolled_back - slack
    late = theirs.rolled_back > 0.05 and ours.caught(half) > theirs.caught(half)
    if not seldom and not late:
        return ""
    return (
        f"{100 * ours.rolled_back:.0f} % against {100 * theirs.rolled_back:.0f} %; "
        f"as many as its median minute {theirs.caught(half):.0f} has, by minute {ours.caught(half):.0f}"
    )
