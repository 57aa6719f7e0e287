"""Links from a task: to the endpoint, its alarms and metrics in AWS's console, and to the Rollout tab.

A task leaves in XCom :data:`LINKED` where they lead. Airflow makes them from it in the worker when the task ends, and keeps them, so they
stay when the DAG file has changed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal
from urllib.parse import quote

from airflow.providers.common.compat.sdk import XCom
from airflow.sdk import BaseOperatorLink

from airflow_sm_rollout.plugin.address import tab_path

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator, Context
    from airflow.sdk.types import TaskInstanceKey

# By the start of a region's name: AWS's partitions have consoles of their own.
_CONSOLES = {"cn-": "console.amazonaws.cn", "us-gov-": "console.amazonaws-us-gov.com"}
LINKED = "linked"
_CONSOLE = "console.aws.amazon.com"


def console_url(region: str, service: str, fragment: str) -> str:
    """A page of AWS's console in a region, in the region's partition.

    :param service: the path, e.g. ``sagemaker``.
    :param fragment: behind the ``#``.
    """
    host = next((host for start, host in _CONSOLES.items() if region.startswith(start)), _CONSOLE)
    return f"https://{region}.{host}/{service}/home?region={region}#{fragment}"


class RolloutLink(BaseOperatorLink):
    """The Rollout tab of the run."""

    name = "Rollout"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """See Airflow's ``BaseOperatorLink``."""
        return tab_path(ti_key.dag_id, ti_key.run_id)


class _ConsoleLink(BaseOperatorLink):
    """A page about the task's endpoint in AWS's console; empty where the task does not know it.

    With two endpoints behind a live pointer it is the one that was there when the task ended: green's, blue's before green is made and once
    it is gone. The name that clients resolve need not be an endpoint's.
    """

    service = ""
    fragment = ""
    about: Literal["endpoint", "name"] = "endpoint"
    """What the page is about: the endpoint, or the name that rollouts know."""

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """See Airflow's ``BaseOperatorLink``."""
        left = XCom.get_value(key=LINKED, ti_key=ti_key) or {}
        region, about = left.get("region"), left.get(self.about)
        return (
            console_url(region, self.service, self.fragment.format(quote(about, safe=""))) if region and about else ""
        )


def leave_link(context: Context, *, region: str, endpoint: str, name: str) -> None:
    """Leave in XCom where the task's links lead; the last one counts.

    :param region: the AWS region; empty: nobody has said it.
    :param endpoint: the endpoint.
    :param name: the name that rollouts know it by.
    """
    context["ti"].xcom_push(key=LINKED, value={"region": region, "endpoint": endpoint, "name": name})


class EndpointLink(_ConsoleLink):
    """The endpoint."""

    name = "SageMaker endpoint"
    service = "sagemaker"
    fragment = "/endpoints/{}"


class AlarmsLink(_ConsoleLink):
    """The alarms that have the endpoint's name in theirs, by which the rollout's own are called, too."""

    name = "CloudWatch alarms"
    service = "cloudwatch"
    fragment = "alarmsV2:?search={}"
    about = "name"


class MetricsLink(_ConsoleLink):
    """The endpoint's metrics."""

    name = "CloudWatch metrics"
    service = "cloudwatch"
    fragment = "metricsV2?graph=~()&query=~'*7bAWS*2fSageMaker*2cEndpointName*2cVariantName*7d*20{}"


LINKS = (RolloutLink(), EndpointLink(), AlarmsLink(), MetricsLink())
