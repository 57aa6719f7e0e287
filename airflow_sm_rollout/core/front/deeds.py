"""What a rollout does in CodeDeploy, and what it provisions of a function, as values; see :mod:`airflow_sm_rollout.core.actions`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from airflow_sm_rollout.core.plan.function import FunctionAlias

if TYPE_CHECKING:
    from airflow_sm_rollout.core.rollout import Rollout


@dataclass(frozen=True, slots=True)
class MakeForDeployment:
    """Make what a deployment stands on: an application, a deployment config or a group."""

    what: str
    rollout: Rollout

    def __str__(self) -> str:
        return f"create {self.what} {self.rollout.names.deployment} in CodeDeploy"


@dataclass(frozen=True, slots=True)
class RemoveOfDeployment:
    """Delete what was made for a deployment."""

    what: str
    rollout: Rollout

    def __str__(self) -> str:
        return f"delete {self.what} {self.rollout.names.deployment} in CodeDeploy"


@dataclass(frozen=True, slots=True)
class BeginDeployment:
    """Have CodeDeploy shift the alias from blue's version to another.

    :param version: that other one's number.
    :param alarms: those that it obeys.
    """

    rollout: Rollout
    version: str
    alarms: tuple[str, ...] = field(compare=False)

    def __str__(self) -> str:
        return f"let CodeDeploy shift {self.rollout.plan.function} to version {self.version}"


@dataclass(frozen=True, slots=True)
class StopDeployment:
    """Have CodeDeploy stop, and go back."""

    deployment_id: str

    def __str__(self) -> str:
        return f"stop deployment {self.deployment_id}, and let CodeDeploy go back"


@dataclass(frozen=True, slots=True)
class ProvisionVersion:
    """Provision concurrency for a version of a function."""

    place: FunctionAlias
    number: str
    count: int

    def __str__(self) -> str:
        return f"provision {self.count} concurrent calls for version {self.number} of function {self.place.function}"


@dataclass(frozen=True, slots=True)
class ReleaseVersion:
    """Provision nothing for a version any more."""

    place: FunctionAlias
    number: str

    def __str__(self) -> str:
        return f"provision nothing for version {self.number} of function {self.place.function} any more"
