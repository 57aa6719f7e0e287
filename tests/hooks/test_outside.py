"""What a measure is counted by outside of AWS: each kind of source, its good answers and its bad ones."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from airflow_sm_rollout.core.plan.measures import Function, HttpJson, Measure, Prometheus, Source, Sql
from airflow_sm_rollout.core.watch.rows import Answer as Told
from airflow_sm_rollout.core.watch.rows import Counted, Question
from airflow_sm_rollout.hooks.outside import AirflowOutside
from answering import Answer
from hooks import counting
from hooks.counting import COUNTS, HANGS, ORDERS, Orders, install_sqlite
from production import wait_until

NOON = datetime(2026, 11, 29, 12, tzinfo=timezone.utc)
GREEN = {"variant": "model-0badcafe", "model": "fraud-v2", "endpoint": "fraud"}
BLUE = {"variant": "AllTraffic", "model": "fraud-v1", "endpoint": "fraud"}
HTTP = HttpJson("orders", "orders?since={since}&until={until}", rows="data.rows")
PROMETHEUS = Prometheus(
    "orders",
    events='sum(increase(events_total{model="{model}"}[1m]))',
    trials='sum(increase(trials_total{model="{model}"}[1m]))',
)
SOURCES: dict[str, Source] = {
    "database": Sql("warehouse", COUNTS),
    "server": HTTP,
    "Prometheus": PROMETHEUS,
    "function": Function(counting.count_orders),
}


def asked(minutes: int, begin: datetime = NOON) -> Question:
    return Question(begin, begin + timedelta(minutes=minutes), 60, GREEN, BLUE)


def measured(source: Source, **options: Any) -> Measure:
    return Measure("orders that fail", source, **options)


@dataclass
class Place:
    """All sources, and who asks them on a clock that stands still."""

    orders: Orders
    set_connection: Callable[[str, str], None]
    now: float = 0.0
    outside: AirflowOutside = field(init=False)

    def __post_init__(self) -> None:
        self.outside = AirflowOutside(lambda: self.now)

    def ask(self, source: Source, question: Question, **options: Any) -> Told:
        """Ask until it has been answered, one way or the other."""
        measure = measured(source, **options)

        def look() -> Told | None:
            self.outside.look_up()
            told = self.outside.ask(measure, question)
            return told if told.unknown != "it has not answered yet" else None

        answer: Told = wait_until(look, 10, 0.005)
        return answer


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    orders = Orders(green=3)
    for name in ("green", "blue", "since"):
        monkeypatch.setattr(ORDERS, name, getattr(orders, name))
    install_sqlite(monkeypatch)
    path = orders.write(tmp_path / "orders", NOON - timedelta(minutes=60), 180)
    with orders.served() as server:
        for name, connection in (("warehouse", path), ("orders", server)):
            monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", connection)
        yield Place(orders, lambda name, text: monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", text))


@pytest.mark.parametrize("kind", SOURCES)
def test_each_source_tells_the_same_counts(kind: str, place: Place) -> None:
    answer = place.ask(SOURCES[kind], asked(3))
    starts = [NOON + timedelta(minutes=number) for number in range(3)]
    assert list(answer.periods) == [Counted(start, 60, (100, 3), (900, 9)) for start in starts]
    assert (answer.until, answer.unknown, answer.is_awaited) == (NOON + timedelta(minutes=3), "", False)


@pytest.mark.parametrize("kind", SOURCES)
def test_only_what_is_new_is_told_again_and_what_is_later_is_asked_for(kind: str, place: Place) -> None:
    place.ask(SOURCES[kind], asked(3))
    later = Question(NOON + timedelta(minutes=2), NOON + timedelta(minutes=5), 60, GREEN, BLUE)
    first = place.outside.ask(measured(SOURCES[kind]), later)
    assert [each.start for each in first.periods] == [NOON + timedelta(minutes=2)]
    assert first.is_awaited
    second = wait_until(lambda: _unless_awaited(place.outside.ask(measured(SOURCES[kind]), later)), 10, 0.005)
    assert [each.start.minute for each in second.periods] == [2, 3, 4]


def _unless_awaited(answer: Told) -> Told | None:
    return None if answer.is_awaited else answer


def test_the_secrets_of_a_connection_reach_the_server(place: Place) -> None:
    place.ask(HTTP, asked(1))
    assert place.orders.asked[0].headers["Authorization"] == "Bearer sesame-42"


def listed(*rows: Any) -> Answer:
    return Answer(json.dumps({"data": {"rows": rows}}), "application/json")


def ranged(*series: Any) -> Answer:
    return Answer(json.dumps({"status": "success", "data": {"result": series}}), "application/json")


ROW = {"period": NOON.isoformat(), "variant": "green", "events": 1, "trials": 2}
BAD_ANSWERS: dict[str, tuple[Source, Answer, str]] = {
    "denied": (HTTP, Answer("no entry", status=403), "HTTP status 403: no entry"),
    "denied by Prometheus": (PROMETHEUS, Answer("no entry", status=401), "HTTP status 401: no entry"),
    "out of order": (HTTP, Answer("", status=503), "HTTP status 503"),
    "no JSON": (HTTP, Answer("<html>"), "it is no JSON: '<html>'"),
    "other JSON": (HTTP, Answer("{}"), "there is no data.rows in it"),
    "a JSON of rows of nothing": (HTTP, listed(7), "a row is 7, and must have period, variant, events, trials"),
    "no list": (HTTP, Answer('{"data": {"rows": 1}}'), "data.rows is no list of rows"),
    "a column that is missing": (
        HTTP,
        listed({**ROW, "trials": 1} | {"n": 1} and {"period": 1}),
        "no column variant, events, trials",
    ),
    "counts that are none": (HTTP, listed({**ROW, "events": "many"}), "events many of trials 2 are no counts"),
    "a half": (HTTP, listed({**ROW, "events": 0.5}), "events 0.5 of trials 2 are no counts"),
    "more events than trials": (HTTP, listed({**ROW, "events": 3}), "events 3 of trials 2 are no counts"),
    "less than none": (HTTP, listed({**ROW, "events": -1}), "events -1 of trials 2 are no counts"),
    "no number": (HTTP, listed({**ROW, "trials": None}), "events 1 of trials None are no counts"),
    "a time that is none": (HTTP, listed({**ROW, "period": "noon"}), "period noon is no time"),
    "a time within a period": (
        HTTP,
        listed({**ROW, "period": NOON.isoformat()[:17] + "07"}),
        "is not the start of one of 60 s",
    ),
    "a row twice": (HTTP, listed(ROW, ROW), "two rows of green for 2026-11-29 12:00:00 UTC"),
    "several series": (PROMETHEUS, ranged({"metric": {"pod": "a"}}, {"metric": {"pod": "b"}}), "2 series, such as"),
    "a vector": (PROMETHEUS, ranged({"metric": {}, "value": [1, "2"]}), "no answer of Prometheus to a range query"),
    "an error of Prometheus's": (PROMETHEUS, Answer('{"status": "error"}'), "no answer of Prometheus to a range query"),
    "no SELECT": (Sql("warehouse", "CREATE TABLE other (a TEXT)"), Answer(""), "as if it were no SELECT"),
    "a query that is wrong": (Sql("warehouse", "SELECT"), Answer(""), "OperationalError: incomplete input"),
    "columns of other names": (
        Sql("warehouse", "SELECT period AS minute, variant, trials FROM orders"),
        Answer(""),
        "no column period, events; there are minute, variant, trials",
    ),
    "a connection of another kind": (Sql("orders", COUNTS), Answer(""), "is of type http, which is no database's"),
    "a connection that there is not": (
        Sql("nowhere", COUNTS),
        Answer(""),
        "connection 'nowhere' could not be looked up",
    ),
    "a function that is not there": (Function("hooks.counting:missing"), Answer(""), "has no attribute 'missing'"),
    "a module that is not there": (Function("nowhere:count"), Answer(""), "No module named 'nowhere'"),
    "a function that returns none": (Function("hooks.counting:nothing"), Answer(""), "which is no list of rows"),
}


@pytest.mark.parametrize("name", BAD_ANSWERS)
def test_a_bad_answer_is_no_counts_and_says_why(name: str, place: Place) -> None:
    source, place.orders.answer, why = BAD_ANSWERS[name]
    answer = place.ask(source, asked(3))
    assert why in answer.unknown
    assert not answer.periods
    assert answer.is_awaited


@pytest.mark.parametrize("name", ["denied", "no JSON", "a connection that there is not"])
def test_a_source_that_has_failed_is_asked_again_and_may_answer(name: str, place: Place) -> None:
    source, place.orders.answer, why = BAD_ANSWERS[name]
    assert why in place.ask(source, asked(1)).unknown
    place.orders.answer = None
    place.set_connection("nowhere", json.dumps({"conn_type": "http"}))
    place.now += 6
    again = place.outside.ask(measured(source), asked(1))
    assert why in again.unknown
    place.outside.look_up()
    place.now += 6

    def is_other() -> bool:
        place.outside.look_up()
        return why not in place.outside.ask(measured(source), asked(1)).unknown

    assert wait_until(is_other, 10, 0.005)


def test_a_source_that_never_answers_holds_up_nobody(place: Place) -> None:
    ended = threading.Event()
    HANGS.append(ended)
    measure, question = measured(Function("hooks.counting:hang"), timeout=30), asked(1)
    assert place.outside.ask(measure, question).unknown == "it has not answered yet"
    place.now += 31
    assert place.outside.ask(measure, question).unknown == "it has not answered for 31 s"
    assert sum(thread.name == "sm-rollout-outside" for thread in threading.enumerate()) == 1
    ended.set()


def test_sources_that_never_answer_take_no_more_than_so_many_threads(place: Place) -> None:
    ended = threading.Event()
    HANGS.append(ended)
    source = Function("hooks.counting:hang")
    told = [place.outside.ask(Measure(f"orders {number}", source), asked(1)).unknown for number in range(40)]
    assert told.count("it has not answered yet") == 32
    assert told.count("32 other questions have not been answered yet") == 8
    ended.set()


def test_a_slow_server_is_given_up_after_its_timeout(place: Place) -> None:
    place.orders.seconds_taken = 0.5
    assert "timed out" in place.ask(HTTP, asked(1), timeout=0.05).unknown


def test_an_error_that_has_the_secret_in_it_is_said_without_it(place: Place, tmp_path: Path) -> None:
    place.set_connection(
        "warehouse", json.dumps({"conn_type": "sqlite", "host": str(tmp_path / "no"), "password": "sesame-42"})
    )
    assert place.ask(SOURCES["database"], asked(1)).unknown == "OperationalError: access denied for password ***"


def test_rows_of_others_are_left_out_and_a_row_may_be_called_as_the_model_or_the_variant(place: Place) -> None:
    rows = [{**ROW, "variant": name, "events": 0} for name in ("fraud-v2", "AllTraffic", "somebody else", "fraud")]
    place.orders.answer = listed(*rows)
    [period] = place.ask(HTTP, asked(1)).periods
    assert (period.green, period.blue) == ((2, 0), (2, 0))


def test_a_period_without_a_row_is_not_taken_for_one_without_orders(place: Place) -> None:
    place.orders.answer = listed(ROW)
    assert [each.green for each in place.ask(HTTP, asked(2)).periods] == [(2, 1), None]
