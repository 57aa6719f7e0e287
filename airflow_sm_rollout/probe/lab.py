"""What the checks share: an endpoint that is brought to what a check needs, metrics of its own, and a list of what to delete."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol, TypeVar

from botocore.exceptions import ClientError

Value = TypeVar("Value")

POLL_SECONDS = 10.0
PATIENCE_SECONDS = 3000.0
"""An endpoint whose container can't start was seen to take 24 minutes, one without capacity 34."""

IN_PROGRESS = ("Creating", "Updating", "RollingBack", "SystemUpdating", "Deleting")
NAMESPACE = "sm-rollout/probe"


class Clock(Protocol):
    """How time passes."""

    def now(self) -> datetime:
        """The time, with its zone."""
        ...

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        ...


class Unanswered(Exception):
    """A check could not find out; the text says why."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What the user has said.

    :param model: a model of the account's that answers.
    :param body: a request that it answers with success.
    :param content_type: of that.
    :param instance_type: the cheapest that it runs on.
    :param broken_model: one whose container never answers its ping; ``None``: that is not tried.
    """

    model: str
    body: bytes = b"{}"
    content_type: str = "application/json"
    instance_type: str = "ml.t2.medium"
    broken_model: str | None = None


@dataclass
class Lab:
    """One account, where everything that is made begins with one name.

    :param session: makes clients, as boto3's does.
    :param name: of the endpoint, and what each other name begins with.
    """

    session: Any
    clock: Clock
    asked: Asked
    name: str
    configs: list[str] = field(default_factory=list)
    alarms: list[str] = field(default_factory=list)
    _once: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.sagemaker = self.session.client("sagemaker")
        self.runtime = self.session.client("sagemaker-runtime")
        self.cloudwatch = self.session.client("cloudwatch")
        self.autoscaling = self.session.client("application-autoscaling")

    def once(self, name: str, measure: Callable[[], Value]) -> Value:
        """What several checks read: measured by the first of them."""
        if name not in self._once:
            self._once[name] = measure()
        value: Value = self._once[name]
        return value

    def configure(self, variants: Mapping[str, float], instances: int = 1, model: str | None = None) -> str:
        """A new endpoint config with these weights."""
        name = f"{self.name}-{len(self.configs) + 1}"
        entries = [
            {
                "VariantName": variant,
                "ModelName": model or self.asked.model,
                "InitialInstanceCount": instances,
                "InstanceType": self.asked.instance_type,
                "InitialVariantWeight": weight,
            }
            for variant, weight in variants.items()
        ]
        observed = {"EnableDetailedObservability": False}  # it costs money, and is on by default
        self.configs.append(name)
        self.sagemaker.create_endpoint_config(
            EndpointConfigName=name, ProductionVariants=entries, MetricsConfig=observed
        )
        return name

    def serve(self, instances: int = 1, **weights: float) -> None:
        """Have the endpoint serve variants with these weights; nothing is done where it does."""
        now = self.settled()
        variants = {variant["VariantName"]: variant for variant in now.get("ProductionVariants", [])}
        if {name: variant["CurrentWeight"] for name, variant in variants.items()} == weights and all(
            variant["CurrentInstanceCount"] == instances for variant in variants.values()
        ):
            return
        config = self.configure(weights, instances)
        change = self.sagemaker.update_endpoint if now else self.sagemaker.create_endpoint
        change(EndpointName=self.name, EndpointConfigName=config)
        found = self.settled()
        if (found["EndpointStatus"], found["EndpointConfigName"]) != ("InService", config):
            raise Unanswered(
                f"the endpoint is {found['EndpointStatus']}: {found.get('FailureReason', 'no reason given')}"
            )

    def describe(self) -> dict[str, Any] | None:
        """The endpoint; ``None`` where there is none."""
        try:
            found: dict[str, Any] = self.sagemaker.describe_endpoint(EndpointName=self.name)
        except ClientError as error:
            if "Could not find" in str(error):
                return None
            raise
        return found

    def settled(self, look: Callable[[dict[str, Any]], None] = lambda found: None) -> dict[str, Any]:
        """The endpoint once nothing is in progress on it; empty once it is gone.

        :param look: is shown each description on the way.
        """
        until = self.clock.now() + timedelta(seconds=PATIENCE_SECONDS)
        while (found := self.describe()) and found["EndpointStatus"] in IN_PROGRESS:
            look(found)
            if self.clock.now() > until:
                raise Unanswered(f"the endpoint is {found['EndpointStatus']} for {PATIENCE_SECONDS:g} s")
            self.clock.wait(POLL_SECONDS)
        return found or {}

    def invoke(self, **options: Any) -> str:
        """The variant that answers one request.

        :raises botocore.exceptions.ClientError: if none does.
        """
        told = self.runtime.invoke_endpoint(
            EndpointName=self.name, Body=self.asked.body, ContentType=self.asked.content_type, **options
        )
        return str(told["InvokedProductionVariant"])

    def draw(self, calls: int) -> Counter[str]:
        """Who answers many requests."""
        return Counter(self.invoke() for _ in range(calls))

    def refusal(self, call: Callable[[], object]) -> str | None:
        """The code and the text that a call is refused with, without names and ARNs; ``None``: it is not."""
        try:
            call()
        except ClientError as error:
            told = error.response["Error"]
            return f"{told['Code']}: {self.plain(told.get('Message') or '(no text)')}"
        return None

    def plain(self, text: str) -> str:
        """A text without what differs from run to run."""
        text = re.sub(r"arn:[\w-]+:[^\s\"\]]*", "ARN", text)
        return re.sub(r"\b\d{12}\b", "ACCOUNT", text.replace(self.name, "NAME"))

    def eventually(self, ask: Callable[[], Value], seconds: float = 600.0) -> Value:
        """The first true answer.

        :raises Unanswered: if none comes in time.
        """
        until = self.clock.now() + timedelta(seconds=seconds)
        while not (answer := ask()):
            if self.clock.now() > until:
                raise Unanswered(f"still {answer!r} after {seconds:g} s")
            self.clock.wait(POLL_SECONDS)
        return answer

    def put_metric(self, metric: str, *values: float, at: datetime | None = None) -> None:
        """Points of a metric of the probe's own."""
        moment = at or self.clock.now()
        points = [{"MetricName": metric, "Value": value, "Timestamp": moment} for value in values]
        self.cloudwatch.put_metric_data(Namespace=self.own_namespace, MetricData=points)

    @property
    def own_namespace(self) -> str:
        """Where this run's own metrics are: nobody can delete a metric, so each run has others."""
        return f"{NAMESPACE}/{self.name}"

    def put_alarm(self, name: str, metric: str, missing: str) -> str:
        """An alarm that rings above 1 in one minute."""
        alarm = f"{self.name}-{name}"
        self.alarms.append(alarm)
        self.cloudwatch.put_metric_alarm(
            AlarmName=alarm,
            Namespace=self.own_namespace,
            MetricName=metric,
            Statistic="Maximum",
            Period=60,
            EvaluationPeriods=1,
            Threshold=1.0,
            ComparisonOperator="GreaterThanThreshold",
            TreatMissingData=missing,
        )
        return alarm

    def state_of(self, alarm: str) -> str:
        """An alarm's state."""
        [found] = self.cloudwatch.describe_alarms(AlarmNames=[alarm])["MetricAlarms"]
        return str(found["StateValue"])

    def clean_up(self, say: Callable[[str], None]) -> None:
        """Delete all that was made, and say of each thing that could not be that it is left."""
        for what, delete in self._deletions():
            try:
                delete()
            except (ClientError, Unanswered) as error:
                say(f"{what} is left, delete it yourself: {error}")

    def _deletions(self) -> list[tuple[str, Callable[[], object]]]:
        composites_first = sorted(self.alarms, key=lambda alarm: not alarm.endswith("-composite"))
        return [
            (f"endpoint {self.name}", self._delete_endpoint),
            *(
                (f"alarm {one}", lambda one=one: self.cloudwatch.delete_alarms(AlarmNames=[one]))
                for one in composites_first
            ),
            *((f"endpoint config {one}", lambda one=one: self._delete_config(one)) for one in self.configs),
        ]

    def _delete_endpoint(self) -> None:
        if self.settled():
            self.sagemaker.delete_endpoint(EndpointName=self.name)
            self.settled()

    def _delete_config(self, name: str) -> None:
        if (refused := self.refusal(lambda: self.sagemaker.delete_endpoint_config(EndpointConfigName=name))) is None:
            return
        if "Could not find" not in refused:
            raise Unanswered(refused)
