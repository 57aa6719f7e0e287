"""What you count of green and blue yourself, wherever it is stored: orders that fail, answers that a person had to mend.

How it is judged: :mod:`~airflow_sm_rollout.core.watch.measured`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from datetime import timedelta
from typing import Any

from airflow_sm_rollout.core.comparison.mean import Sums
from airflow_sm_rollout.core.errors import PlanError
from airflow_sm_rollout.core.plan.limits import Metric
from airflow_sm_rollout.core.plan.options import Fitting, meant, parse_flag, parse_number, set_numbers, unrendered
from airflow_sm_rollout.core.plan.tolerances import Margin

DEFAULT_MARGIN = Margin(1.2, 0.002, 2.0, 0.02)
"""What is tolerated where a measure says nothing: that of calls that are refused (4XX)."""
_FITTING: Fitting = {
    "final_after": (lambda seconds: 0 <= seconds <= 30 * 86400, "seconds, at most 30 days"),
    "timeout": (lambda seconds: 0 < seconds <= 600, "seconds above 0, at most 600"),
}
_SAFE = re.compile(r"[\w.:/+-]*")


@dataclass(frozen=True, slots=True)
class Sql:
    """Rows of a query, by any Airflow connection whose hook is a ``DbApiHook``.

    :param conn_id: the connection.
    :param sql: answers with the columns ``period``, ``variant``, ``events``, ``trials``, one row for each period and variant. ``{since}``
        and ``{until}`` stand for the times asked for (ISO 8601, UTC; the second one is not included), ``{endpoint}`` for the endpoint, and
        ``{green_variant}``, ``{green_model}``, ``{green_endpoint}``, ``{blue_variant}``, ... for names.
    """

    conn_id: str
    sql: str
    kind: str = "sql"


@dataclass(frozen=True, slots=True)
class HttpJson:
    """Rows of a JSON answer to a GET, by an Airflow connection of type HTTP.

    :param conn_id: the connection.
    :param path: what to ask for, with the placeholders of :class:`Sql`; the rows have the same columns.
    :param rows: names that lead to the list of rows, with dots: ``data.rows``; empty: the answer itself is that list.
    """

    conn_id: str
    path: str
    rows: str = ""
    kind: str = "http"


@dataclass(frozen=True, slots=True)
class Prometheus:
    """Two queries to Prometheus, or to what answers like it, by an Airflow connection of type HTTP.

    Each is asked once for green and once for blue, and must answer with one series at most. Its value at the end of a period is the count
    in that period, rounded: ``sum(increase(orders_total{model="{model}"}[1m]))``.

    :param conn_id: the connection.
    :param events: PromQL; ``{variant}``, ``{model}`` and ``{endpoint}`` stand for green's or blue's names.
    :param trials: PromQL, likewise.
    """

    conn_id: str
    events: str
    trials: str
    kind: str = "prometheus"


@dataclass(frozen=True, slots=True)
class CloudWatch:
    """CloudWatch metrics, or metric math over them. This is the one that a guardian reads, too.

    :param metrics: by the identifier that the expressions call them; their dimensions may have ``{variant}``, ``{model}``, ``{endpoint}``.
    :param events: an identifier, or metric math over them.
    :param trials: likewise.
    """

    metrics: Mapping[str, Metric]
    events: str
    trials: str
    kind: str = "cloudwatch"

    def __post_init__(self) -> None:
        try:
            read = {name: _of("metrics", Metric, metric) for name, metric in self.metrics.items()}
        except (AttributeError, TypeError):
            raise PlanError("metrics", self.metrics, "metrics by identifiers") from None
        if not read or not all(name[:1].islower() and name.isidentifier() for name in read):
            raise PlanError("metrics", read, "metrics by identifiers that begin with a small letter")
        object.__setattr__(self, "metrics", read)


@dataclass(frozen=True, slots=True)
class Function:
    """Rows from a function of yours.

    It is called as ``function(since=..., until=..., green=..., blue=...)``, the first two being datetimes in UTC, the others mappings with
    ``variant``, ``model`` and ``endpoint``. It returns rows as mappings with the columns of :class:`Sql`.

    :param function: the function, or where it is: ``package.module:name``. Workers and triggerers must be able to import it, so one that
        stands in a DAG file is refused.
    """

    function: str | Callable[..., Any]
    kind: str = "function"

    def __post_init__(self) -> None:
        object.__setattr__(self, "function", _importable(self.function))


Source = CloudWatch | Sql | HttpJson | Prometheus | Function
_KINDS: dict[str, type[Source]] = {
    "cloudwatch": CloudWatch,
    "sql": Sql,
    "http": HttpJson,
    "prometheus": Prometheus,
    "function": Function,
}


@dataclass(frozen=True, slots=True)
class Mean:
    """What a measure's values are, where green's mean is compared with blue's.

    :param low: the smallest value there may be; what lies below counts as it.
    :param high: the largest; what lies above counts as it. The nearer the two are, the sooner a difference is proven.
    :param tolerated: by how much green's mean may be worse than blue's, in the values' own unit.
    :param worse: which values are worse: ``higher`` or ``lower``.
    """

    low: float
    high: float
    tolerated: float
    worse: str = "higher"

    def __post_init__(self) -> None:
        finite = (lambda value: abs(value) < math.inf, "a number")
        set_numbers(self, {"low": finite, "high": finite, "tolerated": finite})
        if not self.low < self.high:
            raise PlanError("high", self.high, f"above low, which is {self.low:g}")
        if not 0 < self.tolerated < self.high - self.low:
            raise PlanError("tolerated", self.tolerated, "above 0, and less than high - low")
        if self.worse not in ("higher", "lower"):
            raise PlanError("worse", self.worse, "higher or lower")

    def scaled(self, count: int, total: float, squares: float) -> Sums:
        """Sums of values as they are between 0 and 1, where 1 is worst."""
        width = self.high - self.low
        sums = Sums(count, (total - count * self.low) / width, self._around_low(count, total, squares) / width**2)
        return sums if self.worse == "higher" else sums.flipped

    def _around_low(self, count: int, total: float, squares: float) -> float:
        return squares - 2 * self.low * total + count * self.low**2

    def named(self, mean: float) -> float:
        """A mean in the values' own unit."""
        width = self.high - self.low
        return self.low + mean * width if self.worse == "higher" else self.high - mean * width


