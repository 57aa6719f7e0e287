"""What Airflow, and its registry of providers, show about this package."""

from __future__ import annotations

from pathlib import Path
from pkgutil import iter_modules
from typing import Any

from airflow_sm_rollout import _HOMES, __version__

_INTEGRATION = "Amazon SageMaker rollout"
_PACKAGE = "airflow_sm_rollout"
_LINKS = ("RolloutLink", "EndpointLink", "AlarmsLink", "MetricsLink")


def get_provider_info() -> dict[str, Any]:
    """The provider's description, found by Airflow through the entry point ``apache_airflow_provider``.

    It has no options in ``airflow.cfg``, so ``config`` is empty. Its pages are no entry of it either: Airflow finds them by the entry point
    ``airflow.plugins``, and would load them twice.
    """
    return {
        "package-name": "airflow-sm-rollout",
        "name": "SageMaker Rollout",
        "description": "Canary, linear and blue/green rollouts of Amazon SageMaker models, with a rollback that always comes.",
        "versions": [__version__],
        "integrations": [
            {
                "integration-name": _INTEGRATION,
                "external-doc-url": "https://docs.aws.amazon.com/sagemaker/latest/dg/realtime-endpoints.html",
                "tags": ["aws"],
            }
        ],
        "operators": _listed(_public("operators")),
        "sensors": _listed(_public("sensors")),
        "triggers": _listed(_modules("triggers")),
        "hooks": _listed(_modules("hooks")),
        "extra-links": [f"{_PACKAGE}.operators.links.{name}" for name in _LINKS],
        "config": {},
    }


def _listed(modules: set[str]) -> list[dict[str, Any]]:
    """Modules in the form in which Airflow wants them."""
    return [{"integration-name": _INTEGRATION, "python-modules": sorted(f"{_PACKAGE}.{module}" for module in modules)}]


def _public(folder: str) -> set[str]:
    """The modules of a folder that have public names."""
    return {home for home in _HOMES.values() if home.startswith(f"{folder}.")}


def _modules(folder: str) -> set[str]:
    """The modules of a folder, but for what they have in common."""
    found = iter_modules([str(Path(__file__).parent / folder)])
    return {f"{folder}.{each.name}" for each in found if each.name != "base"}
