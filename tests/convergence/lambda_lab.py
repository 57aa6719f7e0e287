"""The lab with a Lambda function in front of two endpoints: clients call its alias."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, ClassVar

from airflow_sm_rollout.aws.planning import plan_rollout
from airflow_sm_rollout.core.advance import Passing
from airflow_sm_rollout.core.goals import AsBefore, Done, Goal, OnlyGreen
from airflow_sm_rollout.core.plan.function import FunctionAlias
from airflow_sm_rollout.core.plan.strategy import Strategy, canary
from airflow_sm_rollout.core.rollout import Green, Plan, Rollout
from airflow_sm_rollout.sandbox.functions.function import Function
from convergence.lab import ENDPOINT, ROLE, USER_ALARM
from convergence.live_lab import LiveLab

PLACE = FunctionAlias("scorer", "live", "ENDPOINT")
TIMEOUT_SECONDS = 90
_TAKES_A_CHANGE = 10  # seconds; meanwhile AWS refuses every other change of the function
_OF_THE_MOMENT = ("RevisionId", "LastModified", "ResponseMetadata")


@dataclass
class LambdaLab(LiveLab):
    """Clients call the alias ``live`` of the function ``scorer``, whose version 1 calls ``fraud``."""

    traffic: ClassVar[str] = "lambda"
    strategy: ClassVar[Strategy] = canary([10, 100], bake=timedelta(minutes=1))

    planned: Rollout | None = None

    def _put_blue_into_production(self) -> None:
        super()._put_blue_into_production()
        code = io.BytesIO()
        with zipfile.ZipFile(code, "w") as archive:
            archive.writestr("scorer.py", "")
        self.clients.functions.create_function(
            FunctionName=PLACE.function,
            Runtime="python3.12",
            Role=ROLE,
            Handler="scorer.handler",
            Code={"ZipFile": code.getvalue()},
            Timeout=TIMEOUT_SECONDS,
            Description="Scores orders",
            Environment={"Variables": {"ENDPOINT": ENDPOINT, "LEVEL": "info"}},
            Publish=True,
        )
        self.clients.functions.create_alias(
            FunctionName=PLACE.function, Name=PLACE.alias, FunctionVersion="1", Description="what clients call"
        )

    def function(self) -> Function:
        """The function as it is, read past the API, so that looking is no call of the rollout's."""
        return self.sandbox.services["lambda"][0]._functions[PLACE.function]  # type: ignore[attr-defined]

    def endpoint_of(self, number: str) -> str:
        """The endpoint that a version calls."""
        version = self.function().version(number)
        assert version is not None, number
        return str(version.settings["Environment"]["Variables"]["ENDPOINT"])

    def version_of(self, endpoint: str) -> str | None:
        """The first version that calls an endpoint; ``None``: none does."""
        published = self.function().published if self.stands() else {}
        return next((number for number in published if self.endpoint_of(number) == endpoint), None)

    def put_pointer(self, **members: Any) -> None:
        """Somebody else lets the alias call a version of theirs, and leaves the unpublished function as it was."""
        functions, name = self.clients.functions, PLACE.function
        self.pass_time(_TAKES_A_CHANGE)
        before = functions.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
        self._change_function({**before, PLACE.variable: members["endpoint_name"]})
        number = functions.publish_version(FunctionName=name)["Version"]
        self._change_function(before)
        self.put_alias(FunctionVersion=number, RoutingConfig={"AdditionalVersionWeights": {}})

    def _change_function(self, variables: dict[str, str]) -> None:
        self.clients.functions.update_function_configuration(
            FunctionName=PLACE.function, Environment={"Variables": variables}
        )
        self.pass_time(_TAKES_A_CHANGE)

    def live(self) -> str:
        return self.endpoint_of(self.function().aliases[PLACE.alias].version)

    def shares_now(self) -> dict[str, float]:
        if not self.has_alias():
            return {}
        weights = self.function().aliases[PLACE.alias].weights
        second = {self.endpoint_of(number): 100 * weight for number, weight in weights.items()}
        return {self.live(): 100.0 - sum(second.values()), **second}

    def put_alias(self, **members: Any) -> None:
        """Somebody else writes the alias."""
        self.clients.functions.update_alias(FunctionName=PLACE.function, Name=PLACE.alias, **members)

    def read_world(self) -> dict[str, Any]:
        functions = self.clients.functions
        listed = functions.list_versions_by_function(FunctionName=PLACE.function)["Versions"] if self.stands() else []
        alias = functions.get_alias(FunctionName=PLACE.function, Name=PLACE.alias) if self.has_alias() else {}
        return {
            **super().read_world(),
            "versions": {each["Version"]: without(each) for each in listed},
            "alias": without(alias),
            "provisioned": self.provisioned() if self.stands() else {},
        }

    def provisioned(self) -> dict[str, int]:
        """What is provisioned, by alias or number."""
        told = self.clients.functions.list_provisioned_concurrency_configs(FunctionName=PLACE.function)
        return {
            each["FunctionArn"].rpartition(":")[2]: each["RequestedProvisionedConcurrentExecutions"]
            for each in told["ProvisionedConcurrencyConfigs"]
        }

    def stands(self) -> bool:
        """Whether nobody has deleted the function."""
        return PLACE.function in self.sandbox.services["lambda"][0]._functions  # type: ignore[attr-defined]

    def has_alias(self) -> bool:
        """Whether nobody has deleted the alias."""
        return self.stands() and PLACE.alias in self.function().aliases

    @property
    def blue_endpoint(self) -> str:
        return str(
            self.before["versions"][self.before["alias"]["FunctionVersion"]]["Environment"]["Variables"]["ENDPOINT"]
        )

    def is_promoted(self, after: dict[str, Any]) -> bool:
        """As with two endpoints; and one version more, blue's but for the endpoint, as ``$LATEST`` is, too."""
        if not super().is_promoted(after):
            return False
        number = after["alias"]["FunctionVersion"]
        assert "RoutingConfig" not in after["alias"]
        assert after["alias"]["Description"].endswith(" | what clients call")
        assert after["versions"].keys() - self.before["versions"].keys() == {number}
        blue = self.before["versions"][self.before["alias"]["FunctionVersion"]]
        for each in (number, "$LATEST"):
            variables = {"ENDPOINT": self.names.green_endpoint, "LEVEL": "info"}
            told = {name: after["versions"][each][name] for name in blue if name not in _OF_ONE}
            assert told == {**{name: value for name, value in blue.items() if name not in _OF_ONE}}
            assert after["versions"][each]["Environment"] == {"Variables": variables}
        return True

    def plan(self) -> Rollout:
        green = Green(image="green:2", model_data_url="s3://models/green.tar.gz")
        plan = Plan(
            self.strategy,
            alarms=(USER_ALARM,),
            delete_blue=self.delete_blue,
            traffic=self.traffic,
            on_drift=self.on_drift,
            keep_blue=self.keep_blue,
            function=PLACE,
        )
        owner = {"dag_id": "dag", "run_id": "run"}
        while True:
            try:
                planned = plan_rollout(self.clients, self.names, owner, green, plan, self.now())
            except Passing:
                self.pass_time(5)
            else:
                self.planned = planned
                return planned

    def reach(self, goal: Goal, patience: timedelta = timedelta(hours=4)) -> Done:
        """As the operators, whose goals know the plan: once there is no record, only a plan names the function."""
        if isinstance(goal, (AsBefore, OnlyGreen)) and goal.rollout is None:
            goal = replace(goal, rollout=self.planned)
        return super().reach(goal, patience)

    def next_rollout(self, run: str) -> None:
        super().next_rollout(run)
        self.planned = None


