"""The ways to split traffic: what differs between them, read side by side. Their rules stand in the tables of the convergence.

Nothing else asks which way a rollout takes: it asks the way's object.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar

from airflow_sm_rollout.core import appspec, deployment_config, rolling_update
from airflow_sm_rollout.core.errors import PlanError
from airflow_sm_rollout.core.kinds import ASYNCHRONOUS, SERVERLESS
from airflow_sm_rollout.core.plan.deployment import CODEDEPLOY
from airflow_sm_rollout.core.plan.options import parse_text
from airflow_sm_rollout.core.pointer import share_on_green
from airflow_sm_rollout.core.scaling import why_not_carried

if TYPE_CHECKING:
    from airflow_sm_rollout.core.observation import Observation
    from airflow_sm_rollout.core.plan.strategy import Strategy
    from airflow_sm_rollout.core.rollout import Plan, Rollout


_WITH_TWO = "traffic='endpoints' and 'lambda' can"


class Traffic:
    """One way to split traffic. What is said here holds unless a way says otherwise."""

    name: ClassVar[str]
    """What users call it: the option ``traffic``."""
    has_pointer: ClassVar[bool] = False
    """Whether clients follow a live pointer, and green is an endpoint of its own."""
    is_shifted_by_aws: ClassVar[bool] = False
    """Whether AWS takes the plan's steps itself, inside the promotion. It looks at alarms only then, and asks nobody."""
    gives_any_share: ClassVar[bool] = False
    """Whether green can have any share at any time."""
    has_shadow: ClassVar[bool] = False
    """Whether green can have copies of requests before it has a share."""
    has_one_config: ClassVar[bool] = False
    """Whether both are variants of one endpoint config, which says how often both publish their metrics."""
    untaken: ClassVar[Mapping[str, str]] = MappingProxyType(
        {
            SERVERLESS: f"which AWS allows one variant only; {_WITH_TWO}",
            ASYNCHRONOUS: f"and its one queue has no weights; {_WITH_TWO}",
        }
    )
    """The kinds of endpoint that blue can't be, each with why and what can, as a relative clause."""
    split_tolerance: ClassVar[float | None] = None
    """By what factor the odds of green's calls may differ from those of its share; ``None``: nobody knows its share of the calls."""
    turns_while_busy: ClassVar[bool] = False
    """Whether a way back has something to do while an endpoint is being changed."""
    shifter: ClassVar[str] = "the rollout"
    """Who takes the plan's steps."""
    means: ClassVar[str] = "weights"
    """By what."""
    longest_shift: ClassVar[timedelta] = timedelta()
    """How long AWS may take for all steps, where it takes them."""
    launches_with_shift: ClassVar[bool] = False
    """Whether green has no instance before the shift begins."""
    shifted_by: ClassVar[Mapping[str, str]] = {}
    """Which way it is where somebody else shifts: by the option ``shift_by``."""
    has_function: ClassVar[bool] = False
    """Whether clients call a Lambda function, whose alias is the live pointer."""
    has_deployment: ClassVar[bool] = False
    """Whether CodeDeploy shifts that alias."""
    config_word: ClassVar[str] = "config"
    """What says which model serves."""
    has_component: ClassVar[bool] = False
    """Whether what is rolled out is an inference component, whose specification takes the place of a config. Old and new copies publish
    under one name then, so that no figure is green's alone."""
    shows_promotion: ClassVar[bool] = False
    """Whether the endpoint's config says that green was promoted; otherwise only the record does."""

    def green_endpoint(self, rollout: Rollout) -> str:
        """The endpoint that green serves from, and under which its metrics are published."""
        return rollout.endpoint_name

    def green_variant(self, rollout: Rollout) -> str:
        """Green's variant."""
        return rollout.blue.variant

    def dimensions(self, endpoint: str, variant: str, config: str) -> Mapping[str, str]:
        """The CloudWatch dimensions that are one side's alone, by its names."""
        return {"EndpointName": endpoint, "VariantName": variant}

    def green_labels(self, rollout: Rollout) -> Mapping[str, frozenset[str]]:
        """What a figure that holds green's is labelled with: its endpoint, its variant, its config, its component."""
        configs = frozenset((rollout.names.mixed_config, rollout.names.final_config))
        return {
            "endpoint": frozenset((rollout.green_endpoint_name,)),
            "variant": frozenset((rollout.green_variant,)),
            "config": configs,
        }

    def dimensions_before(self, endpoint: str, variant: str) -> Mapping[str, str]:
        """The dimensions of what serves before a rollout."""
        return {"EndpointName": endpoint, "VariantName": variant}

    def share(self, rollout: Rollout, seen: Observation) -> float | None:
        """Green's share in percent; ``None``: AWS does not tell it just now."""
        raise NotImplementedError

    def longest_run(self, strategy: Strategy) -> timedelta:
        """After how long AWS gives up a shift that has not ended."""
        return self.longest_shift

    def validate(self, plan: Plan) -> None:
        """Check that it can do what is planned.

        :raises PlanError: naming the option and what it may be.
        """

    def why_untaken(self, kinds: Sequence[str]) -> str:
        """Why blue can't be of one of these kinds, as a half sentence; empty if it can."""
        return next((f"it is {kind}, {self.untaken[kind]}" for kind in kinds if kind in self.untaken), "")

    def why_unsuited(self, rollout: Rollout) -> str:
        """Why it can't do a rollout of this blue, as a half sentence; empty if it can."""
        return why_not_carried(rollout.blue.scaling)

    def alarm_instead(self, rollout: Rollout) -> str:
        """On what to alarm where an alarm can't see green, as a sentence."""
        raise NotImplementedError

    def why_no_requests(self, rollout: Rollout) -> str:
        """What is usual behind a green that nobody calls, as sentences without the last full stop; empty: nothing is."""
        return ""


