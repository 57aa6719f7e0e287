"""SageMaker's facts about a deployment that an alarm ends, and about a container that can't start."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow_sm_rollout.probe.lab import Lab

_WAIT_SECONDS = 600
_MOST_SECONDS = 3600


def _deployment(alarm: str) -> dict[str, Any]:
    canary = {
        "Type": "CANARY",
        "CanarySize": {"Type": "INSTANCE_COUNT", "Value": 1},
        "WaitIntervalInSeconds": _WAIT_SECONDS,
    }
    return {
        "BlueGreenUpdatePolicy": {
            "TrafficRoutingConfiguration": canary,
            "TerminationWaitInSeconds": 0,
            "MaximumExecutionTimeoutInSeconds": _MOST_SECONDS,
        },
        "AutoRollbackConfiguration": {"Alarms": [{"AlarmName": alarm}]},
    }


def _rolled_back(lab: Lab) -> dict[str, Any]:
    """A canary by SageMaker whose alarm rings while it bakes, and the next update."""

    def watch() -> dict[str, Any]:
        lab.serve(2, blue=1.0)
        alarm = lab.put_alarm("rollback", "ringing", "notBreaching")
        lab.eventually(lambda: lab.state_of(alarm) == "OK")
        before, statuses, bakes = (lab.describe() or {})["EndpointConfigName"], [], []
        lab.sagemaker.update_endpoint(
            EndpointName=lab.name,
            EndpointConfigName=lab.configure({"blue": 1.0}, 2),
            DeploymentConfig=_deployment(alarm),
        )

        def look(found: dict[str, Any]) -> None:
            statuses.append(found["EndpointStatus"])
            if _is_baking(found):
                bakes.append(lab.clock.now())
                lab.put_metric("ringing", 5.0)

        found = lab.settled(look)
        return {
            "statuses": ", ".join(dict.fromkeys([*statuses, found["EndpointStatus"]])),
            "config": "the old one" if found["EndpointConfigName"] == before else "the new one",
            "reason": lab.plain(found.get("FailureReason", "(none)")),
            "next": _reason_during_next(lab),
        }

    return lab.once("rolled back", watch)


def _is_baking(found: dict[str, Any]) -> bool:
    variants = found.get("PendingDeploymentSummary", {}).get("ProductionVariants", [])
    return any(status["Status"] == "Baking" for one in variants for status in one.get("VariantStatus", []))


def _reason_during_next(lab: Lab) -> str:
    config = lab.configure({"blue": 1.0}, 2)
    lab.sagemaker.update_endpoint(EndpointName=lab.name, EndpointConfigName=config)
    seen: set[bool] = set()
    lab.settled(lambda found: seen.add("FailureReason" in found))
    return "still there" if True in seen else "gone"


def rollback_statuses(lab: Lab) -> str:
    """The statuses on the way."""
    return str(_rolled_back(lab)["statuses"])


def rollback_config(lab: Lab) -> str:
    """Which config it ends on."""
    return str(_rolled_back(lab)["config"])


def rollback_reason(lab: Lab) -> str:
    """What the FailureReason says."""
    return str(_rolled_back(lab)["reason"])


def earlier_reason(lab: Lab) -> str:
    """Whether the next update shows that reason."""
    return str(_rolled_back(lab)["next"])


def _cannot_start(lab: Lab) -> dict[str, str]:
    def watch() -> dict[str, str]:
        lab.serve(blue=1.0)
        before, began = (lab.describe() or {})["EndpointConfigName"], lab.clock.now()
        config = lab.configure({"blue": 1.0}, model=lab.asked.broken_model)
        lab.sagemaker.update_endpoint(EndpointName=lab.name, EndpointConfigName=config)
        found = lab.settled()
        side = "the old config" if found["EndpointConfigName"] == before else "the new config"
        minutes = (lab.clock.now() - began) / timedelta(minutes=1)
        return {
            "end": f"{found['EndpointStatus']} on {side}",
            "minutes": "20 to 30 minutes" if 20 <= minutes <= 30 else f"{minutes:.0f} minutes",
        }

    return lab.once("can't start", watch)


def failed_update(lab: Lab) -> str:
    """Where an update ends whose container can't start."""
    return _cannot_start(lab)["end"]


def failed_update_minutes(lab: Lab) -> str:
    """How long that takes."""
    return _cannot_start(lab)["minutes"]
