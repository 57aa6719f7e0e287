"""What a way to split traffic is made of: for each goal its rules, and what they need to know."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from airflow_sm_rollout.core.goals import Decision
from airflow_sm_rollout.core.observation import Endpoint, Observation
from airflow_sm_rollout.core.rollout import Rollout

Rule = Callable[[Any, Rollout, Observation], "Decision | None"]


@dataclass(frozen=True, slots=True)
class Needs:
    """What an observation must hold beyond the endpoint, the record and what a person wishes.

    :param front: whether that is the Lambda function that clients call, too.
    :param deployments: and what CodeDeploy tells.
    :param queues: endpoints whose queues to look at.
    """

    configs: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    alarms: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    front: bool = False
    deployments: bool = False
    queues: tuple[str, ...] = ()


def before(rule: Rule, more: Rule, rules: tuple[Rule, ...]) -> tuple[Rule, ...]:
    """The rules with one more, right before one of them."""
    at = rules.index(rule)
    return (*rules[:at], more, *rules[at:])


@dataclass(frozen=True, slots=True)
class Way:
    """One way to split traffic.

    :param rules: for each type of goal its rules, asked in order; the first that has an answer decides, the last always has one.
    :param needs: for each type of goal what a decision has to know, so that just that is read. It is asked with the goal, the rollout and
        the endpoint where green is.
    """

    rules: Mapping[type[Any], tuple[Rule, ...]]
    needs: Mapping[type[Any], Callable[[Any, Rollout, Endpoint | None], Needs]]
