"""What is read of an inference component before a rollout, and what is refused of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from airflow_sm_rollout.aws import components
from airflow_sm_rollout.aws.components import read_component
from airflow_sm_rollout.aws.serving import read_named
from airflow_sm_rollout.core.errors import RolloutRefused
from airflow_sm_rollout.sandbox.faults import Fault
from convergence.components_lab import HOST, SPECIFICATION, ComponentsLab
from convergence.lab import ENDPOINT


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"Specifications": [SPECIFICATION]}, "several instance types"),
        ({"Specification": {"BaseInferenceComponentName": "base"}}, "an adapter"),
        ({"Specification": {**SPECIFICATION, "Container": {"Environment": {"A": "1"}}}}, "a Container of its own"),
        ({"Specification": {"ComputeResourceRequirements": {"MinMemoryRequiredInMb": 512}}}, "names no model"),
        ({"Specification": {**SPECIFICATION, "Quantum": True}}, "Specification.Quantum"),
        ({"InferenceComponentStatus": "Updating"}, "starts from a component that is InService"),
    ],
)
def test_what_can_not_be_carried_over_is_refused_by_its_name(
    changed: dict[str, Any], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab, describe = ComponentsLab(), components._describe
    told: Callable[[Any, str], dict[str, Any]] = lambda sagemaker, name: {**describe(sagemaker, name), **changed}  # noqa: E731
    monkeypatch.setattr(components, "_describe", told)
    with pytest.raises(RolloutRefused, match=words):
        lab.plan()


def test_a_name_that_is_none_of_a_components_is_refused_with_what_it_is_to_be() -> None:
    lab = ComponentsLab()
    lab.clients.sagemaker.delete_inference_component(InferenceComponentName=ENDPOINT)
    lab.pass_time(60)
    with pytest.raises(RolloutRefused, match="there is no such inference component"):
        lab.plan()


def test_what_a_host_and_a_component_are_called_is_told_apart() -> None:
    lab = ComponentsLab()
    host, component = (read_named(lab.clients.sagemaker, name) for name in (HOST, ENDPOINT))
    assert host is not None
    assert component is not None
    assert host.describe().startswith(f"endpoint {HOST}")
    assert component.describe() == f"inference component {ENDPOINT} is InService on model fraud-v1, 4 of 4 copies"
    assert read_named(lab.clients.sagemaker, "neither") is None


def test_who_may_read_no_component_sees_that_there_is_no_endpoint() -> None:
    lab = ComponentsLab()
    lab.sandbox.faults.add(Fault("denied", "DescribeInferenceComponent"))
    assert read_named(lab.clients.sagemaker, ENDPOINT) is None


def test_how_often_its_host_publishes_is_how_long_an_alarms_period_is() -> None:
    lab = ComponentsLab()
    assert lab.plan().metric_period_seconds == 60


def test_a_component_that_runs_what_no_rollout_knows_is_on_no_known_specification() -> None:
    lab = ComponentsLab()
    rollout = lab.plan()
    lab.clients.sagemaker.update_inference_component(
        InferenceComponentName=ENDPOINT, Specification={**SPECIFICATION, "StartupParameters": {}}
    )
    lab.pass_time(100)
    seen = read_component(lab.clients.sagemaker, ENDPOINT, rollout)
    assert seen is not None
    assert seen.config_name not in (rollout.blue.config_name, rollout.names.final_config)
