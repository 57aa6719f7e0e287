"""Whether what was found under a name is what a rollout means by it.

Names follow from the endpoint and the rollout's id, so what an earlier try has made is found again. But somebody else may have made a thing
of that name, or the DAG run was cleared and planned anew with other options.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from airflow_sm_rollout.core.goals import AsBefore, Goal, OnlyGreen
from airflow_sm_rollout.core.rollout import Rollout

# What of a config differs from blue's by the rollout itself.
_CHANGED = frozenset({"ProductionVariants", "ShadowProductionVariants", "MetricsConfig"})


def is_used(name: str, goal: Goal, rollout: Rollout) -> bool:
    """Whether an endpoint config is to serve on the way to a goal, or is only tidied there."""
    names = rollout.names
    if isinstance(goal, AsBefore):
        return name in (rollout.blue.config_name, names.spare_config)
    return not isinstance(goal, OnlyGreen) or name in (names.mixed_config, names.final_config)


def why_other_config(name: str, config: Mapping[str, Any], rollout: Rollout, *, is_to_serve: bool) -> str:
    """Why an endpoint config is another than the rollout means, as a half sentence; empty if it is that one.

    :param config: what CreateEndpointConfig would take to make it again.
    :param is_to_serve: whether all of it must be what the rollout means; else it is enough that it serves the rollout's models.
    """
    if name == rollout.blue.config_name:
        return "" if _says(config, rollout.blue.config) else "it is not what it was when the rollout was planned"
    meant, found = _models_in(name, rollout), dict(_models_of(config))
    if found != meant:
        return f"it serves {_describe(found)}, where the rollout's serves {_describe(meant)}"
    if not is_to_serve:
        return ""
    kept = {member: value for member, value in rollout.blue.config.items() if member not in _CHANGED}
    unlike = [member for member, value in kept.items() if not _says(config.get(member), value)]
    return f"its {unlike[0]} is not blue's" if unlike else ""


def why_other_model(model: Mapping[str, Any], rollout: Rollout) -> str:
    """Why a SageMaker model of the name that the rollout gives green's is another; empty if it is that one.

    :param model: as DescribeModel tells it.
    """
    green = rollout.green
    meant = {
        "Image": green.image,
        "ModelDataUrl": green.model_data_url,
        "ModelPackageName": green.model_package_arn,
        "Environment": green.environment or None,
    }
    containers: list[Mapping[str, Any]] = model.get("Containers") or [model.get("PrimaryContainer", {})]
    wanted = {member: value for member, value in meant.items() if value is not None}
    unlike = [member for member, value in wanted.items() if containers[0].get(member) != value]
    return (
        f"its {unlike[0]} is {containers[0].get(unlike[0])!r}, where green's is {wanted[unlike[0]]!r}" if unlike else ""
    )


def _models_in(name: str, rollout: Rollout) -> dict[str, str]:
    """The model of each variant in a config that the rollout makes."""
    names, blue = rollout.names, {rollout.blue.variant: rollout.blue.model_name}
    green = {rollout.green_variant: rollout.green_model_name}
    made = {
        names.mixed_config: blue | green,
        names.shadow_config: blue | {names.shadow: rollout.green_model_name},
        names.spare_config: blue,
    }
    return made.get(name, green)


def _models_of(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for kind in ("ProductionVariants", "ShadowProductionVariants"):
        for variant in config.get(kind, ()):
            yield variant["VariantName"], variant.get("ModelName", "")


def _describe(models: Mapping[str, str]) -> str:
    return ", ".join(f"{model} as {variant}" for variant, model in models.items()) or "nothing"


def _says(found: Any, wanted: Any) -> bool:
    """Whether something has all that is wanted of it; what AWS adds by itself is no difference."""
    if isinstance(wanted, Mapping):
        return isinstance(found, Mapping) and all(_says(found.get(name), each) for name, each in wanted.items())
    if isinstance(wanted, (list, tuple)):
        same = isinstance(found, (list, tuple)) and len(found) == len(wanted)
        return same and all(_says(each, of) for each, of in zip(found, wanted, strict=True))
    if isinstance(wanted, float):
        return isinstance(found, (int, float)) and math.isclose(found, wanted, rel_tol=1e-6)
    return bool(found == wanted)