@dataclass(frozen=True, slots=True)
class Measure:
    """How many of green's trials are events, and how many of blue's. An event is what is bad: orders that fail, not those that succeed.

    :param label: what people call the events: ``orders that fail``.
    :param source: where they are counted.
    :param at_most: the share of green's trials that may be events, above 0 and below 1; ``None``: it is not limited.
    :param compared: whether green is compared with blue.
    :param margin: how much worse than blue green may be then, or some members of that.
    :param mean: what the values are, where they are compared by their mean and not counted; ``None``: events are counted.
    :param period_seconds: the length of a period: of its rows, or for which a query counts.
    :param final_after: seconds after the end of a period from which on its counts do not change any more.
    :param timeout: seconds that its source may take for an answer.
    """

    label: str
    source: Source
    at_most: float | None = None
    compared: bool = True
    margin: Margin = DEFAULT_MARGIN
    period_seconds: int = 60
    final_after: float = 60.0
    timeout: float = 30.0
    mean: Mean | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.label, str) or not self.label.strip():
            raise PlanError("label", self.label, "what people call the events")
        object.__setattr__(self, "source", _parse_source(self.source))
        object.__setattr__(self, "margin", _parse_margin(self.margin))
        object.__setattr__(self, "compared", parse_flag("compared", self.compared))
        if self.at_most is not None:
            allowed = "above 0 and below 1 (0.02 is 2 %)"
            object.__setattr__(
                self, "at_most", parse_number("at_most", self.at_most, allowed, lambda share: 0 < share < 1)
            )
        if self.at_most is None and not self.compared:
            raise PlanError("at_most", None, f"a share for {self.label!r}, or let it be compared")
        _check_period(self.period_seconds, of_cloudwatch=isinstance(self.source, CloudWatch))
        set_numbers(self, _FITTING)
        self._check_mean()

    def _check_mean(self) -> None:
        if self.mean is None:
            return
        object.__setattr__(self, "mean", _of("mean", Mean, self.mean))
        if not isinstance(self.source, (Sql, HttpJson, Function)):
            raise PlanError("mean", self.label, "only with a source of rows: Sql, HttpJson or Function")
        if self.at_most is not None or not self.compared:
            raise PlanError("at_most", self.at_most, "left out with mean, since means are compared and not limited")

    @property
    def late(self) -> timedelta:
        """How long after its end a period's counts are final."""
        return timedelta(seconds=self.final_after)


