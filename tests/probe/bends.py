"""A sandbox that is wrong in the facts that it is told, each in no more than that."""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import timedelta
from typing import Any

from airflow_sm_rollout.sandbox import FunctionHost, ManualClock, Sandbox, Timings
from airflow_sm_rollout.sandbox.errors import AwsError
from airflow_sm_rollout.sandbox.wire import Call

Answer = dict[str, Any] | AwsError
Bend = Callable[["BentSandbox", Call, Answer], Answer]
OTHER = AwsError("OtherException", "something else")


def bent(ids: Collection[str]) -> BentSandbox:
    """A sandbox that does all but these facts as ever."""
    changes = {name: value for fact, (name, value) in TIMINGS.items() if fact in ids}
    return BentSandbox(ids, replace(Timings(), **changes))


class BentSandbox(Sandbox):
    """See :func:`bent`."""

    def __init__(self, ids: Collection[str], timings: Timings) -> None:
        host = FunctionHost(healthy=lambda model: model.name != "broken")
        super().__init__(clock=ManualClock(), timings=timings, host=host)
        self._bends = [BENDS[fact] for fact in ids if fact in BENDS]
        self.noted: dict[str, Any] = {}

    def first(self, what: str) -> bool:
        """Whether this is asked for the first time."""
        return not self.noted.setdefault(what, []) and not self.noted[what].append(1)

    def carry_out(self, call: Call) -> dict[str, Any]:
        self.noted["serving"] = self.endpoints.serving(call.params.get("EndpointName", ""))
        serving = self.noted["serving"]
        self.noted["config"] = serving.config.name if serving else None
        try:
            answer: Answer = copy.deepcopy(super().carry_out(call))
        except AwsError as error:
            answer = error
        for bend in self._bends:
            answer = bend(self, call, answer)
        if isinstance(answer, AwsError):
            raise answer
        return answer


def on(operation: str, change: Callable[[BentSandbox, Any, Any], Answer | None]) -> Bend:
    """A bend of one operation: ``change(sandbox, params, answer)`` gives another answer, or changes it where it stands."""

    def bend(sandbox: BentSandbox, call: Call, answer: Answer) -> Answer:
        if call.operation != operation:
            return answer
        return change(sandbox, call.params, answer) or answer

    return bend


def refused(operation: str, member: str, value: Any) -> Bend:
    """Another refusal, where a member has a value."""
    return on(operation, lambda sandbox, params, answer: OTHER if params.get(member) == value else None)


def reworded(operation: str, text: str) -> Bend:
    """Another refusal in the place of the one with a text."""
    return on(
        operation,
        lambda sandbox, params, answer: OTHER if isinstance(answer, AwsError) and text in answer.message else None,
    )


def of_alarm(suffix: str, change: Callable[[BentSandbox, dict[str, Any]], None]) -> Bend:
    """Another state of the alarm whose name has an end."""

    def look(sandbox: BentSandbox, params: Any, answer: Any) -> None:
        for alarm in answer["MetricAlarms"]:
            if alarm["AlarmName"].endswith(suffix):
                change(sandbox, alarm)

    return on("DescribeAlarms", look)


def of_endpoint(change: Callable[[BentSandbox, dict[str, Any]], None]) -> Bend:
    """Another description of the endpoint."""

    def look(sandbox: BentSandbox, params: Any, answer: Any) -> None:
        if isinstance(answer, dict):
            change(sandbox, answer)

    return on("DescribeEndpoint", look)


def _median(sandbox: BentSandbox, params: Any, answer: Any) -> None:
    for point in answer["Datapoints"] if params.get("ExtendedStatistics") else []:
        point["ExtendedStatistics"]["p50"] = 20.0


