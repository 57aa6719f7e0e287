"""What the demo asks of each sample DAG, hurried: AWS's minutes are the sandbox's seconds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from airflow_sm_rollout.demo import DemoFailed
from airflow_sm_rollout.demo.front import FRONT
from airflow_sm_rollout.demo.kinds import KINDS
from airflow_sm_rollout.demo.production import INSTANCES, ROLE
from airflow_sm_rollout.demo.report import PROMOTE

DRAIN_SECONDS = 5
"""The demo's clients hold an endpoint's name for a second, and a request takes milliseconds."""


class NoSuchDemo(DemoFailed):
    """A strategy and a way to split traffic that don't go together."""


@dataclass(frozen=True, slots=True)
class Script:
    """One sample DAG and the plan that its runs get.

    :param dag_id: the DAG, whose task group has the same name.
    :param traffic: the way to split traffic.
    :param plan: what else the trigger form would have.
    :param shares: by the name of the task that shifts traffic, the largest share in percent that it gives.
    :param instances: of the endpoint in production.
    :param endpoint: which kind of endpoint that is (:mod:`~airflow_sm_rollout.demo.kinds`).
    :param patience_seconds: how long a run may go on without any of its tasks moving on.
    """

    dag_id: str
    traffic: str
    plan: Mapping[str, str]
    shares: Mapping[str, float]
    instances: int = INSTANCES
    endpoint: str = "instances"
    patience_seconds: float = 300.0

    @property
    def form(self) -> Mapping[str, str]:
        """What the trigger form would have."""
        return {**self.plan, "traffic": self.traffic}


_IN_FRONT = {"drain": str(DRAIN_SECONDS), "function": FRONT.function}
_BY_CODEDEPLOY = {**_IN_FRONT, "codedeploy_role": ROLE}
_BY_AWS = {PROMOTE: 100.0}

_SCRIPTS = (
    # The first step has the least traffic, so its alarm needs the most time.
    Script(
        "canary",
        "variants",
        {"steps": "10,50,100", "bake": "35,15,12"},
        {"shift_1": 10.0, "shift_2": 50.0, "shift_3": 100.0},
    ),
    Script(
        "linear",
        "variants",
        {"step": "25", "interval": "40"},
        {"shift_1": 25.0, "shift_2": 50.0, "shift_3": 75.0, "shift_4": 100.0},
    ),
    # With all traffic on green only an alarm tells, and it wants three periods in a row.
    Script("blue_green", "variants", {"bake": "60"}, {"shift_100": 100.0}),
    Script("blue_green", "endpoints", {"bake": "60", "drain": str(DRAIN_SECONDS)}, {"shift_100": 100.0}),
    # A step beyond the first takes one write; there is no endpoint to wait for.
    Script(
        "canary",
        "endpoints",
        {"steps": "10,50,100", "bake": "35,15,12", "drain": str(DRAIN_SECONDS)},
        {"shift_1": 10.0, "shift_2": 50.0, "shift_3": 100.0},
    ),
    Script(
        "linear",
        "endpoints",
        {"step": "25", "interval": "40", "drain": str(DRAIN_SECONDS)},
        {"shift_1": 25.0, "shift_2": 50.0, "shift_3": 75.0, "shift_4": 100.0},
    ),
    # Clients call a function, whose alias is shifted.
    Script("blue_green", "lambda", {"bake": "60", **_IN_FRONT}, {"shift_100": 100.0}),
    Script(
        "canary",
        "lambda",
        {"steps": "10,50,100", "bake": "35,15,12", **_IN_FRONT},
        {"shift_1": 10.0, "shift_2": 50.0, "shift_3": 100.0},
    ),
    Script(
        "linear",
        "lambda",
        {"step": "25", "interval": "40", **_IN_FRONT},
        {"shift_1": 25.0, "shift_2": 50.0, "shift_3": 75.0, "shift_4": 100.0},
    ),
    # CodeDeploy waits whole minutes, and its canary has two steps.
    Script("canary", "codedeploy", {"steps": "10,100", "bake": "60,15", **_BY_CODEDEPLOY}, _BY_AWS),
    Script("linear", "codedeploy", {"step": "50", "interval": "60", **_BY_CODEDEPLOY}, _BY_AWS),
    Script("blue_green", "codedeploy", {"bake": "60", **_BY_CODEDEPLOY}, _BY_AWS),
    # SageMaker shifts whole instances, and its own canary has two steps.
    Script("canary", "guardrails", {"steps": "50,100", "bake": "60,15"}, _BY_AWS),
    Script("linear", "guardrails", {"step": "34", "interval": "60"}, _BY_AWS, instances=3),
    Script("blue_green", "guardrails", {"bake": "60"}, _BY_AWS),
)


def find_script(strategy: str, traffic: str, endpoint: str = "instances") -> Script:
    """The script that shows a strategy by a way to split traffic, on a kind of endpoint.

    :raises NoSuchDemo: where they don't go together, naming what does.
    :raises NoSuchEndpoint: where the way can't do that kind, with why.
    """
    KINDS[endpoint].refuse(traffic)
    by_traffic: dict[str, dict[str, Script]] = {}
    for script in _SCRIPTS:
        by_traffic.setdefault(script.traffic, {})[script.dag_id] = script
    shown = by_traffic.get(traffic, {})
    if strategy not in shown:
        can = ", ".join(shown) or "nothing here"
        raise NoSuchDemo(f"strategy {strategy} does not go with traffic {traffic}, which can do {can}")
    return replace(shown[strategy], endpoint=endpoint)
