"""What happens at one second of a rollout, at every second: an alarm, proven harm, another share, another config, a deleted pointer.

A rollout goes through its group's tasks as Airflow drives them. Each waits for its endpoint with a look every :data:`POLL` seconds, each
bake looks as often, and what fails is followed by the way back. All of it::

    PYTHONPATH=.:tests python -m convergence.blinking

walks every case and prints their counts; behind it a number, such as 13, means every 13th second. The tests walk a part.
"""

from __future__ import annotations

import contextlib
import random
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta

from botocore.exceptions import ClientError

from airflow_sm_rollout.aws.record import read_record
from airflow_sm_rollout.aws.serving import read_endpoint
from airflow_sm_rollout.aws.watch import Lookout, Memory, look
from airflow_sm_rollout.aws.world import AwsWorld
from airflow_sm_rollout.core.advance import advance
from airflow_sm_rollout.core.errors import RolloutError, RolloutGaveUp
from airflow_sm_rollout.core.goals import AsBefore, Done, Goal, GreenDeployed, GreenShare, OnlyGreen
from airflow_sm_rollout.core.plan.evidence import Evidence
from airflow_sm_rollout.core.plan.strategy import Strategy, canary, linear
from airflow_sm_rollout.core.plan.tolerances import Tolerances
from airflow_sm_rollout.core.rollout import Phase, Rollout
from airflow_sm_rollout.core.watch.sources import judged_alarms, judged_since
from airflow_sm_rollout.core.watch.verdict import Verdict
from airflow_sm_rollout.core.watch.watch import Watch
from airflow_sm_rollout.sandbox.errors import AwsError
from convergence import lab as labs
from convergence.direct import direct_clients
from convergence.guardrails_lab import GuardrailsLab
from convergence.lab import ENDPOINT, USER_ALARM, AheadLab, Lab
from convergence.lambda_lab import LambdaLab
from convergence.live_lab import LiveLab, SharedLab
from convergence.meddling import delete_parameter, green_share, put_theirs
from evidence.published import publish

POLL, BACK = 15.0, 5.0
"""Seconds between two looks, of a task as it is by default and of the way back."""
CALLS_TAKE = 5.0
"""Seconds that the calls of one look take on the lab's clock, and more: a figure may become final only then."""
AT_ONCE = Evidence(Tolerances(warm_up_minutes=0, min_bake_minutes=1), when_inconclusive="go_on")


@dataclass(frozen=True)
class Event:
    """What happens.

    :param needs_traffic: whether green must have had traffic, since otherwise it says nothing about green.
    :param periods: after how many of CloudWatch's periods it can be known.
    """

    name: str
    act: Callable[[Lab, Rollout], object]
    needs_traffic: bool = False
    periods: int = 0


def ring(lab: Lab, rollout: Rollout) -> None:
    """The alarm is over again within a minute: it has no data."""
    lab.clients.cloudwatch.set_alarm_state(AlarmName=USER_ALARM, StateValue="ALARM", StateReason="37 of 5")


def do_harm(lab: Lab, rollout: Rollout) -> None:
    """Green fails every call from now on, blue none."""
    seconds = period_of(lab)
    for number in range(2):
        at = lab.now() + timedelta(seconds=seconds * number)
        publish(lab.sandbox, rollout.green_dimensions, at, requests=60, e5=60)
        publish(lab.sandbox, rollout.blue_dimensions, at, requests=60)


def period_of(lab: Lab) -> int:
    """How often the figures come by which green is compared."""
    return 10 if lab.traffic == "variants" else 60


def move_traffic(lab: Lab, rollout: Rollout) -> None:
    shares = {rollout.blue.variant: 5.0, rollout.green_variant: 95.0}
    desired = [{"VariantName": name, "DesiredWeight": share} for name, share in shares.items()]
    lab.clients.sagemaker.update_endpoint_weights_and_capacities(
        EndpointName=ENDPOINT, DesiredWeightsAndCapacities=desired
    )


def put_on_theirs(lab: Lab, rollout: Rollout) -> None:
    put_theirs("green" if isinstance(lab, LiveLab) else "blue")(lab)


