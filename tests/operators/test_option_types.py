"""The types name every option that there is."""

from __future__ import annotations

from airflow_sm_rollout.operators.options import options_of
from airflow_sm_rollout.operators.snapshot import SnapshotOperator
from airflow_sm_rollout.task_arguments import REACHES, STEPS_ONLY, is_airflows, known_arguments
from airflow_sm_rollout.task_options import AirflowOptions, RolloutOptions

OF_FACTORIES = {"endpoint_name", "strategy", "is_shadowed", "rollout"}
OF_STEPS = {"approval", "validate", "shadow", "timeout", "poke_interval", "deferrable", "notifiers", "watch_after"}


def test_the_types_name_every_option_that_there_is() -> None:
    operators, _ = known_arguments()
    planned = options_of(SnapshotOperator) - operators - OF_FACTORIES
    assert set(RolloutOptions.__annotations__) - set(AirflowOptions.__annotations__) == planned | OF_STEPS
    named = set(AirflowOptions.__annotations__)
    assert named >= REACHES | STEPS_ONLY
    assert {name for name in named - REACHES - STEPS_ONLY if not is_airflows(name)} == set()
