"""SageMaker's facts about an endpoint of two variants: targets, weights, updates, and what is left behind."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow_sm_rollout.probe.lab import Lab

CALLS = 50
_IDLE_MINUTES = 5
_LOOK_SECONDS = 5.0


def _apart(lab: Lab) -> None:
    lab.serve(blue=1.0, green=0.0)


def target_without_weight(lab: Lab) -> str:
    """Who answers a request for a variant that has no weight."""
    _apart(lab)
    refused = lab.refusal(lambda: lab.invoke(TargetVariant="green"))
    return refused or f"answered by {lab.invoke(TargetVariant='green')}"


def no_weight_no_calls(lab: Lab) -> str:
    """Whether a variant without weight gets a call."""
    _apart(lab)
    return f"{lab.draw(CALLS)['green']} of {CALLS} calls"


def idle_minutes(lab: Lab) -> str:
    """Which metrics a variant has in minutes without a call."""
    _apart(lab)
    lab.clock.wait(60 * _IDLE_MINUTES)
    lab.invoke(TargetVariant="blue")
    lab.clock.wait(180)
    return ", ".join(f"{name} {_seen(lab, name)}" for name in ("Invocations", "ModelLatency"))


def _seen(lab: Lab, metric: str) -> str:
    end = lab.clock.now() - timedelta(minutes=4)
    found = lab.cloudwatch.get_metric_statistics(
        Namespace="AWS/SageMaker",
        MetricName=metric,
        Dimensions=[{"Name": "EndpointName", "Value": lab.name}, {"Name": "VariantName", "Value": "blue"}],
        StartTime=end - timedelta(minutes=3),
        EndTime=end,
        Period=60,
        Statistics=["Sum"],
    )["Datapoints"]
    return "zero" if found and not any(point["Sum"] for point in found) else "absent" if not found else "not zero"


def unknown_target(lab: Lab) -> str:
    """What a request for a variant that is not there is answered with."""
    _apart(lab)
    return lab.refusal(lambda: lab.invoke(TargetVariant="nobody")) or "answered"


def target_model(lab: Lab) -> str:
    """What TargetModel does on an endpoint of one model each variant."""
    _apart(lab)
    return lab.refusal(lambda: lab.invoke(TargetModel="other.tar.gz")) or "ignored"


def component_name(lab: Lab) -> str:
    """What InferenceComponentName does on an endpoint without components."""
    _apart(lab)
    return lab.refusal(lambda: lab.invoke(InferenceComponentName="nobody")) or "ignored"


def name_in_capitals(lab: Lab) -> str:
    """Whether an endpoint is found by its name in another case."""
    _apart(lab)
    other = lab.name.upper()
    return "not found" if lab.refusal(lambda: lab.sagemaker.describe_endpoint(EndpointName=other)) else "found"


def _change(lab: Lab, *wished: tuple[str, float]) -> str | None:
    entries = [{"VariantName": variant, "DesiredWeight": weight} for variant, weight in wished]
    return lab.refusal(
        lambda: lab.sagemaker.update_endpoint_weights_and_capacities(
            EndpointName=lab.name, DesiredWeightsAndCapacities=entries
        )
    )


def weight_of_nobody(lab: Lab) -> str:
    """What a weight for a variant that is not there is answered with."""
    _apart(lab)
    return _change(lab, ("nobody", 1.0)) or _accepted(lab)


def weight_twice(lab: Lab) -> str:
    """What two weights for one variant are answered with."""
    _apart(lab)
    return _change(lab, ("green", 1.0), ("green", 2.0)) or _accepted(lab)


def _accepted(lab: Lab) -> str:
    lab.settled()
    return "accepted"


def same_config(lab: Lab) -> str:
    """What an update to the config that serves is answered with."""
    _apart(lab)
    now = (lab.describe() or {})["EndpointConfigName"]
    refused = lab.refusal(lambda: lab.sagemaker.update_endpoint(EndpointName=lab.name, EndpointConfigName=now))
    return refused or _accepted(lab)


def _weights_move(lab: Lab) -> dict[str, Any]:
    """A change of weights, watched while it is in progress."""

    def watch() -> dict[str, Any]:
        _apart(lab)
        seen: dict[str, Any] = {"began": lab.clock.now(), "moved": None}
        _change(lab, ("blue", 0.0), ("green", 1.0))
        lab.eventually(lambda: (lab.describe() or {})["EndpointStatus"] == "Updating", 60)
        seen["second change"] = _change(lab, ("green", 3.0)) or "accepted"
        seen["delete"] = lab.refusal(lambda: lab.sagemaker.delete_endpoint(EndpointName=lab.name)) or "accepted"
        while (found := lab.describe() or {})["EndpointStatus"] != "InService":
            green = next(one for one in found["ProductionVariants"] if one["VariantName"] == "green")
            seen.setdefault("weights", (green["CurrentWeight"], green["DesiredWeight"]))
            if seen["moved"] is None and lab.invoke() == "green":
                seen["moved"] = lab.clock.now()
            lab.clock.wait(_LOOK_SECONDS)
        seen["ended"] = lab.clock.now()
        seen["stragglers"] = lab.draw(CALLS)["blue"]
        return seen

    return lab.once("weights", watch)


def weights_seconds(lab: Lab) -> str:
    """How long a change of weights takes."""
    seen = _weights_move(lab)
    seconds = (seen["ended"] - seen["began"]).total_seconds()
    return "about a minute" if 45 <= seconds <= 90 else f"{seconds:.0f} s"


def weights_meanwhile(lab: Lab) -> str:
    """What DescribeEndpoint says of weights that are being changed."""
    current, desired = _weights_move(lab)["weights"]
    return f"current {current:g}, desired {desired:g}"


def weights_when(lab: Lab) -> str:
    """When the calls follow."""
    return "at InService" if _weights_move(lab)["moved"] is None else "while it is Updating"


def stragglers(lab: Lab) -> str:
    """Whether calls go to a variant without weight, once the change is through."""
    return f"{_weights_move(lab)['stragglers']} of {CALLS} calls"


def change_in_progress(lab: Lab) -> str:
    """What a second change is answered with while one is in progress."""
    return str(_weights_move(lab)["second change"])


def delete_in_progress(lab: Lab) -> str:
    """What DeleteEndpoint is answered with while a change is in progress."""
    return str(_weights_move(lab)["delete"])


def no_weight_at_all(lab: Lab) -> str:
    """What a request is answered with where no variant has a weight."""
    _apart(lab)
    if refused := _change(lab, ("blue", 0.0)):
        return refused
    lab.settled()
    return lab.refusal(lab.invoke) or "answered"


def _retained(lab: Lab) -> dict[str, Any]:
    """An update that keeps the properties of its variants, and brings a new one."""

    def update() -> dict[str, Any]:
        lab.serve(blue=1.0, green=1.0)
        _change(lab, ("green", 3.0))
        lab.settled()
        before = (lab.describe() or {})["EndpointConfigName"]
        config = lab.configure({"blue": 7.0, "green": 7.0, "new": 2.0})
        lab.sagemaker.update_endpoint(EndpointName=lab.name, EndpointConfigName=config, RetainAllVariantProperties=True)
        seen: dict[str, Any] = {"names": set()}
        found = lab.settled(lambda found: seen["names"].add(found["EndpointConfigName"]))
        seen["meanwhile"] = "the old one" if seen["names"] == {before} else "the new one"
        seen["weights"] = {one["VariantName"]: one["CurrentWeight"] for one in found["ProductionVariants"]}
        return seen

    return lab.once("retained", update)


def retained_weights(lab: Lab) -> str:
    """Whose weight wins with RetainAllVariantProperties."""
    weights = _retained(lab)["weights"]
    return f"blue {weights['blue']:g}, green {weights['green']:g}"


def weight_of_new(lab: Lab) -> str:
    """The weight of a variant that such an update brings."""
    return f"{_retained(lab)['weights']['new']:g}"


def config_meanwhile(lab: Lab) -> str:
    """Which config DescribeEndpoint names while an update is in progress."""
    return str(_retained(lab)["meanwhile"])


def config_in_use(lab: Lab) -> str:
    """Whether the config that serves can be deleted."""
    return lab.once("deleted config", lambda: _delete_live_config(lab))


def _delete_live_config(lab: Lab) -> str:
    lab.serve(blue=1.0, green=1.0)
    live = (lab.describe() or {})["EndpointConfigName"]
    return lab.refusal(lambda: lab.sagemaker.delete_endpoint_config(EndpointConfigName=live)) or "accepted"


def update_without_config(lab: Lab) -> str:
    """What an update is answered with where the config that serves is gone."""
    config_in_use(lab)
    config = lab.configure({"blue": 1.0})
    refused = lab.refusal(lambda: lab.sagemaker.update_endpoint(EndpointName=lab.name, EndpointConfigName=config))
    return refused or _accepted(lab)


def scalable_target(lab: Lab) -> str:
    """What becomes of a scalable target whose endpoint is deleted."""
    lab.serve(blue=1.0, green=1.0)
    target = {"ServiceNamespace": "sagemaker", "ScalableDimension": "sagemaker:variant:DesiredInstanceCount"}
    resource = f"endpoint/{lab.name}/variant/blue"
    lab.autoscaling.register_scalable_target(ResourceId=resource, MinCapacity=1, MaxCapacity=2, **target)
    lab.sagemaker.delete_endpoint(EndpointName=lab.name)
    lab.settled()
    found = lab.autoscaling.describe_scalable_targets(ServiceNamespace="sagemaker", ResourceIds=[resource])
    if not found["ScalableTargets"]:
        return "it is gone, too"
    lab.autoscaling.deregister_scalable_target(ResourceId=resource, **target)
    return "it stays"