_OF_ONE = ("Version", "FunctionArn", "Description", "Environment", *_OF_THE_MOMENT)


@dataclass
class DeletingLambdaLab(LambdaLab):
    """Blue is not kept."""

    delete_blue: bool = True


class Warm(LambdaLab):
    """Blue's version has provisioned concurrency."""

    def _put_blue_into_production(self) -> None:
        super()._put_blue_into_production()
        self.provision("1", 3)
        self.pass_time(120)

    def provision(self, qualifier: str, count: int) -> None:
        self.clients.functions.put_provisioned_concurrency_config(
            FunctionName=PLACE.function, Qualifier=qualifier, ProvisionedConcurrentExecutions=count
        )


@dataclass
class WarmLambdaLab(Warm, DeletingLambdaLab):
    """Blue is not kept."""


def second_lambda_rollout() -> LambdaLab:
    """A rollout whose blue is the green of one before."""
    lab = DeletingLambdaLab()
    lab.run()
    lab.next_rollout("second")
    return lab


def without(told: dict[str, Any]) -> dict[str, Any]:
    """What AWS tells, but for what no rollback can restore."""
    return json.loads(json.dumps({name: value for name, value in told.items() if name not in _OF_THE_MOMENT}))


MAKERS = [LambdaLab, DeletingLambdaLab, second_lambda_rollout, WarmLambdaLab]
