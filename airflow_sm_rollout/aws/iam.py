"""The least that a rollout must be allowed to do, as an IAM policy.

Each grant names the calls that need it. ``tests/convergence/test_iam.py`` compares them with the calls that rollouts, rollbacks and people
really make, and fails for one that is missing and for one that nobody needs.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from airflow_sm_rollout.aws.grants import ANY, COMPONENT, DEPLOYMENT, DEPLOYMENT_BACK, Grant
from airflow_sm_rollout.aws.verdict_alarm import NAMESPACE
from airflow_sm_rollout.core.errors import PlanError
from airflow_sm_rollout.core.names import (
    LOOKS_PREFIX,
    RECORD_PREFIX,
    control_name,
    pointer_name,
    previous_name,
    record_name,
    taken_back_name,
    validate_endpoint_name,
)
from airflow_sm_rollout.core.plan.function import parse_function
from airflow_sm_rollout.core.scaling import INSTANCES, PROVISIONED
from airflow_sm_rollout.core.traffic import TRAFFIC, Traffic

_READ = (
    # Blue's config and model have names of your own.
    Grant(
        "ReadEndpointAndModels",
        (
            "sagemaker:DescribeEndpoint",
            "sagemaker:DescribeEndpointConfig",
            "sagemaker:DescribeModel",
            "sagemaker:ListTags",
        ),
        ("endpoint/*", "endpoint-config/*", "model/*"),
    ),
    Grant(
        "ReadAlarmsAndMetrics",
        ("cloudwatch:DescribeAlarms", "cloudwatch:DescribeAlarmHistory", "cloudwatch:GetMetricData"),
        (ANY,),
    ),
    Grant(
        "ReadScaling",
        (
            "application-autoscaling:DescribeScalableTargets",
            "application-autoscaling:DescribeScalingPolicies",
            "application-autoscaling:DescribeScheduledActions",
        ),
        (ANY,),
    ),
    Grant("ReadLivePointer", ("ssm:GetParameters",), (f"parameter{pointer_name('{endpoint}')}",)),
)
_MAKE = (
    # Whether something of the rollout's is there, without an error where it is not. A role that may not list describes them.
    Grant("FindWhatItMade", ("sagemaker:ListEndpointConfigs", "sagemaker:ListModels"), (ANY,)),
    Grant(
        "MakeAndRemoveGreen",
        (
            "sagemaker:CreateModel",
            "sagemaker:DeleteModel",
            "sagemaker:CreateEndpointConfig",
            "sagemaker:DeleteEndpointConfig",
            "sagemaker:AddTags",
        ),
        ("endpoint-config/{made}*", "model/{made}*"),
    ),
    Grant(
        "AlarmsOfTheRollout",
        ("cloudwatch:PutMetricAlarm", "cloudwatch:DeleteAlarms", "cloudwatch:TagResource"),
        ("alarm:sm-rollout-{endpoint}-*",),
    ),
    Grant(
        "RecordAndLock",
        ("ssm:GetParameters", "ssm:PutParameter", "ssm:DeleteParameters"),
        (f"parameter{record_name('{endpoint}')}", f"parameter{control_name('{endpoint}')}"),
    ),
    # The history is for the list of rollouts: which of the promoted ones were undone.
    Grant(
        "KeepForUndo",
        ("ssm:GetParameters", "ssm:PutParameter", "ssm:GetParameterHistory"),
        (f"parameter{previous_name('{endpoint}')}",),
    ),
    # Whether AWS asks for a version by the parameter's name alone is not documented.
    Grant("ReadOverwrittenRecord", ("ssm:GetParameter",), (f"parameter{record_name('{endpoint}')}:*",)),
    Grant("SignOfLife", ("ssm:AddTagsToResource",), (f"parameter{record_name('{endpoint}')}",)),
    Grant("ReadGuardiansNote", ("ssm:GetParameter",), (f"parameter{taken_back_name('{endpoint}')}",)),
)
# A scalable target's ARN holds an id of AWS's, so what narrows these is what they are about.
_SCALABLE: dict[str, str | list[str]] = {
    "application-autoscaling:service-namespace": "sagemaker",
    "application-autoscaling:scalable-dimension": INSTANCES,
}
# With two endpoints they may be serverless.
_SCALABLE_OF_PAIR = {**_SCALABLE, "application-autoscaling:scalable-dimension": [INSTANCES, PROVISIONED]}
_SUSPEND_AND_RESTORE_SCALING = Grant(
    "SuspendAndRestoreScaling",
    ("application-autoscaling:RegisterScalableTarget", "application-autoscaling:PutScalingPolicy"),
    (ANY,),
    condition=_SCALABLE,
)
# Its user guide: whoever puts or ends a target tracking policy needs permissions for that policy's alarms, too.
_ALARMS_OF_SCALING = Grant(
    "AlarmsOfScaling",
    ("cloudwatch:PutMetricAlarm", "cloudwatch:DeleteAlarms"),
    ("alarm:TargetTracking-endpoint/{made}*",),
)
_ONE_ENDPOINT = (
    *_READ,
    *_MAKE,
    _SUSPEND_AND_RESTORE_SCALING,
    _ALARMS_OF_SCALING,
    Grant("RestoreBluesConfig", ("sagemaker:CreateEndpointConfig", "sagemaker:AddTags"), ("endpoint-config/*",)),
    Grant("SetWeightsAndCapacities", ("sagemaker:UpdateEndpointWeightsAndCapacities",), ("endpoint/{endpoint}",)),
    Grant("ChangeConfig", ("sagemaker:UpdateEndpoint",), ("endpoint/{endpoint}", "endpoint-config/*")),
)
_END_SCALING = Grant("EndScaling", ("application-autoscaling:DeregisterScalableTarget",), (ANY,), condition=_SCALABLE)
_PAIR = (
    *_READ,
    *_MAKE,
    Grant("FindGreensEndpoint", ("sagemaker:ListEndpoints",), (ANY,)),
    replace(_SUSPEND_AND_RESTORE_SCALING, condition=_SCALABLE_OF_PAIR),
    _ALARMS_OF_SCALING,
    # An endpoint that is deleted takes its scalable targets with it, if its deleter may do that.
    Grant(
        "EndScalingOfADeletedEndpoint",
        ("application-autoscaling:DeregisterScalableTarget", "application-autoscaling:DeleteScalingPolicy"),
        (ANY,),
        condition=_SCALABLE_OF_PAIR,
    ),
    # With on_drift="restore".
    Grant("RestoreBluesEndpointConfig", ("sagemaker:UpdateEndpoint",), ("endpoint/{made}*", "endpoint-config/*")),
    Grant(
        "MakeAndRemoveGreensEndpoint",
        ("sagemaker:CreateEndpoint", "sagemaker:DeleteEndpoint", "sagemaker:AddTags"),
        ("endpoint/{made}*",),
    ),
    # Blue's config has a name of your own, and CreateEndpoint is allowed only if it is on both.
    Grant(
        "RestoreBluesConfig",
        ("sagemaker:CreateEndpointConfig", "sagemaker:CreateEndpoint", "sagemaker:AddTags"),
        ("endpoint-config/*",),
    ),
    Grant("RestoreBluesInstances", ("sagemaker:UpdateEndpointWeightsAndCapacities",), ("endpoint/{made}*",)),
)
_TWO_ENDPOINTS = (
    *_PAIR,
    Grant("SetLivePointer", ("ssm:PutParameter", "ssm:DeleteParameters"), (f"parameter{pointer_name('{endpoint}')}",)),
)
# A component stands on no config of its own, and scales on as it did.
_OF_CONFIGS = ("sagemaker:ListEndpointConfigs", "sagemaker:CreateEndpointConfig", "sagemaker:DeleteEndpointConfig")
_OF_COMPONENT = (
    *(
        replace(grant, actions=tuple(action for action in grant.actions if action not in _OF_CONFIGS))
        for grant in (*_READ, *_MAKE)
        if grant.purpose != "ReadScaling"
    ),
    *COMPONENT,
)
_FUNCTION = (
    Grant(
        "ReadFunction",
        ("lambda:GetAlias", "lambda:GetFunctionConfiguration", "lambda:ListVersionsByFunction"),
        ("function:{function}", "function:{function}:*"),
    ),
    Grant(
        "SetAliasAndVariable",
        ("lambda:UpdateAlias", "lambda:CreateAlias", "lambda:UpdateFunctionConfiguration"),
        ("function:{function}", "function:{function}:*"),
    ),
    # On versions alone: on the function itself it would allow to delete all of it.
    Grant(
        "RemoveGreensVersion",
        (
            "lambda:DeleteFunction",
            "lambda:GetProvisionedConcurrencyConfig",
            "lambda:DeleteProvisionedConcurrencyConfig",
        ),
        ("function:{function}:*",),
    ),
    # Green's; and blue's once more where somebody has deleted it.
    Grant("PublishVersions", ("lambda:PublishVersion",), ("function:{function}", "function:{function}:*")),
)
_WARM_GREEN = Grant("WarmGreensVersion", ("lambda:PutProvisionedConcurrencyConfig",), ("function:{function}:*",))
# Where the live pointer names an endpoint that is called otherwise.
_RESTORE_OTHER_BLUE = Grant(
    "RestoreBluesEndpoint",
    ("sagemaker:CreateEndpoint", "sagemaker:UpdateEndpointWeightsAndCapacities", "sagemaker:AddTags"),
    ("endpoint/{endpoint}",),
)
_RESOLVE = Grant("ResolveLiveEndpoint", ("ssm:GetParameter",), (f"parameter{pointer_name('{endpoint}')}",))
_CALLS = ("sagemaker:InvokeEndpoint", "sagemaker:InvokeEndpointAsync")
_INVOKE = Grant("InvokeWhatItNames", _CALLS, ("endpoint/{made}*",))
_INVOKE_OTHER_BLUE = Grant("InvokeBlue", _CALLS, ("endpoint/{endpoint}",))
# What only some plans and commands need. Samples on S3 are yours: whoever validates must be allowed to read them, too.
EXTRAS = {
    "validate": Grant("AskGreenAndBlue", ("sagemaker:InvokeEndpoint",), ("endpoint/{endpoint}", "endpoint/{made}*")),
    "monitoring": Grant("ReadMonitoring", ("sagemaker:ListMonitoringExecutions",), ("monitoring-schedule/*",)),
    "registry": Grant("ReadModelPackage", ("sagemaker:DescribeModelPackage",), ("model-package/*",)),
    "events": Grant("TellEventBridge", ("events:PutEvents",), ("event-bus/*",)),
    "guardian": Grant("SeeWhoGuards", ("ssm:GetParametersByPath",), (f"parameter{LOOKS_PREFIX}",)),
    # Past rollouts are found by the variants that CloudWatch has figures of.
    "replay": Grant("FindPastVariants", ("cloudwatch:ListMetrics",), (ANY,)),
}
_TELL_JUDGEMENT = Grant(
    "TellSageMakerToGoBack",
    ("cloudwatch:PutMetricData",),
    (ANY,),
    condition={"cloudwatch:namespace": NAMESPACE},
)
_GUARDIAN = (
    _TELL_JUDGEMENT,
    Grant("FindRollouts", ("ssm:GetParametersByPath",), (f"parameter{RECORD_PREFIX}",)),
    Grant("ReadRollouts", ("ssm:GetParameter", "ssm:ListTagsForResource"), (f"parameter{record_name('{endpoint}')}",)),
    Grant("ReadOverwrittenRecord", ("ssm:GetParameter",), (f"parameter{record_name('{endpoint}')}:*",)),
    Grant("ReadTheirAlarmsAndMetrics", _READ[1].actions, (ANY,)),
    Grant(
        "ReadEndpoints",
        ("sagemaker:DescribeEndpoint", "sagemaker:DescribeEndpointConfig", "sagemaker:DescribeModel"),
        ("endpoint/*", "endpoint-config/*", "model/*"),
    ),
    Grant(
        "ReadScaling",
        ("application-autoscaling:DescribeScalableTargets", "application-autoscaling:DescribeScalingPolicies"),
        (ANY,),
    ),
    Grant(
        "TurnAround",
        ("ssm:GetParameters", "ssm:PutParameter", "ssm:DeleteParameters", "ssm:AddTagsToResource"),
        (f"parameter{record_name('{endpoint}')}", f"parameter{pointer_name('{endpoint}')}"),
    ),
    Grant("EndUndo", ("ssm:PutParameter",), (f"parameter{previous_name('{endpoint}')}",)),
    Grant("ReadLivePointer", ("ssm:GetParameter",), (f"parameter{pointer_name('{endpoint}')}",)),
    Grant(
        "SayWhatItDoes",
        ("ssm:GetParameter", "ssm:PutParameter"),
        (f"parameter{taken_back_name('{endpoint}')}", f"parameter{LOOKS_PREFIX}/*"),
    ),
    Grant(
        "TakeTrafficBack",
        ("sagemaker:UpdateEndpointWeightsAndCapacities", "sagemaker:UpdateEndpoint"),
        ("endpoint/{endpoint}", "endpoint-config/*"),
    ),
    # Blue's config has a name of your own; both are made again where somebody has deleted them.
    Grant(
        "RestoreBlue",
        ("sagemaker:CreateEndpointConfig", "sagemaker:CreateEndpoint", "sagemaker:AddTags"),
        ("endpoint-config/*", "endpoint/{endpoint}"),
    ),
    Grant(
        "RemoveGreen",
        ("sagemaker:DeleteModel", "sagemaker:DeleteEndpointConfig", "sagemaker:DeleteEndpoint"),
        ("endpoint-config/{made}*", "model/{made}*", "endpoint/{made}*"),
    ),
    *COMPONENT,
    Grant("RemoveItsAlarms", ("cloudwatch:DeleteAlarms",), ("alarm:sm-rollout-{endpoint}-*",)),
    _SUSPEND_AND_RESTORE_SCALING,
    _ALARMS_OF_SCALING,
    Grant(
        "EndGreensScaling",
        ("application-autoscaling:DeregisterScalableTarget", "application-autoscaling:DeleteScalingPolicy"),
        (ANY,),
        condition=_SCALABLE,
    ),
)


def _grants_of(way: Traffic) -> tuple[Grant, ...]:
    """AWS refuses to remove a variant from a config while it scales, so where both are in one, a promotion ends blue's scaling first."""
    if way.has_function:
        return (*_PAIR, *_FUNCTION, _WARM_GREEN, *((*DEPLOYMENT, _TELL_JUDGEMENT) if way.has_deployment else ()))
    if way.has_pointer:
        return _TWO_ENDPOINTS
    if way.has_component:
        return (*_OF_COMPONENT, _TELL_JUDGEMENT)
    return (
        *_ONE_ENDPOINT,
        *((_END_SCALING,) if way.has_one_config else ()),
        *((_TELL_JUDGEMENT,) if way.is_shifted_by_aws else ()),
    )


