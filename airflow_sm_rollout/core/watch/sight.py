"""Whether an alarm can see green: what it reads, and whether green's figures are among that.

An alarm on blue's variant stays quiet whatever green does, and after a promotion it reads nothing at all, which many alarms take for good.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import NamedTuple

from airflow_sm_rollout.core.rollout import Rollout
from airflow_sm_rollout.core.watch.rule import Rule

# What SageMaker publishes. Model Monitor's namespaces are below these, with dimensions of their own; and a metric of another's may have an
# EndpointName that is the name which clients know.
_SAGEMAKERS = re.compile(r"/?aws/sagemaker(/|$)", re.IGNORECASE)
_OF_VARIANTS = ("AWS/SageMaker", "/aws/sagemaker/Endpoints")
# What it publishes of variants and of whole endpoints (docs/facts-aws.md#metrics). Names of metrics are told apart by case, too.
_PUBLISHED = """
    Invocations InvocationsPerInstance InvocationsPerCopy Invocation4XXErrors Invocation5XXErrors InvocationModelErrors ModelLatency
    OverheadLatency ModelSetupTime ConcurrentRequestsPerModel ConcurrentRequestsPerCopy FirstChunkLatency FirstChunkModelLatency
    FirstChunkOverheadLatency MidStreamErrors InvocationsProcessed InvocationFailures ExpiredRequests TimeInBacklog TotalProcessingTime
    ApproximateBacklogSize ApproximateBacklogSizePerInstance ApproximateAgeOfOldestRequest HasBacklogWithoutCapacity CPUUtilization
    MemoryUtilization GPUUtilization GPUMemoryUtilization DiskUtilization ModelCacheHit LoadedModelCount
"""
_LOGS_OF_ENDPOINT = re.compile(r"/aws/sagemaker/Endpoints/([^:*]+)")
_DIMENSIONS = ("endpoint", "variant", "config", "component")
_MOST_TRIED = 10  # alarms of a composite one, all of whose combinations are tried


class Condition(NamedTuple):
    """What a label of a figure must be, or must not be.

    :param is_wanted: whether the label must have the value; else it must not have it.
    """

    label: str
    value: str
    is_wanted: bool = True


@dataclass(frozen=True, slots=True)
class Source:
    """Figures that an alarm reads.

    :param namespace: of the metric; empty: unknown.
    :param conditions: what their labels must be.
    :param is_exact: whether only the series is read that has these labels and no others, as by a metric's dimensions.
    :param account: whose they are, if not the alarm's own.
    :param metric: the metric's name; empty: unknown.
    """

    namespace: str
    conditions: tuple[Condition, ...] = ()
    is_exact: bool = True
    account: str = ""
    metric: str = ""


@dataclass(frozen=True, slots=True)
class Watcher:
    """An alarm as far as it matters what it reads.

    :param sources: any of them may make it ring; none: nobody can tell what it reads.
    :param log_groups: for an alarm on logs, those that it reads.
    :param rule: for a composite alarm, when it rings.
    :param children: for a composite alarm, the alarms that its rule names.
    """

    name: str
    sources: tuple[Source, ...] = ()
    log_groups: tuple[str, ...] = ()
    rule: Rule | None = None
    children: Mapping[str, Watcher] = field(default_factory=dict)


def why_blind(watcher: Watcher, rollout: Rollout) -> str:
    """Why an alarm can't see green at any step of a rollout, as a half sentence; empty if it can, or nobody can tell."""
    if watcher.rule is not None:
        return _why_composite_is_blind(watcher, watcher.rule, rollout)
    reasons = [_why_unread(source, rollout) for source in watcher.sources]
    reasons += [_why_unlogged(group, rollout) for group in watcher.log_groups]
    return "" if not all(reasons) or not reasons else reasons[0]


def describe_blind(blind: Mapping[str, str], rollout: Rollout) -> str:
    """What the alarms that can't see green are about, and what to alarm on instead.

    :param blind: by the alarms' names, why they can't.
    """
    each = "; ".join(f"alarm {name} {why}" for name, why in blind.items())
    return f"{each}. It can't see green, and after a promotion nothing of this endpoint any more. {rollout.traffic.alarm_instead(rollout)}"


def is_judged_otherwise(rollout: Rollout) -> bool:
    """Whether anything but the user's alarms judges green: SageMaker, where it shifts traffic itself, looks at alarms only."""
    judges = rollout.plan.evidence.asks_for_figures and not rollout.traffic.is_shifted_by_aws
    return bool(rollout.own_alarms) or judges


