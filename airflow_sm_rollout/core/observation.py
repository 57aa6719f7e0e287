"""One typed read of the world, with its time. "Not there" and "cannot tell" are values here, never zeros or absences by accident."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from airflow_sm_rollout.core.alarm_limit import AlarmLimit
from airflow_sm_rollout.core.control import Control
from airflow_sm_rollout.core.front.deployments import Deployments
from airflow_sm_rollout.core.front.version import Front
from airflow_sm_rollout.core.pointer import Pointer
from airflow_sm_rollout.core.rollout import Rollout
from airflow_sm_rollout.core.scaling import Scaling

# Statuses (botocore's SageMaker model, EndpointStatus) in which nothing is in progress. In the others, and in those that AWS may add, it
# refuses every change of the endpoint.
SETTLED_STATUSES = frozenset({"InService", "OutOfService", "Failed", "UpdateRollbackFailed"})
_ANSWERS_NOBODY = frozenset({"Creating", "Deleting", "Failed", "OutOfService"})
_SHARE_TOLERANCE = 1e-4  # percent


@dataclass(frozen=True, slots=True)
class Variant:
    """A production variant as DescribeEndpoint has it. Weights are AWS's relative floats.

    Counts are instances. A serverless variant has none: its counts are provisioned concurrency, and 0 means that it has none of that.

    :param max_concurrency: of a serverless variant, as it is desired; ``None``: it has instances.
    """

    name: str
    current_weight: float
    desired_weight: float
    current_count: int
    desired_count: int
    max_concurrency: int | None = None


@dataclass(frozen=True, slots=True)
class Pending:
    """A deployment that SageMaker runs, as DescribeEndpoint's PendingDeploymentSummary has it.

    :param config_name: the config that it leads to.
    :param stage: AWS's sentence on what it is doing; empty if there is none yet.
    """

    config_name: str
    stage: str
    started_at: datetime


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An endpoint as DescribeEndpoint has it.

    :param config_name: the config that it is on; while a change is in progress, the one from before.
    :param pending: the deployment in progress, if SageMaker runs one.
    """

    name: str
    arn: str
    status: str
    config_name: str
    variants: tuple[Variant, ...]
    last_modified: datetime
    failure_reason: str = ""
    pending: Pending | None = None

    @property
    def is_busy(self) -> bool:
        """Whether a change is in progress, so that every other one would be refused."""
        return self.status not in SETTLED_STATUSES

    @property
    def is_in_service(self) -> bool:
        """Whether it serves and can be changed; says nothing about which config it is on."""
        return self.status == "InService"

    @property
    def answers(self) -> bool:
        """Whether it answers requests, in service or while a change is in progress."""
        return self.status not in _ANSWERS_NOBODY

    def variant(self, name: str) -> Variant | None:
        """A variant by name."""
        return next((variant for variant in self.variants if variant.name == name), None)

    def share(self, name: str) -> float:
        """A variant's share of the requests in percent, as AWS says it is now; 0 for one that is not there.

        While an update is in progress the split may already be the desired one: nobody recorded when inside that window it moves. The
        larger of the two is given, so that what is called "no traffic" has none.
        """
        current = _percent({v.name: v.current_weight for v in self.variants}, name)
        desired = _percent({v.name: v.desired_weight for v in self.variants}, name)
        return max(current, desired)

    def has_share(self, name: str, share: float) -> bool:
        """Whether a variant has that share, as exactly as AWS can hold it: weights are 32-bit floats, which know 7 digits."""
        return math.isclose(self.share(name), share, abs_tol=_SHARE_TOLERANCE)

    def describe(self) -> str:
        """Its state in a few words, for messages."""
        variants = ", ".join(
            f"{v.name} {_percent({w.name: w.current_weight for w in self.variants}, v.name):g} % on {v.current_count}"
            for v in self.variants
        )
        is_serverless = any(v.max_concurrency is not None for v in self.variants)
        unit = "provisioned concurrency" if is_serverless else "instance(s)"
        return f"endpoint {self.name} is {self.status} on config {self.config_name} ({variants} {unit})"


