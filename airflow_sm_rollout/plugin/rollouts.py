"""The plugin, as Airflow finds it by the entry point ``airflow.plugins``."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from airflow.plugins_manager import AirflowPlugin

from airflow_sm_rollout.plugin.address import PREFIX, base_path

if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.types import Receive, Scope, Send


class LazyApp:
    """The pages, built at the first request: every process of Airflow's imports plugins, one of them serves pages.

    Building them costs 0.7 s (docs/facts-airflow.md#pages).
    """

    @cached_property
    def app(self) -> FastAPI:
        """The FastAPI app."""
        from airflow_sm_rollout.plugin.app import build_app

        return build_app()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request (ASGI)."""
        await self.app(scope, receive, send)


class RolloutPlugin(AirflowPlugin):
    """A tab "Rollout" on each DAG run, and a page "Rollouts" in the menu Browse."""

    name = "sm_rollout"
    fastapi_apps = [  # noqa: RUF012
        {"app": LazyApp(), "url_prefix": PREFIX, "name": "SageMaker rollouts"}
    ]
    external_views = [  # noqa: RUF012
        {
            "name": "Rollout",
            "href": f"{base_path()}{PREFIX}/dags/{{DAG_ID}}/runs/{{RUN_ID}}",
            "destination": "dag_run",
            "url_route": "rollout",
        },
        {
            "name": "Rollouts",
            "href": f"{base_path()}{PREFIX}/",
            "destination": "nav",
            "category": "browse",
            "url_route": "rollouts",
        },
    ]
