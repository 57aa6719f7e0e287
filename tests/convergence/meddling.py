"""What others delete, change or forbid: each thing that a rollout stands on, at every moment between two of its calls, on each way out.

A rollout goes through its group's tasks; one that fails is followed by ``settle``, which knows the plan and nothing else. All of it::

    PYTHONPATH=.:tests python -m convergence.meddling

walks every case and prints its counts; the tests walk a part.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import random
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Any

from botocore.exceptions import ClientError

from airflow_sm_rollout.core.errors import RolloutError
from airflow_sm_rollout.core.goals import AsBefore
from airflow_sm_rollout.core.names import pointer_name
from airflow_sm_rollout.core.rollout import Rollout
from airflow_sm_rollout.sandbox.faults import Fault
from convergence import lab as labs
from convergence.deploy_lab import DeployLab
from convergence.direct import direct_clients
from convergence.guardrails_lab import GuardrailsLab
from convergence.lab import BLUE_CONFIG, BLUES_TARGET, ENDPOINT, SCALES, USER_ALARM, Killed, Lab
from convergence.lambda_lab import PLACE, LambdaLab
from convergence.live_lab import LiveLab, SharedLab
from convergence.walk import Sites

Make = Callable[[], Lab]
PATIENCE = timedelta(hours=2)  # settle's, by default
TELLS_WITHIN = timedelta(minutes=5)  # of the answer that shows it
AWS_SAYS = "AWS says: "
EXITS = ("goes on", "is killed")


class Impossible(BaseException):
    """There is nothing to meddle with at this moment."""


@dataclass(frozen=True)
class Meddling:
    """What somebody else does.

    :param differs: the parts of the world that may be otherwise afterwards, since nobody can know what was there.
    :param may_stay: whether green may keep its traffic: where going back would overwrite what somebody has done on purpose.
    """

    name: str
    act: Callable[[Lab], object]
    differs: tuple[str, ...] = ()
    may_stay: bool = False


def delete_config(which: str) -> Callable[[Lab], object]:
    return lambda lab: lab.clients.sagemaker.delete_endpoint_config(
        EndpointConfigName=BLUE_CONFIG if which == "blue" else getattr(lab.names, f"{which}_config")
    )


def delete_model(which: str) -> Callable[[Lab], object]:
    return lambda lab: lab.clients.sagemaker.delete_model(ModelName="fraud-v1" if which == "blue" else lab.names.model)


def put_theirs(endpoint: str) -> Callable[[Lab], object]:
    """Somebody puts an endpoint on a config of theirs."""

    def act(lab: Lab) -> None:
        sagemaker, name = lab.clients.sagemaker, ENDPOINT if endpoint == "blue" else lab.names.green_endpoint
        [variant] = sagemaker.describe_endpoint_config(EndpointConfigName=BLUE_CONFIG)["ProductionVariants"]
        sagemaker.create_endpoint_config(EndpointConfigName="theirs", ProductionVariants=[variant])
        sagemaker.update_endpoint(EndpointName=name, EndpointConfigName="theirs")

    return act


def write(parameter: str, value: str) -> Callable[[Lab], object]:
    def act(lab: Lab) -> None:
        name = lab.names.record if parameter == "record" else pointer_name(ENDPOINT)
        lab.clients.ssm.get_parameter(Name=name)  # it has to be there
        lab.clients.ssm.put_parameter(Name=name, Value=value, Overwrite=True, Type="String")

    return act


def delete_parameter(parameter: str) -> Callable[[Lab], object]:
    return lambda lab: lab.clients.ssm.delete_parameter(
        Name=lab.names.record if parameter == "record" else pointer_name(ENDPOINT)
    )


def retag(lab: Lab) -> None:
    arn = lab.clients.sagemaker.describe_endpoint(EndpointName=ENDPOINT)["EndpointArn"]
    lab.clients.sagemaker.add_tags(ResourceArn=arn, Tags=[{"Key": "cost", "Value": "43"}])


def delete_policy(lab: Lab) -> None:
    lab.clients.autoscaling.delete_scaling_policy(PolicyName="cpu", ResourceId=BLUES_TARGET, **SCALES)


def of_lambda(lab: Lab) -> LambdaLab:
    if not isinstance(lab, LambdaLab):
        raise Impossible
    return lab


def delete_version(whose: str) -> Callable[[Lab], object]:
    def act(lab: Lab) -> None:
        named = ENDPOINT if whose == "blue" else lab.names.green_endpoint
        version = of_lambda(lab).version_of(named)
        if version is None:
            raise Impossible
        lab.clients.functions.delete_function(FunctionName=PLACE.function, Qualifier=version)

    return act


def change_latest(lab: Lab) -> None:
    told = lab.clients.functions.get_function_configuration(FunctionName=PLACE.function)
    variables = {**told["Environment"]["Variables"], "LEVEL": "debug"}
    lab.clients.functions.update_function_configuration(
        FunctionName=PLACE.function, Environment={"Variables": variables}
    )


def deny(times: int) -> Callable[[Lab], object]:
    return lambda lab: lab.sandbox.faults.add(Fault("denied", "*", times=times))


MEDDLINGS: tuple[Meddling, ...] = (
    Meddling("the record is deleted", delete_parameter("record")),
    Meddling("the record is spoilt", write("record", "{}"), ("records",), may_stay=True),
    Meddling("the mixed config is deleted", delete_config("mixed")),
    Meddling("green's config is deleted", delete_config("final"), ("configs",)),
    Meddling("blue's config is deleted", delete_config("blue"), ("configs",)),
    Meddling("blue's model is deleted", delete_model("blue"), ("models",), may_stay=True),
    Meddling("green's model is deleted", delete_model("green"), ("models",)),
    Meddling(
        "the user's alarm is deleted",
        lambda lab: lab.clients.cloudwatch.delete_alarms(AlarmNames=[USER_ALARM]),
        ("alarms",),
    ),
    Meddling(
        "its own alarm is deleted", lambda lab: lab.clients.cloudwatch.delete_alarms(AlarmNames=[lab.names.error_alarm])
    ),
    Meddling(
        "blue's target is deregistered",
        lambda lab: lab.clients.autoscaling.deregister_scalable_target(ResourceId=BLUES_TARGET, **SCALES),
        ("scaling",),
    ),
    Meddling("blue's policy is deleted", delete_policy, ("scaling",)),
    Meddling("the endpoint's tags are changed", retag, ("endpoint_tags",)),
    Meddling(
        "blue's endpoint is put on another config",
        put_theirs("blue"),
        ("endpoint", "endpoints", "configs"),
        may_stay=True,
    ),
    Meddling("green's endpoint is put on another config", put_theirs("green"), ("endpoints", "configs"), may_stay=True),
    Meddling(
        "blue's endpoint is deleted",
        lambda lab: lab.clients.sagemaker.delete_endpoint(EndpointName=ENDPOINT),
        ("endpoint", "endpoints", "endpoint_tags", "scaling"),
    ),
    Meddling(
        "green's endpoint is deleted",
        lambda lab: lab.clients.sagemaker.delete_endpoint(EndpointName=lab.names.green_endpoint),
        ("endpoints", "endpoint_tags"),
    ),
    Meddling("the pointer is deleted", delete_parameter("pointer"), ("pointer",), may_stay=True),
    Meddling(
        "the pointer names another endpoint",
        write("pointer", json.dumps({"endpoint_name": "theirs"})),
        ("pointer",),
        may_stay=True,
    ),
    Meddling(
        "the alias is deleted",
        lambda lab: lab.clients.functions.delete_alias(FunctionName=PLACE.function, Name=PLACE.alias),
        ("alias",),
    ),
    Meddling(
        "the alias calls a version of somebody's",
        lambda lab: of_lambda(lab).put_pointer(endpoint_name="theirs"),
        ("alias", "versions"),
        may_stay=True,
    ),
    Meddling("green's version is deleted", delete_version("green")),
    Meddling("blue's version is deleted", delete_version("blue"), ("alias", "versions")),
    Meddling("the unpublished function is changed", change_latest, ("versions",)),
    Meddling(
        "the function is deleted",
        lambda lab: lab.clients.functions.delete_function(FunctionName=PLACE.function),
        ("alias", "versions"),
        may_stay=True,
    ),
    Meddling("a call is denied", deny(1)),
    Meddling("ten calls are denied", deny(10)),
    Meddling("all calls are denied from now on", deny(1_000_000), may_stay=True),
)


@dataclass
class Case:
    """One meddling, right before one call."""

    lab: Lab
    meddling: Meddling
    at: int
    exit: str
    count: int = -1
    happened: bool = False
    ended: str = ""
    reason: str = ""
    planned: Rollout | None = None
    settled_in: timedelta = timedelta()
    told_in: timedelta | None = None

    def __call__(self, service: str, operation: str, phase: str) -> None:
        self.count += phase == "before"
        if phase != "before" or self.count != self.at:
            return
        self.lab.is_test_looking = True
        try:
            self.meddling.act(self.lab)
            self.happened = True
        except ClientError:
            raise Impossible from None
        finally:
            self.lab.is_test_looking = False
        if self.exit == "is killed":
            raise Killed

    def run(self) -> None:
        self.lab.hook = self
        with contextlib.suppress(Impossible):
            self._run()
            return
        self.lab.hook = None

    def _run(self) -> None:
        with contextlib.suppress(RolloutError, Killed):
            self.planned = self.lab.plan()
            for task in self.lab.tasks():
                task()
        while not self.ended:
            with contextlib.suppress(Killed):  # a killed task is tried again
                self.settle()
        self.lab.hook = None
        self.lab.sandbox.faults.clear()
        self.lab.pass_time(300)

    def settle(self) -> None:
        began, lines = self.lab.now(), len(self.lab.told)
        try:
            done = self.lab.reach(AsBefore(self.planned), PATIENCE)
            self.ended, self.reason = done.as_dict()["outcome"], done.reason
        except RolloutError as error:
            self.ended, self.reason = "not settled", str(error)
        self.settled_in = self.lab.now() - began
        said = zip(self.lab.told[lines:], self.lab.told_at[lines:], strict=True)
        self.told_in = next((at - began for line, at in said if cause_of(self.reason) in line), None)

    @property
    def name(self) -> str:
        when = f"before call {self.at}, and the run {self.exit}"
        return f"{type(self.lab).__name__}: {self.meddling.name} {when}: {self.ended}: {self.reason}"


def cause_of(reason: str) -> str:
    """What a reason ends by: AWS's words, if it has given any."""
    return reason.rpartition(AWS_SAYS)[2].rstrip(").") if AWS_SAYS in reason else reason.rpartition("; ")[2]