def point_elsewhere(lab: Lab, rollout: Rollout) -> None:
    """Somebody writes another share into the live pointer."""
    if not isinstance(lab, LiveLab) or rollout.green_traffic_since is None:
        raise AwsError("ValidationException", "there is no share to move yet")
    lab.put_pointer(endpoint_name=ENDPOINT, green={"endpoint_name": lab.names.green_endpoint, "share": 95})


def rewrite_alias(lab: Lab, rollout: Rollout) -> None:
    """Somebody gives green's version another share of the function's calls."""
    if not isinstance(lab, LambdaLab) or rollout.green_traffic_since is None:
        raise AwsError("ValidationException", "there is no share to move yet")
    blues, greens = (lab.version_of(name) for name in (ENDPOINT, lab.names.green_endpoint))
    lab.put_alias(FunctionVersion=blues, RoutingConfig={"AdditionalVersionWeights": {greens: 0.95}})


def put_blue_on_theirs(lab: Lab, rollout: Rollout) -> None:
    """While clients call blue; later nobody waits for it."""
    if green_share_now(lab) >= 100:
        raise AwsError("ValidationException", "clients have left it")
    put_theirs("blue")(lab)


ALARM = Event("an alarm rings", ring, needs_traffic=True)
HARM = Event("green fails", do_harm, needs_traffic=True, periods=4)
SHARE = Event("traffic is moved", move_traffic)
CONFIG = Event("the endpoint is put on another config", put_on_theirs)
BLUES = Event("blue's endpoint is put on another config", put_blue_on_theirs, needs_traffic=True)
POINTED = Event("the pointer gets another share", point_elsewhere, needs_traffic=True)
ALIAS = Event("the alias gets other weights", rewrite_alias, needs_traffic=True)
POINTER = Event("the pointer is deleted", lambda lab, rollout: delete_parameter("pointer")(lab))


