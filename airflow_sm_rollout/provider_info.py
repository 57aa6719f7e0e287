"""What Airflow's registry of providers shows about this package."""

from __future__ import annotations

from typing import Any

from airflow_sm_rollout import __version__

_LINKS = ("RolloutLink", "EndpointLink", "AlarmsLink", "MetricsLink")


def get_provider_info() -> dict[str, Any]:
    """The provider's description, found by Airflow through the entry point ``apache_airflow_provider``."""
    return {
        "package-name": "airflow-sm-rollout",
        "name": "SageMaker Rollout",
        "description": "Canary, linear and blue/green rollouts of Amazon SageMaker models, with a rollback that always comes.",
        "versions": [__version__],
        "extra-links": [f"airflow_sm_rollout.operators.links.{name}" for name in _LINKS],
    }
