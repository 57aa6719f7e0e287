"""What the tests of this folder share: clients without the wire for whoever needs speed, and the count of cases walked."""

from __future__ import annotations

import pytest

from convergence import lab
from convergence.direct import direct_clients

WALKED = "cases walked"


@pytest.fixture
def direct(monkeypatch: pytest.MonkeyPatch) -> None:
    """All labs call their sandbox without the wire between."""
    monkeypatch.setattr(lab, "clients_of", direct_clients)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reports = [report for each in terminalreporter.stats.values() for report in each]
    calls = [report for report in reports if getattr(report, "when", "") == "call"]
    walked = [count for report in calls for name, count in report.user_properties if name == WALKED]
    if walked:
        terminalreporter.write_line(f"{sum(walked)} cases of rollouts walked, every promise held in each")
