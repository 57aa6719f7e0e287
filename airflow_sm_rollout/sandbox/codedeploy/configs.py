"""Deployment configs: which share the new version has when."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from airflow_sm_rollout.sandbox.errors import AwsError

LONGEST_MINUTES = 2880
MOST_PERCENT = 99
MINUTE = 60.0


@dataclass(frozen=True, slots=True)
class Config:
    """A deployment config for Lambda.

    :param routing: its ``TrafficRoutingConfig``.
    :param created_at: seconds since the epoch; ``None``: one of AWS's own.
    """

    name: str
    routing: Mapping[str, Any]
    created_at: float | None = None

    def steps(self) -> list[tuple[float, float]]:
        """The new version's shares, from 0 to 1, each with the seconds until the next; the last is 1."""
        kind = self.routing["type"]
        if kind == "TimeBasedCanary":
            canary = self.routing["timeBasedCanary"]
            return [(canary["canaryPercentage"] / 100, canary["canaryInterval"] * MINUTE), (1.0, 0.0)]
        if kind == "TimeBasedLinear":
            linear = self.routing["timeBasedLinear"]
            shares = range(linear["linearPercentage"], 100, linear["linearPercentage"])
            return [*((share / 100, linear["linearInterval"] * MINUTE) for share in shares), (1.0, 0.0)]
        return [(1.0, 0.0)]


def read_config(params: Mapping[str, Any], now: float) -> Config:
    """A config as CreateDeploymentConfig is asked for it.

    :raises AwsError: for shares or waits that CodeDeploy does not have.
    """
    routing = params.get("trafficRoutingConfig") or {"type": "AllAtOnce"}
    kind = routing.get("type")
    if kind == "AllAtOnce":
        return Config(params["deploymentConfigName"], {"type": kind}, now)
    if kind not in ("TimeBasedCanary", "TimeBasedLinear"):
        raise _invalid(f"The traffic routing type {kind} is not known")
    member, word = (kind[0].lower() + kind[1:], kind.removeprefix("TimeBased").lower())
    shift = routing.get(member) or {}
    percent, minutes = shift.get(f"{word}Percentage"), shift.get(f"{word}Interval")
    if percent is None or not 1 <= percent <= MOST_PERCENT:
        raise _invalid(f"{word}Percentage must be between 1 and {MOST_PERCENT}")
    if minutes is None or minutes < 1:
        raise _invalid(f"{word}Interval must be at least 1 minute")
    config = Config(params["deploymentConfigName"], {"type": kind, member: dict(shift)}, now)
    if sum(wait for _, wait in config.steps()) > LONGEST_MINUTES * MINUTE:
        raise _invalid(f"The time from the first to the last shift must be at most {LONGEST_MINUTES} minutes")
    return config


def _invalid(text: str) -> AwsError:
    return AwsError("InvalidTrafficRoutingConfigurationException", text)


def _predefined() -> dict[str, Config]:
    found = [Config("CodeDeployDefault.LambdaAllAtOnce", {"type": "AllAtOnce"})]
    for minutes in (5, 10, 15, 30):
        shift = {"canaryPercentage": 10, "canaryInterval": minutes}
        routing = {"type": "TimeBasedCanary", "timeBasedCanary": shift}
        found.append(Config(f"CodeDeployDefault.LambdaCanary10Percent{minutes}Minutes", routing))
    for minutes in (1, 2, 3, 10):
        shift = {"linearPercentage": 10, "linearInterval": minutes}
        plural = "" if minutes == 1 else "s"
        routing = {"type": "TimeBasedLinear", "timeBasedLinear": shift}
        found.append(Config(f"CodeDeployDefault.LambdaLinear10PercentEvery{minutes}Minute{plural}", routing))
    return {config.name: config for config in found}


PREDEFINED: Mapping[str, Config] = _predefined()
