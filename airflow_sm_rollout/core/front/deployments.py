"""What CodeDeploy tells of a rollout's deployment, and of what it stands on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

# botocore's CodeDeploy model, DeploymentStatus. In the others, and in those that AWS may add, something goes on.
_ENDED = frozenset({"Succeeded", "Failed", "Stopped"})
APPLICATION, GROUP, CONFIG = "application", "deployment group", "deployment config"


@dataclass(frozen=True, slots=True)
class Deployment:
    """A deployment.

    :param reason: AWS's code and text for its end, if it gives one.
    :param ended_at: when it ended; ``None``: it goes on, or AWS does not tell.
    """

    id: str
    status: str
    created_at: datetime
    reason: str = ""
    ended_at: datetime | None = None

    @property
    def is_active(self) -> bool:
        """Whether CodeDeploy is at work on it."""
        return self.status not in _ENDED

    @property
    def succeeded(self) -> bool:
        """Whether CodeDeploy calls it a success; where the alias stands says whether it is one."""
        return self.status == "Succeeded"

    def __str__(self) -> str:
        return f"deployment {self.id} is {self.status}{f' ({self.reason})' if self.reason else ''}"


@dataclass(frozen=True, slots=True)
class Deployments:
    """What there is in CodeDeploy.

    :param has_application: whether the application is there.
    :param group_alarms: the alarms of the deployment group; ``None``: there is no such group.
    :param platform: what the group deploys to.
    :param has_config: whether the deployment config is there.
    :param own: the deployment that the rollout has asked for; ``None``: none.
    :param back: the one by which CodeDeploy goes back after it.
    """

    has_application: bool
    group_alarms: tuple[str, ...] | None
    has_config: bool
    platform: str = "Lambda"
    own: Deployment | None = None
    back: Deployment | None = None

    @property
    def missing(self) -> Iterator[str]:
        """What is not there, in the order in which it can be made."""
        if not self.has_application:
            yield APPLICATION
        if not self.has_config:
            yield CONFIG
        if self.group_alarms is None:
            yield GROUP
