"""The demo's clients: they ask before a request which endpoint serves, as clients of a live pointer do.

As a program the same as :mod:`airflow_sm_rollout.sandbox.traffic`, which knows of no live pointer.
"""

from __future__ import annotations

from functools import partial

from airflow_sm_rollout.live import live_endpoint
from airflow_sm_rollout.sandbox.traffic import main

HOLD_SECONDS = 1.0
"""For how long a client goes on with an answer; the demo's rollouts drain for longer."""


if __name__ == "__main__":
    main(resolve=partial(live_endpoint, max_age=HOLD_SECONDS))
