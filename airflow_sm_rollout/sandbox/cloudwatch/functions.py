"""The values and functions of metric math (pure).

Semantics are those of "Use metric math" in the user guide. Between two time series a missing value counts as 0 where the
other one has a point, and a division by zero drops the point, so that ``errors / requests`` is 0 for a minute without
errors and has no point for a minute without requests. Functions that reduce one series give a scalar; of an array they
give one series.
"""

from __future__ import annotations

import math
import operator
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from itertools import pairwise
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class TimeSeries:
    """Values by the start of their period in seconds since the epoch, in ascending order."""

    points: Mapping[int, float]
    label: str = ""


Value: TypeAlias = float | TimeSeries | tuple[TimeSeries, ...]
Number: TypeAlias = Callable[[float, float], float | None]


class ExpressionError(ValueError):
    """An expression that cannot be parsed, or whose operands do not fit."""


@dataclass(frozen=True, slots=True)
class Scope:
    """What an expression can see.

    :param values: the request's metrics and the expressions already computed, by id.
    :param metrics: ids of the metrics alone, in the order of the request, for ``METRICS()``.
    :param periods: the period of each metric in seconds.
    :param grid: the starts of all periods in the requested range.
    """

    values: Mapping[str, Value]
    metrics: Sequence[str]
    periods: Mapping[str, int]
    grid: range


def _divide(left: float, right: float) -> float | None:
    return left / right if right else None


def _power(left: float, right: float) -> float | None:
    try:
        result = left**right
    except (OverflowError, ZeroDivisionError):
        return None
    return result if isinstance(result, float) else None


def _truth(test: Callable[[float, float], bool]) -> Number:
    return lambda left, right: float(test(left, right))


OPERATORS: Mapping[str, Number] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": _divide,
    "^": _power,
    "==": _truth(operator.eq),
    "!=": _truth(operator.ne),
    "<": _truth(operator.lt),
    "<=": _truth(operator.le),
    ">": _truth(operator.gt),
    ">=": _truth(operator.ge),
    "AND": _truth(lambda left, right: bool(left and right)),
    "OR": _truth(lambda left, right: bool(left or right)),
}


def combine(left: Value, right: Value, number: Number) -> Value:
    """Apply an operator to two values; an array meets a single value once for each of its series."""
    if isinstance(left, tuple) and isinstance(right, tuple):
        if len(left) != len(right):
            raise ExpressionError(f"arrays of {len(left)} and {len(right)} time series do not fit together")
        return tuple(_series(combine(a, b, number)) for a, b in zip(left, right, strict=True))
    if isinstance(left, tuple):
        return tuple(_series(combine(item, right, number)) for item in left)
    if isinstance(right, tuple):
        return tuple(_series(combine(left, item, number)) for item in right)
    return _combine_single(left, right, number)


def _combine_single(left: float | TimeSeries, right: float | TimeSeries, number: Number) -> Value:
    if isinstance(left, TimeSeries) and isinstance(right, TimeSeries):
        a, b = left.points, right.points
        times = a if a.keys() == b.keys() else sorted(a.keys() | b.keys())
        return _drop_missing({at: number(a.get(at, 0.0), b.get(at, 0.0)) for at in times}, left.label)
    if isinstance(left, TimeSeries):
        scalar = _scalar(right)
        return _drop_missing({at: number(value, scalar) for at, value in left.points.items()}, left.label)
    if isinstance(right, TimeSeries):
        return _drop_missing({at: number(left, value) for at, value in right.points.items()}, right.label)
    result = number(left, right)
    if result is None:
        raise ExpressionError("a scalar is divided by zero or out of range")
    return result


def _drop_missing(points: Mapping[int, float | None], label: str = "") -> TimeSeries:
    return TimeSeries({at: value for at, value in points.items() if value is not None}, label)


def _series(value: Value) -> TimeSeries:
    if not isinstance(value, TimeSeries):
        raise ExpressionError("a time series is needed where there is a scalar or an array")
    return value


