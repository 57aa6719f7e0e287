"""Names of what a rollout creates. They follow from the endpoint and the rollout's id and from nothing else, so that what a call
created whose answer was lost is found again, not created twice.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from airflow_sm_rollout.core.errors import PlanError

_NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}")
_MAX_NAME = 63  # of endpoint, config, variant and model names (botocore's SageMaker model)


def validate_endpoint_name(name: str) -> str:
    """Check a name as SageMaker will.

    :raises PlanError: for a name it would refuse.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name) or len(name) > _MAX_NAME:
        raise PlanError("endpoint_name", name, "1 to 63 letters, digits and hyphens, no hyphen first or last")
    return name


def derive_rollout_id(endpoint_name: str, *parts: str) -> str:
    """Eight hex digits that stay the same for every try of the same rollout.

    The parts are joined by NUL, which occurs in none of them, so that ("a", "b-c") and ("a-b", "c") differ.

    :param parts: what makes the rollout itself: for Airflow the DAG's id, the run's id and the task group's.
    """
    return hashlib.sha256("\0".join((endpoint_name, *parts)).encode()).hexdigest()[:8]


@dataclass(frozen=True, slots=True)
class Names:
    """What one rollout calls the things it creates.

    :param endpoint: the endpoint's name.
    :param rollout_id: see :func:`derive_rollout_id`.
    """

    endpoint: str
    rollout_id: str

    @property
    def variant(self) -> str:
        """Green's variant. It stays green's name after promotion: SageMaker can't rename a variant without a new fleet."""
        return f"model-{self.rollout_id}"

    @property
    def shadow(self) -> str:
        """Green's variant while it is a shadow: another name, so that nothing of a shadow's weight can stay with a green variant."""
        return f"{self.variant}-shadow"

    @property
    def model(self) -> str:
        """Green's SageMaker model, where the rollout makes it."""
        return self._fitted("")

    @property
    def mixed_config(self) -> str:
        """The config that holds blue and green."""
        return self._fitted("-mixed")

    @property
    def shadow_config(self) -> str:
        """The config that holds blue, and green as its shadow."""
        return self._fitted("-shadow")

    @property
    def final_config(self) -> str:
        """The config that holds green alone."""
        return self._fitted("")

    @property
    def spare_config(self) -> str:
        """The config that holds blue alone, with the instances that it had: where blue's own config is no way back."""
        return self._fitted("-blue")

    @property
    def green_endpoint(self) -> str:
        """Green's endpoint, where it has one of its own."""
        return self._fitted("")

    @property
    def error_alarm(self) -> str:
        """The alarm on green's errors."""
        return f"sm-rollout-{self.endpoint}-{self.rollout_id}-errors"

    @property
    def latency_alarm(self) -> str:
        """The alarm on green's latency."""
        return f"sm-rollout-{self.endpoint}-{self.rollout_id}-latency"

    @property
    def queue_alarm(self) -> str:
        """The alarm on how long requests wait in green's queue, where it has one."""
        return f"sm-rollout-{self.endpoint}-{self.rollout_id}-queue"

    @property
    def alarms(self) -> tuple[str, ...]:
        """All alarms that it may make."""
        return self.error_alarm, self.latency_alarm, self.queue_alarm, self.verdict_alarm

    @property
    def verdict_alarm(self) -> str:
        """The alarm on what the rollout's judge says, which SageMaker obeys."""
        return f"sm-rollout-{self.endpoint}-{self.rollout_id}-verdict"

    @property
    def deployment(self) -> str:
        """What the rollout makes in CodeDeploy: an application, a deployment group and a deployment config."""
        return f"sm-rollout-{self.endpoint}-{self.rollout_id}"

    @property
    def configs(self) -> tuple[str, ...]:
        """All endpoint configs that it may make."""
        return self.mixed_config, self.shadow_config, self.spare_config, self.final_config

    @property
    def record(self) -> str:
        """The record's SSM parameter."""
        return record_name(self.endpoint)

    @property
    def pointer(self) -> str:
        """The SSM parameter that names the endpoint which serves under this logical name."""
        return pointer_name(self.endpoint)

    @property
    def control(self) -> str:
        """The SSM parameter of a person's wish."""
        return control_name(self.endpoint)

    @property
    def previous(self) -> str:
        """The SSM parameter that keeps what an undo needs."""
        return previous_name(self.endpoint)

    def _fitted(self, suffix: str) -> str:
        tail = f"-{self.rollout_id}{suffix}"
        return self.endpoint[: _MAX_NAME - len(tail)].rstrip("-") + tail


RECORD_PREFIX = "/sm-rollout"


def record_name(endpoint_name: str) -> str:
    """The SSM parameter that is an endpoint's rollout record and lock."""
    return f"{RECORD_PREFIX}/{endpoint_name}"


def control_name(endpoint_name: str) -> str:
    """The SSM parameter that holds a person's wish about an endpoint's rollout."""
    return f"{record_name(endpoint_name)}/control"


LIVE_PREFIX = "/sm-rollout-live"


def pointer_name(name: str) -> str:
    """The SSM parameter that is a logical name's live pointer."""
    return f"{LIVE_PREFIX}/{name}"


def previous_name(endpoint_name: str) -> str:
    """The SSM parameter that keeps the record of an endpoint's last promoted rollout, from which it can be undone."""
    return f"/sm-rollout-previous/{endpoint_name}"


GUARDIAN_PREFIX = "/sm-rollout-guardian"
LOOKS_PREFIX = f"{GUARDIAN_PREFIX}/looks"


def look_name(prefix: str) -> str:
    """The SSM parameter in which the guardians of all endpoints whose names begin so leave when they have looked."""
    return f"{LOOKS_PREFIX}/{prefix or '_all'}"  # no endpoint's name has an underscore


def taken_back_name(endpoint_name: str) -> str:
    """The SSM parameter that says why a guardian has last taken a rollout of an endpoint back."""
    return f"{GUARDIAN_PREFIX}/taken-back/{endpoint_name}"
