"""What can be said about green: the vocabulary of everything that judges it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Verdict(str, Enum):
    """What a look at green says.

    ``WATCHING``: nothing yet that would end a bake. ``INCONCLUSIVE``: nobody can tell, which is never healthy. ``DRIFTED``: somebody else
    has changed what is watched. ``UNPROVEN``: no harm was found to the end of a bake that was too short to find all that is looked for. The
    rollout goes on, and nobody calls green healthy.
    """

    WATCHING = "watching"
    HEALTHY = "healthy"
    HARMFUL = "harmful"
    INCONCLUSIVE = "inconclusive"
    ABORTED = "aborted"
    DRIFTED = "drifted"
    UNPROVEN = "unproven"


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict and its reason in one sentence, with the figures.

    :param is_tolerated: an inconclusive one that the plan lets pass.
    """

    verdict: Verdict
    reason: str
    is_tolerated: bool = False

    @property
    def passes(self) -> bool:
        """Whether the rollout goes on after it."""
        return self.verdict in (Verdict.HEALTHY, Verdict.UNPROVEN) or self.is_tolerated