GRANTS = {name: _grants_of(way) for name, way in TRAFFIC.items()}


def policy(
    traffic: str,
    endpoint_name: str,
    *,
    region: str = ANY,
    account: str = ANY,
    role_arns: Iterable[str] = (ANY,),
    blue_endpoint: str | None = None,
    function: str | None = None,
    extras: Iterable[str] = (),
) -> dict[str, Any]:
    """A least-privilege policy for rollouts of one endpoint.

    With ``delete_blue`` a rollout needs to delete blue's config and model too, whose names are your own: add them.

    :param traffic: the way to split traffic, a key of :data:`GRANTS`.
    :param role_arns: execution roles that models made by a rollout may have.
    :param blue_endpoint: the endpoint that the live pointer names before the first rollout, if that is not called as the pointer.
    :param function: with ``traffic="lambda"`` the function's name.
    :param extras: keys of :data:`EXTRAS`, for plans with ``validate``, ``monitoring_schedules`` or ``guardian``, for an
        :class:`~airflow_sm_rollout.hooks.event_bridge.EventBridgeNotifier`, and for ``sm-rollout replay``.
    :raises PlanError: for an endpoint name that SageMaker would refuse, and for a function that is missing or none.
    """
    place = parse_function(function, None, None)
    if TRAFFIC[traffic].has_function and place is None:
        raise PlanError("function", None, f"with traffic={traffic!r} the name of the function that calls the endpoint")
    grants = (*GRANTS[traffic], *(EXTRAS[extra] for extra in extras))
    where = (region, account, place.function if place else "")
    statements = _statements(grants, _RESTORE_OTHER_BLUE, endpoint_name, blue_endpoint, where)
    roles, by_codedeploy = list(role_arns), TRAFFIC[traffic].has_deployment
    statements.append(_pass_role("RoleOfGreensModel", roles, "sagemaker"))
    return _document([*statements, *([_pass_role("RoleOfTheGroup", roles, "codedeploy")] if by_codedeploy else [])])


