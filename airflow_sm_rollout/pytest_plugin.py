"""A pytest plugin: SageMaker of a test's own, and DAGs that roll out on it. It needs ``airflow-sm-rollout-sandbox``.

::

    def test_my_dag_promotes_a_good_model(sagemaker_sandbox):
        sagemaker_sandbox.put_endpoint("wine")
        with sagemaker_sandbox.traffic("wine"):
            run = sagemaker_sandbox.run(my_dag)
        assert run.state == "success"

The DAG runs in this process by Airflow's ``dag.test()``: set ``AIRFLOW_HOME`` to an empty directory before Airflow is first imported.
"""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import pytest

from airflow_sm_rollout.airflow_versions import run_in_process, store_dag

if TYPE_CHECKING:
    from airflow.sdk import DAG

    from airflow_sm_rollout.sandbox.containers import ModelSpec, Reply

SPEED = 600.0
"""How much faster than AWS, unless the fixture ``sagemaker_sandbox_speed`` says otherwise."""

_CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "sandbox",
    "AWS_SECRET_ACCESS_KEY": "sandbox",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}
_ROLE = "arn:aws:iam::123456789012:role/sandbox"
_NAME_A_DATABASE = ("AIRFLOW_HOME", "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN")


@dataclass(frozen=True, slots=True)
class RolloutRun:
    """A DAG run that is over.

    :param state: ``success`` or ``failed``.
    :param tasks: each task's state by its id.
    :param xcoms: what tasks have left, by task id and key.
    """

    state: str
    tasks: Mapping[str, str]
    xcoms: Mapping[tuple[str, str], Any]

    @property
    def reason(self) -> str:
        """Why it did not start, or was rolled back, in one sentence; empty if neither."""
        left = {task: str(text) for (task, key), text in self.xcoms.items() if key == "reason"}
        verdicts = [text for task, text in left.items() if "verdict" in task]
        return next(iter([*verdicts, *(f"in {task}: {text}" for task, text in left.items())]), "")


class SageMakerSandbox:
    """SageMaker, CloudWatch and SSM on a port of this machine, in a hurry; every boto3 client in this process leads to it.

    :param speed: how much faster than AWS.
    """

    def __init__(self, speed: float) -> None:
        from airflow_sm_rollout.sandbox import FunctionHost, Sandbox, Timings, serve

        self._replies: dict[str | None, tuple[int, float]] = {}
        self.sandbox = Sandbox(timings=Timings().hurried(speed), host=FunctionHost(self._predict))
        self._server = serve(self.sandbox)
        self.url = self._server.url

    def close(self) -> None:
        """Stop it."""
        self._server.close()
        self.sandbox.close()

    def client(self, service: str) -> Any:
        """A boto3 client, e.g. of ``sagemaker`` or ``cloudwatch``."""
        import boto3

        session = boto3.Session("sandbox", "sandbox", region_name="us-east-1")
        return session.client(service, endpoint_url=self.url)

    def answers(self, model_data_url: str, status: int = 200, seconds: float = 0.01) -> None:
        """How a model of this artifact answers every request; 200 after 10 ms unless told.

        :param status: HTTP status of the container.
        :param seconds: how long it takes.
        """
        self._replies[model_data_url] = (status, seconds)

    def put_endpoint(
        self, name: str, *, model_data_url: str = "s3://models/blue/model.tar.gz", instances: int = 2
    ) -> None:
        """An endpoint in service, with metrics every ten seconds; its model is called ``<name>-v1``."""
        sagemaker = self.client("sagemaker")
        container = {"Image": "registry/blue:1", "ModelDataUrl": model_data_url}
        sagemaker.create_model(ModelName=f"{name}-v1", PrimaryContainer=container, ExecutionRoleArn=_ROLE)
        variant = {
            "VariantName": "AllTraffic",
            "ModelName": f"{name}-v1",
            "InstanceType": "ml.m5.large",
            "InitialInstanceCount": instances,
            "InitialVariantWeight": 1.0,
        }
        sagemaker.create_endpoint_config(
            EndpointConfigName=f"{name}-v1",
            ProductionVariants=[variant],
            MetricsConfig={"EnableEnhancedMetrics": True, "MetricPublishFrequencyInSeconds": 10},
        )
        sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=f"{name}-v1")
        while sagemaker.describe_endpoint(EndpointName=name)["EndpointStatus"] != "InService":
            time.sleep(0.05)

    def put_alarm(self, name: str) -> None:
        """An alarm of yours, quiet until :meth:`ring`."""
        self.client("cloudwatch").put_metric_alarm(
            AlarmName=name,
            Namespace="Sandbox",
            MetricName=name,
            Statistic="Sum",
            Period=3600,
            EvaluationPeriods=1,
            Threshold=0,
            ComparisonOperator="GreaterThanThreshold",
            TreatMissingData="ignore",
        )
        self._set_alarm(name, "OK", "quiet")

    def ring(self, alarm_name: str, reason: str = "the test rang it") -> None:
        """Put an alarm into ALARM."""
        self._set_alarm(alarm_name, "ALARM", reason)

    def fail(self, kind: str, operation: str = "*", times: int = 1) -> None:
        """Let AWS go wrong: see :class:`~airflow_sm_rollout.sandbox.faults.Fault` for the kinds, e.g. ``throttle`` or ``lost_answer``."""
        from airflow_sm_rollout.sandbox import Fault

        self.sandbox.faults.add(Fault(kind, operation, times))

    def traffic(self, name: str, requests_per_second: float = 20.0) -> AbstractContextManager[Any]:
        """Requests to an endpoint for the length of a ``with`` block."""
        from airflow_sm_rollout.sandbox.traffic import Traffic

        return Traffic(self.url, name, requests_per_second)

    def models(self, name: str) -> dict[str, float]:
        """What serves an endpoint now: each model's share of the requests in percent, by the model's name."""
        sagemaker = self.client("sagemaker")
        endpoint = sagemaker.describe_endpoint(EndpointName=name)
        config = sagemaker.describe_endpoint_config(EndpointConfigName=endpoint["EndpointConfigName"])
        model_of = {each["VariantName"]: each["ModelName"] for each in config["ProductionVariants"]}
        weights = {each["VariantName"]: each["CurrentWeight"] for each in endpoint["ProductionVariants"]}
        return {model_of[name]: 100 * weight / sum(weights.values()) for name, weight in weights.items()}

    def run(self, dag: DAG, **conf: Any) -> RolloutRun:
        """Run a DAG to its end.

        :param conf: values of its trigger form.
        """
        # Airflow's own warnings are no failure of the DAG's, also where pytest makes errors of them.
        with warnings.catch_warnings():
            warnings.simplefilter("default")
            _prepare_database(dag)
            ended = run_in_process(dag, conf)
        tasks = {instance.task_id: str(instance.state) for instance in ended.get_task_instances()}
        return RolloutRun(str(ended.state), tasks, _read_xcoms(dag.dag_id, ended.run_id))

    def _set_alarm(self, name: str, state: str, reason: str) -> None:
        self.client("cloudwatch").set_alarm_state(AlarmName=name, StateValue=state, StateReason=reason)

    def _predict(self, model: ModelSpec, body: bytes) -> Reply:
        from airflow_sm_rollout.sandbox.containers import Reply

        status, seconds = self._replies.get(model.model_data_url, (200, 0.01))
        return Reply(status, b"{}", seconds=seconds)


