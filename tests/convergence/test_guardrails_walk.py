"""The walk of :mod:`convergence.walk`, where SageMaker shifts the traffic."""

from __future__ import annotations

import pytest

from convergence.guardrails_lab import GuardrailsLab
from convergence.walk import count_calls, walk_rollback, walk_rollout

CALLS = count_calls(GuardrailsLab)


@pytest.mark.parametrize("part", range(4))
def test_a_shift_by_sagemaker_struck_at_any_call_ends_promoted_or_as_before(part: int) -> None:
    walked = walk_rollout(GuardrailsLab, CALLS, part, 4)
    print(f"{walked} cases walked")
    assert walked >= CALLS / 4


@pytest.mark.parametrize("tasks_done", range(1, 5))
def test_a_rollback_struck_at_any_call_restores_everything(tasks_done: int) -> None:
    print(f"{walk_rollback(GuardrailsLab, tasks_done)} cases walked")
