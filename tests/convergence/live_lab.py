"""The lab with two endpoints behind a live pointer."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, ClassVar

import pytest

from airflow_sm_rollout.aws.planning import plan_rollout
from airflow_sm_rollout.aws.record import read_record
from airflow_sm_rollout.aws.world import AwsWorld
from airflow_sm_rollout.core.advance import Passing, advance
from airflow_sm_rollout.core.goals import Goal, GreenDeployed, GreenShare, OnlyGreen
from airflow_sm_rollout.core.names import Names, derive_rollout_id, pointer_name
from airflow_sm_rollout.core.observation import Observation
from airflow_sm_rollout.core.plan.strategy import Step, Strategy, canary
from airflow_sm_rollout.core.rollout import Green, Plan, Rollout
from airflow_sm_rollout.sandbox.sagemaker.fleet import Variant as RunningVariant
from convergence.lab import BLUE_CONFIG, BLUE_INSTANCES, ENDPOINT, USER_ALARM, Killed, Lab

POINTER = pointer_name(ENDPOINT)
BLUE_GREEN = Strategy("blue_green", (Step(100.0, timedelta(minutes=1)),))
CLIENTS_HOLD_SECONDS = 64  # a name for 4 s, then a request for 60 s


@dataclass
class LiveLab(Lab):
    """Clients resolve ``fraud`` by the live pointer.

    :param delete_blue: whether promotion deletes blue.
    :param held: when each endpoint was last the one that clients are sent to.
    """

    traffic: ClassVar[str] = "endpoints"
    strategy: ClassVar[Strategy] = BLUE_GREEN
    delete_blue: bool = False
    held: dict[str, float] = field(default_factory=dict)

    def pointer(self) -> dict[str, Any] | None:
        """The pointer as it is, read past the API, so that looking is no call of the rollout's."""
        [parameters] = self.sandbox.services["ssm"]
        newest = parameters.newest(POINTER)  # type: ignore[attr-defined]
        return {"text": newest.value, "version": newest.number} if newest else None

    def live(self) -> str:
        """The endpoint that clients are sent to now."""
        pointer = self.pointer()
        return json.loads(pointer["text"]).get("endpoint_name", "") if pointer else ENDPOINT

    def shares_now(self) -> dict[str, float]:
        """By endpoint, what percentage of the requests clients send there now."""
        pointer = self.pointer()
        green = json.loads(pointer["text"]).get("green") if pointer else None
        second = {green["endpoint_name"]: green["share"]} if green else {}
        return {self.live(): 100.0 - sum(second.values()), **second}

    def put_pointer(self, **members: Any) -> None:
        """Somebody else writes the pointer."""
        self.clients.ssm.put_parameter(Name=POINTER, Value=json.dumps(members), Type="String", Overwrite=True)

    def watch(self) -> None:
        """Note where clients are sent, whether it has the instances, and whether all that clients may still call serve."""
        if not hasattr(self, "names"):
            return
        now, sent = self.sandbox.clock.now(), self.shares_now()
        self.held.update(dict.fromkeys(sent, now))
        self.shares.append(sent.get(self.names.green_endpoint, 0.0))
        for name, left_at in self.held.items():
            endpoint = self.sandbox.endpoints.serving(name)
            if endpoint is None and now - left_at < CLIENTS_HOLD_SECONDS:
                self.under_capacity.append(f"{name}: nobody answers")
            elif endpoint is not None and name in sent:
                count = self.capacity_of(endpoint.variants[0])
                if count < BLUE_INSTANCES * sent[name] / 100:
                    self.under_capacity.append(f"{name}: {sent[name]:g} % of the traffic on {count}")

    def capacity_of(self, variant: RunningVariant) -> int:
        """What a variant can serve with, past the API."""
        return len(variant.containers)

    def read_world(self) -> dict[str, Any]:
        sagemaker, ssm = self.clients.sagemaker, self.clients.ssm
        names = [each["EndpointName"] for each in sagemaker.list_endpoints()["Endpoints"]]
        alarms = self.clients.cloudwatch.describe_alarms(AlarmTypes=["MetricAlarm", "CompositeAlarm"])
        pointer = self.pointer()
        return {
            "endpoints": {name: self.describe_endpoint(name) for name in sorted(names)},
            "endpoint_tags": {name: self.tags("endpoint", name) for name in sorted(names)},
            "configs": sorted(c["EndpointConfigName"] for c in sagemaker.list_endpoint_configs()["EndpointConfigs"]),
            "models": sorted(m["ModelName"] for m in sagemaker.list_models()["Models"]),
            "alarms": sorted(a["AlarmName"] for a in alarms["MetricAlarms"] + alarms["CompositeAlarms"]),
            "scaling": self.describe_scaling(),
            "records": [
                p["Name"] for p in ssm.get_parameters_by_path(Path="/sm-rollout", Recursive=True)["Parameters"]
            ],
            "pointer": pointer and pointer["text"],
        }

    def tags(self, kind: str, name: str) -> list[dict[str, str]]:
        arn = f"arn:aws:sagemaker:us-east-1:123456789012:{kind}/{name}"
        return self.clients.sagemaker.list_tags(ResourceArn=arn)["Tags"]

    def is_promoted(self, after: dict[str, Any]) -> bool:
        if self.live() != self.names.green_endpoint or after["records"]:
            return False
        green, gone = self.names.final_config, self.before if self.delete_blue else {"configs": (), "models": ()}
        kept = {} if self.delete_blue else self.before["endpoints"]
        assert set(after["endpoints"]) == {*kept, self.names.green_endpoint}
        assert all(after["endpoints"][name] == endpoint for name, endpoint in kept.items())
        assert after["configs"] == sorted({*self.before["configs"], green} - set(gone["configs"]))
        assert after["models"] == sorted({*self.before["models"], self.names.model} - set(gone["models"]))
        assert after["alarms"] == self.before["alarms"]
        self.assert_green_scales_as_blue_did(after)
        return True

    @property
    def green_place(self) -> tuple[str, str]:
        return self.names.green_endpoint, "AllTraffic"

    @property
    def blue_endpoint(self) -> str:
        pointer = self.before["pointer"]
        return json.loads(pointer)["endpoint_name"] if pointer else ENDPOINT

    @property
    def keeps_blue(self) -> bool:
        return not self.delete_blue

    def plan(self) -> Rollout:
        green = Green(image="green:2", model_data_url="s3://models/green.tar.gz")
        plan = Plan(
            self.strategy,
            alarms=(USER_ALARM,),
            delete_blue=self.delete_blue,
            traffic=self.traffic,
            on_drift=self.on_drift,
            keep_blue=self.keep_blue,
        )
        while True:
            try:
                return plan_rollout(
                    self.clients, self.names, {"dag_id": "dag", "run_id": "run"}, green, plan, self.now()
                )
            except Passing:
                self.pass_time(5)

    def next_rollout(self, run: str) -> None:
        """Get ready for another rollout of the same name."""
        self.names = Names(ENDPOINT, derive_rollout_id(ENDPOINT, "dag", run))
        self.before = self.describe()
        self.calls.clear()