@dataclass
class Second:
    """One event, at one second of a rollout.

    :ivar happened_at: when it could be known; ``None``: AWS did not let it, or it said nothing about a green with traffic.
    :ivar turned_at: when the way back began.
    :ivar free_at: when the endpoint could first be changed after the event.
    :ivar sent_at: when the first call of the way back did change it.
    """

    lab: Lab
    event: Event
    at: float
    started: float = 0.0
    stage: str = "due"
    planned: float = 0.0
    happened_at: float | None = None
    turned_at: float | None = None
    free_at: float | None = None
    sent_at: float | None = None
    allowed: float = 0.0
    seen_before: int = 0
    is_over: bool = False
    ended: str = ""
    reason: str = ""
    rollout: Rollout | None = None

    @property
    def now(self) -> float:
        return self.lab.sandbox.clock.now() - self.started

    def run(self) -> None:
        self.started, self.lab.hook = self.lab.sandbox.clock.now(), self.on_call
        try:
            self.forward()
            self.ended = "promoted"
        except RolloutError as error:
            self.reason = str(error)
            self.turned_at = self.now
            with contextlib.suppress(RolloutError):
                self.ended = self.reach(AsBefore(self.rollout)).as_dict()["outcome"]
        self.lab.hook = None

    def forward(self) -> None:
        planned = self.lab.plan()
        plan = replace(planned.plan, default_alarms=None, evidence=AT_ONCE)
        self.rollout = replace(planned, plan=plan)
        self.reach(GreenDeployed(self.rollout))
        for step in self.lab.strategy.steps if self.rollout.plan.traffic != "guardrails" else ():
            self.reach(GreenShare(step.share))
            self.bake(step.share, step.bake)
        self.reach(OnlyGreen(self.rollout))

    def reach(self, goal: Goal) -> Done:
        world = AwsWorld(self.lab.clients, ENDPOINT, self.lab.names.rollout_id, self.lab.now)
        lookout, is_back = Lookout(world), isinstance(goal, AsBefore)
        deadline = self.lab.now() + timedelta(hours=2)
        while True:
            step = advance(goal, self.lab.names.rollout_id, world, deadline, lambda line: None)
            if isinstance(step, Done):
                return step
            self.pass_time(BACK if is_back else POLL)
            if not is_back:
                lookout.heed()

    def bake(self, share: float, lasts: timedelta) -> None:
        now, record = self.lab.now(), read_record(self.lab.clients.ssm, ENDPOINT)
        if record is None:
            raise RolloutGaveUp("it was ended")
        watch = Watch(
            now, now + lasts, judged_since(record), 0, when_inconclusive="go_on", alarms=judged_alarms(record),
            rollout=record, judges_evidence=True, share=share, observes=True,
        )  # fmt: skip
        memory = Memory()
        while (judged := look(self.lab.clients, watch, self.lab.now(), memory).judgement).verdict is Verdict.WATCHING:
            self.pass_time(POLL)
        if not judged.passes:
            raise RolloutGaveUp(judged.reason)

    def pass_time(self, seconds: float) -> None:
        """Second by second, with users who meet each of them."""
        for _ in range(int(seconds)):
            self.happen()
            self.lab.pass_time(1.0)
            self.lab.watch()
            self.note_free()

    def on_call(self, service: str, operation: str, phase: str) -> None:
        if phase == "before":
            self.happen()
            self.note_free()
        elif self.turned_at is not None and self.sent_at is None and self.moves_traffic(service, operation):
            self.sent_at = self.now

    def moves_traffic(self, service: str, operation: str) -> bool:
        if isinstance(self.lab, LambdaLab):
            return operation == "UpdateAlias"
        if isinstance(self.lab, LiveLab):
            return operation == "PutParameter" and self.lab.live() != self.lab.names.green_endpoint
        return operation in ("UpdateEndpoint", "UpdateEndpointWeightsAndCapacities")

    def note_free(self) -> None:
        endpoint = self.lab.sandbox.endpoints.serving(ENDPOINT)
        is_free = isinstance(self.lab, LiveLab) or (endpoint is not None and endpoint.status == "InService")
        if self.happened_at is not None and self.free_at is None and is_free:
            self.free_at = self.now

    def happen(self) -> None:
        if self.stage == "due" and self.now >= self.at:
            self.stage = "done"
            self._quietly(self._act)
        if self.stage == "to be known" and self.now >= self.at + self.event.periods * period_of(self.lab):
            self.stage = "known"
            self._quietly(self._know)

    def _quietly(self, do: Callable[[Rollout], None]) -> None:
        self.lab.is_test_looking = True
        try:
            record = read_record(self.lab.clients.ssm, ENDPOINT)
            if record is not None:
                do(record)
        finally:
            self.lab.is_test_looking = False

    def _act(self, record: Rollout) -> None:
        if self.event.needs_traffic and judged_since(record) is None:
            return
        self.planned = self._share()
        with contextlib.suppress(ClientError, AwsError):
            self.event.act(self.lab, record)
            self.stage = "to be known"

    def _know(self, record: Rollout) -> None:
        self.is_over = self._is_over(record)
        self.happened_at, self.seen_before = self.now, len(self.lab.shares)
        self.allowed = max(self.planned if not self.event.periods else 0.0, self._share(), green_share_now(self.lab))

    def _share(self) -> float:
        """Green's share as it is, or as AWS has been asked for already and can't be stopped any more."""
        rollout = self.rollout
        endpoint = read_endpoint(self.lab.clients.sagemaker, ENDPOINT)
        if rollout is None or endpoint is None or isinstance(self.lab, LiveLab):
            return 0.0
        if rollout.plan.traffic == "guardrails":
            return 100.0 if endpoint.is_busy else 0.0
        leads_to_green = endpoint.is_busy and endpoint.variant(rollout.green_variant) is None
        return 0.0 if leads_to_green else endpoint.share(rollout.green_variant)

    def _is_over(self, record: Rollout) -> bool:
        """Whether nothing can turn the rollout around any more: green alone serves."""
        endpoint = read_endpoint(self.lab.clients.sagemaker, ENDPOINT)
        is_final = endpoint is not None and endpoint.config_name == record.names.final_config
        return record.phase is not Phase.FORWARD or is_final

    @property
    def name(self) -> str:
        where = f"{type(self.lab).__name__}, {self.lab.strategy.name}"
        return f"{where}: {self.event.name} at {self.at:g} s: {self.ended or 'not settled'}: {self.reason}"


