"""A pytest plugin for moto's tests in its "server mode": the server that they call is a sandbox, a new one for each test.

It is loaded by its file's name, in moto's own tree, where the package ``tests`` is moto's.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, cast

import pytest
from moto.core.models import ServerModeMockAWS

from airflow_sm_rollout.sandbox import Sandbox, Timings, serve
from airflow_sm_rollout.sandbox.clock import Schedule
from airflow_sm_rollout.sandbox.wire import HttpRequest, HttpResponse

LIST = Path(__file__).with_name("expected_failures.json")
SPEED = 100_000


class Newest:
    """The sandbox of the test that runs, as its server sees it."""

    def __init__(self) -> None:
        self._sandbox = self._new()

    @property
    def schedule(self) -> Schedule:
        return self._sandbox.schedule

    def handle(self, request: HttpRequest) -> HttpResponse:
        return self._sandbox.handle(request)

    def renew(self) -> None:
        """Forget all that was made so far."""
        old, self._sandbox = self._sandbox, self._new()
        old.close()

    def _new(self) -> Sandbox:
        return Sandbox(timings=Timings().hurried(SPEED))


NEWEST = Newest()


SERVER = serve(cast(Sandbox, NEWEST))
os.environ["TEST_SERVER_MODE_ENDPOINT"] = SERVER.url  # mock_aws reads it as moto's tests are imported


def pytest_configure() -> None:
    """Give each use of ``mock_aws`` a new sandbox where it would reset moto's server."""
    ServerModeMockAWS.reset = lambda self: NEWEST.renew()  # type: ignore[method-assign]


def pytest_unconfigure() -> None:
    """Stop the server."""
    SERVER.close()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Expect the failures that are listed, each with its reason, and no other."""
    expected = reasons()
    found = {_short(item.nodeid) for item in items}
    gone = sorted(expected.keys() - found)
    assert not gone, f"{LIST.name} lists tests that moto does not have: {gone}"
    for item in items:
        if reason := expected.get(_short(item.nodeid)):
            item.add_marker(pytest.mark.xfail(reason=reason, strict=True))


def reasons() -> dict[str, str]:
    """Why each test fails that is expected to, by ``file::test``."""
    table: dict[str, Any] = json.loads(LIST.read_text())
    return {test: f"{kind}: {why}" for kind, whys in table.items() for why, tests in whys.items() for test in tests}


def _short(node: str) -> str:
    file, _, test = node.partition("::")
    return f"{Path(file).name}::{test}"


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Write what failed to the file that SM_ROLLOUT_MOTO_FAILURES names, for whoever keeps the list."""
    if wanted := os.environ.get("SM_ROLLOUT_MOTO_FAILURES"):
        failed = [
            {"test": _short(report.nodeid), "error": str(getattr(report.longrepr, "reprcrash", report.longrepr))}
            for report in terminalreporter.stats.get("failed", []) + terminalreporter.stats.get("error", [])
        ]
        Path(wanted).write_text(json.dumps(failed, indent=1))
