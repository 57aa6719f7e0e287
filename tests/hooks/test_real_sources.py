"""Measures counted by a real PostgreSQL and a real Prometheus, which the tests start on this machine."""

from __future__ import annotations

import json
import re
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from airflow.providers.common.sql.hooks.sql import DbApiHook
from airflow.sdk import Connection

from airflow_sm_rollout.core.plan.measures import Measure, Prometheus, Source, Sql
from airflow_sm_rollout.core.watch.rows import Answer, Counted, Question
from airflow_sm_rollout.hooks.outside import AirflowOutside
from cluster.services import HOST, Service, find, postgres, prometheus
from hooks.counting import COUNTS
from production import wait_until

pytestmark = pytest.mark.slow

NOON = datetime(2026, 11, 29, 12, tzinfo=timezone.utc)
MINUTES = 6
GREEN = {"variant": "model-0badcafe", "model": "fraud-v2", "endpoint": "fraud"}
BLUE = {"variant": "AllTraffic", "model": "fraud-v1", "endpoint": "fraud"}
ORDERS = {"fraud-v2": (100, 3), "fraud-v1": (900, 9)}
"""Of each minute: all, and those that fail."""
THREE = Question(NOON, NOON + timedelta(minutes=3), 60, GREEN, BLUE)
EACH_MINUTE = [Counted(NOON + timedelta(minutes=number), 60, (100, 3), (900, 9)) for number in range(3)]
MEASURES_PAGE = Path(__file__).parents[2] / "docs" / "measures.md"


class PostgresHook(DbApiHook):
    """As the postgres provider has it."""

    conn_name_attr = "postgres_conn_id"
    default_conn_name = "postgres_default"

    def get_conn(self) -> Any:
        given = self.get_connection(self.get_conn_id())
        return psycopg2.connect(
            host=given.host, port=given.port, user=given.login, password=given.password, dbname=given.schema
        )


def ask(source: Source, question: Question = THREE) -> Answer:
    """Ask until it has been answered, one way or the other."""
    outside, measure = AirflowOutside(), Measure("orders that fail", source)

    def look() -> Answer | None:
        outside.look_up()
        told = outside.ask(measure, question)
        return told if told.unknown != "it has not answered yet" else None

    answer: Answer = wait_until(look, 20, 0.01)
    return answer


@pytest.fixture(scope="module")
def warehouse() -> Iterator[Service]:
    """A PostgreSQL with a row for each order, and one for each minute.

    Its folder is none of pytest's: to these each new run of pytest bars other users, such as PostgreSQL's.
    """
    with tempfile.TemporaryDirectory(prefix="warehouse-") as folder, postgres(Path(folder) / "server") as server:
        session = wait_until(lambda: _log_in(server.port))
        with session, session.cursor() as cursor:
            cursor.execute("CREATE TABLE orders (at TIMESTAMPTZ, model TEXT, failed BOOL)")
            cursor.execute("CREATE TABLE minutes (period TIMESTAMP, variant TEXT, events NUMERIC, trials BIGINT)")
            cursor.execute("CREATE ROLE reader LOGIN")
            for model, (trials, events) in ORDERS.items():
                cursor.execute(
                    "INSERT INTO orders SELECT %s + minute * interval '1 minute' + (each - 1) * interval '60 ms', %s, each <= %s "
                    "FROM generate_series(0, %s) AS minute, generate_series(1, %s) AS each",
                    (NOON, model, events, MINUTES - 1, trials),
                )
            cursor.execute(
                "INSERT INTO minutes SELECT date_trunc('minute', at AT TIME ZONE 'UTC'), model, sum(failed::int), count(*) "
                "FROM orders GROUP BY 1, 2"
            )
        session.close()
        yield server


def _log_in(port: int) -> Any:
    """A session; ``None``: it takes connections already, but is not ready."""
    try:
        return psycopg2.connect(host=HOST, port=port, user="airflow", dbname="airflow")
    except psycopg2.OperationalError:
        return None


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch, warehouse: Service) -> Callable[[str], None]:
    """Lets Airflow's connection be that of a user."""
    monkeypatch.setattr(Connection, "get_hook", lambda each: PostgresHook(postgres_conn_id=each.conn_id))

    def as_user(user: str) -> None:
        given = {"conn_type": "postgres", "host": HOST, "port": warehouse.port, "login": user, "schema": "airflow"}
        monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", json.dumps(given))

    return as_user


