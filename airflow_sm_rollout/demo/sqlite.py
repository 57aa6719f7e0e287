"""How the demo's Airflow keeps its database: a file that is thrown away with it, so that no write has to wait for the disk.

All of Airflow's processes share one lock for writing. With a disk that takes 150 ms for each sync, 6 s for one in fifty, rollouts that
take a minute took many, and requests to the API server timed out.
"""

from __future__ import annotations

import sqlite3
from typing import Any


class Unsynced(sqlite3.Connection):
    """A connection whose commits are in the file for every process at once, but are lost or torn if the machine itself goes down."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.execute("PRAGMA synchronous=OFF")


CONNECT_ARGS: dict[str, Any] = {"factory": Unsynced, "timeout": 20.0}
"""For Airflow's ``sql_alchemy_connect_args`` and ``sql_alchemy_connect_args_async``. It adds to this, so it is a plain dict.

``timeout``: how many seconds to wait for the lock. Sqlite3's 5 are few: who waits in vain ends, the triggerer for one.
"""
