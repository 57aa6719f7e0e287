"""What a person sees while the demo runs, and at its end."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_sm_rollout.demo.report import Report, RunSeen, green_share

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

LINE_EVERY_SECONDS = 5.0
"""Where lines can't be overwritten, one that says nothing new comes this often."""

TIMELINE_COLUMNS = 60
_BARS = " ▁▂▃▄▅▆▇█"


@dataclass(frozen=True, slots=True)
class Moment:
    """What is shown of a run while it runs.

    :param share: green's, in percent.
    :param failures: by ``blue`` and ``green``.
    :param tasks: those that are running or waiting.
    """

    label: str
    seconds: float
    share: float
    requests_per_second: float
    failures: Mapping[str, int]
    tasks: Sequence[str]

    def __str__(self) -> str:
        failures = ", ".join(f"{variant} {number}" for variant, number in self.failures.items())
        return (
            f"{self.label:4} {self.seconds:4.0f} s   green {self.share:3.0f} %   {self.requests_per_second:3.0f} requests/s   "
            f"failed: {failures}   {', '.join(self.tasks) or '-'}"
        )


class Progress:
    """One line that changes in place in a terminal, and new lines everywhere else.

    :param console: where it goes.
    """

    def __init__(self, console: Console) -> None:
        from rich.live import Live

        self._console = console
        self._live = Live(console=console, transient=True, refresh_per_second=4)
        self._last: Moment | None = None
        self._printed_at = -math.inf

    def say(self, text: str) -> None:
        """A line that stays."""
        self._console.print(text, highlight=False, soft_wrap=True)

    def show(self, moment: Moment) -> None:
        """How a run is getting on."""
        if self._console.is_terminal:
            self._live.start()
            self._live.update(f"[bold]{moment}[/bold]")
            return
        is_new = self._last is None or (moment.tasks, moment.share) != (self._last.tasks, self._last.share)
        if is_new or time.monotonic() - self._printed_at > LINE_EVERY_SECONDS:
            self.say(str(moment))
            self._last, self._printed_at = moment, time.monotonic()

    def end_line(self) -> None:
        """What follows is no longer about this run."""
        self._live.stop()


def render_table(reports: Mapping[str, Report]) -> Table:
    """The demo's result, a column for each run."""
    from rich.table import Table

    table = Table("", *(f"{label} model" for label in reports))
    rows: Mapping[str, Sequence[object]] = {
        "outcome": [report.outcome for report in reports.values()],
        "requests": [report.requests for report in reports.values()],
        "failed (the model's errors)": [report.failed_requests for report in reports.values()],
        "failed, had it been deployed all at once (estimate)": [
            report.failed_requests_all_at_once for report in reports.values()
        ],
        "dropped": [report.dropped_requests for report in reports.values()],
        "green's largest share": [f"{report.max_green_share:g} %" for report in reports.values()],
        "harm noticed to all traffic on blue": [_seconds(report.seconds_harm_to_blue) for report in reports.values()],
        "endpoint as before": [_yes(report.restored_exactly) for report in reports.values()],
        "left behind": [", ".join(report.left_behind) or "nothing" for report in reports.values()],
    }
    for name, values in rows.items():
        table.add_row(name, *(str(value) for value in values))
    return table


def render_timeline(seen: RunSeen) -> list[str]:
    """Green's share and the failed requests over a run, as two lines of bars over a line of seconds."""
    shares, failures = [0.0] * TIMELINE_COLUMNS, [0.0] * TIMELINE_COLUMNS
    for sample in seen.samples:
        column = _column(seen, sample.at)
        shares[column] = max(shares[column], green_share(sample, seen.green))
    for record in seen.records:
        if record.outcome != "answered":
            failures[_column(seen, record.at)] += TIMELINE_COLUMNS / (seen.ended_at - seen.started_at)
    return [
        f"green's share    |{_bars(shares, 100)}| up to {max(shares):.0f} %",
        f"failed requests  |{_bars(failures, max(*failures, 1))}| up to {max(failures):.0f} a second",
        f"{'':18}{_scale(seen)}",
    ]


def _column(seen: RunSeen, at: float) -> int:
    """Where a moment is on the timeline."""
    column = int((at - seen.started_at) / (seen.ended_at - seen.started_at) * TIMELINE_COLUMNS)
    return min(max(column, 0), TIMELINE_COLUMNS - 1)


def _scale(seen: RunSeen) -> str:
    """The timeline's lowest line, with the moment at which harm was noticed."""
    begin, end = "0 s", f"{seen.ended_at - seen.started_at:.0f} s"
    noticed = "" if seen.harm_at is None else "^ alarm" if seen.harm_at == seen.alarm_at else "^ proven"
    mark = noticed.rjust(_column(seen, seen.harm_at) + len(noticed) - len(begin)) if seen.harm_at else ""
    return begin + mark + end.rjust(TIMELINE_COLUMNS - len(begin) - len(mark))


def _bars(values: Sequence[float], top: float) -> str:
    # Whatever is not nothing is to be seen.
    return "".join(_BARS[math.ceil(value / top * (len(_BARS) - 1))] for value in values)


def _seconds(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds:g} s"


def _yes(answer: bool | None) -> str:
    return "-" if answer is None else "yes" if answer else "NO"