def _pass_role(purpose: str, role_arns: list[str], to: str) -> dict[str, Any]:
    passed = {"Sid": purpose, "Effect": "Allow", "Action": ["iam:PassRole"], "Resource": role_arns}
    return {**passed, "Condition": {"StringEquals": {"iam:PassedToService": f"{to}.amazonaws.com"}}}


def client_policy(
    endpoint_name: str, *, region: str = ANY, account: str = ANY, blue_endpoint: str | None = None
) -> dict[str, Any]:
    """What a service needs that calls ``traffic="endpoints"`` by :func:`~airflow_sm_rollout.live.live_endpoint`.

    :param blue_endpoint: as for :func:`policy`.
    :raises PlanError: as for :func:`policy`.
    """
    return _document(
        _statements((_RESOLVE, _INVOKE), _INVOKE_OTHER_BLUE, endpoint_name, blue_endpoint, (region, account))
    )


def guardian_policy(
    prefix: str = "", *, region: str = ANY, account: str = ANY, functions: Iterable[str] = ()
) -> dict[str, Any]:
    """What a guardian needs, whatever the way to split traffic is: to watch, and to take back.

    :param prefix: what the endpoints' names begin with; empty: any endpoint of the account.
    :param functions: the names of the Lambda functions that are in front of them.
    :raises PlanError: for what no endpoint's name begins with.
    """
    if prefix:
        validate_endpoint_name(prefix.rstrip("-"))
    statements = [grant.statement(f"{prefix}*", region, account) for grant in _GUARDIAN]
    functions = tuple(functions)
    for number, function in enumerate(functions, 1):
        of_function = (replace(grant, purpose=f"{grant.purpose}{number}") for grant in _FUNCTION)
        statements += [grant.statement(f"{prefix}*", region, account, function) for grant in of_function]
    if functions:
        statements += [grant.statement(f"{prefix}*", region, account) for grant in DEPLOYMENT_BACK]
    return _document(statements)


def _statements(
    grants: Iterable[Grant], on_blue: Grant, endpoint_name: str, blue_endpoint: str | None, where: tuple[str, ...]
) -> list[dict[str, Any]]:
    """The grants on an endpoint's things, and one on blue's endpoint if that has a name of its own.

    :param where: the Region, the account, and the function's name if there is one.
    """
    named = [(grant, endpoint_name) for grant in grants]
    if blue_endpoint is not None:
        named.append((on_blue, blue_endpoint))
    return [grant.statement(validate_endpoint_name(name), *where) for grant, name in named]


def _document(statements: list[dict[str, Any]]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": statements}
