"""What breaks where nobody waits is written down."""

from __future__ import annotations

import pytest

from airflow_sm_rollout.sandbox.workers import Workers


def test_what_breaks_is_logged_with_its_cause_and_the_next_deed_is_done(caplog: pytest.LogCaptureFixture) -> None:
    workers = Workers("shadow", 1)
    done: list[str] = []
    workers.start(lambda: {}["missing"])
    workers.start(done.append, "next")
    workers.close()
    (record,) = caplog.records
    assert record.exc_info is not None
    assert isinstance(record.exc_info[1], KeyError)
    assert "shadow" in record.getMessage()
    assert done == ["next"]
