"""``python -m benchmarks.looks``: what a look costs, over a day of figures every ten seconds.

A look reads what has become final since the last one, folds it in and judges. What it costs must not depend on how long the watch has been
going on.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone

from airflow_sm_rollout.core.comparison.periods import Period, Sample
from airflow_sm_rollout.core.plan.evidence import Evidence, Thresholds
from airflow_sm_rollout.core.plan.limits import Limits
from airflow_sm_rollout.core.rollout import Blue, Green, Plan, Rollout
from airflow_sm_rollout.core.watch.judge import judge
from airflow_sm_rollout.core.watch.ledger import Ledger, fold
from airflow_sm_rollout.core.watch.readings import Figures, Readings
from airflow_sm_rollout.core.watch.sources import Sources
from airflow_sm_rollout.core.watch.verdict import Verdict
from airflow_sm_rollout.core.watch.watch import Watch

BEGIN = datetime(2026, 1, 5, tzinfo=timezone.utc)
SECONDS = 10
LOOK_EVERY = 15
HOURS = 24
SHOWN = (0, 1, 3, 6, 12, 18, 23)
GOAL_MS = 5.0


def main() -> None:
    """Print the cost of a look by the hour, and whether it is flat."""
    costs: dict[int, list[float]] = {hour: [] for hour in range(HOURS)}
    points: dict[int, list[int]] = {hour: [] for hour in range(HOURS)}
    for at, new, seconds in _looks():
        hour = int((at - BEGIN) / timedelta(hours=1))
        if hour < HOURS:
            costs[hour].append(1000 * seconds)
            points[hour].append(new)
    print(f"A watch of {HOURS} h, figures every {SECONDS} s, a look every {LOOK_EVERY} s; processor time of a look.")
    print(f"{'hour':>5}{'looks':>7}{'new periods':>13}{'median, ms':>12}{'99th, ms':>10}")
    for hour in SHOWN:
        slow = statistics.quantiles(costs[hour], n=100)[-1]
        print(
            f"{hour:>5}{len(costs[hour]):>7}{statistics.fmean(points[hour]):>13.1f}"
            f"{statistics.median(costs[hour]):>12.2f}{slow:>10.2f}"
        )
    first, last = (statistics.median(costs[hour]) for hour in (1, HOURS - 1))
    print(f"last hour's median is {last / first:.2f} times that of the second hour")
    print(f"{'holds' if last <= GOAL_MS else 'MISSED':>6}: a look takes at most {GOAL_MS:g} ms in hour {HOURS}")


def _looks() -> Iterator[tuple[datetime, int, float]]:
    """Each look's time, how many new periods it read, and its processor time in seconds."""
    watch, sources, baseline = _watch()
    ledger: Ledger | None = None
    now = BEGIN
    while now < BEGIN + timedelta(hours=HOURS):
        now += timedelta(seconds=LOOK_EVERY)
        begun = time.process_time()
        after = ledger.until if ledger and ledger.until else BEGIN
        periods = list(_periods(after, now - timedelta(seconds=SECONDS)))
        figures = Figures(sources, baseline, periods, {each.start: 0 for each in periods})
        ledger, judged = fold(ledger, watch, figures, now)
        seen = judge(watch, Readings(), judged, now)
        yield now, len(periods), time.process_time() - begun
        if seen.judgement.verdict is not Verdict.WATCHING:
            raise SystemExit(f"the watch ended at {now}: {seen.judgement.reason}")


def _watch() -> tuple[Watch, Sources, list[Period]]:
    plan = Plan(evidence=Evidence(limits=Limits(max_error_rate=0.05, max_p99_ms=1)))
    thresholds = Thresholds(50_000, 100_000, 200_000)
    blue = Blue("config", {}, "AllTraffic", 1.0, 1)
    rollout = Rollout("wine", "0badcafe", {}, BEGIN, blue, Green("wine-v2"), plan, green_traffic_since=BEGIN)
    watch = Watch(BEGIN, BEGIN + timedelta(hours=HOURS + 1), BEGIN, 20, rollout=rollout, judges_evidence=True)
    sources = Sources({"VariantName": "AllTraffic"}, {"VariantName": "green"}, thresholds, BEGIN, SECONDS)
    minute = timedelta(minutes=1)
    return (
        watch,
        sources,
        [Period(BEGIN - n * minute, 60, Sample(5400, 27, 9, 2700, 270, 54), None) for n in range(180)],
    )


def _periods(start: datetime, until: datetime) -> Iterator[Period]:
    """Calm traffic: 100 calls a second, a tenth of them green's."""
    step = timedelta(seconds=SECONDS)
    while start + step <= until:
        number = int((start - BEGIN) / step)
        blue = Sample(900, 4 + number % 2, 1 + number % 2, 450, 45, 9)
        yield Period(start, SECONDS, blue, Sample(100, number % 2, 0, 50, 5, 1))
        start += step


if __name__ == "__main__":
    main()
