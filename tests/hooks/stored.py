"""A connection that is stored in Airflow, as far as a hook notices."""

from __future__ import annotations

import json
import threading
from typing import Any

from airflow.sdk import Connection


class Airflow:
    """What Airflow answers when it is asked for a connection, and who has asked."""

    def __init__(self) -> None:
        self.extra: dict[str, Any] = {"endpoint_url": "http://first"}
        self.fails = False
        self.asked_by: list[str] = []

    def answer(self, conn_id: str) -> Connection:
        self.asked_by.append(threading.current_thread().name)
        if self.fails:
            raise RuntimeError("the API server does not answer")
        return Connection(conn_id=conn_id, conn_type="aws", login="key", password="secret", extra=self._extra())

    def _extra(self) -> str:
        return json.dumps({"config_kwargs": {"read_timeout": 7}, **self.extra})