def _why_composite_is_blind(watcher: Watcher, rule: Rule, rollout: Rollout) -> str:
    blind = {name: why_blind(child, rollout) for name, child in watcher.children.items()}
    if any(map(rule.rings, _some_of([name for name, why in blind.items() if not why]))):
        return ""
    first = next((f"{name} {why}" for name, why in blind.items() if why), "none of its alarms exists")
    return f"never rings for green alone, by its rule: {first}"


def _some_of(names: Sequence[str]) -> Iterator[frozenset[str]]:
    """Whichever of the alarms may ring together; of many, each alone and all."""
    counts = range(1, len(names) + 1) if len(names) <= _MOST_TRIED else (1, len(names))
    return (frozenset(some) for count in counts for some in combinations(names, count))


def _why_unread(source: Source, rollout: Rollout) -> str:
    if source.account:
        return f"reads account {source.account}, and the endpoint is in another one"
    meant = _meant_metric(source.metric) if source.namespace in _OF_VARIANTS else ""
    if meant:
        return f"reads metric {source.metric}, which SageMaker does not publish (did you mean {meant}?)"
    is_sagemakers = bool(_SAGEMAKERS.match(source.namespace))
    theirs = [each for each in source.conditions if is_sagemakers or "sagemaker" in each.label.lower()]
    named = [condition for condition in theirs if _dimension(condition.label)]
    wrong = next((condition for condition in named if not _fits(condition, rollout)), None)
    if wrong is not None:
        return f"reads {wrong.label}{'=' if wrong.is_wanted else '!='}{wrong.value}, and green is {_describe_green(rollout)}"
    return _why_never_published(source) if source.is_exact and source.namespace in _OF_VARIANTS else ""


def _meant_metric(name: str) -> str:
    """The metric that a name means which is none, but for a letter's case or a plural; empty: it is one, or nobody knows."""
    published = _PUBLISHED.split()
    return "" if name in published else {_folded(each): each for each in published}.get(_folded(name), "")


def _folded(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", re.sub(r"s(?=[A-Z0-9_]|$)", "", name).lower())


def _why_never_published(source: Source) -> str:
    """SageMaker publishes an endpoint's figures by its name and the variant's, and by the config besides, and by no fewer
    (docs/facts-aws.md#metrics); those of an instance are of one that green has not.
    """
    dimensions = {_dimension(condition.label) for condition in source.conditions}
    others = [condition for condition in source.conditions if not _dimension(condition.label)]
    if others:
        return f"reads {others[0].label}={others[0].value} of {source.namespace}, which is nothing of green's"
    if dimensions != {"component"} and not {"endpoint", "variant"} <= dimensions:
        given = ", ".join(condition.label for condition in source.conditions) or "no dimension"
        return f"reads {source.namespace} by {given} alone, under which SageMaker publishes nothing of an endpoint"
    return ""


def _why_unlogged(group: str, rollout: Rollout) -> str:
    found = _LOGS_OF_ENDPOINT.search(group)
    if found is None or found[1] in rollout.green_labels["endpoint"]:
        return ""
    return f"reads the logs of endpoint {found[1]}, and green is {_describe_green(rollout)}"


def _dimension(label: str) -> str:
    """Which of an endpoint's dimensions a label is, in CloudWatch's spelling or in that of OpenTelemetry; empty: none."""
    words = re.findall(r"[a-z]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", label).lower())
    return next((each for each in reversed(_DIMENSIONS) if each in words), "")


def _fits(condition: Condition, rollout: Rollout) -> bool:
    labels = rollout.green_labels
    return (condition.value in labels.get(_dimension(condition.label), frozenset())) is condition.is_wanted


def _describe_green(rollout: Rollout) -> str:
    words = {
        "EndpointName": "endpoint",
        "VariantName": "variant",
        "EndpointConfigName": "config",
        "InferenceComponentName": "inference component",
    }
    return ", ".join(f"{words[name]} {value}" for name, value in rollout.green_dimensions.items())


def conditions_of(dimensions: Iterable[Mapping[str, str]]) -> tuple[Condition, ...]:
    """A metric's dimensions, as AWS lists them."""
    return tuple(Condition(each.get("Name", ""), each.get("Value", "")) for each in dimensions)
