"""Clients without the wire between, for cases that need none."""

from __future__ import annotations

import pytest

from convergence import lab as labs
from convergence.direct import direct_clients


@pytest.fixture
def direct(monkeypatch: pytest.MonkeyPatch) -> None:
    """Labs that are made from here on have clients that call the sandbox themselves."""
    monkeypatch.setattr(labs, "clients_of", direct_clients)