def _scalar(value: Value) -> float:
    if not isinstance(value, float):
        raise ExpressionError("a scalar is needed where there is a time series")
    return value


def _array(value: Value) -> tuple[TimeSeries, ...]:
    if not isinstance(value, tuple):
        raise ExpressionError("an array of time series is needed")
    return value


Function: TypeAlias = Callable[[Scope, Sequence[Value]], Value]


def _each_series(transform: Callable[[Mapping[int, float]], Mapping[int, float | None]]) -> Function:
    """A function of one series or, series by series, of an array."""

    def apply(scope: Scope, arguments: Sequence[Value]) -> Value:
        value = arguments[0]
        if isinstance(value, tuple):
            return tuple(_drop_missing(transform(item.points), item.label) for item in value)
        series = _series(value)
        return _drop_missing(transform(series.points), series.label)

    return apply


def _each_number(number: Callable[[float], float | None]) -> Function:
    apply = _each_series(lambda points: {at: number(value) for at, value in points.items()})
    return lambda scope, arguments: (
        _drop_missing({0: number(arguments[0])}).points.get(0, 0.0)
        if isinstance(arguments[0], float)
        else apply(scope, arguments)
    )


def _reduce(numbers: Callable[[Sequence[float]], float], *, missing_is_zero: bool = False) -> Function:
    """A scalar of one series; of an array, one series with a point wherever one of them has one."""

    def apply(scope: Scope, arguments: Sequence[Value]) -> Value:
        value = arguments[0]
        if not isinstance(value, tuple):
            points = list(_series(value).points.values())
            return float(numbers(points)) if points else 0.0
        columns: dict[int, list[float]] = {}
        for item in value:
            for at, point in item.points.items():
                columns.setdefault(at, []).append(point)
        if missing_is_zero:
            columns = {at: column + [0.0] * (len(value) - len(column)) for at, column in columns.items()}
        return TimeSeries({at: float(numbers(columns[at])) for at in sorted(columns)})

    return apply


def _steps(step: Callable[[int, float], float]) -> Function:
    """From each point and its predecessor: ``step(seconds between them, difference)``."""

    def transform(points: Mapping[int, float]) -> Mapping[int, float | None]:
        items = list(points.items())
        return {at: step(at - before, value - old) for (before, old), (at, value) in pairwise(items)}

    return _each_series(transform)


def _running_sum(points: Mapping[int, float]) -> Mapping[int, float | None]:
    total, sums = 0.0, {}
    for at, value in points.items():
        total += value
        sums[at] = total
    return dict(sums)


def _log(base: Callable[[float], float]) -> Function:
    return _each_number(lambda value: base(value) if value > 0 else None)


def _calendar(part: Callable[[datetime], float]) -> Function:
    """A series without gaps over the requested range, from the time of each period in UTC."""

    def apply(scope: Scope, arguments: Sequence[Value]) -> Value:
        _series(arguments[0])
        return TimeSeries({at: float(part(datetime.fromtimestamp(at, tz=timezone.utc))) for at in scope.grid})

    return apply


def _choose(scope: Scope, arguments: Sequence[Value]) -> Value:
    """``IF``: a missing point counts as 0 where the condition picks the true value, and stays missing where the false."""
    condition, yes = arguments[0], arguments[1]
    no = arguments[2] if len(arguments) == 3 else TimeSeries({})
    if isinstance(condition, float):
        return yes if condition else no
    pick_yes, pick_no = _reader(yes, 0.0), _reader(no, None)
    tests = _series(condition).points.items()
    return _drop_missing({at: pick_yes(at) if test else pick_no(at) for at, test in tests})


def _reader(value: Value, missing: float | None) -> Callable[[int], float | None]:
    if isinstance(value, float):
        return lambda at: value
    points = _series(value).points
    return lambda at: points.get(at, missing)


