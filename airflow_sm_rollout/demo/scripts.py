"""What the demo asks of each sample DAG, hurried: AWS's minutes are the sandbox's seconds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Script:
    """One sample DAG and the plan that its runs get.

    :param dag_id: the DAG, whose task group has the same name.
    :param plan: what the trigger form would have.
    :param shares: by the name of a shift's task, the share in percent that it gives.
    """

    dag_id: str
    plan: Mapping[str, str]
    shares: Mapping[str, float]


SCRIPTS: Mapping[str, Script] = {
    # The first step has the least traffic, so its alarm needs the most time.
    "canary": Script(
        "canary", {"steps": "10,50,100", "bake": "35,15,12"}, {"shift_1": 10.0, "shift_2": 50.0, "shift_3": 100.0}
    ),
    "linear": Script(
        "linear",
        {"step": "25", "interval": "40"},
        {"shift_1": 25.0, "shift_2": 50.0, "shift_3": 75.0, "shift_4": 100.0},
    ),
    "blue_green": Script("blue_green", {"bake": "35"}, {"shift_100": 100.0}),
}
