"""SageMaker put together: models, configurations, endpoints and their runtime."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Protocol

from airflow_sm_rollout.sandbox.containers import ContainerHost
from airflow_sm_rollout.sandbox.faults import Faults
from airflow_sm_rollout.sandbox.sagemaker.async_runtime import AsyncRuntime
from airflow_sm_rollout.sandbox.sagemaker.capture import Capture
from airflow_sm_rollout.sandbox.sagemaker.components.service import Components
from airflow_sm_rollout.sandbox.sagemaker.endpoint_configs import EndpointConfigs
from airflow_sm_rollout.sandbox.sagemaker.endpoints import Endpoints
from airflow_sm_rollout.sandbox.sagemaker.metrics import InvocationMetrics, Recorder
from airflow_sm_rollout.sandbox.sagemaker.models import Models
from airflow_sm_rollout.sandbox.sagemaker.packages import ModelPackages
from airflow_sm_rollout.sandbox.sagemaker.provisioning import Provisioner
from airflow_sm_rollout.sandbox.sagemaker.queue_metrics import QueueMetrics
from airflow_sm_rollout.sandbox.sagemaker.region import Region
from airflow_sm_rollout.sandbox.sagemaker.runtime import Runtime
from airflow_sm_rollout.sandbox.sagemaker.search import Records
from airflow_sm_rollout.sandbox.sagemaker.shifting import Alarms
from airflow_sm_rollout.sandbox.sagemaker.targets import Targets


class Monitoring(Recorder, Alarms, Protocol):
    """Where metrics go and alarms come from."""


class Hosting:
    """SageMaker's hosting side.

    :param host: where containers run.
    :param monitoring: where invocation metrics go, and what tells whether an alarm rings.
    :param get_object: the bytes at an ``s3://`` URL.
    :param put_object: stores bytes at one.
    :param seed: of what splits requests between variants and chooses those to be captured.
    """

    def __init__(
        self,
        region: Region,
        host: ContainerHost,
        faults: Faults,
        monitoring: Monitoring,
        *,
        get_object: Callable[[str], bytes],
        put_object: Callable[[str, bytes], None],
        seed: int,
    ) -> None:
        metrics = InvocationMetrics(region, monitoring)
        packages = ModelPackages(region)
        models = Models(region, packages)
        configs = EndpointConfigs(region, models)
        provisioner = Provisioner(region, host, faults, models)
        self.targets = Targets()
        queues = QueueMetrics(region, metrics, monitoring)
        self.endpoints = Endpoints(region, configs, provisioner, monitoring, queues.begin, self.targets)
        self.components = Components(region, self.endpoints, models, provisioner, monitoring)
        self.records: dict[str, Records] = {
            "Endpoint": self.endpoints.records,
            "ModelPackage": packages.records,
            "ModelPackageGroup": packages.group_records,
        }
        self.control: list[object] = [self.endpoints, self.components, configs, models, packages, region.tags]
        capture = Capture(region, put_object, random.Random(seed))
        self.runtime = Runtime(region, self.endpoints, metrics, capture, random.Random(seed))
        self.async_runtime = AsyncRuntime(region, self.runtime, get_object, put_object, queues)

    def close(self) -> None:
        """End when no request is under way any more that nobody waits for."""
        self.runtime.close()
        self.async_runtime.close()
