"""The lab with two endpoints behind a live pointer."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from airflow_sm_rollout.aws.planning import plan_rollout
from airflow_sm_rollout.core.advance import Passing
from airflow_sm_rollout.core.goals import GreenDeployed, GreenShare, OnlyGreen
from airflow_sm_rollout.core.names import Names, derive_rollout_id, pointer_name
from airflow_sm_rollout.core.rollout import Green, Plan, Rollout
from airflow_sm_rollout.core.strategy import Step, Strategy
from convergence.lab import BLUE_INSTANCES, ENDPOINT, USER_ALARM, Lab

POINTER = pointer_name(ENDPOINT)
BLUE_GREEN = Strategy("blue_green", (Step(100.0, timedelta(minutes=1)),))
CLIENTS_HOLD_SECONDS = 64  # a name for 4 s, then a request for 60 s


@dataclass
class LiveLab(Lab):
    """Clients resolve ``fraud`` by the live pointer.

    :param delete_blue: whether promotion deletes blue.
    :param held: when each endpoint was last the one that clients are sent to.
    """

    delete_blue: bool = False
    held: dict[str, float] = field(default_factory=dict)

    def pointer(self) -> dict[str, Any] | None:
        """The pointer as it is, read past the API, so that looking is no call of the rollout's."""
        [parameters] = self.sandbox.services["ssm"]
        versions = parameters._versions.get(POINTER)  # type: ignore[attr-defined]
        return {"text": versions[-1].value, "version": versions[-1].number} if versions else None

    def live(self) -> str:
        """The endpoint that clients are sent to now."""
        pointer = self.pointer()
        return json.loads(pointer["text"]).get("endpoint_name", "") if pointer else ENDPOINT

    def put_pointer(self, **members: Any) -> None:
        """Somebody else writes the pointer."""
        self.clients.ssm.put_parameter(Name=POINTER, Value=json.dumps(members), Type="String", Overwrite=True)

    def watch(self) -> None:
        """Note where clients are sent, whether it has the instances, and whether all that clients may still call serve."""
        if not hasattr(self, "names"):
            return
        now, live = self.sandbox.clock.now(), self.live()
        self.held[live] = now
        self.shares.append(100.0 if live == self.names.green_endpoint else 0.0)
        for name, left_at in self.held.items():
            endpoint = self.sandbox.endpoints.serving(name)
            if endpoint is None and now - left_at < CLIENTS_HOLD_SECONDS:
                self.under_capacity.append(f"{name}: nobody answers")
            elif endpoint is not None and name == live and len(endpoint.variants[0].containers) < BLUE_INSTANCES:
                self.under_capacity.append(f"{name}: all traffic on {len(endpoint.variants[0].containers)}")

    def describe(self) -> dict[str, Any]:
        sagemaker, ssm = self.clients.sagemaker, self.clients.ssm
        hook, self.hook = self.hook, None
        names = [each["EndpointName"] for each in sagemaker.list_endpoints()["Endpoints"]]
        alarms = self.clients.cloudwatch.describe_alarms(AlarmTypes=["MetricAlarm", "CompositeAlarm"])
        pointer = self.pointer()
        world = {
            "endpoints": {name: self.describe_endpoint(name) for name in sorted(names)},
            "endpoint_tags": {name: self.tags("endpoint", name) for name in sorted(names)},
            "configs": sorted(c["EndpointConfigName"] for c in sagemaker.list_endpoint_configs()["EndpointConfigs"]),
            "models": sorted(m["ModelName"] for m in sagemaker.list_models()["Models"]),
            "alarms": sorted(a["AlarmName"] for a in alarms["MetricAlarms"] + alarms["CompositeAlarms"]),
            "records": [
                p["Name"] for p in ssm.get_parameters_by_path(Path="/sm-rollout", Recursive=True)["Parameters"]
            ],
            "pointer": pointer and pointer["text"],
        }
        self.hook = hook
        return json.loads(json.dumps(world, default=str))

    def tags(self, kind: str, name: str) -> list[dict[str, str]]:
        arn = f"arn:aws:sagemaker:us-east-1:123456789012:{kind}/{name}"
        return self.clients.sagemaker.list_tags(ResourceArn=arn)["Tags"]

    @property
    def planned_shares(self) -> set[float]:
        return {0.0, 100.0}

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
        return True

    def plan(self) -> Rollout:
        green = Green(image="green:2", model_data_url="s3://models/green.tar.gz")
        plan = Plan(BLUE_GREEN, alarms=(USER_ALARM,), delete_blue=self.delete_blue, traffic="endpoints")
        while True:
            try:
                return plan_rollout(
                    self.clients, self.names, {"dag_id": "dag", "run_id": "run"}, green, plan, self.now()
                )
            except Passing:
                self.pass_time(5)

    def tasks(self) -> list[Callable[[], object]]:
        return [
            lambda: self.reach(GreenDeployed(self.plan())),
            lambda: self.reach(GreenShare(100)),
            lambda: self.pass_time(60),
            lambda: self.reach(OnlyGreen()),
        ]

    def next_rollout(self, run: str) -> None:
        """Get ready for another rollout of the same name."""
        self.names = Names(ENDPOINT, derive_rollout_id(ENDPOINT, "dag", run))
        self.before = self.describe()
        self.calls.clear()


def deleting_blue() -> LiveLab:
    return LiveLab(delete_blue=True)


def second_rollout() -> LiveLab:
    """A rollout whose blue is the green of one before, with the pointer there from the beginning."""
    lab = deleting_blue()
    lab.run()
    lab.next_rollout("second")
    return lab


def with_pointer() -> LiveLab:
    """A rollout whose pointer is there from the beginning, and whose blue is not kept."""
    lab = deleting_blue()
    lab.put_pointer(endpoint_name=ENDPOINT)
    lab.next_rollout("run")
    return lab
