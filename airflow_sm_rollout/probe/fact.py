"""One assumption about AWS, and how it is checked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from airflow_sm_rollout.probe.lab import Lab

Needs = Literal["metrics", "endpoint", "canary", "broken model"]


@dataclass(frozen=True, slots=True)
class Fact:
    """What is assumed.

    :param id: a word for it.
    :param question: what is asked, as a sentence.
    :param how: what is done to find out.
    :param sandbox: the sandbox's answer.
    :param source: what speaks for it: recorded, documented, third party or inferred, as in docs/facts-aws.md.
    :param needs: what it costs: custom metrics and alarms alone, an endpoint, one with a deployment, or a model that can't start.
    :param check: finds out; its answer is compared with the sandbox's.
    """

    id: str
    question: str
    how: str
    sandbox: str
    source: str
    needs: Needs
    check: Callable[[Lab], str]


@dataclass(frozen=True, slots=True)
class Finding:
    """What became of a check.

    :param found: AWS's answer; ``None``: it could not be had.
    :param trouble: why not.
    """

    fact: Fact
    found: str | None
    trouble: str | None = None

    @property
    def is_same(self) -> bool | None:
        """Whether AWS does as the sandbox; ``None``: not known."""
        return None if self.found is None else self.found == self.fact.sandbox
