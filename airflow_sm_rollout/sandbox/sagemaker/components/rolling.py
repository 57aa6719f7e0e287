"""A rolling update in progress: SageMaker replaces copies batch by batch, watches alarms, and goes back if one rings.

A batch is started, takes requests when it is healthy, and as many old copies go. Then it bakes. What AWS tells of an update
that it rolled back is not recorded: here it is the old specification and, unless a fault has it otherwise, a FailureReason.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from airflow_sm_rollout.sandbox.sagemaker.components.component import Component
from airflow_sm_rollout.sandbox.sagemaker.components.policy import Policy
from airflow_sm_rollout.sandbox.sagemaker.fleet import Variant
from airflow_sm_rollout.sandbox.sagemaker.provisioning import Order, Provisioner
from airflow_sm_rollout.sandbox.sagemaker.region import Region
from airflow_sm_rollout.sandbox.sagemaker.shifting import ALARMED, LOOKS_PER_ACTION, TIMED_OUT, Alarms

OPERATION = "UpdateInferenceComponent"
NOT_BACK = "{reason} The rollback could not be completed: {why}"


class Rolling:
    """Replaces a component's copies by those of another specification, by a policy.

    The policy's waits are kept as they are; only AWS's own times can be hurried. Alarms are looked at while a batch bakes.
    """

    def __init__(
        self, region: Region, provisioner: Provisioner, alarms: Alarms, component: Component, policy: Policy
    ) -> None:
        self._region = region
        self._provisioner = provisioner
        self._alarms = alarms
        self._component = component
        self._policy = policy
        self._over = False

    def begin(self, incoming: Variant, desired: int) -> None:
        """Start the first batch; all else follows on the schedule.

        :param desired: copies that the component is to have in the end.
        """
        component, now = self._component, self._region.now()
        self._old, self._new = component.copies, incoming
        if component.incoming is not None:  # left by a rollback that could not be completed
            self._old.containers += component.incoming.containers
        self._before = len(self._old.containers)
        self._desired_before, self._desired = component.desired_count, desired
        component.incoming, component.desired_count = incoming, desired
        component.enter("Updating", now)
        self._launch(now)
        seconds = self._policy.timeout
        if seconds is not None:
            self._at(now + seconds, lambda when: self._roll_back(when, TIMED_OUT.format(seconds=seconds)))

    def _at(self, when: float, callback: Callable[[float], None]) -> None:
        """Schedule what is to happen unless the update is over by then."""
        self._region.schedule.at(when, lambda due: None if self._over else callback(due))

    def _launch(self, when: float) -> None:
        count = min(self._policy.batch, self._desired - len(self._new.containers))
        if count <= 0:
            self._complete(when)
            return
        seconds = self._region.timings.launch_copies
        self._provisioner.fill(Order(OPERATION, [(self._new, count)], seconds, self._bake, self._fail))

    def _bake(self, when: float) -> None:
        if self._over:
            # It was given up while the batch was started.
            if self._component.incoming is not self._new:
                self._new.drop_containers(keep=0)
            return
        left = 1 - len(self._new.containers) / self._desired
        self._old.drop_containers(keep=math.ceil(self._before * left - 1e-9))
        self._watch(when, when + self._policy.wait)

    def _watch(self, when: float, until: float) -> None:
        act_after = self._region.timings.act_on_alarm
        since = {name: self._alarms.ringing_since(name) for name in self._policy.alarms}
        ringing = [name for name, moment in since.items() if moment is not None and moment + act_after <= when]
        if ringing:
            self._roll_back(when, ALARMED.format(names=", ".join(ringing)))
        elif when >= until:
            self._launch(when)
        else:
            self._at(min(when + act_after / LOOKS_PER_ACTION, until), lambda due: self._watch(due, until))

    def _complete(self, when: float) -> None:
        self._over = True
        component = self._component
        self._old.drop_containers(keep=0)
        component.copies, component.incoming, component.failure_reason = self._new, None, None
        component.enter("InService", when)

    def _fail(self, when: float, reason: str) -> None:
        if not self._over:
            self._roll_back(when, reason)

    def _roll_back(self, when: float, reason: str) -> None:
        self._over = True
        self._reason = reason
        self._component.desired_count = self._desired_before
        self._put_back(when)

    def _put_back(self, when: float) -> None:
        missing = self._before - len(self._old.containers)
        if missing <= 0:
            self._restored(when)
            return
        order = [(self._old, min(self._policy.rollback_batch or missing, missing))]
        seconds = self._region.timings.launch_copies
        self._provisioner.fill(Order(OPERATION, order, seconds, self._batch_back, self._stuck))

    def _batch_back(self, when: float) -> None:
        left = 1 - len(self._old.containers) / self._before
        self._new.drop_containers(keep=min(len(self._new.containers), math.ceil(self._desired * left - 1e-9)))
        self._put_back(when)

    def _restored(self, when: float) -> None:
        component = self._component
        self._new.drop_containers(keep=0)
        component.incoming = None
        told = self._provisioner.told_reason(OPERATION, component.failure_reason, self._reason)
        component.failure_reason = told
        is_well = self._provisioner.end_of_rollback(OPERATION) == "InService"
        component.enter("InService" if is_well else "Failed", when)

    def _stuck(self, when: float, why: str) -> None:
        """Old copies and new ones remain: its statuses have nothing between InService and Failed."""
        self._component.failure_reason = NOT_BACK.format(reason=self._reason, why=why)
        self._component.enter("Failed", when)
