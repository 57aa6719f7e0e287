"""What can be done to the world, as values. :mod:`airflow_sm_rollout.aws.perform` does them; each is safe to do twice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from airflow_sm_rollout.core.front.deeds import (
    BeginDeployment,
    MakeForDeployment,
    ProvisionVersion,
    ReleaseVersion,
    RemoveOfDeployment,
    StopDeployment,
)
from airflow_sm_rollout.core.plan.function import FunctionAlias
from airflow_sm_rollout.core.pointer import Split
from airflow_sm_rollout.core.rolling_update import UpdateComponent
from airflow_sm_rollout.core.rollout import Phase, Rollout
from airflow_sm_rollout.core.scaling import PROVISIONED


@dataclass(frozen=True, slots=True)
class CreateRecord:
    """Take the endpoint: write the record unless one is there."""

    rollout: Rollout

    def __str__(self) -> str:
        return f"record rollout {self.rollout.rollout_id} and what endpoint {self.rollout.endpoint_name} is now"


@dataclass(frozen=True, slots=True)
class UpdateRecord:
    """Write a new version of a record that is ours.

    :param turned_from: the phase that it is knowingly turned from; ``None``: its phase stays.
    """

    rollout: Rollout
    why: str
    turned_from: Phase | None = None

    def __str__(self) -> str:
        return f"note in the record: {self.why}"


@dataclass(frozen=True, slots=True)
class DeleteRecord:
    """Let go of the endpoint.

    :param keeps: whether what an undo needs is kept: green is promoted.
    """

    rollout: Rollout
    keeps: bool = False

    def __str__(self) -> str:
        return f"release endpoint {self.rollout.endpoint_name}"


@dataclass(frozen=True, slots=True)
class CreateModel:
    """Make green's SageMaker model from the rollout's :class:`~.rollout.Green`."""

    rollout: Rollout

    def __str__(self) -> str:
        return f"create model {self.rollout.green_model_name}"


@dataclass(frozen=True, slots=True)
class CreateConfig:
    """Make an endpoint config; ``config`` holds CreateEndpointConfig's members but for the name and the tags."""

    name: str
    config: Mapping[str, Any]
    tags: Mapping[str, str]

    def __str__(self) -> str:
        return f"create endpoint config {self.name}"


@dataclass(frozen=True, slots=True)
class UpdateEndpoint:
    """Put the endpoint on a config.

    Instance counts of variants that stay are kept as they are now: UpdateEndpoint's default would reset them to the config's
    (docs/facts-aws.md#what-other-tools-lost-on-the-way: sagemaker-python-sdk#3126). ``keep_weights`` says whether weights are kept,
    too, or become the config's.

    :param deployment: AWS's DeploymentConfig, by which SageMaker shifts traffic; ``None``: all at once.
    """

    endpoint_name: str
    config_name: str
    keep_weights: bool
    deployment: Mapping[str, Any] | None = None

    def __str__(self) -> str:
        return f"update endpoint {self.endpoint_name} to config {self.config_name}"


@dataclass(frozen=True, slots=True)
class SetCapacity:
    """Set a variant's instance count, or a serverless one's concurrency.

    :param count: instances; of a serverless variant provisioned concurrency, where 0 leaves that as it is.
    :param max_concurrency: of a serverless variant; ``None``: it has instances.
    """

    endpoint_name: str
    variant: str
    count: int
    max_concurrency: int | None = None

    def __str__(self) -> str:
        if self.max_concurrency is None:
            return f"set {self.variant} to {self.count} instance(s)"
        return f"set {self.variant} to {self.count} provisioned of {self.max_concurrency} concurrent calls"


@dataclass(frozen=True, slots=True)
class SetWeights:
    """Set the variants' weights."""

    endpoint_name: str
    weights: Mapping[str, float]

    def __str__(self) -> str:
        return "set weights " + ", ".join(f"{name}={weight:g}" for name, weight in self.weights.items())


@dataclass(frozen=True, slots=True)
class RegisterTarget:
    """Make a variant a scalable target with these bounds and this SuspendedState, or change it as one.

    :param dimension: see :class:`~airflow_sm_rollout.core.scaling.Scaling`, and so below.
    """

    endpoint_name: str
    variant: str
    minimum: int
    maximum: int
    suspended: Mapping[str, bool]
    dimension: str | None = None

    def __str__(self) -> str:
        paused = " (suspended)" if any(self.suspended.values()) else ""
        unit = "provisioned concurrency" if self.dimension == PROVISIONED else "instances"
        return f"let {self.variant} of {self.endpoint_name} scale from {self.minimum} to {self.maximum} {unit}{paused}"


@dataclass(frozen=True, slots=True)
class PutPolicy:
    """Make a variant's scaling policy; ``policy`` holds PutScalingPolicy's members but for whose it is."""

    endpoint_name: str
    variant: str
    policy: Mapping[str, Any]
    dimension: str | None = None

    def __str__(self) -> str:
        return f"put scaling policy {self.policy['PolicyName']} on {self.variant} of {self.endpoint_name}"


@dataclass(frozen=True, slots=True)
class DeregisterTarget:
    """Let a variant not scale any more; its policies go with that."""

    endpoint_name: str
    variant: str
    dimension: str | None = None

    def __str__(self) -> str:
        return f"end the scaling of {self.variant} of {self.endpoint_name}"


@dataclass(frozen=True, slots=True)
class PutAlarms:
    """Make the rollout's own alarms for green."""

    rollout: Rollout

    def __str__(self) -> str:
        return "put alarms " + ", ".join(self.rollout.own_alarms)


