"""Airflow as large installations run it: Celery workers behind Redis, PostgreSQL, two of each that there may be two of.

``make cluster`` runs rollouts on it while its parts are killed. It needs ``redis-server`` and PostgreSQL, as Debian packages them.
"""