def _floored(sandbox: BentSandbox, params: Any, answer: Any) -> None:
    for point in answer["Datapoints"] if params["Period"] == 300 else []:
        point["Timestamp"] = point["Timestamp"].replace(minute=point["Timestamp"].minute // 5 * 5)


def _labelled(sandbox: BentSandbox, params: Any, answer: Any) -> None:
    answer["MetricDataResults"][0]["Label"] = "nothing"


def _no_second(sandbox: BentSandbox, params: Any, answer: Any) -> None:
    if params["EndTime"] - params["StartTime"] == timedelta(seconds=1):
        answer["MetricDataResults"][0].update(Values=[], Timestamps=[])


def _keeps(seconds: float) -> Callable[[BentSandbox, dict[str, Any]], None]:
    """A state ALARM that lasts, from when it is first seen."""

    def keep(sandbox: BentSandbox, alarm: dict[str, Any]) -> None:
        name, now = alarm["AlarmName"], sandbox.clock.now()
        if alarm["StateValue"] == "ALARM":
            sandbox.noted.setdefault(name, now)
        if now - sandbox.noted.get(name, now) < seconds and name in sandbox.noted:
            alarm["StateValue"] = "ALARM"

    return keep


def _composites(sandbox: BentSandbox, params: Any, answer: Any) -> None:
    if params["AlarmNames"][0].endswith("-composite"):
        answer["CompositeAlarms"] = [{"AlarmName": params["AlarmNames"][0]}]


def _drawn(once: str, weights: dict[str, float], variant: str) -> Bend:
    """One untargeted call that goes elsewhere, while the endpoint's weights are these."""

    def draw(sandbox: BentSandbox, params: Any, answer: Any) -> None:
        fleets = sandbox.noted["serving"].fleets
        now = {one.name: one.weight for one in fleets[-1].variants}
        if "TargetVariant" not in params and now == weights and isinstance(answer, dict) and sandbox.first(once):
            answer["InvokedProductionVariant"] = variant

    return on("InvokeEndpoint", draw)


def _targeted(sandbox: BentSandbox, params: Any, answer: Any) -> None:
    if params.get("TargetVariant") == "green":
        answer["InvokedProductionVariant"] = "blue"


def _component(sandbox: BentSandbox, params: Any, answer: Any) -> Answer | None:
    taken = {"Body": b"{}", "ContentType": "application/json", "InvokedProductionVariant": "blue"}
    return taken if "InferenceComponentName" in params else None


def _without_invocations(sandbox: BentSandbox, params: Any, answer: Any) -> None:
    if params["MetricName"] == "Invocations":
        answer["Datapoints"] = []


def _weighs(sandbox: BentSandbox, answer: dict[str, Any]) -> None:
    for variant in answer.get("ProductionVariants", []) if answer["EndpointStatus"] == "Updating" else []:
        variant["CurrentWeight"] = variant["DesiredWeight"]


def _retained(name: str, weight: float) -> Callable[[BentSandbox, dict[str, Any]], None]:
    def weigh(sandbox: BentSandbox, answer: dict[str, Any]) -> None:
        variants = {variant["VariantName"]: variant for variant in answer.get("ProductionVariants", [])}
        if "new" in variants:
            variants[name]["CurrentWeight"] = weight

    return weigh


def _renamed(sandbox: BentSandbox, answer: dict[str, Any]) -> None:
    if answer["EndpointStatus"] == "Updating":
        answer["EndpointConfigName"] += "-new"


def _rolling_back(sandbox: BentSandbox, answer: dict[str, Any]) -> None:
    if "PendingDeploymentSummary" in answer:
        answer["EndpointStatus"] = "RollingBack"


def _in_service_again(sandbox: BentSandbox, answer: dict[str, Any]) -> bool:
    return answer["EndpointStatus"] == "InService" and "rollback deployment" in answer.get("FailureReason", "")


def _on_new(sandbox: BentSandbox, answer: dict[str, Any]) -> None:
    if _in_service_again(sandbox, answer):
        answer["EndpointConfigName"] += "-new"


def _no_reason(sandbox: BentSandbox, answer: dict[str, Any]) -> None:
    if _in_service_again(sandbox, answer):
        answer["FailureReason"] = "no idea"


def _forgotten(sandbox: BentSandbox, answer: dict[str, Any]) -> None:
    if answer["EndpointStatus"] == "Updating":
        answer.pop("FailureReason", None)


def _failed(sandbox: BentSandbox, answer: dict[str, Any]) -> None:
    if "ping" in answer.get("FailureReason", "") and answer["EndpointStatus"] == "InService":
        answer["EndpointStatus"] = "Failed"


def _target_stays(sandbox: BentSandbox, call: Call, answer: Answer) -> Answer:
    if call.operation == "DescribeScalableTargets":
        return {"ScalableTargets": [{"ResourceId": call.params["ResourceIds"][0]}]}
    return {} if call.operation == "DeregisterScalableTarget" else answer


def _serving_again(sandbox: BentSandbox, params: Any, answer: Any) -> Answer | None:
    return OTHER if params["EndpointConfigName"] == sandbox.noted["config"] else None


def _capitals(sandbox: BentSandbox, params: Any, answer: Any) -> Answer | None:
    return OTHER if params["EndpointName"].isupper() else None


def _deleted_live(sandbox: BentSandbox, params: Any, answer: Any) -> Answer | None:
    serving = sandbox.endpoints.serving("sm-rollout-probe-1")
    return OTHER if serving is not None and serving.config.name == params["EndpointConfigName"] else None


def _weight_of_nobody(sandbox: BentSandbox, params: Any, answer: Any) -> Answer | None:
    return OTHER if params["DesiredWeightsAndCapacities"][0]["VariantName"] == "nobody" else None


TIMINGS: dict[str, tuple[str, float]] = {
    "weights-seconds": ("change_weights", 150.0),
    "weights-when": ("weights_move", 1.0),
    "failed-update-minutes": ("failed_update", 2400.0),
}
BENDS: dict[str, Bend] = {
    "percentile": on("GetMetricStatistics", _median),
    "periods": on("GetMetricStatistics", _floored),
    "label": on("GetMetricData", _labelled),
    "one-second": on("GetMetricData", _no_second),
    "first-state": of_alarm("-new", lambda sandbox, alarm: alarm.update(StateValue="OK")),
    "set-state": of_alarm("-set", _keeps(300)),
    "stopped-metric": of_alarm("-stopped", _keeps(900)),
    "composites": on("DescribeAlarms", _composites),
    "target-without-weight": on("InvokeEndpoint", _targeted),
    "no-weight-no-calls": _drawn("apart", {"blue": 1.0, "green": 0.0}, "green"),
    "unknown-target": refused("InvokeEndpoint", "TargetVariant", "nobody"),
    "target-model": refused("InvokeEndpoint", "TargetModel", "other.tar.gz"),
    "component-name": on("InvokeEndpoint", _component),
    "name-in-capitals": on("DescribeEndpoint", _capitals),
    "idle-minutes": on("GetMetricStatistics", _without_invocations),
    "weight-of-nobody": on("UpdateEndpointWeightsAndCapacities", _weight_of_nobody),
    "weight-twice": reworded("UpdateEndpointWeightsAndCapacities", "non-unique"),
    "same-config": on("UpdateEndpoint", _serving_again),
    "weights-meanwhile": of_endpoint(_weighs),
    "stragglers": _drawn("moved", {"blue": 0.0, "green": 1.0}, "blue"),
    "change-in-progress": reworded("UpdateEndpointWeightsAndCapacities", "in-progress"),
    "delete-in-progress": reworded("DeleteEndpoint", "in-progress"),
    "no-weight-at-all": reworded("InvokeEndpoint", "has a weight"),
    "retained-weights": of_endpoint(_retained("blue", 7.0)),
    "weight-of-new": of_endpoint(_retained("new", 1.0)),
    "config-meanwhile": of_endpoint(_renamed),
    "config-in-use": on("DeleteEndpointConfig", _deleted_live),
    "update-without-config": reworded("UpdateEndpoint", "Could not find endpoint configuration"),
    "scalable-target": _target_stays,
    "rollback-statuses": of_endpoint(_rolling_back),
    "rollback-config": of_endpoint(_on_new),
    "rollback-reason": of_endpoint(_no_reason),
    "earlier-reason": of_endpoint(_forgotten),
    "failed-update": of_endpoint(_failed),
}
