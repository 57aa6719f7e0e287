"""What can happen to the calls of a shadow: killed, throttled, denied, an answer lost; and then a retry or a rollback."""

from __future__ import annotations

from collections.abc import Callable

from airflow_sm_rollout.core.goals import GreenShadowed
from convergence.lab import ENDPOINT, Lab
from convergence.walk import WAYS, Fault, rollout_strikes, run_struck

EVERY = 5  # of all cases, which take a minute; coprime to the number of ways that a call can go wrong, so that each of them occurs


class ShadowLab(Lab):
    """A rollout as far as its shadow."""

    def tasks(self) -> list[Callable[[], object]]:
        return [lambda: self.reach(GreenShadowed(self.plan(), 50))]


def test_green_is_a_shadow_or_all_is_as_before_and_no_user_meets_it() -> None:
    strikes = rollout_strikes(ShadowLab)[::EVERY]
    assert {strike.way for strike in strikes} == set(WAYS)
    for strike in strikes:
        lab = ShadowLab()
        fault = Fault(strike, lab.now)
        run_struck(lab, fault)
        lab.hook = None
        config = lab.clients.sagemaker.describe_endpoint(EndpointName=ENDPOINT)["EndpointConfigName"]
        assert config == lab.names.shadow_config or lab.describe() == lab.before, f"{strike} on {fault.struck}"
        assert set(lab.shares) == {0.0}
        lab.roll_back()
        assert lab.describe() == lab.before, f"rolled back after {strike} on {fault.struck}"
