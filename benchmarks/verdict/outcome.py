"""What a judge said of each run of a cell."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmarks.verdict.traffic import Floats


@dataclass(frozen=True)
class Outcome:
    """By which minute of the bake a run was decided, 1 being the end of the first; not a number: it was not.

    :param harm: called harmful.
    :param healthy: called healthy.
    """

    harm: Floats
    healthy: Floats

    @property
    def rolled_back(self) -> float:
        """Share of the runs called harmful."""
        return float(np.isfinite(self.harm).mean())

    @property
    def passed(self) -> float:
        """Share of the runs called healthy."""
        return float(np.isfinite(self.healthy).mean())

    @property
    def median_harm(self) -> float:
        """Median minute of those called harmful; not a number: there were none."""
        decided = self.harm[np.isfinite(self.harm)]
        return float(np.median(decided)) if decided.size else float("nan")

    def caught(self, share: float) -> float:
        """The first minute by which a share of the runs was called harmful; infinite: it never was."""
        caught = np.sort(np.where(np.isfinite(self.harm), self.harm, np.inf))
        return float(caught[max(0, int(np.ceil(share * caught.size)) - 1)])

    def harmful_by(self, minute: float) -> float:
        """Share of the runs called harmful up to a minute."""
        return float((self.harm <= minute).mean())

    def passed_by(self, minute: int) -> float:
        """Share of the runs called healthy up to a minute."""
        return float((self.healthy <= minute).mean())


def whichever(one: Outcome, other: Outcome) -> Outcome:
    """What two judges say together: harm as soon as one says so before the first has called it healthy."""
    harm = np.fmin(one.harm, np.where(other.harm <= np.nan_to_num(one.healthy, nan=np.inf), other.harm, np.nan))
    return Outcome(harm, np.where(np.isfinite(harm), np.nan, one.healthy))


def first_minute(said: np.ndarray) -> Floats:
    """The first minute, counted from 1, of which something was said; not a number: none.

    :param said: runs x minutes.
    """
    return np.where(said.any(axis=1), said.argmax(axis=1) + 1.0, np.nan)
