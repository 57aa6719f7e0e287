"""Takes rollouts back without Airflow: a small watcher with nothing but this package's core, its calls to AWS, and boto3.

It runs as a process (``sm-rollout guardian``), by cron (``--once``), or as an AWS Lambda function
(:mod:`~airflow_sm_rollout.guardian.handler`).
"""

from __future__ import annotations
