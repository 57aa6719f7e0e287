"""The demo's clients of an asynchronous endpoint: they hand a request over, and an object in S3 becomes the answer.

As a program the same as :mod:`airflow_sm_rollout.demo.clients`, whose clients wait for answers.
"""

from __future__ import annotations

from functools import partial

from airflow_sm_rollout.demo.clients import HOLD_SECONDS
from airflow_sm_rollout.live import live_endpoint
from airflow_sm_rollout.sandbox.traffic import EndpointClient, main


class QueueClient(EndpointClient):
    """Hands requests over. What becomes of them, only the endpoint's metrics tell."""

    operation = "async-invocations"
    says_type = "X-Amzn-SageMaker-Content-Type"


if __name__ == "__main__":
    main(resolve=partial(live_endpoint, max_age=HOLD_SECONDS), connect=QueueClient)
