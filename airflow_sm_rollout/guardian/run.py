"""How long a guardian looks: for ever, or for one look and what that one has begun."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from airflow_sm_rollout.core.guardian import Finding, State
from airflow_sm_rollout.guardian.guardian import Guardian

WHILE_TAKING_BACK = 5.0
"""Seconds between two looks while a rollout is being taken back."""


def look_on(guardian: Guardian, every: float, sleep: Callable[[float], None]) -> Iterator[list[Finding]]:
    """Look for ever.

    :param every: seconds between two looks.
    :param sleep: waits so many seconds.
    """
    while True:
        findings = guardian.look()
        yield findings
        sleep(min(every, WHILE_TAKING_BACK) if _has_more_to_do(findings) else every)


def look_once(
    guardian: Guardian, at_most: float, sleep: Callable[[float], None], alarm: str | None = None
) -> list[Finding]:
    """Look, and go on only while a rollout is being taken back; whoever looks next goes on from there.

    :param at_most: seconds to go on for.
    :param alarm: see :meth:`~airflow_sm_rollout.guardian.guardian.Guardian.look`.
    """
    findings, waited = guardian.look(alarm), 0.0
    while _has_more_to_do(findings) and waited + WHILE_TAKING_BACK <= at_most:
        sleep(WHILE_TAKING_BACK)
        waited += WHILE_TAKING_BACK
        findings = guardian.look(alarm)
    return findings


def _has_more_to_do(findings: list[Finding]) -> bool:
    return any(finding.state is State.TAKING_BACK for finding in findings)