class Variants(Traffic):
    """Two production variants of one endpoint; weights split the requests."""

    name = "variants"
    gives_any_share = has_shadow = has_one_config = shows_promotion = True
    split_tolerance = 1.05  # SageMaker draws for each call

    def green_variant(self, rollout: Rollout) -> str:
        return rollout.names.variant

    def share(self, rollout: Rollout, seen: Observation) -> float | None:
        return seen.endpoint.share(rollout.green_variant) if seen.endpoint else 0.0

    def alarm_instead(self, rollout: Rollout) -> str:
        query = 'SELECT SUM(Invocation5XXErrors) FROM SCHEMA("AWS/SageMaker", EndpointName, VariantName)'
        return (
            f"Alarm on all variants of the endpoint, by a Metrics Insights query: {query} WHERE EndpointName = "
            f"'{rollout.endpoint_name}' (docs/alarms.md)"
        )


class Endpoints(Traffic):
    """Two endpoints, and a live pointer by which clients split their requests. Green's variant has blue's name, as all there is like
    blue's.
    """

    name = "endpoints"
    has_pointer = gives_any_share = turns_while_busy = True
    untaken: ClassVar[Mapping[str, str]] = MappingProxyType({})
    split_tolerance = 2.0  # clients draw, some of them for each of their users, who don't call equally often

    def green_endpoint(self, rollout: Rollout) -> str:
        return rollout.names.green_endpoint

    def share(self, rollout: Rollout, seen: Observation) -> float | None:
        return share_on_green(rollout, seen.pointer)

    def alarm_instead(self, rollout: Rollout) -> str:
        return (
            "Green is an endpoint of another name in each rollout: alarm on what your clients meet, such as a metric that they publish "
            "(docs/alarms.md)"
        )

    def why_no_requests(self, rollout: Rollout) -> str:
        return f"Do its clients ask live_endpoint({rollout.endpoint_name!r})? Those that name an endpoint never come to green"


class Lambda(Endpoints):
    """Two endpoints, and a Lambda function that clients call by an alias: a version of it for each endpoint, and weights between them."""

    name = "lambda"
    has_function = True
    shifted_by = MappingProxyType({CODEDEPLOY: CODEDEPLOY})

    def alarm_instead(self, rollout: Rollout) -> str:
        return (
            f"Green is an endpoint of another name in each rollout: alarm on what clients of {rollout.plan.function} meet, such as its "
            "Errors (docs/alarms.md)"
        )

    def why_no_requests(self, rollout: Rollout) -> str:
        return f"Do its clients call {rollout.plan.function}? Those that call the function or an endpoint itself never come to green"


class CodeDeploy(Lambda):
    """As behind a Lambda function, but AWS CodeDeploy shifts the alias, by a deployment."""

    name = CODEDEPLOY
    shifter, means = "CodeDeploy", "a deployment"
    is_shifted_by_aws = has_deployment = True
    longest_shift = timedelta(hours=53)  # 48 h of waits (CodeDeploy's quotas), hooks, and a last bake
    gives_any_share = False

    def validate(self, plan: Plan) -> None:
        appspec.validate_deployment(plan)


