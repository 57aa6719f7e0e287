"""All rules, by the way to split traffic and by the goal."""

from __future__ import annotations

from collections.abc import Mapping

from airflow_sm_rollout.core.goals import AsBefore, GreenDeployed, GreenShadowed, GreenShare, OnlyGreen
from airflow_sm_rollout.core.rules import (
    as_before,
    components,
    green_deployed,
    green_shadowed,
    green_share,
    only_green,
)
from airflow_sm_rollout.core.way import Way

WAYS: Mapping[str, Way] = {
    "variants": Way(
        rules={
            GreenDeployed: green_deployed.VARIANTS,
            GreenShadowed: green_shadowed.VARIANTS,
            GreenShare: green_share.VARIANTS,
            OnlyGreen: only_green.VARIANTS,
            AsBefore: as_before.VARIANTS,
        },
        needs={
            GreenDeployed: green_deployed.needs_of_variants,
            GreenShadowed: green_shadowed.needs,
            GreenShare: green_share.needs_of_variants,
            OnlyGreen: only_green.needs_of_variants,
            AsBefore: as_before.needs_of_variants,
        },
    ),
    "endpoints": Way(
        rules={
            GreenDeployed: green_deployed.ENDPOINTS,
            GreenShare: green_share.ENDPOINTS,
            OnlyGreen: only_green.ENDPOINTS,
            AsBefore: as_before.ENDPOINTS,
        },
        needs={
            GreenDeployed: green_deployed.needs_of_endpoints,
            GreenShare: green_share.needs,
            OnlyGreen: only_green.needs_of_endpoints,
            AsBefore: as_before.needs_of_endpoints,
        },
    ),
    "lambda": Way(
        rules={
            GreenDeployed: green_deployed.LAMBDA,
            GreenShare: green_share.LAMBDA,
            OnlyGreen: only_green.LAMBDA,
            AsBefore: as_before.LAMBDA,
        },
        needs={
            GreenDeployed: green_deployed.needs_of_lambda,
            GreenShare: green_share.needs_of_lambda,
            OnlyGreen: only_green.needs_of_lambda,
            AsBefore: as_before.needs_of_lambda,
        },
    ),
    "guardrails": Way(
        rules={
            GreenDeployed: green_deployed.GUARDRAILS,
            GreenShare: green_share.GUARDRAILS,
            OnlyGreen: only_green.GUARDRAILS,
            AsBefore: as_before.GUARDRAILS,
        },
        needs={
            GreenDeployed: green_deployed.needs_of_guardrails,
            GreenShare: green_share.needs_of_aws,
            OnlyGreen: only_green.needs_of_guardrails,
            AsBefore: as_before.needs_of_guardrails,
        },
    ),
    "components": Way(
        rules={
            GreenDeployed: components.GREEN_DEPLOYED,
            GreenShare: components.GREEN_SHARE,
            OnlyGreen: components.ONLY_GREEN,
            AsBefore: components.AS_BEFORE,
        },
        needs={
            GreenDeployed: components.needs_to_deploy,
            GreenShare: green_share.needs_of_aws,
            OnlyGreen: components.needs_to_promote,
            AsBefore: components.needs_to_go_back,
        },
    ),
    "codedeploy": Way(
        rules={
            GreenDeployed: green_deployed.CODEDEPLOY,
            GreenShare: green_share.CODEDEPLOY,
            OnlyGreen: only_green.CODEDEPLOY,
            AsBefore: as_before.CODEDEPLOY,
        },
        needs={
            GreenDeployed: green_deployed.needs_of_codedeploy,
            GreenShare: green_share.needs_of_aws,
            OnlyGreen: only_green.needs_of_codedeploy,
            AsBefore: as_before.needs_of_codedeploy,
        },
    ),
}