def test_the_query_of_the_docs_counts_the_orders_of_a_real_postgresql(connect: Callable[[str], None]) -> None:
    connect("airflow")
    found = re.search(r"    SELECT date_trunc.*\n    FROM orders.*GROUP BY 1, 2", MEASURES_PAGE.read_text())
    assert found
    assert list(ask(Sql("warehouse", found[0])).periods) == EACH_MINUTE


def test_numerics_and_times_without_a_zone_are_counts_and_utc(connect: Callable[[str], None]) -> None:
    connect("airflow")
    assert list(ask(Sql("warehouse", COUNTS.replace("FROM orders", "FROM minutes"))).periods) == EACH_MINUTE


@pytest.mark.parametrize(
    ("user", "sql", "why"),
    [
        ("reader", "SELECT * FROM minutes", "InsufficientPrivilege: permission denied for table minutes"),
        ("nobody", "SELECT 1", 'role "nobody" does not exist'),
        ("airflow", "SELECT amount FROM minutes", 'UndefinedColumn: column "amount" does not exist'),
        ("airflow", "SELECT period, variant, events FROM minutes", "no column trials"),
        ("airflow", "SELECT period, variant, events / 2 AS events, trials FROM minutes", "of trials 100 are no counts"),
    ],
)
def test_what_a_real_postgresql_refuses_is_no_counts(
    user: str, sql: str, why: str, connect: Callable[[str], None]
) -> None:
    connect(user)
    answer = ask(Sql("warehouse", sql))
    assert why in answer.unknown
    assert not answer.periods


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A Prometheus that has scraped two pods of a shop, each with half of the orders, four times a minute."""
    lines = []
    for counter, column in (("orders", 0), ("failed_orders", 1)):
        lines.append(f"# TYPE {counter} counter")
        for model, counts in ORDERS.items():
            for pod in ("a", "b"):
                for scrape in range(4 * MINUTES + 1):
                    value, at = counts[column] / 2 * scrape / 4, NOON.timestamp() + 15 * scrape
                    lines.append(f'{counter}_total{{model="{model}",pod="{pod}"}} {value} {at:.0f}')
    folder = tmp_path_factory.mktemp("prometheus")
    (folder / "scraped.txt").write_text("\n".join([*lines, "# EOF", ""]))
    blocks = [find("promtool", "prometheus"), "tsdb", "create-blocks-from", "openmetrics"]
    subprocess.run([*blocks, folder / "scraped.txt", folder / "data"], check=True, capture_output=True)
    with prometheus(folder / "server", folder / "data") as server:
        yield server


@pytest.fixture
def scraped(monkeypatch: pytest.MonkeyPatch, shop: Service) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_SHOP", json.dumps({"conn_type": "http", "host": HOST, "port": shop.port}))


def counted(counter: str) -> str:
    return f'sum(increase({counter}_total{{model="{{model}}"}}[1m]))'


@pytest.mark.usefixtures("scraped")
def test_a_real_prometheus_tells_the_orders_of_each_minute() -> None:
    answer = ask(Prometheus("shop", events=counted("failed_orders"), trials=counted("orders")))
    assert (list(answer.periods), answer.unknown) == (EACH_MINUTE, "")


@pytest.mark.usefixtures("scraped")
def test_where_a_real_prometheus_has_no_series_nothing_is_known() -> None:
    answer = ask(Prometheus("shop", events=counted("failed_orders"), trials=counted("visits")))
    assert [(each.green, each.blue) for each in answer.periods] == [(None, None)] * 3
    without_failures = ask(Prometheus("shop", events=counted("never"), trials=counted("orders")))
    assert [each.green for each in without_failures.periods] == [(100, 0)] * 3


@pytest.mark.parametrize(
    ("trials", "why"),
    [
        ('increase(orders_total{model="{model}"}[1m])', "2 series, such as"),
        ("sum(", "HTTP status 400"),
    ],
)
@pytest.mark.usefixtures("scraped")
def test_what_is_no_count_of_a_real_prometheus_says_why(trials: str, why: str) -> None:
    answer = ask(Prometheus("shop", events=counted("failed_orders"), trials=trials))
    assert why in answer.unknown
    assert not answer.periods