def _check_period(seconds: Any, *, of_cloudwatch: bool) -> None:
    allowed = "a multiple of 60" if of_cloudwatch else "10, 30 or a multiple of 60"
    short = () if of_cloudwatch else (10, 30)
    if (
        not isinstance(seconds, int)
        or isinstance(seconds, bool)
        or seconds < 10
        or (seconds % 60 and seconds not in short)
    ):
        raise PlanError("period_seconds", seconds, allowed)


def fill(text: str, values: Mapping[str, str]) -> str:
    """A text with its placeholders replaced; other braces stay as they are, since queries have their own.

    :raises PlanError: if a value has characters that might end a quotation in a query.
    """
    for name, value in values.items():
        placeholder = f"{{{name}}}"
        if placeholder in text and not _SAFE.fullmatch(value):
            raise PlanError(placeholder, value, "letters, digits and ._:/+- only")
        text = text.replace(placeholder, value)
    return text


def parse_measures(value: Any) -> tuple[Measure, ...]:
    """Measures as the user gave them: one, a list of them, or their members by name.

    :raises PlanError: naming the member.
    """
    given = unrendered(value)
    if given is None:
        return ()
    each = (given,) if isinstance(given, (Measure, Mapping)) else given
    if not isinstance(each, (list, tuple)):
        raise PlanError("measures", value, "a list of Measure")
    return tuple(_of("measures", Measure, one) for one in each)


def _parse_source(value: Any) -> Source:
    if isinstance(value, tuple(_KINDS.values())):
        return value  # type: ignore[return-value]
    kind = value.get("kind") if isinstance(value, Mapping) else None
    if kind not in _KINDS:
        raise PlanError("source", value, f"one of {', '.join(each.__name__ for each in _KINDS.values())}")
    source: Source = _of("source", _KINDS[kind], value)
    return source


def _parse_margin(value: Any) -> Margin:
    if isinstance(value, Margin):
        return value
    if not isinstance(value, Mapping):
        raise PlanError("margin", value, "a Margin, or some of its members")
    margin: Margin = _of("margin", Margin, {**asdict(DEFAULT_MARGIN), **value})
    return margin


def _of(option: str, kind: Any, value: Any) -> Any:
    """One of a dataclass, as such or by its members' names.

    :param option: what it is the value of.
    """
    if isinstance(value, kind):
        return value
    known = [each.name for each in fields(kind)]
    if not isinstance(value, Mapping):
        raise PlanError(option, value, f"a {kind.__name__}, or a mapping of {', '.join(known)}")
    for name in value:
        if name not in known:
            raise PlanError(option, name, f"a {kind.__name__} has {', '.join(known)}{meant(name, known)}")
    try:
        return kind(**value)
    except TypeError as error:
        raise PlanError(option, value, f"a mapping of {', '.join(known)} ({error})") from None


def _importable(function: Any) -> str:
    """Where a function is, as ``package.module:name``."""
    if isinstance(function, str) and re.fullmatch(r"[\w.]+:\w+", function):
        return function
    module, name = getattr(function, "__module__", ""), getattr(function, "__qualname__", "")
    is_of_dag_file = module.startswith(("unusual_prefix_", "__main__"))  # as Airflow names the modules of DAG files
    if not callable(function) or not name.isidentifier() or is_of_dag_file:
        allowed = "a function of a module that workers and triggerers can import, or where it is: 'package.module:name'"
        raise PlanError("function", function, allowed)
    return f"{module}:{name}"