def green_share_now(lab: Lab) -> float:
    """Green's share of the requests at this moment; what was noted before stays."""
    noted = list(lab.shares)
    share = green_share(lab)
    lab.shares[:] = noted
    return share


def check(second: Second) -> None:
    """From then on green's share never rises, and the way back begins within one look, or is sent as soon as AWS takes it."""
    happened, told = second.happened_at, second.name
    if happened is None:
        return
    after = second.lab.shares[second.seen_before :]
    assert max(after, default=0.0) <= second.allowed + 1e-6, f"{told}: {max(after):g} % after {second.allowed:g} %"
    if second.is_over:
        return
    assert second.turned_at is not None, f"{told}: it did not turn around"
    late = second.turned_at - happened
    if (
        second.event in (SHARE, CONFIG) and second.free_at is not None
    ):  # between bakes nobody can tell whose an update is
        late = min(late, second.turned_at - second.free_at)
    assert late <= POLL + CALLS_TAKE, f"{told}: it turned around {late:.1f} s later"
    if second.sent_at is not None and second.free_at is not None:
        waited = second.sent_at - max(second.turned_at, second.free_at)
        assert waited <= BACK + CALLS_TAKE, f"{told}: the way back was sent {waited:.1f} s late"
    if second.event in (ALARM, HARM):
        assert second.ended == "as_before", told


@dataclass
class Scenario:
    """A way to split traffic and a strategy, with what can happen to it."""

    make: type[Lab]
    strategy: Strategy
    events: tuple[Event, ...]

    @property
    def name(self) -> str:
        return f"{self.make.__name__}, {self.strategy.name}"

    def second(self, event: Event, at: float) -> Second:
        lab = self.make()
        lab.__dict__["strategy"] = self.strategy
        second = Second(lab, event, at)
        second.run()
        return second

    def lasts(self) -> int:
        """Seconds that it takes if nothing happens."""
        calm = self.second(ALARM, float("inf"))
        assert calm.ended == "promoted", calm.name
        return int(calm.now)


BAKE = timedelta(seconds=120)
BESIDE = (ALARM, HARM, SHARE, CONFIG)
SCENARIOS = (
    Scenario(Lab, canary([10, 50, 100], bake=BAKE), BESIDE),
    Scenario(AheadLab, linear(25, interval=BAKE), BESIDE),
    Scenario(Lab, Strategy("blue_green", canary([100], bake=3 * BAKE).steps), BESIDE),
    Scenario(LiveLab, Strategy("blue_green", canary([100], bake=3 * BAKE).steps), (ALARM, CONFIG, POINTER)),
    Scenario(SharedLab, canary([10, 50, 100], bake=BAKE), (ALARM, HARM, CONFIG, BLUES, POINTED, POINTER)),
    Scenario(LambdaLab, canary([10, 50, 100], bake=BAKE), (ALARM, HARM, CONFIG, BLUES, ALIAS)),
    # While SageMaker shifts, it refuses what anybody else asks.
    Scenario(GuardrailsLab, GuardrailsLab.strategy, (ALARM, HARM)),
)


def sample(scenario: Scenario, event: Event, count: int) -> list[int]:
    """Some of a rollout's seconds, the same each time."""
    chosen = random.Random(f"{scenario.name}, {event.name}")
    return sorted(chosen.sample(range(scenario.lasts()), count))


def main(every: int) -> None:
    """Walk all cases."""
    labs.clients_of = direct_clients
    walked = 0
    for scenario in SCENARIOS:
        ends: Counter[str] = Counter()
        lasts = scenario.lasts()
        for event in scenario.events:
            for at in range(0, lasts, every):
                second = scenario.second(event, float(at))
                ends["happened" if second.happened_at is not None else "AWS refused, or green had no traffic"] += 1
                try:
                    check(second)
                except AssertionError as error:
                    ends["broken"] += 1
                    print(f"BROKEN {error}"[:600], flush=True)
        walked += ends["happened"]
        print(f"{scenario.name}, {lasts} s: {dict(ends)}", flush=True)
    print(f"{walked} cases walked")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1)
