"""A look costs what is new since the last one, not what has been: see ``benchmarks/looks.py``."""

from __future__ import annotations

import pickle

import pytest

from airflow_sm_rollout.aws.clients import Clients
from airflow_sm_rollout.aws.watch import Memory, look
from airflow_sm_rollout.core.watch.ledger import PATIENCE
from benchmarks.looks import EVERY, Made, measure, watch_of

GREEN = "model-0badcafe"
SERIES = 20  # eight of each variant, two of the limit on latency, one of each variant's KPI
NEW_PERIODS = 2
WAITED_FOR = int(PATIENCE.total_seconds()) // 10


@pytest.mark.parametrize(("missing", "periods"), [("", NEW_PERIODS), (GREEN, NEW_PERIODS + WAITED_FOR)])
def test_a_look_reads_no_more_in_the_last_hour_than_in_the_first(missing: str, periods: int) -> None:
    hours, afresh = measure(hours=4, missing=missing)
    first_hour, last_hour = hours[0].datapoints[1:], hours[-1].datapoints
    assert max(first_hour) <= periods * SERIES
    assert max(last_hour) <= max(first_hour)
    assert min(afresh.datapoints) > 10 * max(first_hour)


def test_what_is_kept_of_a_bake_does_not_grow() -> None:
    made, memory, sizes = Made(""), Memory(), []
    watch, clients = watch_of(hours=2), Clients(made, made, made, made)
    while made.now < watch.ends_at:
        look(clients, watch, made.now, memory)
        sizes.append(len(pickle.dumps(memory.ledger)))
        made.now += EVERY
    assert sizes[-1] < 1.1 * sizes[len(sizes) // 10]
