"""What others do and what goes wrong between any two steps of a rollout; and the promises on whatever end that has."""

from __future__ import annotations

import contextlib
import itertools
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError

from airflow_sm_rollout.core.errors import RolloutError
from airflow_sm_rollout.sandbox.faults import Fault
from convergence import live_lab, test_exits
from convergence.lab import BLUE_CONFIG, BLUE_INSTANCES, ENDPOINT, USER_ALARM, Killed, Lab
from convergence.lambda_lab import PLACE
from convergence.live_lab import LiveLab
from convergence.walk import is_read

Event = Callable[[Lab], None]
CLEARED = 12  # how often a person lets a rollback be tried again


def alarm_rings(lab: Lab) -> None:
    test_exits.ring(lab, USER_ALARM)


def is_put_on_another_config(lab: Lab) -> None:
    live_lab.update_by_hand(lab, ENDPOINT)


def pointer_is_written(lab: Lab) -> None:
    if isinstance(lab, LiveLab):
        lab.put_pointer(endpoint_name="theirs")


def autoscaling_acts(lab: Lab) -> None:
    """If it is not suspended, the endpoint is Updating from now on."""
    lab.sandbox.scaling.scale(ENDPOINT, "AllTraffic", 6)


def is_scaled_by_hand(lab: Lab) -> None:
    """The endpoint is Updating from now on, whether autoscaling is suspended or not."""
    change = {"VariantName": "AllTraffic", "DesiredInstanceCount": 6}
    lab.clients.sagemaker.update_endpoint_weights_and_capacities(
        EndpointName=ENDPOINT, DesiredWeightsAndCapacities=[change]
    )


def capacity_is_refused(lab: Lab) -> None:
    lab.sandbox.faults.add(Fault("no_capacity"))


def quota_is_reached(lab: Lab) -> None:
    lab.sandbox.faults.add(Fault("quota"))


def green_fails_its_ping(lab: Lab) -> None:
    lab.sandbox.faults.add(Fault("bad_ping", model=lab.names.model))


def credentials_expire(lab: Lab) -> None:
    lab.sandbox.faults.add(Fault("expired_credentials", times=15))


def blues_config_is_deleted(lab: Lab) -> None:
    lab.clients.sagemaker.delete_endpoint_config(EndpointConfigName=BLUE_CONFIG)


def blues_target_is_deregistered(lab: Lab) -> None:
    test_exits.deregister(lab)


def process_dies(lab: Lab) -> None:
    raise Killed


SCALINGS: tuple[Event, ...] = (autoscaling_acts, is_scaled_by_hand)
DRIFTS: tuple[Event, ...] = (is_put_on_another_config, pointer_is_written)
EVENTS: tuple[Event, ...] = (
    alarm_rings,
    *SCALINGS,
    capacity_is_refused,
    quota_is_reached,
    green_fails_its_ping,
    credentials_expire,
    blues_config_is_deleted,
    blues_target_is_deregistered,
    *DRIFTS,
)


@dataclass
class History:
    """A rollout, and what happens right before its calls that change something, counted from 0.

    :param looks_before_harm: how often green's share had been looked at when an alarm first rang after green had traffic.
    """

    lab: Lab
    events: list[tuple[int, Event]]
    count: int = -1
    happened: list[Event] = field(default_factory=list)
    looks_before_harm: int | None = None

    def __call__(self, service: str, operation: str, phase: str) -> None:
        is_releasing = bool(self.lab.told) and self.lab.told[-1].startswith("release endpoint")
        if phase != "before" or is_read(f"{service}:{operation}") or is_releasing:
            return  # what comes right before the record goes comes after the end
        self.count += 1
        for event in [event for at, event in self.events if at == self.count]:
            self.let_happen(event)

    def let_happen(self, event: Event) -> None:
        """An event, whose own calls are not the rollout's; AWS refuses some at some moments."""
        self.happened.append(event)
        has_traffic = any(share > 0 for share in self.lab.shares)
        if event is alarm_rings and has_traffic and self.looks_before_harm is None:
            self.looks_before_harm = len(self.lab.shares)
        self.lab.is_test_looking = True
        try:
            with contextlib.suppress(ClientError):
                event(self.lab)
        finally:
            self.lab.is_test_looking = False

    def run(self, before_tasks: dict[int, list[Event]] | None = None) -> None:
        """Task by task to whatever end: one that fails is followed by a rollback, as often as a person clears that."""
        self.lab.hook = self
        try:
            for number, task in enumerate(self.lab.tasks()):
                for event in (before_tasks or {}).get(number, []):
                    self.let_happen(event)
                task()
        except (Killed, RolloutError):
            self.roll_back()

    def roll_back(self) -> None:
        for left in reversed(range(CLEARED)):
            try:
                return self.lab.roll_back()
            except (Killed, RolloutError):
                if not left:
                    raise
        return None


