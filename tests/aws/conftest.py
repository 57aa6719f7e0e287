from __future__ import annotations

import pytest

from convergence import lab
from convergence.direct import direct_clients


@pytest.fixture
def direct(monkeypatch: pytest.MonkeyPatch) -> None:
    """All labs call their sandbox without the wire between."""
    monkeypatch.setattr(lab, "clients_of", direct_clients)
