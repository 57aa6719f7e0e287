"""CloudWatch in the sandbox: metrics with their delays, metric math, and alarms that are really evaluated."""

from airflow_sm_rollout.sandbox.cloudwatch.service import CloudWatch

__all__ = ["CloudWatch"]
