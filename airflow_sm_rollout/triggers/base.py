"""What the triggers share."""

from __future__ import annotations

from datetime import timedelta

# A deferral that ends sooner may be falsely failed: the executor's report of the task's first half can come up to 5 s late and then
# meets its second half (docs/facts-airflow.md#latency, measured with default settings).
SHORTEST_DEFERRAL = timedelta(seconds=6)