@dataclass
class SharedLab(LiveLab):
    """Green gets its clients share by share, and blue goes at the end."""

    strategy: ClassVar[Strategy] = canary([10, 100], bake=timedelta(minutes=1))
    delete_blue: bool = True


def deleting_blue() -> LiveLab:
    return LiveLab(delete_blue=True)


def second_rollout() -> LiveLab:
    """A rollout whose blue is the green of one before, with the pointer there from the beginning."""
    lab = deleting_blue()
    lab.run()
    lab.next_rollout("second")
    return lab


def with_pointer() -> LiveLab:
    """A rollout by shares, whose pointer is there from the beginning, and whose blue is not kept."""
    lab = SharedLab()
    lab.put_pointer(endpoint_name=ENDPOINT)
    lab.next_rollout("run")
    return lab


def count_of(lab: LiveLab, endpoint: str) -> int:
    [variant] = lab.clients.sagemaker.describe_endpoint(EndpointName=endpoint)["ProductionVariants"]
    return variant["CurrentInstanceCount"]


def scale(lab: LiveLab, endpoint: str, count: int) -> None:
    """Somebody, or autoscaling, changes an endpoint's instances."""
    lab.clients.sagemaker.update_endpoint_weights_and_capacities(
        EndpointName=endpoint,
        DesiredWeightsAndCapacities=[{"VariantName": "AllTraffic", "DesiredInstanceCount": count}],
    )


def update_by_hand(lab: LiveLab, endpoint: str) -> None:
    """Somebody else puts an endpoint on a config of theirs."""
    sagemaker = lab.clients.sagemaker
    variants = sagemaker.describe_endpoint_config(EndpointConfigName=BLUE_CONFIG)["ProductionVariants"]
    sagemaker.create_endpoint_config(EndpointConfigName="theirs", ProductionVariants=variants)
    sagemaker.update_endpoint(EndpointName=endpoint, EndpointConfigName="theirs")
    lab.pass_time(200)


def delete_endpoint(lab: LiveLab, endpoint: str) -> None:
    lab.clients.sagemaker.delete_endpoint(EndpointName=endpoint)
    lab.pass_time(100)


def world_of(lab: LiveLab) -> AwsWorld:
    return AwsWorld(lab.clients, ENDPOINT, lab.names.rollout_id, lab.now)


def step(lab: LiveLab, goal: Goal) -> object:
    """One advance, up to the next wait."""
    return advance(goal, lab.names.rollout_id, world_of(lab), lab.now() + timedelta(hours=1), lambda line: None)


def seen_by(lab: Lab, goal: Goal) -> Observation:
    return AwsWorld(lab.clients, ENDPOINT, lab.names.rollout_id, lab.now).observe(goal)


def forward_goals(lab: Lab) -> list[Goal]:
    rollout = read_record(lab.clients.ssm, ENDPOINT)
    assert rollout is not None
    return [GreenDeployed(rollout), GreenShare(100), OnlyGreen()]


def begin_promotion(lab: LiveLab) -> None:
    """Killed right after the promotion was noted and the first thing deleted."""
    lab.run(until=3)
    lab.pass_time(100)

    def hook(service: str, operation: str, phase: str) -> None:
        if operation.startswith("Delete") and phase == "after":
            lab.hook = None
            raise Killed

    lab.hook = hook
    with pytest.raises(Killed):
        lab.reach(OnlyGreen())


def serverless() -> LiveLab:
    """Clients call an endpoint without instances."""
    lab = LiveLab()
    variant = {
        "VariantName": "AllTraffic",
        "ModelName": "fraud-v1",
        "ServerlessConfig": {"MemorySizeInMB": 2048, "MaxConcurrency": 5},
    }
    lab.clients.sagemaker.create_endpoint_config(EndpointConfigName="serverless", ProductionVariants=[variant])
    lab.clients.sagemaker.create_endpoint(EndpointName="fraud-serverless", EndpointConfigName="serverless")
    lab.pass_time(200)
    lab.put_pointer(endpoint_name="fraud-serverless")
    lab.next_rollout("run")
    return lab


def delete_alarm(lab: LiveLab) -> None:
    lab.clients.cloudwatch.delete_alarms(AlarmNames=[USER_ALARM])


MAKERS = [LiveLab, deleting_blue, second_rollout]
