"""A rollout: who drives it, what blue was, what the plan is, and how far it has come."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import Enum
from typing import Any

from airflow_sm_rollout.core.errors import PlanError
from airflow_sm_rollout.core.kinds import ASYNCHRONOUS, kinds_of
from airflow_sm_rollout.core.names import Names
from airflow_sm_rollout.core.owner import describe_owner
from airflow_sm_rollout.core.plan.alarms import AlarmDefaults
from airflow_sm_rollout.core.plan.deployment import Deploying
from airflow_sm_rollout.core.plan.evidence import Evidence, Thresholds
from airflow_sm_rollout.core.plan.function import FunctionAlias
from airflow_sm_rollout.core.plan.strategy import Step, Strategy
from airflow_sm_rollout.core.scaling import Scaling
from airflow_sm_rollout.core.traffic import DEFAULT, Traffic, parse_traffic

AHEAD, WHEN_NEEDED = "ahead", "when_needed"
_ALIAS_TAKES = timedelta(seconds=5)  # nobody has recorded how long Lambda takes to send calls by an alias's new weights


class Phase(str, Enum):
    """Which way the rollout is going. It turns once, and never back.

    ``PROMOTED`` is for the ways whose promotion shows in nothing else: with two endpoints clients call green already, and SageMaker has
    put the endpoint on green's config before anyone has looked at the alarms once more.
    """

    FORWARD = "forward"
    ROLLING_BACK = "rolling_back"
    PROMOTED = "promoted"


@dataclass(frozen=True, slots=True)
class Green:
    """The new model: one of three forms.

    :param model_name: a SageMaker model that exists.
    :param model_package_arn: a model package; the rollout makes a model of it, and deletes that if it rolls back.
    :param image: a container image's URI; together with
    :param model_data_url: the S3 URL of a model.tar.gz. As above.
    :param execution_role_arn: the role for a model that the rollout makes; by default the one of blue's model.
    :param environment: environment variables of the container; by default those of blue's model.
    :param instance_type: by default blue's.
    """

    model_name: str | None = None
    model_package_arn: str | None = None
    image: str | None = None
    model_data_url: str | None = None
    execution_role_arn: str | None = None
    environment: Mapping[str, str] | None = None
    instance_type: str | None = None

    def __post_init__(self) -> None:
        forms = (self.model_name, self.model_package_arn, self.image)
        if sum(form is not None for form in forms) != 1:
            names = ("model_name", "model_package_arn", "image")
            given = {name: form for name, form in zip(names, forms, strict=True) if form is not None}
            allowed = "one of model_name, model_package_arn, or image with model_data_url says what to roll out"
            raise PlanError(" and ".join(given) or "model_name", list(given.values()) or None, allowed)
        if self.image is not None and not self.model_data_url:
            raise PlanError(
                "model_data_url", self.model_data_url, "the S3 URL of a model.tar.gz, when an image is given"
            )

    @property
    def is_made_by_rollout(self) -> bool:
        """Whether the SageMaker model is created (and on a rollback deleted) by the rollout."""
        return self.model_name is None


@dataclass(frozen=True, slots=True)
class Blue:
    """What served before the rollout, and what a rollback restores.

    :param config_name: blue's endpoint config.
    :param config: all that CreateEndpointConfig needs to make it again, tags included. Of an inference component: its specification as the
        one variant, and the endpoint that hosts it.
    :param variant: the name of its one production variant.
    :param weight: its weight as it was set.
    :param instance_count: its instances as they were set, which may differ from the config's; of a serverless one its provisioned
        concurrency, and 0 if it has none.
    :param config_tags: the config's tags; what green's configs get too.
    :param endpoint_name: its endpoint, where that is not the rollout's: the one that a live pointer names. With it go
    :param endpoint_tags: the endpoint's tags; what green's endpoint gets too.
    :param pointer: the live pointer's text; ``None``: there was none.
    :param pointer_version: SSM's version of it; 0: there was none.
    :param scaling: how its variant scales; ``None``: not by itself.
    :param function_version: where a Lambda function calls it, the number of the version that does.
    :param function_timeout: how long a call of that function may take.
    :param function_provisioned: what was provisioned of that version's concurrency; ``None``: nothing.
    :param max_concurrency: of a serverless one, as it was set; ``None``: it has instances.
    """

    config_name: str
    config: Mapping[str, Any]
    variant: str
    weight: float
    instance_count: int
    config_tags: Mapping[str, str] = field(default_factory=dict)
    endpoint_name: str | None = None
    endpoint_tags: Mapping[str, str] = field(default_factory=dict)
    pointer: str | None = None
    pointer_version: int = 0
    scaling: Scaling | None = None
    function_version: str | None = None
    function_timeout: timedelta = timedelta()
    function_provisioned: int | None = None
    max_concurrency: int | None = None

    @property
    def is_asynchronous(self) -> bool:
        """Whether its requests wait in a queue, and are answered to S3."""
        return ASYNCHRONOUS in kinds_of(self.config)

    @property
    def capacity(self) -> str:
        """What it serves with, in words."""
        if "EndpointName" in self.config:
            return f"{self.instance_count} copies"
        if self.max_concurrency is None:
            return f"{self.instance_count} instance(s)"
        return f"{self.instance_count} provisioned of {self.max_concurrency} concurrent calls"

    @property
    def variant_config(self) -> Mapping[str, Any]:
        """The variant's entry in the config (AWS's ``ProductionVariant``)."""
        found: Mapping[str, Any] = next(
            v for v in self.config["ProductionVariants"] if v["VariantName"] == self.variant
        )
        return found

    @property
    def model_name(self) -> str:
        """Its SageMaker model."""
        return str(self.variant_config["ModelName"])


@dataclass(frozen=True, slots=True)
class Plan:
    """What the user asked for, frozen when the rollout starts.

    :param strategy: the steps; ``None`` for single operators, where each shift names its share.
    :param alarms: names of the user's alarms, metric and composite.
    :param default_alarms: alarms that the rollout makes itself; ``None`` for none.
    :param delete_blue: whether promotion deletes blue's config and model, and its endpoint where that is its own.
    :param traffic: the way to split traffic, by its name; see :mod:`airflow_sm_rollout.core.traffic`.
    :param drain: how long an endpoint is kept after the live pointer has left it, before it is deleted: longer than clients hold its
        name (``live_endpoint``'s ``max_age``) and a request may take (60 s, AWS's limit).
    :param on_drift: what a rollback does where somebody else has changed the endpoint or the live pointer meanwhile: ``refuse`` (say what
        differs), or ``restore`` (put blue back over it).
    :param evidence: by what green is judged, beside alarms.
    :param function: the Lambda function that clients call, where one stands in front of the endpoint.
    :param deployment: by whose means CodeDeploy shifts that function's alias, where it does.
    :param keep_blue: how long blue keeps its instances after the promotion, without traffic; ``None``: it does not.
    :param capacity: when green gets its instances: ``ahead`` (all of them before it has traffic, so that a shift is a change of weights
        alone), or ``when_needed`` (for each share right before it).
    """

    strategy: Strategy | None = None
    alarms: tuple[str, ...] = ()
    default_alarms: AlarmDefaults | None = field(default_factory=AlarmDefaults)
    delete_blue: bool = False
    traffic: str = DEFAULT
    drain: timedelta = timedelta(seconds=65)
    on_drift: str = "refuse"
    evidence: Evidence = field(default_factory=Evidence)
    capacity: str = AHEAD
    function: FunctionAlias | None = None
    deployment: Deploying | None = None
    keep_blue: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Rollout:
    """One rollout of one endpoint.

    :param endpoint_name: the endpoint.
    :param rollout_id: see :func:`~airflow_sm_rollout.core.names.derive_rollout_id`.
    :param owner: who drives it, for people and for finding it again; see :mod:`~airflow_sm_rollout.core.owner`.
    :param started_at: when it was recorded.
    :param green_traffic_since: when green was first about to get traffic; what an alarm said before is not about green.
    :param paused_before_traffic: how long the rollout had been paused by then, which moves no step of a plan that begins only then.
    :param instances_since: green's instance counts, as texts, with when it was first about to serve from so many; where SageMaker gives it
        all that it gets at once, none is noted.
    :param shadow_since: when green was first about to get copies of requests, as a shadow.
    :param endpoint_modified: where SageMaker shifts traffic by its guardrails, the endpoint's LastModifiedTime before it was asked to;
        in an undo, before it was asked to go back.
    :param thresholds: blue's latencies before, if it had traffic.
    :param worst_errors: the largest share of blue's calls that failed in one minute of the hours before; 0: none, or nobody knows.
    :param worst_wait_seconds: of an asynchronous blue, how long a request waited at most in the hours before; ``None``: nobody knows.
    :param metric_period_seconds: how often the endpoint publishes its metrics.
    :param promoted_at: when green was promoted, where blue is kept warm after that.
    :param undoes: whether it had ended with green promoted, and goes back after that; see :mod:`~airflow_sm_rollout.core.undo`.
    """

    endpoint_name: str
    rollout_id: str
    owner: Mapping[str, str]
    started_at: datetime
    blue: Blue
    green: Green
    plan: Plan
    phase: Phase = Phase.FORWARD
    green_traffic_since: datetime | None = None
    paused_before_traffic: timedelta = timedelta()
    instances_since: Mapping[str, datetime] = field(default_factory=dict)
    shadow_since: datetime | None = None
    endpoint_modified: datetime | None = None
    thresholds: Thresholds | None = None
    worst_errors: float = 0.0
    worst_wait_seconds: float | None = None
    metric_period_seconds: int = 60
    undoes: bool = False
    promoted_at: datetime | None = None

    @property
    def traffic(self) -> Traffic:
        """The way to split traffic."""
        return parse_traffic(self.plan.traffic)

    @property
    def is_promoted_for_good(self) -> bool:
        """Whether green is promoted and blue is being deleted, or waits for that: nothing but an undo goes back while green serves."""
        return self.phase is Phase.PROMOTED and (self.plan.delete_blue or self.promoted_at is not None)

    @property
    def blue_until(self) -> datetime | None:
        """How long blue is kept warm; ``None``: it is not, or not promoted yet, or going back."""
        if self.phase is not Phase.PROMOTED or self.promoted_at is None or self.plan.keep_blue is None:
            return None
        return self.promoted_at + self.plan.keep_blue

    @property
    def names(self) -> Names:
        """What it calls the things it makes."""
        return Names(self.endpoint_name, self.rollout_id)

    @property
    def green_model_name(self) -> str:
        """Green's SageMaker model, given or made."""
        return self.green.model_name or self.names.model

    @property
    def blue_endpoint_name(self) -> str:
        """The endpoint that blue serves from."""
        return self.blue.endpoint_name or self.endpoint_name

    @property
    def drain(self) -> timedelta:
        """How long an endpoint is kept after its clients were sent elsewhere: a function that has been called may still call it."""
        return max(self.plan.drain, self.blue.function_timeout + _ALIAS_TAKES if self.plan.function else timedelta())

    @property
    def pointer_described(self) -> str:
        """What sends clients to an endpoint, for messages."""
        return str(self.plan.function or f"the live pointer {self.names.pointer}")

    @property
    def green_endpoint_name(self) -> str:
        """The endpoint that green serves from, and under which its metrics are published."""
        return self.traffic.green_endpoint(self)

    @property
    def green_variant(self) -> str:
        """Green's variant."""
        return self.traffic.green_variant(self)

    @property
    def green_dimensions(self) -> Mapping[str, str]:
        """The CloudWatch dimensions that are green's alone."""
        return self.traffic.dimensions(self.green_endpoint_name, self.green_variant, self.names.final_config)

    @property
    def green_labels(self) -> Mapping[str, frozenset[str]]:
        """What a figure that holds green's is labelled with."""
        return self.traffic.green_labels(self)

    @property
    def blue_dimensions(self) -> Mapping[str, str]:
        """The CloudWatch dimensions that are blue's alone."""
        return self.traffic.dimensions(self.blue_endpoint_name, self.blue.variant, self.blue.config_name)

    @property
    def own_alarms(self) -> tuple[str, ...]:
        """Names of the alarms that the rollout makes on green's figures."""
        if self.plan.default_alarms is None:
            return ()
        names = self.names
        by_latency = (names.latency_alarm,) if self.thresholds is not None else ()
        by_queue = (names.queue_alarm,) if self.blue.is_asynchronous else ()
        return (names.error_alarm, *by_latency, *by_queue)

    @property
    def verdict_alarms(self) -> tuple[str, ...]:
        """The alarm by which SageMaker obeys the comparison, where it shifts the traffic itself; none where nothing is compared. Of a
        component there is one all the same: by nothing else does a person's abort reach SageMaker.
        """
        is_judged = self.plan.evidence.tolerances is not None or self.traffic.has_component
        return (self.names.verdict_alarm,) if self.traffic.is_shifted_by_aws and is_judged else ()

    @property
    def made_alarms(self) -> tuple[str, ...]:
        """All alarms that the rollout makes, and deletes at its end."""
        return self.own_alarms + self.verdict_alarms

    @property
    def watched_alarms(self) -> tuple[str, ...]:
        """The user's alarms and its own."""
        return self.plan.alarms + self.own_alarms

    def step(self, index: int) -> Step | None:
        """The plan's step, counted from 0; ``None`` behind the last one, and where AWS takes the steps itself."""
        steps = self.plan.strategy.steps if self.plan.strategy and not self.traffic.is_shifted_by_aws else ()
        return steps[index] if index < len(steps) else None

    @property
    def shortest_bake(self) -> timedelta:
        """The shortest of the plan's bakes."""
        steps = self.plan.strategy.steps if self.plan.strategy else ()
        return min((step.bake for step in steps), default=timedelta())

    @property
    def metrics_take(self) -> timedelta:
        """How long it takes at least until an alarm of the rollout's own rings: up to a period until a whole one begins, three whole ones,
        and the last is published within another (recorded on AWS for periods of a minute: final 60 s after their end).
        """
        return timedelta(seconds=5 * self.metric_period_seconds)

    def bake_end(self, index: int, now: datetime, paused: timedelta) -> datetime:
        """When a step's bake that begins now is to end.

        Paced by the clock, a step that comes late is watched for half its time at least: the plan slips rather than the watch.

        :param paused: how long the rollout has been paused so far.
        """
        step, since = self.step(index), self.green_traffic_since
        if step is None or self.plan.strategy is None:
            return now
        if since is None or not self.plan.strategy.paced_by_clock:
            return now + step.bake
        baked = sum((each.bake for each in self.plan.strategy.steps[: index + 1]), timedelta())
        planned = since + baked + paused - self.paused_before_traffic
        return max(planned, now + step.bake / 2)

    def describe_owner(self) -> str:
        """Who drives it, in a few words."""
        return f"rollout {self.rollout_id} ({describe_owner(self.owner)}), started {self.started_at.isoformat(timespec='seconds')}"

    def how_to_end(self) -> str:
        """What somebody can do who wants the endpoint for another rollout."""
        name = self.endpoint_name
        alone = f"where no DAG run drives it any more: sm-rollout rollback {name}"
        return f"Wait for it to end, or end it: sm-rollout abort {name}; {alone}"