def assert_promises(history: History, case: str) -> None:
    """Promoted, or as before but for what somebody else has made; with no share that the plan does not have."""
    lab = history.lab
    lab.hook = None
    lab.sandbox.faults.clear()
    lab.pass_time(300)  # autoscaling may be at work
    world, happened = lab.describe(), set(history.happened)
    assert world["records"] == [], case
    assert_shares_as_planned(lab, bool(happened & set(SCALINGS)), case)
    if not happened & set(DRIFTS):
        assert not lab.under_capacity, f"{case}: {lab.under_capacity[0]}"
    if is_green_live(lab, world):
        assert_nothing_else_is_left(lab, world, case)
        return
    expected = lab.before
    if happened & set(SCALINGS):
        world, expected = without_more_instances(world), without_more_instances(expected)
    assert without_theirs(world) == expected, case


def assert_shares_as_planned(lab: Lab, is_scaled: bool, case: str) -> None:
    """SageMaker shifts whole instances: of more of them a step is less."""
    least = min(share for share in lab.planned_shares if share)
    for share in {round(share, 6) for share in lab.shares}:
        assert share in lab.planned_shares or (is_scaled and share < least), f"{case}: {share} %"


def without_more_instances(world: dict[str, Any]) -> dict[str, Any]:
    """Where blue scales by itself, it may have more instances than before, and never fewer."""
    copied = json.loads(json.dumps(world))
    for endpoint in copied.get("endpoints", {"": copied.get("endpoint")}).values():
        for variant in endpoint["ProductionVariants"]:
            for count in ("CurrentInstanceCount", "DesiredInstanceCount"):
                variant[count] = min(variant[count], BLUE_INSTANCES)
    return copied


def is_green_live(lab: Lab, world: dict[str, Any]) -> bool:
    if isinstance(lab, LiveLab):
        return lab.live() == lab.names.green_endpoint
    return bool(world["endpoint"]["EndpointConfigName"] == lab.names.final_config)


def assert_nothing_else_is_left(lab: Lab, world: dict[str, Any], case: str) -> None:
    made = [name for name in world["configs"] if lab.names.rollout_id in name]
    assert made == [lab.names.final_config], case
    assert world["alarms"] == lab.before["alarms"], case
    green = "/".join(("endpoint", lab.green_place[0], "variant", lab.green_place[1]))
    # SageMaker shifts a variant that stays the same target, so there it is as somebody may have left it.
    assert green in world["scaling"] or lab.traffic == "guardrails", case


def without_theirs(world: dict[str, Any]) -> dict[str, Any]:
    left = {**world, "configs": [name for name in world["configs"] if name != "theirs"]}
    if "versions" in world:
        versions = world["versions"].items()
        left["versions"] = {number: each for number, each in versions if calls(each) != "theirs"}
    return left


def calls(version: dict[str, Any]) -> str:
    """The endpoint that a version of the function calls."""
    return str(version["Environment"]["Variables"][PLACE.variable])


def rises_after_harm(history: History) -> int:
    """How often green's share has risen since an alarm first rang."""
    if history.looks_before_harm is None:
        return 0
    seen = history.lab.shares[max(0, history.looks_before_harm - 1) :]
    return sum(later > sooner + 1e-9 for sooner, later in itertools.pairwise(seen))
