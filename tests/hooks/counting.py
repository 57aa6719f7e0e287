"""Places where orders are counted: a database, an HTTP server, a Prometheus and a function, all with the same orders."""

from __future__ import annotations

import json
import re
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from airflow.models.connection import Connection as StoredConnection
from airflow.providers.common.sql.hooks.sql import DbApiHook
from airflow.sdk import Connection

from answering import Answer, Asked, answering

COUNTS = "SELECT period, variant, events, trials FROM orders WHERE period >= '{since}' AND period < '{until}'"


@dataclass
class Orders:
    """Orders of each minute, or of periods of so many seconds: of green's one in ten, and as many of them fail as a test wants.

    :param green: how many of green's 100 fail; so ``blue`` of its 900.
    :param since: when green had its first one.
    :param answer: what the server answers instead; ``None``: what it should.
    """

    green: int = 1
    blue: int = 9
    since: datetime = datetime(2000, 1, 1, tzinfo=timezone.utc)
    green_model: str = "fraud-v2"
    answer: Answer | None = None
    seconds: int = 60
    seconds_taken: float = 0.0
    asked: list[Asked] = field(default_factory=list)

    def rows(self, since: datetime, until: datetime) -> list[dict[str, Any]]:
        """A row for each period and variant."""
        each = timedelta(seconds=self.seconds)
        starts = [since + number * each for number in range((until - since) // each)]
        return [
            {"period": start.isoformat(), "variant": variant, "events": events, "trials": trials}
            for start in starts
            for variant, events, trials in (("blue", self.blue, 900), ("green", self.green, 100))
            if variant == "blue" or start >= self.since
        ]

    def write(self, path: Path, begin: datetime, minutes: int) -> str:
        """All of them in a database; its connection for Airflow."""
        with sqlite3.connect(path) as session:
            session.execute("CREATE TABLE orders (period TEXT, variant TEXT, events INTEGER, trials INTEGER)")
            rows = [tuple(row.values()) for row in self.rows(begin, begin + timedelta(minutes=minutes))]
            session.executemany("INSERT INTO orders VALUES (?, ?, ?, ?)", rows)
            session.execute(
                "CREATE TABLE first_tokens (period TEXT, variant TEXT, count INT, total REAL, squares REAL)"
            )
            # Each takes a second, but those of the orders that fail, which take ten.
            slow = [(at, who, all_, all_ + 9.0 * few, all_ + 99.0 * few) for at, who, few, all_ in rows]
            session.executemany("INSERT INTO first_tokens VALUES (?, ?, ?, ?, ?)", slow)
        return json.dumps({"conn_type": "sqlite", "host": str(path), "password": "sesame-42"})

    @contextmanager
    def served(self) -> Iterator[str]:
        """Over HTTP, by ``/orders`` and as Prometheus does it; its connection for Airflow."""
        with answering(self._answer) as url:
            parts = urlsplit(url)
            extra = {"Authorization": "Bearer sesame-42"}
            yield json.dumps({"conn_type": "http", "host": parts.hostname, "port": parts.port, "extra": extra})

    def _answer(self, asked: Asked) -> Answer:
        self.asked.append(asked)
        time.sleep(self.seconds_taken)
        if self.answer is not None:
            return self.answer
        parts = urlsplit(asked.path)
        given = {name: values[0] for name, values in parse_qs(parts.query).items()}
        told = self._range(given) if parts.path == "/api/v1/query_range" else self._listed(given)
        return Answer(json.dumps(told), "application/json")

    def _listed(self, given: Mapping[str, str]) -> Any:
        times = (datetime.fromisoformat(given[name].replace("Z", "+00:00")) for name in ("since", "until"))
        return {"data": {"rows": self.rows(*times)}}

    def _range(self, given: Mapping[str, str]) -> Any:
        model = re.search(r'model="(.*?)"', given["query"])
        assert model
        variant, counted = (
            "green" if model[1] == self.green_model else "blue",
            given["query"].split("_")[0].split("(")[-1],
        )
        first, last = (datetime.fromtimestamp(float(given[name]), timezone.utc) for name in ("start", "end"))
        minute = timedelta(minutes=1)
        values = [
            [(datetime.fromisoformat(row["period"]) + minute).timestamp(), str(row[counted])]
            for row in self.rows(first - minute, last)
            if row["variant"] == variant
        ]
        series = [{"metric": {}, "values": values}] if values else []
        return {"status": "success", "data": {"resultType": "matrix", "result": series}}


class SqliteHook(DbApiHook):
    """As the sqlite provider has it."""

    conn_name_attr = "sqlite_conn_id"
    default_conn_name = "sqlite_default"
    conn_type = "sqlite"

    def get_conn(self) -> sqlite3.Connection:
        connection = self.get_connection(self.get_conn_id())
        if not Path(str(connection.host)).exists():
            raise sqlite3.OperationalError(f"access denied for password {connection.password}")
        return sqlite3.connect(str(connection.host))


def install_sqlite(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let connections of the type ``sqlite`` have :class:`SqliteHook`, as if its provider were installed.

    Outside of a task Airflow 3.1 answers with the connection of its database's models, later ones with that of the SDK.
    """
    for kind in (StoredConnection, Connection):

        def get_hook(connection: Any, *, others: Any = kind.get_hook) -> Any:
            return (
                SqliteHook(sqlite_conn_id=connection.conn_id)
                if connection.conn_type == "sqlite"
                else others(connection)
            )

        monkeypatch.setattr(kind, "get_hook", get_hook)


ORDERS = Orders()


def count_orders(*, since: datetime, until: datetime, green: Mapping[str, str], blue: Mapping[str, str]) -> Any:
    """The orders, for :class:`~airflow_sm_rollout.Function`."""
    rows = ORDERS.rows(since, until)
    return [{**row, "variant": (green if row["variant"] == "green" else blue)["model"]} for row in rows]


HANGS: list[threading.Event] = []


def hang(**_: Any) -> list[Any]:
    """Returns when the last of :data:`HANGS` says so."""
    HANGS[-1].wait(30)
    return []


def nothing(**_: Any) -> None:
    """Counts nothing."""