def fill(scope: Scope, value: Value, filler: Value | str) -> Value:
    """``FILL``: give a series the points it lacks: a scalar's, another series', by ``REPEAT`` or by ``LINEAR``."""
    if isinstance(value, tuple):
        return tuple(_series(fill(scope, item, filler)) for item in value)
    points = _series(value).points
    times = sorted(points.keys() | set(scope.grid))
    if filler == "REPEAT":
        return _drop_missing(_fill_repeat(points, times), _series(value).label)
    if filler == "LINEAR":
        return _drop_missing(_fill_linear(points, times), _series(value).label)
    read = _reader(filler, None) if not isinstance(filler, str) else None
    if read is None:
        raise ExpressionError(f"FILL does not know {filler}")
    return _drop_missing({at: points[at] if at in points else read(at) for at in times}, _series(value).label)


def _fill_repeat(points: Mapping[int, float], times: Sequence[int]) -> Mapping[int, float | None]:
    last: float | None = None
    filled = {}
    for at in times:
        last = points.get(at, last)
        filled[at] = last
    return filled


def _fill_linear(points: Mapping[int, float], times: Sequence[int]) -> Mapping[int, float | None]:
    filled: dict[int, float | None] = dict.fromkeys(times)
    known = list(points.items())
    for (before, old), (after, new) in pairwise(known):
        for at in times:
            if before < at < after:
                filled[at] = old + (new - old) * (at - before) / (after - before)
    return {**filled, **points}


def _count_points(scope: Scope, arguments: Sequence[Value]) -> Value:
    return _reduce(len)(scope, arguments)


FUNCTIONS: Mapping[str, tuple[range, Function]] = {
    "ABS": (range(1, 2), _each_number(abs)),
    "CEIL": (range(1, 2), _each_number(lambda value: float(math.ceil(value)))),
    "FLOOR": (range(1, 2), _each_number(lambda value: float(math.floor(value)))),
    "LOG": (range(1, 2), _log(math.log)),
    "LOG10": (range(1, 2), _log(math.log10)),
    "AVG": (range(1, 2), _reduce(statistics.fmean, missing_is_zero=True)),
    "SUM": (range(1, 2), _reduce(math.fsum)),
    "MIN": (range(1, 2), _reduce(min)),
    "MAX": (range(1, 2), _reduce(max)),
    "STDDEV": (range(1, 2), _reduce(statistics.pstdev)),
    "DATAPOINT_COUNT": (range(1, 2), _count_points),
    "METRIC_COUNT": (range(1, 2), lambda scope, arguments: float(len(_array(arguments[0])))),
    "DIFF": (range(1, 2), _steps(lambda seconds, change: change)),
    "DIFF_TIME": (range(1, 2), _steps(lambda seconds, change: float(seconds))),
    "RATE": (range(1, 2), _steps(lambda seconds, change: change / seconds)),
    "RUNNING_SUM": (range(1, 2), _each_series(_running_sum)),
    "IF": (range(2, 4), _choose),
    "TIME_SERIES": (
        range(1, 2),
        lambda scope, arguments: TimeSeries(dict.fromkeys(scope.grid, _scalar(arguments[0]))),
    ),
    "FIRST": (range(1, 2), lambda scope, arguments: (*_array(arguments[0]), TimeSeries({}))[0]),
    "LAST": (range(1, 2), lambda scope, arguments: (TimeSeries({}), *_array(arguments[0]))[-1]),
    "REMOVE_EMPTY": (
        range(1, 2),
        lambda scope, arguments: tuple(item for item in _array(arguments[0]) if item.points),
    ),
    "MINUTE": (range(1, 2), _calendar(lambda moment: moment.minute)),
    "HOUR": (range(1, 2), _calendar(lambda moment: moment.hour)),
    "DAY": (range(1, 2), _calendar(lambda moment: moment.isoweekday())),
    "DATE": (range(1, 2), _calendar(lambda moment: moment.day)),
    "MONTH": (range(1, 2), _calendar(lambda moment: moment.month)),
    "YEAR": (range(1, 2), _calendar(lambda moment: moment.year)),
    "EPOCH": (range(1, 2), _calendar(lambda moment: moment.timestamp())),
}
