"""The Airflow settings that matter to a rollout: what the demo runs with, the compose file ships and docs/operations.md recommends.

A rollout works with Airflow's defaults too, but notices a dead worker minutes later and takes seconds longer for each step. The figures
were measured on Airflow 3.3.2.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Setting:
    """One option of Airflow's configuration.

    :param section: section of ``airflow.cfg``.
    :param option: its name there.
    :param value: what a rollout wants, in seconds.
    :param default: what Airflow has otherwise.
    :param why: half a sentence for people.
    """

    section: str
    option: str
    value: str
    default: str
    why: str

    @property
    def variable(self) -> str:
        """The environment variable that sets it."""
        return f"AIRFLOW__{self.section}__{self.option}".upper()


SETTINGS = (
    Setting(
        "scheduler",
        "task_instance_heartbeat_timeout",
        "60",
        "300",
        "a killed worker is noticed, and rolled back from, after one minute instead of five",
    ),
    Setting("workers", "min_heartbeat_interval", "1", "5", "a failed task is seen up to 5 s sooner"),
    Setting("scheduler", "scheduler_idle_sleep_time", "0.2", "1", "the next task starts up to 1 s sooner"),
    Setting("scheduler", "trigger_timeout_check_interval", "15", "15", "how late a step's time-out may come"),
    Setting(
        "scheduler",
        "orphaned_tasks_check_interval",
        "30",
        "300",
        "tasks of a scheduler that died are taken up after half a minute instead of five",
    ),
)

AIRFLOW_SETTINGS = {setting.variable: setting.value for setting in SETTINGS}
"""All of :data:`SETTINGS` as environment variables."""
