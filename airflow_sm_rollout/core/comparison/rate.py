"""The evidence in one rate: how often something happens to green, and how often to blue in the same periods."""

from __future__ import annotations

from collections.abc import Sequence

from airflow_sm_rollout.core.comparison.bets import BY_DEADLINE, Count, HarmTest, LineTest, Pair
from airflow_sm_rollout.core.comparison.deadline import Hedge
from airflow_sm_rollout.core.comparison.dispersion import Dispersion
from airflow_sm_rollout.core.comparison.health import HealthTest
from airflow_sm_rollout.core.comparison.suspicion import Suspicion
from airflow_sm_rollout.core.comparison.track import Counts
from airflow_sm_rollout.core.plan.tolerances import Margin

FROM_THE_BEGIN = 0.85
"""The part of the capital bet on health from green's first call on; the rest is bet from the end of the warm-up on."""


class RateEvidence:
    """What is known of one rate so far.

    :param minutes: blue's trials and events before green had traffic, minute by minute.
    :param dispersion: how counts scatter where harm is bet on; so ``of_health`` where health is.
    :param odds: alternatives to bet on, see :class:`~airflow_sm_rollout.core.comparison.bets.HarmTest`.
    :param harm_proof: capital that alone is proof of harm.
    :param proof: capital that is proof of health.
    :param deadline: by when it is wanted, in minutes.
    :ivar lately: whether green looks worse of late, also where nothing is bet on harm.
    """

    def __init__(
        self,
        margin: Margin,
        minutes: Sequence[Count],
        *,
        dispersion: Dispersion,
        of_health: Dispersion,
        odds: tuple[Pair, Pair],
        harm_proof: float,
        proof: float,
        deadline: float,
    ) -> None:
        self.dispersion = dispersion
        hedge = Hedge(harm_proof / BY_DEADLINE, dispersion)
        self._harm = HarmTest(margin.ratio, margin.points, dispersion, odds, hedge)
        self.lately = Suspicion()
        line = LineTest(margin.healthy_ratio, margin.healthy_points, of_health)
        self._health = HealthTest(line, proof, deadline, stake=FROM_THE_BEGIN)
        self._known_calls = sum(calls for calls, _ in minutes)
        self._known_events = sum(events for _, events in minutes)
        self._green_calls = self._green_events = self._blue_calls = self._blue_events = 0

    @property
    def blue_rate(self) -> float:
        """Blue's in all periods so far, above 0."""
        return (self._known_events + 0.5) / (self._known_calls + 1)

    @property
    def harm(self) -> float:
        """What a capital of 1 that was bet on harm has become."""
        return self._harm.evidence

    @property
    def health(self) -> float:
        """Evidence of health; 0 where nothing was seen."""
        return self._health.evidence if self._green_calls else 0.0

    @property
    def counts(self) -> Counts:
        """What is shown of both."""
        return self._green_events, self._green_calls, self._blue_events, self._blue_calls

    def begin_anew(self) -> None:
        """What was seen so far is not shown any more, and the rest of the capital is bet on health: green has warmed up."""
        self._harm.begin_anew()
        self._health.stake_all()
        self._green_calls = self._green_events = self._blue_calls = self._blue_events = 0

    def take(
        self, green: Count, blue: Count, planned_share: float, minutes: float, *, asks_harm: bool, asks_health: bool
    ) -> None:
        """Take one more period in which both had calls.

        :param planned_share: the period's length over the planned time.
        :param minutes: the period's length.
        """
        blue_rate = self.blue_rate
        log_factors = self._harm.log_factors(green, blue, blue_rate, planned_share, minutes)
        self.lately.take((log_factors[0], log_factors[1]))
        if asks_harm:
            self._harm.stake(planned_share, log_factors)
        else:
            self._harm.pass_by(planned_share)
        if asks_health:
            self._health.bet(green, blue, blue_rate, minutes)
        calls, events = blue
        self._known_calls += calls
        self._known_events += events
        self._blue_calls += calls
        self._blue_events += events
        self._green_calls += green[0]
        self._green_events += green[1]
