"""Rows that a source has answered with, read as counts: what is no such row is said, and nothing is guessed."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

from airflow_sm_rollout.core.comparison.bets import Count
from airflow_sm_rollout.core.comparison.mean import Sums
from airflow_sm_rollout.core.errors import RolloutError
from airflow_sm_rollout.core.plan.measures import Mean
from airflow_sm_rollout.core.rollout import Rollout
from airflow_sm_rollout.core.watch.sources import floor

_OF_COUNTS, _OF_MEANS = ("period", "variant", "events", "trials"), ("period", "variant", "count", "total", "squares")
MOST_ROWS = 20_000
"""A day of periods of 10 s for two variants."""
_SHOWN = 60
_ROUNDED = 1e-6


class Malformed(RolloutError):
    """An answer that is none."""


@dataclass(frozen=True, slots=True)
class Counted:
    """What was counted in a period.

    :param green: trials and events, or sums of values; ``None``: nothing is known.
    :param blue: likewise.
    """

    start: datetime
    seconds: int
    green: Count | Sums | None
    blue: Count | Sums | None

    @property
    def end(self) -> datetime:
        """When it was over."""
        return self.start + timedelta(seconds=self.seconds)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a source has answered.

    :param until: up to when its periods were asked for; ``None``: it has not answered yet.
    :param periods: those that were asked for.
    :param unknown: why its counts are not known just now, as half a sentence; empty: they are.
    :param is_awaited: whether it does not tell yet of all that is to be known by now.
    :param is_read_here: whether whoever looks can ask it; a guardian without Airflow asks CloudWatch alone.
    """

    until: datetime | None = None
    periods: Sequence[Counted] = ()
    unknown: str = ""
    is_awaited: bool = False
    is_read_here: bool = True


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of a source.

    :param since: start of the first period; ``until`` is the end of the last one.
    :param green: green's names by ``variant``, ``model``, ``endpoint``; ``blue`` has blue's.
    :param mean: what the values are, where their means are wanted; ``None``: events are counted.
    """

    since: datetime
    until: datetime
    seconds: int
    green: Mapping[str, str]
    blue: Mapping[str, str]
    mean: Mean | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """What rows must have."""
        return _OF_MEANS if self.mean else _OF_COUNTS

    @property
    def placeholders(self) -> dict[str, str]:
        """What stands for what in a query."""
        names = {f"green_{name}": value for name, value in self.green.items()}
        names |= {f"blue_{name}": value for name, value in self.blue.items()}
        return {
            "since": self.since.isoformat(),
            "until": self.until.isoformat(),
            "endpoint": self.blue["endpoint"],
            **names,
        }

    @property
    def starts(self) -> list[datetime]:
        """The starts of its periods."""
        whole = int((self.until - self.since).total_seconds()) // self.seconds
        return [self.since + timedelta(seconds=self.seconds * number) for number in range(whole)]


def names_of_green(rollout: Rollout) -> dict[str, str]:
    """What green is called."""
    return {
        "endpoint": rollout.green_endpoint_name,
        "variant": rollout.green_variant,
        "model": rollout.green_model_name,
    }


def names_of_blue(rollout: Rollout) -> dict[str, str]:
    """What blue is called."""
    return {
        "endpoint": rollout.blue_endpoint_name,
        "variant": rollout.blue.variant,
        "model": rollout.blue.model_name,
    }


def check_columns(names: Iterable[str], wanted: Sequence[str]) -> None:
    """Check the names of columns; capital letters are as good.

    :raises Malformed: naming those that are not there.
    """
    there = [name.lower() for name in names]
    missing = [column for column in wanted if column not in there]
    if missing:
        raise Malformed(f"no column {', '.join(missing)}; there are {_shown(', '.join(there))}")


def counts_in(rows: Iterable[Any], question: Question) -> list[Counted]:
    """The counts of each period that was asked for.

    A row is green's if its ``variant`` is ``green``, or one of green's names that blue does not have, and blue's likewise. Other rows are
    of others.

    :param rows: mappings with the question's columns.
    :raises Malformed: saying what is wrong.
    """
    found: dict[tuple[str, datetime], Count | Sums] = {}
    whose = _whose(question)
    for number, row in enumerate(rows):
        if number == MOST_ROWS:
            raise Malformed(f"more than {MOST_ROWS:,} rows")
        period, variant, *numbers = _columns(row, question.columns)
        of = whose.get(str(variant))
        if of is None:
            continue
        start = _period(period, question.seconds)
        if (of, start) in found:
            raise Malformed(f"two rows of {of} for {start:%Y-%m-%d %H:%M:%S} UTC")
        found[of, start] = _sums(question.mean, *numbers) if question.mean else _count(numbers[1], numbers[0])
    return [
        Counted(start, question.seconds, found.get(("green", start)), found.get(("blue", start)))
        for start in question.starts
    ]


def counts_of(
    green: tuple[Mapping[datetime, float], Mapping[datetime, float]],
    blue: tuple[Mapping[datetime, float], Mapping[datetime, float]],
    question: Question,
) -> list[Counted]:
    """The counts of each period, where events and trials come apart from each other, by the start of a period.

    A period with trials of which no event is told has none: most systems tell nothing of what did not happen.

    :param green: events and trials of green; so ``blue``.
    :raises Malformed: saying what is wrong.
    """

    def count(values: tuple[Mapping[datetime, float], Mapping[datetime, float]], start: datetime) -> Count | None:
        events, trials = values
        if start not in trials:
            return None
        told = events.get(start, 0.0), trials[start]
        if not all(math.isfinite(value) for value in told):
            return None
        counted = round(told[1])
        return _count(counted, min(round(told[0]), counted))  # where each is estimated, one may come out above all

    return [Counted(start, question.seconds, count(green, start), count(blue, start)) for start in question.starts]


def _whose(question: Question) -> dict[str, str]:
    green, blue = set(question.green.values()) | {"green"}, set(question.blue.values()) | {"blue"}
    return {**dict.fromkeys(green - blue, "green"), **dict.fromkeys(blue - green, "blue")}


def _columns(row: Any, wanted: Sequence[str]) -> tuple[Any, ...]:
    if not isinstance(row, Mapping):
        raise Malformed(f"a row is {_shown(row)}, and must have {', '.join(wanted)}")
    named = {str(name).lower(): value for name, value in row.items()}
    check_columns(named, wanted)
    return tuple(named[column] for column in wanted)


def _period(value: Any, seconds: int) -> datetime:
    moment = _moment(value)
    if floor(moment, seconds) != moment:
        raise Malformed(f"period {moment.isoformat()} is not the start of one of {seconds} s")
    return moment


def _moment(value: Any) -> datetime:
    try:
        if isinstance(value, str):
            value = datetime.fromisoformat(value.strip().replace("Z", "+00:00"))
        if isinstance(value, datetime):
            return (value if value.tzinfo else value.replace(tzinfo=timezone.utc)).astimezone(timezone.utc)
        return datetime.fromtimestamp(float(value), timezone.utc)
    except (TypeError, ValueError, OverflowError, OSError):
        raise Malformed(f"period {_shown(value)} is no time") from None


def _count(trials: Any, events: Any) -> Count:
    try:
        numbers = float(trials), float(events)
        are_counts = all(number.is_integer() for number in numbers) and 0 <= numbers[1] <= numbers[0]
    except (TypeError, ValueError, OverflowError):
        are_counts = False
    if not are_counts:
        raise Malformed(f"events {_shown(events)} of trials {_shown(trials)} are no counts")
    return int(numbers[0]), int(numbers[1])


def _sums(mean: Mean, count: Any, total: Any, squares: Any) -> Sums:
    told = f"count {_shown(count)}, total {_shown(total)}, squares {_shown(squares)}"
    try:
        numbers = float(count), float(total), float(squares)
        is_count = numbers[0].is_integer() and numbers[0] >= 0 and all(map(math.isfinite, numbers))
    except (TypeError, ValueError, OverflowError):
        is_count = False
    if not is_count:
        raise Malformed(f"{told} are no sums of values")
    sums = mean.scaled(int(numbers[0]), numbers[1], numbers[2])
    slack = _ROUNDED * max(sums.count, 1)
    within = -slack <= sums.total <= sums.count + slack and sums.squares <= sums.total + slack
    if not within or sums.squares * sums.count < sums.total**2 - slack * sums.count:
        raise Malformed(f"{told} are of no values from {mean.low:g} to {mean.high:g}")
    return sums


def _shown(value: Any) -> str:
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