@pytest.fixture
def sagemaker_sandbox_speed() -> float:
    """How much faster than AWS the sandbox is; override it for another pace."""
    return SPEED


@pytest.fixture
def sagemaker_sandbox(monkeypatch: pytest.MonkeyPatch, sagemaker_sandbox_speed: float) -> Iterator[SageMakerSandbox]:
    """SageMaker of the test's own, without an AWS account; see :class:`SageMakerSandbox`."""
    if find_spec("airflow_sm_rollout.sandbox") is None:
        raise pytest.UsageError("the sandbox is not installed; it comes with pip install airflow-sm-rollout-sandbox")
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    _share_service_models(monkeypatch)
    sandbox = SageMakerSandbox(sagemaker_sandbox_speed)
    for name, value in {**_CREDENTIALS, "AWS_ENDPOINT_URL": sandbox.url}.items():
        monkeypatch.setenv(name, value)
    yield sandbox
    sandbox.close()


def _share_service_models(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parse AWS's service models once: a rollout makes dozens of clients, and each would take a third of a second otherwise."""
    import botocore.loaders
    import botocore.session

    monkeypatch.setattr(botocore.session, "create_loader", _shared_loader(botocore.loaders.create_loader))


@cache
def _shared_loader(create: Callable[..., Any]) -> Callable[..., Any]:
    return cache(lambda search_path_string=None: create(search_path_string))


def _prepare_database(dag: DAG) -> None:
    """Make the DAG known to the database, as the DAG processor does; a new database is made, somebody else's is not touched."""
    from airflow.configuration import conf
    from airflow.dag_processing.bundles.manager import DagBundlesManager
    from airflow.utils.db import initdb

    # Where nobody names one, it is the one in a person's home.
    is_named = any(variable in os.environ for variable in _NAME_A_DATABASE)
    if not is_named or not conf.get("database", "sql_alchemy_conn").startswith("sqlite"):
        raise pytest.UsageError("a test's DAG runs on a database of its own: set AIRFLOW_HOME to an empty directory")
    initdb()
    DagBundlesManager().sync_bundles_to_db()  # type: ignore[no-untyped-call]
    store_dag(dag, "dags-folder")


def _read_xcoms(dag_id: str, run_id: str) -> dict[tuple[str, str], Any]:
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        found = session.scalars(select(XComModel).where(XComModel.dag_id == dag_id, XComModel.run_id == run_id))
        return {(each.task_id, each.key): XComModel.deserialize_value(each) for each in found}