@dataclass(frozen=True, slots=True)
class Backlog:
    """What is in the queue of an asynchronous endpoint.

    :param at: the start of the minute that this is of.
    :param requests: those that wait or are being answered.
    """

    at: datetime
    requests: int


@dataclass(frozen=True, slots=True)
class Component(Endpoint):
    """An inference component as DescribeInferenceComponent has it: as an endpoint with one variant, whose instances are its copies.

    :ivar config_name: which specification it runs: blue's name for it, green's, or another's.
    :param model_name: the SageMaker model that this names.
    """

    model_name: str = ""

    @property
    def answers(self) -> bool:
        """Whether it answers requests: one whose update has failed does so with the copies that it has."""
        return self.status not in ("Creating", "Deleting") and any(each.current_count for each in self.variants)

    def describe(self) -> str:
        """Its state in a few words, for messages."""
        counts = "".join(f", {each.current_count} of {each.desired_count} copies" for each in self.variants)
        return f"inference component {self.name} is {self.status} on model {self.model_name}{counts}"


@dataclass(frozen=True, slots=True)
class Alarm:
    """An alarm as CloudWatch has it.

    :param state: ``OK``, ``ALARM``, ``INSUFFICIENT_DATA``, or ``MISSING`` when no alarm has the name.
    :param reason: CloudWatch's text, with the figures.
    :param since: when it went into this state.
    :param flapped_at: when it was last in ALARM inside the time looked at, though it is not now; read from its history.
    :param limit: when it rings, for people; ``None``: not known.
    """

    name: str
    state: str
    reason: str = ""
    since: datetime | None = None
    flapped_at: datetime | None = None
    limit: AlarmLimit | None = None

    def describe(self) -> str:
        """It in a line: its state, when it rings, and the value at its last change; where that is not known, CloudWatch's own text."""
        if self.limit is None:
            return f"alarm {self.name}: {self.state} {self.reason}".rstrip()
        told = [self.limit.describe(), self.limit.describe_last()]
        return f"alarm {self.name}: {', '.join([self.state, *filter(None, told)])}"


@dataclass(frozen=True, slots=True)
class Observation:
    """What a decision is made from.

    :param at: when it was read.
    :param endpoint: ``None``: there is no such endpoint.
    :param record: the rollout that holds the endpoint; ``None``: none does.
    :param control: what a person last wished of it; ``None``: nothing.
    :param configs: creation time by name, for those endpoint configs asked for that exist.
    :param models: names of those models asked for that exist.
    :param alarms: the alarms asked for.
    :param pointer: the live pointer, for the way to split traffic that has one; ``None``: there is none.
    :param green_endpoint: green's own endpoint, where it has one; ``endpoint`` is blue's then.
    :param front: the Lambda function that clients call, if it was asked for; ``None``: there is none.
    :param deployments: what CodeDeploy tells, if it was asked.
    :param backlogs: by endpoint, what is in the queues asked for; ``None``: AWS does not tell.
    :param scaling: how variants scale, by resource ID, for those asked for that are scalable targets.
    :param is_pointer_all: whether nothing was looked at but the pointer, since clients come first: the endpoints are not known.
    """

    at: datetime
    endpoint: Endpoint | None
    record: Rollout | None
    configs: Mapping[str, datetime] = field(default_factory=dict)
    models: frozenset[str] = frozenset()
    alarms: tuple[Alarm, ...] = ()
    control: Control | None = None
    pointer: Pointer | None = None
    green_endpoint: Endpoint | None = None
    scaling: Mapping[str, Scaling] = field(default_factory=dict)
    is_pointer_all: bool = False
    front: Front | None = None
    deployments: Deployments | None = None
    backlogs: Mapping[str, Backlog | None] = field(default_factory=dict)

    def describe(self) -> str:
        """The endpoints' state in a few words, for messages."""
        described = [endpoint.describe() for endpoint in (self.endpoint, self.green_endpoint) if endpoint]
        return "; ".join(described) or "there is no such endpoint"


def _percent(weights: Mapping[str, float], name: str) -> float:
    total = sum(weights.values())
    return 100.0 * weights.get(name, 0.0) / total if total else 0.0