class Guardrails(Traffic):
    """SageMaker itself shifts, by an UpdateEndpoint with a DeploymentConfig. It demands that green's variant has blue's name."""

    name = "guardrails"
    shifter, means = "SageMaker", "its guardrails"
    longest_shift = timedelta(
        hours=9
    )  # up to 8 h (botocore: MaximumExecutionTimeoutInSeconds), and can't be interrupted
    is_shifted_by_aws = turns_while_busy = launches_with_shift = True
    untaken = MappingProxyType(
        {
            SERVERLESS: f"which has no instances to shift by; {_WITH_TWO}",
            ASYNCHRONOUS: f"whose metrics don't tell two fleets of one endpoint apart; {_WITH_TWO}",
        }
    )

    def dimensions(self, endpoint: str, variant: str, config: str) -> Mapping[str, str]:
        # One endpoint, one variant name: SageMaker publishes each fleet's metrics by its config too (docs/facts-aws.md#metrics).
        return {**super().dimensions(endpoint, variant, config), "EndpointConfigName": config}

    def share(self, rollout: Rollout, seen: Observation) -> float | None:
        """``None`` while it shifts: DescribeEndpoint does not tell it then."""
        if seen.endpoint is not None and seen.endpoint.pending is not None:
            return None
        return 100.0 if seen.endpoint and seen.endpoint.config_name == rollout.names.final_config else 0.0

    def longest_run(self, strategy: Strategy) -> timedelta:
        return deployment_config.longest_run(strategy)

    def validate(self, plan: Plan) -> None:
        deployment_config.validate_plan(plan)

    def why_unsuited(self, rollout: Rollout) -> str:
        return deployment_config.why_unsuited(rollout)

    def alarm_instead(self, rollout: Rollout) -> str:
        return (
            f"Alarm on EndpointName={rollout.endpoint_name} and VariantName={rollout.blue.variant}, which both fleets publish under "
            "(docs/alarms.md)"
        )


class Components(Guardrails):
    """SageMaker itself replaces the copies of an inference component, by an UpdateInferenceComponent with a DeploymentConfig. Rollouts know
    the component by its name, as they know an endpoint.
    """

    name = "components"
    shifter, means = "SageMaker", "a rolling update"
    has_component = True
    config_word = "specification of model"

    def dimensions(self, endpoint: str, variant: str, config: str) -> Mapping[str, str]:
        return {"InferenceComponentName": endpoint}

    def dimensions_before(self, endpoint: str, variant: str) -> Mapping[str, str]:
        return {"InferenceComponentName": endpoint}

    def green_labels(self, rollout: Rollout) -> Mapping[str, frozenset[str]]:
        host = str(rollout.blue.config.get("EndpointName", ""))
        return {
            "component": frozenset((rollout.endpoint_name,)),
            "endpoint": frozenset((host,)),
            "variant": frozenset((rollout.blue.variant,)),
        }

    def longest_run(self, strategy: Strategy) -> timedelta:
        return rolling_update.longest_run(strategy)

    def validate(self, plan: Plan) -> None:
        rolling_update.validate_plan(plan)

    def why_unsuited(self, rollout: Rollout) -> str:
        return rolling_update.why_unsuited(rollout)

    def alarm_instead(self, rollout: Rollout) -> str:
        return f"Alarm on InferenceComponentName={rollout.endpoint_name}, under which old and new copies publish (docs/alarms.md)"


TRAFFIC: Mapping[str, Traffic] = {
    way.name: way for way in (Variants(), Endpoints(), Lambda(), Guardrails(), Components(), CodeDeploy())
}
DEFAULT = "variants"


def parse_traffic(option: object) -> Traffic:
    """The way that the option ``traffic`` names.

    :raises PlanError: if it names none.
    """
    if not isinstance(option, str) or option not in TRAFFIC:
        raise PlanError("traffic", option, f"one of {', '.join(TRAFFIC)}")
    return TRAFFIC[option]


def parse_way(option: object, shift_by: object) -> str:
    """The name of the way that the options ``traffic`` and ``shift_by`` name together.

    :raises PlanError: if they name none.
    """
    way = parse_traffic(option)
    said = parse_text("shift_by", shift_by, f"{CODEDEPLOY!r}, or left out")
    if said is None or said == way.name:
        return way.name
    if said not in way.shifted_by:
        able = ", ".join(repr(each.name) for each in TRAFFIC.values() if each.shifted_by)
        words = " or ".join(map(repr, way.shifted_by)) or f"left out with traffic={way.name!r}: it goes with {able}"
        raise PlanError("shift_by", said, f"{words}{', or left out' if way.shifted_by else ''}")
    return way.shifted_by[said]
