"""What the sandbox plays in one Region: every resource has its name there, and is unknown in all others."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from botocore import xform_name

from airflow_sm_rollout.sandbox.clock import Schedule
from airflow_sm_rollout.sandbox.cloudwatch import CloudWatch
from airflow_sm_rollout.sandbox.codedeploy import CodeDeploy
from airflow_sm_rollout.sandbox.containers import ContainerHost
from airflow_sm_rollout.sandbox.elsewhere import Elsewhere
from airflow_sm_rollout.sandbox.faults import Faults
from airflow_sm_rollout.sandbox.functions import Functions, ProvisionedConcurrency
from airflow_sm_rollout.sandbox.parameters import Parameters
from airflow_sm_rollout.sandbox.sagemaker.hosting import Hosting
from airflow_sm_rollout.sandbox.sagemaker.region import Region
from airflow_sm_rollout.sandbox.sagemaker.search import Search
from airflow_sm_rollout.sandbox.sagemaker.tags import Tags
from airflow_sm_rollout.sandbox.sagemaker.training import TrainingJobs
from airflow_sm_rollout.sandbox.scaling import Scaling
from airflow_sm_rollout.sandbox.tagging import Tagging
from airflow_sm_rollout.sandbox.timings import Timings

Operation = Callable[[Mapping[str, Any]], dict[str, Any]]
TRAINING_LOG_GROUP = "/aws/sagemaker/TrainingJobs"


@dataclass(frozen=True, slots=True)
class Account:
    """What all Regions of a sandbox share.

    :param number: twelve digits.
    :param host: where containers run.
    :param seed: of the random routing.
    :param policies_act: whether scaling policies that track a target do something.
    """

    number: str
    schedule: Schedule
    timings: Timings
    host: ContainerHost
    faults: Faults
    elsewhere: Elsewhere
    seed: int
    policies_act: bool


class Regional:
    """The services of one Region.

    :param name: e.g. ``us-east-1``.
    """

    def __init__(self, account: Account, name: str) -> None:
        schedule, elsewhere = account.schedule, account.elsewhere
        self.region = Region(name, account.number, schedule, account.timings, Tags())
        self.cloudwatch = CloudWatch(schedule, name, account.number)
        hosting = self._hosting = Hosting(
            self.region,
            account.host,
            account.faults,
            self.cloudwatch,
            get_object=elsewhere.get_object,
            put_object=elsewhere.put_object,
            seed=account.seed,
        )
        self.endpoints, self.invoke = hosting.endpoints, hosting.runtime.invoke_endpoint
        self.scaling = Scaling(
            self.region, hosting.targets, hosting.endpoints, self.cloudwatch, policies_act=account.policies_act
        )
        self.training_jobs = TrainingJobs(
            self.region,
            put_object=elsewhere.put_object,
            log=lambda stream, line: elsewhere.log(name, TRAINING_LOG_GROUP, stream, line, self.region.now()),
        )
        self._search = Search(self.region.tags, {**hosting.records, "TrainingJob": self.training_jobs.records})
        self._parameters = Parameters(self.region)
        self._functions = Functions(self.region, account.seed)
        self._codedeploy = CodeDeploy(self.region, self._functions, self.cloudwatch)
        tagging = Tagging(self._tags, lambda params: elsewhere.tagged_resources(name, params))
        self.services = self._services(tagging)

    def operation(self, service: str, name: str) -> Operation | None:
        """What carries out an operation here; ``None`` if nobody does.

        :param service: botocore's name.
        :param name: AWS's name.
        """
        method = xform_name(name)
        for one in self.services[service]:
            operation: Operation | None = getattr(one, method, None)
            if operation is not None:
                return operation
        return None

    def close(self) -> None:
        """Stop training jobs, requests to shadows, asynchronous ones, functions and hooks. The containers are their host's."""
        self.training_jobs.close()
        self._hosting.close()
        self._functions.close()
        self._codedeploy.close()

    def _services(self, tagging: Tagging) -> dict[str, list[object]]:
        hosting = self._hosting
        return {
            "sagemaker": [*hosting.control, self.training_jobs, self._search],
            "sagemaker-runtime": [hosting.runtime, hosting.async_runtime],
            "cloudwatch": [self.cloudwatch],
            "codedeploy": [self._codedeploy],
            "lambda": [self._functions, ProvisionedConcurrency(self.region, self._functions)],
            "ssm": [self._parameters],
            "application-autoscaling": [self.scaling],
            "resourcegroupstaggingapi": [tagging],
        }

    def _tags(self) -> dict[str, dict[str, str]]:
        return self.region.tags.all() | self._parameters.all_tags() | self.cloudwatch.all_tags()
