"""Links from a task: to the endpoint, its alarms and metrics in AWS's console, and to the Rollout tab.

Airflow makes them in the worker when a task ends and keeps them in XCom, so they stay when the DAG file has changed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from airflow.sdk import BaseOperatorLink

from airflow_sm_rollout.plugin.address import tab_path

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator
    from airflow.sdk.types import TaskInstanceKey

# By the start of a region's name: AWS's partitions have consoles of their own.
_CONSOLES = {"cn-": "console.amazonaws.cn", "us-gov-": "console.amazonaws-us-gov.com"}
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

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """See Airflow's ``BaseOperatorLink``."""
        endpoint, region = self.name_of(operator), getattr(operator, "region", "")
        fragment = self.fragment.format(quote(endpoint, safe=""))
        return console_url(region, self.service, fragment) if endpoint and region else ""

    def name_of(self, operator: Any) -> str:
        """The endpoint."""
        return str(operator.handle().get(operator.linked) or _name_of_rollouts(operator))


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

    def name_of(self, operator: Any) -> str:
        """The name that rollouts know."""
        return _name_of_rollouts(operator)


class MetricsLink(_ConsoleLink):
    """The endpoint's metrics."""

    name = "CloudWatch metrics"
    service = "cloudwatch"
    fragment = "metricsV2?graph=~()&query=~'*7bAWS*2fSageMaker*2cEndpointName*2cVariantName*7d*20{}"


LINKS = (RolloutLink(), EndpointLink(), AlarmsLink(), MetricsLink())


def _name_of_rollouts(operator: Any) -> str:
    return str(operator.handle().get("endpoint_name") or operator.endpoint_name or "")
