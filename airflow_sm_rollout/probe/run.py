"""Ask all facts, one after the other; whatever happens, what was made is deleted."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from airflow_sm_rollout.probe.fact import Fact, Finding, Needs
from airflow_sm_rollout.probe.facts import FACTS
from airflow_sm_rollout.probe.lab import Lab, Unanswered

SCHEMA_VERSION = 1
PRICES: Mapping[str, float] = {"ml.t2.medium": 0.056, "ml.m5.large": 0.115, "ml.m5.xlarge": 0.23}
"""Dollars for an instance-hour of hosting in us-east-1, about; other Regions differ."""

_MINUTES: Mapping[Needs, int] = {"metrics": 20, "endpoint": 50, "canary": 50, "broken model": 45}
_INSTANCE_HOURS: Mapping[Needs, float] = {"metrics": 0.0, "endpoint": 2.5, "canary": 3.0, "broken model": 1.5}


def choose(ids: Sequence[str], has_broken_model: bool) -> list[Fact]:
    """The facts to ask: those that are named, or all that can be.

    :raises ValueError: for one that there is not, or that needs a model that was not given.
    """
    known = {fact.id: fact for fact in FACTS}
    if unknown := [name for name in ids if name not in known]:
        raise ValueError(f"there is no fact {', '.join(unknown)}; --list shows all")
    chosen = [fact for fact in FACTS if fact.id in ids] if ids else list(FACTS)
    without = [fact for fact in chosen if fact.needs != "broken model" or has_broken_model]
    if ids and len(without) < len(chosen):
        raise ValueError(f"--broken-model is needed for {', '.join(fact.id for fact in chosen if fact not in without)}")
    return without


def estimate(facts: Sequence[Fact], instance_type: str, price: float | None) -> str:
    """How long it takes and what it costs, in a sentence.

    :param price: of an instance-hour in dollars; ``None``: as :data:`PRICES` has it, where it does.
    """
    needs = {fact.needs for fact in facts}
    hours, minutes = sum(_INSTANCE_HOURS[each] for each in needs), sum(_MINUTES[each] for each in needs)
    each = price if price is not None else PRICES.get(instance_type)
    dollars = "" if each is None else f", about {hours * each:.2f} $ at {each:g} $ an hour"
    if price is None:
        dollars += " (look up the price in your Region)"
    instances = f"up to {hours:g} instance-hours of {instance_type}{dollars}, and " if hours else ""
    return f"It takes about {minutes} minutes. It costs {instances}some cents for alarms and metrics."


def ask(facts: Sequence[Fact], lab: Lab, say: Callable[[str], None]) -> Iterator[Finding]:
    """Ask one fact after the other. What was made goes at the end, or as soon as nobody takes further findings.

    :param say: is told what is being done.
    """
    try:
        for fact in facts:
            say(f"{fact.id}: {fact.question}")
            yield _find(fact, lab)
    finally:
        say(f"deleting what was made, all of it called {lab.name}")
        lab.clean_up(say)


def _find(fact: Fact, lab: Lab) -> Finding:
    try:
        return Finding(fact, fact.check(lab))
    except (ClientError, BotoCoreError, Unanswered) as error:
        return Finding(fact, None, lab.plain(str(error)))
    except (LookupError, TypeError, ValueError) as error:  # AWS's answer has not what it always had
        return Finding(fact, None, f"an answer of AWS's is not as expected: {error!r}")


def table(findings: Sequence[Finding]) -> list[str]:
    """Where AWS and the sandbox differ, and where they don't."""
    words = {True: "same", False: "DIFFERENT", None: "not known"}
    lines = []
    for finding in findings:
        told = finding.trouble if finding.found is None else finding.found
        lines.append(f"{words[finding.is_same]:<10} {finding.fact.id:<22} {told}")
        if finding.is_same is False:
            lines.append(f"{'':<10} {'':<22} the sandbox: {finding.fact.sandbox}  ({finding.fact.source})")
    counts = [sum(finding.is_same is kind for finding in findings) for kind in (True, False, None)]
    return [*lines, "{} facts as in the sandbox, {} different, {} not known".format(*counts)]


def as_json(findings: Sequence[Finding], region: str) -> dict[str, Any]:
    """The same for programs."""
    facts = [
        {
            "id": finding.fact.id,
            "question": finding.fact.question,
            "how": finding.fact.how,
            "source": finding.fact.source,
            "sandbox": finding.fact.sandbox,
            "aws": finding.found,
            "same": finding.is_same,
            "trouble": finding.trouble,
        }
        for finding in findings
    ]
    return {"schema_version": SCHEMA_VERSION, "region": region, "facts": facts}
