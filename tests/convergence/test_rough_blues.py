"""Blue's config, model and endpoint with odd members: a rollout is planned and can be recorded, or a sentence says why not."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest

from airflow_sm_rollout.aws.planning import plan_rollout
from airflow_sm_rollout.aws.record import record_of
from airflow_sm_rollout.core.advance import Passing
from airflow_sm_rollout.core.errors import RolloutError
from airflow_sm_rollout.core.record import to_json
from airflow_sm_rollout.core.rollout import Green, Plan
from convergence.lab import USER_ALARM, Lab

pytestmark = pytest.mark.usefixtures("direct")

TEXTS = (
    "",
    " ",
    "None",
    "a b",
    "\u0645\u062b\u0627\u0644",
    "\U0001f980" * 3,
    "x" * 5000,
    "arn:aws-cn:sagemaker:cn-north-1:1:model/x",
    "Fraud/../x",
    "{0}%s",
)
NUMBERS = (0, -1, 10**9, 0.1, 1e-300)
READS = ("describe_endpoint_config", "describe_model", "describe_endpoint")


def odd_for(kept: Any) -> tuple[Any, ...]:
    """Values of the same type."""
    if isinstance(kept, str):
        return TEXTS
    if isinstance(kept, list):
        return [], kept * 2, kept * 200
    if isinstance(kept, (int, float)) and not isinstance(kept, bool):
        return NUMBERS
    return ({},) if isinstance(kept, dict) else ()


def odd(whole: Any, at: Any = None) -> Iterator[Any]:
    """The answer with each of its parts once left out, null, and each odd value of its own type."""
    at = whole if at is None else at
    for key in list(at) if isinstance(at, dict) else range(len(at)):
        kept = at[key]
        values = [*odd_for(kept), *([None] if isinstance(at, dict) else [])]
        for value in values:
            at[key] = value
            yield whole
        at[key] = kept
        if isinstance(kept, (dict, list)) and kept:
            yield from odd(whole, kept)
        if isinstance(at, dict):
            del at[key]
            yield whole
            at[key] = kept


class Odd:
    """SageMaker, but for one answer."""

    def __init__(self, sagemaker: Any, call: str, answer: dict[str, Any]) -> None:
        self._sagemaker, self._call, self._answer = sagemaker, call, answer

    def __getattr__(self, name: str) -> Any:
        if name == self._call:
            return lambda **_: deepcopy(self._answer)
        return getattr(self._sagemaker, name)


@pytest.mark.parametrize("traffic", ["variants", "endpoints"])
@pytest.mark.parametrize("call", READS)
def test_whatever_aws_tells_of_blue_a_plan_is_made_or_refused_in_a_sentence(call: str, traffic: str) -> None:
    lab = Lab()
    named = {
        "describe_model": {"ModelName": "fraud-v1"},
        "describe_endpoint_config": {"EndpointConfigName": "fraud-2024"},
    }
    answer = getattr(lab.clients.sagemaker, call)(**named.get(call, {"EndpointName": "fraud"}))
    answer = deepcopy(answer)
    answer.pop("ResponseMetadata", None)
    green = Green(image="green:2", model_data_url="s3://models/green.tar.gz")
    plan = Plan(lab.strategy, (USER_ALARM,), traffic=traffic)
    tried = planned = 0
    reasons: list[str] = []
    for each in odd(answer):
        tried += 1
        clients = replace(lab.clients, sagemaker=Odd(lab.clients.sagemaker, call, each))
        try:
            rollout = plan_rollout(clients, lab.names, {"dag_id": "d", "run_id": "r"}, green, plan, lab.now())
            planned += 1
            assert record_of({"Value": to_json(rollout)}, lab.names.record) == rollout
        except (RolloutError, Passing) as error:
            reasons.append(str(error))
    print(f"{call}: {tried} tried, {planned} planned")
    assert tried > 50
    assert [reason for reason in reasons if len(reason) < 20] == []