@dataclass(frozen=True, slots=True)
class PutVerdictAlarm:
    """Make the alarm on what the rollout's judge says, with its first word: that no harm is proven.

    :param at: when that is said.
    """

    rollout: Rollout
    at: datetime = field(compare=False)

    def __str__(self) -> str:
        return f"put alarm {self.rollout.names.verdict_alarm}, which SageMaker obeys"


@dataclass(frozen=True, slots=True)
class TellHarm:
    """Let that alarm ring, so that SageMaker goes back.

    :param at: when that is said.
    """

    rollout: Rollout
    at: datetime = field(compare=False)

    def __str__(self) -> str:
        return f"let alarm {self.rollout.names.verdict_alarm} ring, so that SageMaker goes back"


@dataclass(frozen=True, slots=True)
class DeleteAlarms:
    """Delete alarms that the rollout has made."""

    names: tuple[str, ...]

    def __str__(self) -> str:
        return "delete alarms " + ", ".join(self.names)


@dataclass(frozen=True, slots=True)
class CreateEndpoint:
    """Make an endpoint."""

    name: str
    config_name: str
    tags: Mapping[str, str]

    def __str__(self) -> str:
        return f"create endpoint {self.name} on config {self.config_name}"


@dataclass(frozen=True, slots=True)
class DeleteEndpoint:
    """Delete an endpoint."""

    name: str

    def __str__(self) -> str:
        return f"delete endpoint {self.name}"


@dataclass(frozen=True, slots=True)
class PutPointer:
    """Write a live pointer. Two writes to the same end are equal, whatever was there before.

    :param name: the logical name that clients resolve.
    :param target: where they are to go.
    :param text: the pointer's JSON.
    :param replaces: the version that was seen; 0: there was none, and none must be there.
    """

    name: str
    target: Split
    text: str = field(compare=False)
    replaces: int = field(compare=False)

    def __str__(self) -> str:
        return f"point {self.name} at {self.target}"


@dataclass(frozen=True, slots=True)
class DeletePointer:
    """Delete a live pointer, so that clients call the endpoint of the logical name itself."""

    name: str

    def __str__(self) -> str:
        return f"delete the live pointer of {self.name}"


@dataclass(frozen=True, slots=True)
class PutAlias:
    """Write a function's alias. Two writes to the same versions are equal, whatever was there before.

    :param version: the number of the version that gets all calls but the second one's.
    :param weights: the second version's share, from 0 to 1, by its number; empty: there is none.
    :param description: what it says of itself.
    :param replaces: the revision that was seen, without which AWS does not write; empty: there is no alias, and it is made.
    """

    place: FunctionAlias
    version: str
    weights: Mapping[str, float]
    description: str = field(compare=False)
    replaces: str = field(compare=False)

    def __str__(self) -> str:
        shared = "".join(f" and, for {100 * weight:g} % of them, version {n}" for n, weight in self.weights.items())
        made = "" if self.replaces else "create it again and "
        return f"{made}send the calls of {self.place} to version {self.version}{shared}"


@dataclass(frozen=True, slots=True)
class NameEndpoint:
    """Let ``$LATEST`` of a function call an endpoint, unless somebody has changed it meanwhile.

    :param variables: all its environment variables.
    :param replaces: the revision that was seen.
    """

    place: FunctionAlias
    endpoint_name: str
    variables: Mapping[str, str] = field(compare=False, repr=False)
    replaces: str = field(compare=False)

    def __str__(self) -> str:
        return f"let {self.place.variable} of function {self.place.function} name endpoint {self.endpoint_name}"


@dataclass(frozen=True, slots=True)
class PublishVersion:
    """Publish ``$LATEST`` of a function, unless somebody has changed it meanwhile.

    :param description: of the version.
    :param replaces: the revision that was seen.
    """

    place: FunctionAlias
    description: str
    replaces: str = field(compare=False)

    def __str__(self) -> str:
        return f"publish a version of function {self.place.function}"


@dataclass(frozen=True, slots=True)
class DeleteVersion:
    """Delete a published version of a function."""

    place: FunctionAlias
    number: str

    def __str__(self) -> str:
        return f"delete version {self.number} of function {self.place.function}"


@dataclass(frozen=True, slots=True)
class DeleteConfig:
    """Delete an endpoint config."""

    name: str

    def __str__(self) -> str:
        return f"delete endpoint config {self.name}"


@dataclass(frozen=True, slots=True)
class DeleteModel:
    """Delete a SageMaker model."""

    name: str

    def __str__(self) -> str:
        return f"delete model {self.name}"


Action = (
    CreateRecord
    | UpdateRecord
    | DeleteRecord
    | CreateModel
    | CreateConfig
    | UpdateEndpoint
    | UpdateComponent
    | SetCapacity
    | SetWeights
    | RegisterTarget
    | PutPolicy
    | DeregisterTarget
    | PutAlarms
    | PutVerdictAlarm
    | TellHarm
    | DeleteAlarms
    | CreateEndpoint
    | DeleteEndpoint
    | PutPointer
    | DeletePointer
    | PutAlias
    | NameEndpoint
    | PublishVersion
    | DeleteVersion
    | ProvisionVersion
    | ReleaseVersion
    | MakeForDeployment
    | BeginDeployment
    | StopDeployment
    | RemoveOfDeployment
    | DeleteConfig
    | DeleteModel
)
