"""The options that say what to roll out and how: shared by the operators that may begin a rollout."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from datetime import datetime, timedelta, timezone
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow_sm_rollout.core.converge import validate_plan
from airflow_sm_rollout.core.errors import PlanError, RolloutError
from airflow_sm_rollout.core.plan.alarms import AlarmDefaults, parse_alarm_defaults
from airflow_sm_rollout.core.plan.deployment import parse_deployment
from airflow_sm_rollout.core.plan.function import parse_function
from airflow_sm_rollout.core.plan.options import parse_environment, parse_flag, parse_names, parse_text
from airflow_sm_rollout.core.plan.strategy import DurationOption, Strategy, expand_strategy, parse_duration
from airflow_sm_rollout.core.rollout import Green, Plan, Rollout
from airflow_sm_rollout.core.traces import REFUSED
from airflow_sm_rollout.core.traffic import parse_way
from airflow_sm_rollout.core.watch.policy import validate_proof
from airflow_sm_rollout.operators.base import RolloutTask, is_template
from airflow_sm_rollout.operators.fronted import OF_DEPLOYMENT, OF_FUNCTION, FrontedOperator
from airflow_sm_rollout.operators.handle import read_frozen
from airflow_sm_rollout.operators.mistakes import saying_all, says_all
from airflow_sm_rollout.operators.options import options_of
from airflow_sm_rollout.operators.owner import describe_owner
from airflow_sm_rollout.operators.patience import patiently

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_sm_rollout.aws.clients import Clients

_DEFAULTS = Plan()
_LEFT_OUT: Mapping[str, Any] = {"traffic": _DEFAULTS.traffic, "alarms": (), "drain": _DEFAULTS.drain}
_TEXTS = ("model_name", "model_package_arn", "image", "model_data_url", "execution_role_arn", "instance_type")
_PLANS = (*_TEXTS, "environment", "strategy", *OF_FUNCTION, *OF_DEPLOYMENT, *_LEFT_OUT)


class PlanningOperator(FrontedOperator):
    """Base of the operators that may begin a rollout; see :class:`~.judging.JudgingOperator` for how green is judged, and
    :class:`~.fronted.FrontedOperator` for a Lambda function in front.

    :param endpoint_name: the endpoint; blue is what it serves now (templated). With ``traffic="endpoints"`` the logical name that clients
        resolve by :func:`~airflow_sm_rollout.live.live_endpoint`, and blue is the endpoint that serves under it now. With
        ``traffic="lambda"`` the name that its rollouts go by, and blue is the endpoint that the function calls now.
    :param model_name: green as a SageMaker model that exists (templated); or
    :param model_package_arn: as a model package (templated); or
    :param image: as a container image (templated), with
    :param model_data_url: the S3 URL of its model.tar.gz (templated), such as
        ``{{ ti.xcom_pull('train')['Training']['ModelArtifacts']['S3ModelArtifacts'] }}``.
    :param require_approved: refuse a model package whose approval status in the model registry is not ``Approved``. It needs what
        ``sm-rollout iam-policy ENDPOINT --with registry`` prints.
    :param execution_role_arn: role of a model that the rollout makes, by default that of blue's model (templated).
    :param environment: environment variables of its container: a mapping, or a list of texts such as ``LEVEL=debug``; by default those of
        blue's model (templated).
    :param instance_type: green's instances, by default blue's type (templated).
    :param strategy: which one, and its options, such as ``{"name": "canary", "steps": [10, 100], "bake": 600}`` (templated); see
        :mod:`~airflow_sm_rollout.core.plan.strategy`. ``None``: each shift names its share itself.
    :param traffic: the way to split traffic: ``variants`` (two production variants, any share), ``endpoints`` (two endpoints and a live
        pointer, any share), ``lambda`` (two endpoints and a Lambda function in front, any share), ``guardrails`` (SageMaker shifts by
        itself) or ``components`` (SageMaker replaces the copies of an inference component, which ``endpoint_name`` names) (templated).
    :param alarms: names of your own alarms to watch, metric and composite; a list, or a string with commas (templated).
    :param default_alarms: the alarms that the rollout makes for green; ``None`` for none.
    :param delete_blue: after promotion, delete blue's config and model too, and where green is an endpoint of its own blue's endpoint.
        They were yours, so by default they stay.
    :param drain: with ``traffic="endpoints"`` or ``"lambda"``, how long an endpoint is kept after clients were sent to the other one,
        before it is deleted: green's after a rollback, blue's after a promotion with ``delete_blue``. A timedelta or seconds (templated),
        longer than clients hold its name and a request may take; where a function is in front, its timeout and a little more at least.
    :param capacity: with ``traffic="variants"``, when green gets its instances: ``ahead``, as many as blue has before it has traffic, so
        that each shift is a change of weights alone; or ``when_needed``, for each share right before it, which costs fewer instance-hours
        and some minutes for each step.
    :param guardian: ``required``: refuse the rollout where no guardian has looked within two minutes: nobody else takes it back while
        Airflow is down. It needs what ``sm-rollout iam-policy ENDPOINT --with guardian`` prints.
    :param on_drift: what a rollback does where somebody else has changed the endpoint meanwhile: ``refuse`` and say what differs, or
        ``restore`` blue over that change.
    """

    template_fields: Sequence[str] = (
        *RolloutTask.template_fields,
        "model_name",
        "model_package_arn",
        "image",
        "model_data_url",
        "execution_role_arn",
        "environment",
        "instance_type",
        "strategy",
        "traffic",
        "alarms",
        "drain",
        *OF_FUNCTION,
        *OF_DEPLOYMENT,
    )

    looks_inside = False
    keep_blue: timedelta | None = None
    """How long blue is kept warm after the promotion, where a task is behind it that watches and then takes blue away."""
    is_shadowed: bool | None = None
    """Whether green is a shadow before it has traffic; ``None``: this task does not know."""

    @says_all
    def __init__(
        self,
        *,
        model_name: str | None = None,
        model_package_arn: str | None = None,
        require_approved: bool = False,
        image: str | None = None,
        model_data_url: str | None = None,
        execution_role_arn: str | None = None,
        environment: Mapping[str, str | float] | Sequence[str] | str | None = None,
        instance_type: str | None = None,
        strategy: Mapping[str, Any] | None = None,
        traffic: str = "variants",
        alarms: str | Sequence[str] = (),
        default_alarms: AlarmDefaults | Mapping[str, Any] | None = AlarmDefaults(),  # noqa: B008 - frozen
        delete_blue: bool = False,
        drain: DurationOption = _DEFAULTS.drain,
        on_drift: str = _DEFAULTS.on_drift,
        capacity: str = _DEFAULTS.capacity,
        guardian: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.model_name, self.model_package_arn, self.environment = model_name, model_package_arn, environment
        self.model_data_url, self.instance_type, self.capacity = model_data_url, instance_type, capacity
        self.image, self.drain, self.require_approved = image, drain, parse_flag("require_approved", require_approved)
        self.traffic, self.strategy, self.execution_role_arn = traffic, strategy, execution_role_arn
        self.alarms, self.default_alarms, self.on_drift = alarms, parse_alarm_defaults(default_alarms), on_drift
        self.delete_blue, self.guardian = parse_flag("delete_blue", delete_blue), _parse_guardian(guardian)
        self._validate_what_is_known()

    def _validate_what_is_known(self) -> None:
        """A wrong plan fails when the DAG file is read; what is templated, in the first task."""
        if self.rollout is not None:
            return  # the task that made the handle has the options
        self._green()
        self._validate_approval()
        for parse, names in _PARSED:
            given = [getattr(self, name) for name in names]
            if not any(map(is_template, given)):
                parse(*given)
        if not any(
            is_template(getattr(self, name)) for name in ("strategy", *(name for _, names in _PARSED for name in names))
        ):
            validate_plan(self._plan())
        if self.strategy is None or isinstance(self.strategy, Mapping):
            strategy = known_strategy(self.strategy) if self.strategy else None
            traffic = _DEFAULTS.traffic if is_template(self.traffic) else self.traffic
            validate_proof(Plan(strategy, traffic=traffic, evidence=self.evidence), is_shadowed=self.is_shadowed)

    def _validate_approval(self) -> None:
        if self.require_approved and self.model_package_arn is None:
            allowed = "False without model_package_arn: only a model package has an approval status"
            raise PlanError("require_approved", self.require_approved, allowed)

    def plan(self, context: Context) -> Rollout:
        """Freeze the rollout, from the options or as it was frozen before.

        :raises RolloutError: if it can't begin.
        """
        if self.rollout:
            return read_frozen(self.rollout)
        try:
            return self._freeze(context)
        except RolloutError as error:
            context["ti"].xcom_push(key=REFUSED, value=self._refused(str(error)))
            raise

    def _freeze(self, context: Context) -> Rollout:
        from airflow_sm_rollout.aws.models import refuse_unapproved
        from airflow_sm_rollout.aws.planning import plan_rollout

        if not self.read_patiently("could not reach Airflow", self.connection.is_found):
            allowed = "a connection that Airflow has; without it the environment's credentials would be used, and maybe another account"
            raise PlanError("aws_conn_id", self.aws_conn_id, allowed)
        green, plan = self.read_options()
        clients, owner, tell = self.clients(), describe_owner(context), self.log.warning
        names = self.identify(context, clients)
        if self.guardian:
            self._refuse_unguarded(clients, names.endpoint)
        if self.require_approved and green.model_package_arn:
            package = green.model_package_arn
            self.read_patiently(
                "could not read the model package", lambda: refuse_unapproved(clients.sagemaker, package)
            )
        return patiently(lambda: plan_rollout(clients, names, owner, green, plan, tell=tell), self.patience, tell)

    def _refuse_unguarded(self, clients: Clients, endpoint_name: str) -> None:
        from airflow_sm_rollout.aws.guardian import refuse_unguarded
        from airflow_sm_rollout.aws.world import utc_now

        self.read_patiently(
            "could not read who guards", lambda: refuse_unguarded(clients.ssm, endpoint_name, utc_now())
        )

    def _refused(self, reason: str) -> dict[str, str]:
        """What was to begin, as far as the options tell, for the pages."""
        green = (self.model_name, self.model_package_arn, self.model_data_url)
        name = self.strategy.get("name") if isinstance(self.strategy, Mapping) else None
        return {
            "endpoint": str(self.endpoint_name or ""),
            "model": next((str(each) for each in green if each), ""),
            "strategy": str(name or "single steps"),
            "started_at": datetime.now(timezone.utc).isoformat(),
            "reason": reason,
        }

    def _rendered(self) -> dict[str, Any]:
        """The options that may have been templates."""
        return {name: getattr(self, name) for name in PlanningOperator.template_fields if name in _PLANS}

    def _with(self, rendered: Mapping[str, Any]) -> PlanningOperator:
        """This task with other values; an option that is not among them is at its default."""
        task = copy(self)
        for name in _PLANS:
            setattr(task, name, rendered.get(name, _LEFT_OUT.get(name)))
        return task

    def read_options(self) -> tuple[Green, Plan]:
        """What the options say, once they are no templates any more.

        :raises PlanError: with all that is wrong.
        """
        return saying_all(lambda given: self._with(given)._read_options(), self._rendered())  # noqa: SLF001 - a copy of this one

    def _read_options(self) -> tuple[Green, Plan]:
        plan = self._plan()
        validate_plan(plan)
        validate_proof(plan, is_shadowed=self.is_shadowed)
        return self._green(), plan

    def _green(self) -> Green:
        return Green(
            **{name: _text(name, getattr(self, name)) for name in _TEXTS},
            environment=None if is_template(self.environment) else parse_environment(self.environment),
        )

    def _plan(self) -> Plan:
        return Plan(
            strategy=expand_strategy(self.strategy) if self.strategy is not None else None,
            alarms=parse_alarms(self.alarms),
            default_alarms=self.default_alarms,
            delete_blue=self.delete_blue,
            traffic=parse_way(self.traffic, self.shift_by),
            drain=parse_duration("drain", self.drain),
            on_drift=self.on_drift,
            capacity=self.capacity,
            keep_blue=self.keep_blue,
            evidence=self.evidence,
            function=parse_function(self.function, self.alias, self.variable),
            deployment=parse_deployment(self.deployment),
        )


def parse_alarms(alarms: str | Sequence[str] | None) -> tuple[str, ...]:
    """Alarm names; from a string they are split at commas.

    :raises PlanError: for something else.
    """
    return parse_names("alarms", alarms, "names of CloudWatch alarms")


# What is read of one or of several options together, as soon as none of these is a template.
_PARSED: tuple[tuple[Callable[..., object], tuple[str, ...]], ...] = (
    (parse_alarms, ("alarms",)),
    (partial(parse_duration, "drain"), ("drain",)),
    (parse_function, OF_FUNCTION),
    (parse_way, ("traffic", "shift_by")),
    (parse_deployment, ("deployment",)),
)


def refuse_beside_a_handle(given: Mapping[str, Any]) -> None:
    """Check the options of a task that takes the plan from a handle.

    :raises PlanError: for the first one that says what the handle has said already.
    """
    beside = sorted((options_of(PlanningOperator) - options_of(RolloutTask)) & given.keys())
    if beside:
        allowed = (
            "the plan comes from rollout, so give this to the task that made that handle, such as SnapshotOperator"
        )
        raise PlanError(beside[0], given[beside[0]], allowed)


def _parse_guardian(guardian: str | None) -> str | None:
    if guardian not in (None, "", "required"):
        raise PlanError("guardian", guardian, "'required', or left out")
    return guardian or None


def _text(option: str, value: Any) -> str | None:
    """An option that is a text; one that is known only when the task runs stands for itself."""
    return str(value) if is_template(value) else parse_text(option, value, "a text")


def known_strategy(strategy: Mapping[str, Any]) -> Strategy:
    """The strategy as far as it is no template, which only a DAG run has the values of."""
    return expand_strategy({name: each for name, each in strategy.items() if not is_template(each)})
