"""Pictures of the comparison: the evidence on a log scale, and each metric's difference with its interval and the tolerated line."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from airflow_sm_rollout.core.comparison.difference import Difference
from airflow_sm_rollout.core.comparison.results import Comparison
from airflow_sm_rollout.core.comparison.track import Mark
from airflow_sm_rollout.core.plan.tolerances import Tolerances
from airflow_sm_rollout.core.screen.proof import differences_of
from airflow_sm_rollout.plugin.scale import (
    Limit,
    Line,
    Plot,
    Row,
    Table,
    TimeScale,
    ValueScale,
    area_of,
    moment,
    path_of,
)

_LEAST, _MOST = -1.0, 4.0  # powers of ten: below the first nothing is near a proof, above the second nothing is doubted
_KEY = "evidence"
Seen = Sequence[tuple[Mark, Difference]]


def draw_evidence(comparison: Comparison, tolerances: Tolerances, time: TimeScale) -> tuple[tuple[Plot, ...], Table]:
    """The pictures, and the table behind them."""
    found = list(differences_of(comparison, tolerances))
    plots = (_evidence(comparison, time), *(_difference(2 + n, *each, time) for n, each in enumerate(found)))
    head = ("that green is worse", "that green is as good", *(name for name, _ in found))
    return plots, Table(
        _KEY, "Evidence, and green's share of calls less blue's", head, tuple(_rows(comparison, found, time))
    )


def _evidence(comparison: Comparison, time: TimeScale) -> Plot:
    needed, health = comparison.needed, comparison.health_needed
    top = math.ceil(min(max(_log(needed), _log(health), *(_log(m.evidence) for m in comparison.track)) + 0.2, _MOST))
    values = ValueScale(_LEAST, float(top))
    lines = (
        Line("harm", "that green is worse", _logs([(m.at, m.evidence) for m in comparison.track], time, values)),
        Line("health", "that green is as good", _logs([(m.at, m.health) for m in comparison.track], time, values)),
    )
    limits = (
        Limit(values.y(_log(needed)), f"{needed:g} proves harm"),
        Limit(values.y(_log(health)), f"{health:g} proves health"),
    )
    middle = 10 ** ((_LEAST + top) / 2)
    ticks = (f"{10.0**top:g}", f"{middle:.2g}", f"{10.0**_LEAST:g}")
    note = f"Evidence of harm is {comparison.evidence:.3g}, of health {comparison.health:.3g}. 1 is none."
    return Plot("Evidence (log scale, 1 is none)", ticks, lines, limits, table=_KEY, columns=(0, 1), note=note)


def _log(value: float) -> float:
    return math.log10(max(value, 10**_LEAST))


def _logs(points: Sequence[tuple[float, float]], time: TimeScale, values: ValueScale) -> str:
    return path_of([(at, _log(value)) for at, value in points], time, values)


def _difference(column: int, name: str, seen: Seen, time: TimeScale) -> Plot:
    _, last = seen[-1]
    # Early intervals are as wide as can be: what counts is where they end.
    top = max(2 * last.tolerated, 1.3 * abs(last.high), 1.3 * abs(last.low), 1e-4)
    values = ValueScale(-top, top)
    line = Line("green", "green less blue", path_of([(m.at, each.middle) for m, each in seen], time, values))
    area = area_of([(m.at, each.low, each.high) for m, each in seen], time, values)
    limits = (Limit(values.y(last.tolerated), f"tolerated: {_points(last.tolerated)}"), Limit(values.y(0), ""))
    ticks = (f"{100 * top:+.2g}", "0", f"{-100 * top:+.2g}")
    note = f"{name}: green less blue is {_describe(last)}; {_points(last.tolerated)} is tolerated."
    return Plot(f"{name}: green less blue, in points", ticks, (line,), limits, (area,), _KEY, (column,), note)


def _points(share: float) -> str:
    return f"{100 * share:+.2g} points"


def _describe(difference: Difference) -> str:
    low, middle, high = (f"{100 * each:+.2g}" for each in (difference.low, difference.middle, difference.high))
    return f"{middle} points ({low} to {high})"


def _rows(comparison: Comparison, found: Sequence[tuple[str, Seen]], time: TimeScale) -> Iterator[Row]:
    known = [{mark.at: difference for mark, difference in seen} for _, seen in found]
    for mark in comparison.track:
        differences = [_describe(each[mark.at]) if mark.at in each else "–" for each in known]
        yield Row(time.x(mark.at), moment(mark.at), (f"{mark.evidence:.3g}", f"{mark.health:.3g}", *differences))