def check(case: Case) -> None:
    """The promises: promoted, or as before but for what was meddled with, or not settled and the reason said; never a green left alone."""
    lab, meddling = case.lab, case.meddling
    world = but_for(meddling, read(lab))
    if case.ended == "as_before":
        assert world == but_for(meddling, lab.before), case.name
    if case.ended == "not settled":
        assert len(case.reason) > 40, case.name
        told_in = min(case.settled_in, PATIENCE if case.told_in is None else case.told_in)
        # AWS may take its time until it gives a reason; then it is told with the next look.
        assert told_in <= TELLS_WITHIN or (case.told_in and AWS_SAYS in case.reason), f"{case.name}: told in {told_in}"
        goes_on = meddling.may_stay or read(lab).get("endpoints") == {}  # nobody is left to go back to
        assert goes_on or green_share(lab) == 0, f"{case.name}: green is left with {green_share(lab)} %"
    if case.ended == "promoted":
        assert green_share(lab) == 100 or {"endpoint", "pointer", "alias"} & set(meddling.differs), case.name
        assert not world.get("records"), case.name


def read(lab: Lab) -> dict[str, Any]:
    """The world; of an endpoint that is gone nothing."""
    try:
        return lab.describe()
    except ClientError:
        return {}


def but_for(meddling: Meddling, world: dict[str, Any]) -> dict[str, Any]:
    if "endpoint" in meddling.differs:
        return {"records": world.get("records", [])}
    return {part: told for part, told in world.items() if part not in meddling.differs}


