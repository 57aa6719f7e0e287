"""How each kind of source is asked for counts. Secrets are only in Airflow's connections, and not in what is said of an error."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from contextlib import closing
from datetime import datetime, timedelta, timezone
from typing import Any

from airflow_sm_rollout.core.plan.measures import Function, HttpJson, Measure, Prometheus, Sql, fill
from airflow_sm_rollout.core.watch.rows import (
    MOST_ROWS,
    Counted,
    Malformed,
    Question,
    check_columns,
    counts_in,
    counts_of,
)

_SHOWN = 300


def ask_source(measure: Measure, question: Question, connection: Any) -> list[Counted]:
    """Ask a source, and wait for its answer.

    :param connection: Airflow's; ``None``: it needs none.
    :raises Malformed: if that is none.
    """
    source = measure.source
    if isinstance(source, Sql):
        return _ask_database(source, question, connection)
    if isinstance(source, HttpJson):
        return _ask_server(source, question, connection, measure.timeout)
    if isinstance(source, Prometheus):
        return _ask_prometheus(source, question, connection, measure.timeout)
    if isinstance(source, Function):
        return _call(source, question)
    raise Malformed(f"{type(source).__name__} is not asked this way")


def look_up_connection(conn_id: str) -> Any:
    """Airflow's connection of that name."""
    from airflow.providers.common.compat.sdk import BaseHook

    return BaseHook.get_connection(conn_id)


def say_error(error: Exception, connection: Any = None) -> str:
    """An error in one line, without the connection's secrets."""
    text = " ".join(f"{type(error).__name__}: {error}".split())
    for secret in _secrets_of(connection):
        text = text.replace(secret, "***")
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def _secrets_of(connection: Any) -> list[str]:
    """Its password, and every text in its extras: a token may be anywhere there. The shortest would hide words."""
    extras = getattr(connection, "extra_dejson", None) or {}
    texts = [getattr(connection, "password", None), *(value for value in extras.values() if isinstance(value, str))]
    return [text for text in texts if text and len(text) > 3]


def _ask_database(source: Sql, question: Question, connection: Any) -> list[Counted]:
    from airflow.providers.common.sql.hooks.sql import DbApiHook

    hook = connection.get_hook()
    if not isinstance(hook, DbApiHook):
        raise Malformed(f"connection {source.conn_id!r} is of type {connection.conn_type}, which is no database's")
    _give(hook, connection)
    with closing(hook.get_conn()) as session, closing(session.cursor()) as cursor:
        cursor.execute(fill(source.sql, question.placeholders))
        if not cursor.description:
            raise Malformed("the query has no rows at all, as if it were no SELECT")
        columns = [str(column[0]) for column in cursor.description]
        check_columns(columns, question.columns)
        rows = cursor.fetchmany(MOST_ROWS + 1)
    return counts_in([dict(zip(columns, row, strict=True)) for row in rows], question)


def _ask_server(source: HttpJson, question: Question, connection: Any, timeout: float) -> list[Counted]:
    placeholders = {name: value.replace("+00:00", "Z") for name, value in question.placeholders.items()}
    found = _get(connection, fill(source.path, placeholders), {}, timeout)
    for name in filter(None, source.rows.split(".")):
        if not isinstance(found, Mapping) or name not in found:
            raise Malformed(f"there is no {source.rows} in it")
        found = found[name]
    if not isinstance(found, list):
        raise Malformed(f"{source.rows or 'the answer'} is no list of rows")
    return counts_in(found, question)


def _ask_prometheus(source: Prometheus, question: Question, connection: Any, timeout: float) -> list[Counted]:
    def values(query: str, names: Mapping[str, str]) -> dict[datetime, float]:
        asked = {
            "query": fill(query, names),
            "start": question.since.timestamp() + question.seconds,
            "end": question.until.timestamp(),
            "step": question.seconds,
        }
        return _values_in(_get(connection, "api/v1/query_range", asked, timeout), question.seconds)

    green, blue = (
        (values(source.events, names), values(source.trials, names)) for names in (question.green, question.blue)
    )
    return counts_of(green, blue, question)


def _values_in(answer: Any, seconds: int) -> dict[datetime, float]:
    """The values of a range query by the start of a period; each is told at its end."""
    try:
        series = answer["data"]["result"]
        if len(series) > 1:
            labels = [each.get("metric") for each in series[:2]]
            raise Malformed(f"{len(series)} series, such as {labels}: a sum is wanted, which is one")
        values = series[0]["values"] if series else []
        length = timedelta(seconds=seconds)
        return {datetime.fromtimestamp(float(at), timezone.utc) - length: float(value) for at, value in values}
    except (KeyError, TypeError, ValueError, AttributeError):
        raise Malformed("it is no answer of Prometheus to a range query") from None


def _get(connection: Any, path: str, parameters: Mapping[str, Any], timeout: float) -> Any:
    """The JSON that a server answers with."""
    from airflow.providers.http.hooks.http import HttpHook

    hook = HttpHook(method="GET", http_conn_id=connection.conn_id)
    _give(hook, connection)
    options = {"timeout": timeout, "check_response": False}
    response = hook.run(path, data=dict(parameters), extra_options=options)
    if not response.ok:
        raise Malformed(f"HTTP status {response.status_code}: {response.text[:_SHOWN]}")
    try:
        return response.json()
    except ValueError:
        raise Malformed(f"it is no JSON: {response.text[:60]!r}") from None


def _call(source: Function, question: Question) -> list[Counted]:
    module, _, name = str(source.function).partition(":")
    function = getattr(importlib.import_module(module), name)
    rows = function(since=question.since, until=question.until, green=dict(question.green), blue=dict(question.blue))
    if not hasattr(rows, "__iter__") or isinstance(rows, (str, bytes, Mapping)):
        raise Malformed(f"{source.function} has returned {type(rows).__name__}, which is no list of rows")
    return counts_in(rows, question)


def _give(hook: Any, connection: Any) -> None:
    """Let a hook use a connection that was looked up: it would look it up itself, in a thread that may not ask Airflow."""
    hook.get_connection = lambda _: connection