def with_phase(rollout: Rollout, phase: Phase) -> Rollout:
    """The rollout, going the other way."""
    return replace(rollout, phase=phase)


def with_promotion(rollout: Rollout, at: datetime) -> Rollout:
    """The rollout, with green promoted."""
    kept = at if rollout.plan.keep_blue is not None else None
    return replace(rollout, phase=Phase.PROMOTED, promoted_at=kept)


def with_green_traffic(rollout: Rollout, since: datetime, paused: timedelta = timedelta()) -> Rollout:
    """The rollout, with green having traffic.

    :param paused: how long it has been paused so far.
    """
    return replace(rollout, green_traffic_since=since, paused_before_traffic=paused)


def with_blue_version(rollout: Rollout, number: str) -> Rollout:
    """The rollout, with another version of the function calling blue's endpoint."""
    return replace(rollout, blue=replace(rollout.blue, function_version=number))


def with_instances(rollout: Rollout, count: int, since: datetime) -> Rollout:
    """The rollout, with green serving from so many instances from now on."""
    return replace(rollout, instances_since={**rollout.instances_since, str(count): since.replace(microsecond=0)})


def with_shadow(rollout: Rollout, since: datetime) -> Rollout:
    """The rollout, with green being a shadow."""
    return replace(rollout, shadow_since=since)


def with_endpoint_modified(rollout: Rollout, last_modified: datetime) -> Rollout:
    """The rollout, with SageMaker being asked to shift traffic."""
    return replace(rollout, endpoint_modified=last_modified)
