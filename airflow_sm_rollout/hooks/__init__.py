"""Airflow's connection to the AWS clients that a rollout needs."""
