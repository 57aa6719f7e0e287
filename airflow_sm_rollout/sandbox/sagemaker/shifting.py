"""A deployment in progress: SageMaker itself shifts traffic to the new fleet, watches alarms, and goes back if one rings.

The order of things and their times are those of two recorded canaries. DescribeEndpoint shows the old configuration until
all is done; after a rollback nothing but that, and a FailureReason that may be missing or old, tells that there was one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from airflow_sm_rollout.sandbox.sagemaker.deployment import Policy
from airflow_sm_rollout.sandbox.sagemaker.endpoint import Endpoint, Incoming, Stage
from airflow_sm_rollout.sandbox.sagemaker.provisioning import Order, Provisioner
from airflow_sm_rollout.sandbox.sagemaker.region import Region

LAUNCHING = "Launching {count} instance(s)."
ACTIVATING = "Activating traffic on canary capacity of {count} instance(s)."
# AWS says TerminationWait for a canary's bake too (documented sample).
BAKING = "Baking for {seconds:g} seconds (TerminationWaitInSeconds) with traffic enabled on {kind} capacity of {{count}} instance(s)."
ALARMED = "One or more configured alarm for automatic rollback deployment is in ALARM state: [{names}]."
TIMED_OUT = "The deployment did not complete within {seconds:g} seconds (MaximumExecutionTimeoutInSeconds)."
LOOKS_PER_ACTION = 4


class Alarms(Protocol):
    """What tells the state of alarms; CloudWatch is one."""

    def ringing_since(self, name: str) -> float | None:
        """Since when an alarm is in ALARM, in seconds since the epoch; ``None`` if it is not, or does not exist."""
        ...


class Shift:
    """Shifts an endpoint's traffic to its incoming fleet, by a policy.

    The policy's waits are kept as they are; only AWS's own times can be hurried. Alarms are looked at while a bake is
    reported and at no other time (documented), so that one may ring at the very end and be too late for SageMaker.
    """

    def __init__(
        self, region: Region, provisioner: Provisioner, alarms: Alarms, endpoint: Endpoint, policy: Policy
    ) -> None:
        self._region = region
        self._provisioner = provisioner
        self._alarms = alarms
        self._endpoint = endpoint
        self._policy = policy
        self._over = False
        self._step = -1

    def begin(self, incoming: Incoming) -> None:
        """Launch the incoming fleet; all else follows on the schedule."""
        timings, now = self._region.timings, self._region.now()
        self._incoming = incoming
        self._endpoint.incoming = incoming
        self._endpoint.enter("Updating", now)
        self._at(now + timings.deployment_summary, self._report_launch)
        additions = [(variant, variant.desired_count) for variant in incoming.variants + incoming.shadows]
        ready = lambda when: self._shift(0, when)  # noqa: E731
        self._provisioner.fill(Order("UpdateEndpoint", additions, timings.launch_fleet, ready, self._fail))
        seconds = self._policy.timeout
        if seconds is not None:
            self._at(now + seconds, lambda when: self._roll_back(when, TIMED_OUT.format(seconds=seconds)))

    def _at(self, when: float, callback: Callable[[float], None]) -> None:
        """Schedule what is to happen unless the deployment is over by then."""
        self._region.schedule.at(when, lambda due: None if self._over else callback(due))

    def _report_launch(self, when: float) -> None:
        self._incoming.stage = Stage("Creating", LAUNCHING, when, 0.0)

    def _shift(self, step: int, when: float) -> None:
        if self._over:
            # It was given up while its instances were launched.
            self._drop_incoming()
            return
        self._step = step
        timings, portion = self._region.timings, self._policy.portions[step]
        is_last = step == len(self._policy.portions) - 1
        bakes_from = when if is_last else when + timings.activate_traffic
        moves_at = bakes_from + timings.traffic_moves
        self._incoming.stage = Stage("ActivatingTraffic", ACTIVATING, when, portion)
        self._at(bakes_from, lambda due: self._bake(step, due))
        self._at(moves_at, lambda due: self._move(portion))
        if is_last:
            self._at(max(when + self._policy.termination_wait, moves_at), self._complete)
        else:
            self._at(when + self._policy.wait, lambda due: self._shift(step + 1, due))

    def _bake(self, step: int, when: float) -> None:
        if step != self._step:
            return
        policy, portion = self._policy, self._policy.portions[step]
        seconds, kind = (policy.termination_wait, "full") if portion == 1.0 else (policy.wait, "canary")
        self._incoming.stage = Stage("Baking", BAKING.format(seconds=seconds, kind=kind), when, portion)
        self._watch(step, when)

    def _watch(self, step: int, when: float) -> None:
        if step != self._step:
            return
        act_after = self._region.timings.act_on_alarm
        since = {name: self._alarms.ringing_since(name) for name in self._policy.alarms}
        ringing = [name for name, moment in since.items() if moment is not None and moment + act_after <= when]
        if ringing:
            self._roll_back(when, ALARMED.format(names=", ".join(ringing)))
        else:
            self._at(when + act_after / LOOKS_PER_ACTION, lambda due: self._watch(step, due))

    def _move(self, portion: float) -> None:
        """Let requests follow. With a short wait the next shift may have overtaken this one."""
        if portion <= self._incoming.share:
            return
        self._incoming.share = portion
        for variant in self._incoming.variants:
            variant.activate(portion)
        for variant in self._endpoint.variants:
            variant.activate(1.0 - portion)

    def _complete(self, when: float) -> None:
        self._over = True
        self._endpoint.replace_fleet(self._incoming, when)

    def _fail(self, when: float, reason: str) -> None:
        if not self._over:
            self._roll_back(when, reason)

    def _roll_back(self, when: float, reason: str) -> None:
        """LastModifiedTime is this moment (recorded), not the one at which the endpoint is InService again."""
        self._over = True
        self._endpoint.modified = when
        seconds = self._region.timings.traffic_back if self._incoming.share else 0.0
        self._region.schedule.at(when + seconds, lambda due: self._restore(reason))

    def _restore(self, reason: str) -> None:
        endpoint = self._endpoint
        endpoint.failure_reason = self._provisioner.told_reason("UpdateEndpoint", endpoint.failure_reason, reason)
        endpoint.incoming = None
        endpoint.status = self._provisioner.end_of_rollback("UpdateEndpoint")
        for variant in endpoint.variants:
            variant.activate(1.0)
        self._drop_incoming()

    def _drop_incoming(self) -> None:
        for variant in self._incoming.variants + self._incoming.shadows:
            variant.drop_containers(keep=0)
