"""Which models the demo rolls out, and how each rollout should end."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from airflow_sm_rollout.core.traffic import parse_traffic
from airflow_sm_rollout.demo.production import REQUESTS_PER_SECOND
from airflow_sm_rollout.demo.report import PROMOTED, ROLLED_BACK
from airflow_sm_rollout.demo.scripts import NoSuchDemo, Script


@dataclass(frozen=True, slots=True)
class Model:
    """A model to roll out.

    :param form: what the trigger form has about its training.
    :param expected: the outcome that should come.
    """

    form: Mapping[str, Any]
    expected: str


@dataclass(frozen=True, slots=True)
class Trial:
    """Models, rolled out one after the other.

    :param models: by what they are called.
    :param plan: what the trigger form has about the canary, where the strategy's script is too short to tell.
    :param production: hyperparameters of the model in production.
    :param requests_per_second: that clients send.
    :param tolerances: of the comparison, where the defaults, made for hours of traffic, are not right for minutes.
    :param patience_seconds: how long a run may go on without any of its tasks moving on; ``None``: as the script has it.
    """

    models: Mapping[str, Model]
    plan: Mapping[str, str] = field(default_factory=dict)
    production: Mapping[str, str] = field(default_factory=dict)
    requests_per_second: float = REQUESTS_PER_SECOND
    tolerances: Mapping[str, Any] = field(default_factory=dict)
    patience_seconds: float | None = None

    def adapt(self, script: Script) -> Script:
        """The script for these models.

        :raises NoSuchDemo: where the models need another one.
        """
        if not self.plan:
            return script
        if script.dag_id != "canary" or not parse_traffic(script.traffic).gives_any_share:
            shown = ", ".join(self.models)
            raise NoSuchDemo(
                f"the {shown} model is shown by a canary of any share, not by {script.dag_id} with traffic {script.traffic}"
            )
        return replace(
            script,
            plan={**script.plan, **self.plan},
            shares={f"shift_{number}": float(share) for number, share in enumerate(self.plan["steps"].split(","), 1)},
            patience_seconds=self.patience_seconds or script.patience_seconds,
        )

    @property
    def environment(self) -> dict[str, str]:
        """What the sample DAGs read of it."""
        return {"SM_ROLLOUT_TOLERANCES": json.dumps(dict(self.tolerances))}


_SOMEWHAT_SLOWER = {"points": 0.15, "healthy_points": 0.3}
# Processes of one machine differ by more than AWS's instances do: green has fewer of them for its requests than blue.
ONE_MACHINE = dict.fromkeys(("over_p50", "over_p95", "over_p99", "over_twice_p99"), _SOMEWHAT_SLOWER)
_IN_MINUTES = {**ONE_MACHINE, "warm_up_minutes": 0.2, "min_bake_minutes": 1}

GOOD_AND_BAD = Trial(
    {
        "good": Model({"C": 0.5, "random_state": 7}, PROMOTED),
        "bad": Model({"drop_column": "proline"}, ROLLED_BACK),
    },
    tolerances=ONE_MACHINE,
)
TRIALS: Mapping[str, Trial] = {
    "good-and-bad": GOOD_AND_BAD,
    # Too little slower for the rollout's own alarm, which lets a fast model become 25 ms slower.
    "slow": Trial(
        {"slow": Model({"slow_milliseconds": 15}, ROLLED_BACK)},
        plan={"steps": "10,50,100", "bake": "240,30,12"},
        tolerances=_IN_MINUTES,
        patience_seconds=600.0,
    ),
    # Errors of 0.5 % against 1.5 %, both far below the alarm's 5 %.
    "subtle": Trial(
        {"subtle": Model({"fail_percent": 1.5}, ROLLED_BACK)},
        plan={"steps": "50,100", "bake": "900,12"},
        production={"fail_percent": "0.5"},
        requests_per_second=2 * REQUESTS_PER_SECOND,
        tolerances=_IN_MINUTES,
        patience_seconds=1200.0,
    ),
}