def green_share(lab: Lab) -> float:
    """Green's share of the requests at this moment, in percent."""
    lab.shares.clear()
    lab.watch()
    return lab.shares[-1] if lab.shares else 0.0


@cache
def moments(make: Make) -> list[int]:
    """Numbers of an undisturbed rollout's calls, without those that are the same call in the same world."""
    lab = make()
    lab.hook = sites = Sites(lab)
    planned = lab.plan()
    for task in lab.tasks():
        task()
    lab.reach(AsBefore(planned))
    return sorted(sites.reads + sites.writes)


LABS: tuple[Make, ...] = (Lab, LiveLab, SharedLab, LambdaLab, DeployLab, GuardrailsLab)


def cases(make: Make) -> list[tuple[Meddling, int, str]]:
    return [(each, at, way_out) for each in MEDDLINGS for at in moments(make) for way_out in EXITS]


def sample(make: Make, size: int, seed: int) -> list[tuple[Meddling, int, str]]:
    """Some of the cases, the same for the same seed."""
    return random.Random(seed).sample(cases(make), size)


def walk(make: Make, chosen: list[tuple[Meddling, int, str]]) -> Iterator[Case]:
    """Walk cases; those that AWS does not let happen at that moment are left out."""
    for meddling, at, way_out in chosen:
        case = Case(make(), meddling, at, way_out)
        case.run()
        if case.happened:
            check(case)
            yield case


def main() -> None:
    """Walk all cases, or some of some labs."""
    by_name = {make.__name__: make for make in LABS}
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("labs", nargs="*", default=list(by_name), metavar="LAB", help=", ".join(by_name))
    parser.add_argument("--size", type=int, help="so many cases of each lab, by default all")
    parser.add_argument("--seed", type=int, default=0, help="which cases these are")
    asked = parser.parse_args()
    labs.clients_of = direct_clients
    logging.disable()  # what the sandbox can't store is no news here
    for name in asked.labs:
        print(walk_some(by_name[name], asked.size, asked.seed), flush=True)


def walk_some(make: Make, size: int | None, seed: int) -> str:
    """Walk cases of a lab, print those that are broken, and count."""
    chosen = cases(make) if size is None else sample(make, size, seed)
    ends: Counter[str] = Counter()
    broken = 0
    for one in chosen:
        try:
            ends.update(case.ended for case in walk(make, [one]))
        except AssertionError as error:
            broken += 1
            print(f"BROKEN {error}"[:600], flush=True)
    possible = sum(ends.values()) + broken
    return f"{make.__name__}: {len(chosen)} of {len(cases(make))} cases, {possible} possible: {dict(ends)}; {broken} broken"


if __name__ == "__main__":
    sys.exit(main())
