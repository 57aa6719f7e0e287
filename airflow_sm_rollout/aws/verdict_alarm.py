"""The alarm by which AWS obeys the rollout's judge while it shifts the traffic itself.

SageMaker and CodeDeploy look at alarms only. So the judge publishes at each look whether harm is proven, and an alarm on that goes with the
deployment. It rings as soon as the judge says so, and as well where nobody has judged for :data:`SILENCE`: no word is not a good one.

Both are one rule of CloudWatch's: the alarm rings when each of the last periods is bad or has no point. One good word in all that time
keeps it quiet. Harm is said of all of them at once, since points may be published with times of the past (CloudWatch, PutMetricData).
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from airflow_sm_rollout.core.rollout import Rollout

NAMESPACE, METRIC = "SmRollout", "Harm"
PERIOD = timedelta(seconds=10)
"""The shortest that an alarm can have; it is evaluated as often."""
SILENCE = timedelta(minutes=3)
"""A triggerer that was killed is replaced in a minute or two, and its triggers begin anew. CloudWatch looks back further than an alarm's
periods for points to judge; how much further where they are this short is not documented, so it may ring some minutes later.
"""
_PERIODS = SILENCE // PERIOD


def put(cloudwatch: Any, rollout: Rollout, now: datetime) -> None:
    """Make the alarm, or make it quiet again, with a first word of the judge: without one it would ring at once."""
    tell(cloudwatch, rollout, now, is_harmful=False)
    cloudwatch.put_metric_alarm(
        AlarmName=rollout.names.verdict_alarm,
        AlarmDescription=f"Proven harm, or nobody who judges: {rollout.traffic.shifter} is to go back. For {rollout.describe_owner()}",
        Namespace=NAMESPACE,
        MetricName=METRIC,
        Dimensions=_dimensions(rollout),
        Statistic="Maximum",
        Period=int(PERIOD.total_seconds()),
        EvaluationPeriods=_PERIODS,
        DatapointsToAlarm=_PERIODS,
        Threshold=1.0,
        ComparisonOperator="GreaterThanOrEqualToThreshold",
        TreatMissingData="breaching",
        Tags=[{"Key": "sm-rollout", "Value": rollout.rollout_id}],
    )


def tell(cloudwatch: Any, rollout: Rollout, now: datetime, *, is_harmful: bool) -> None:
    """Publish the judge's word."""
    moments = [now - PERIOD * number for number in range(_PERIODS)] if is_harmful else [now]
    point = {
        "MetricName": METRIC,
        "Dimensions": _dimensions(rollout),
        "Value": float(is_harmful),
        "StorageResolution": 1,
    }
    cloudwatch.put_metric_data(Namespace=NAMESPACE, MetricData=[{**point, "Timestamp": moment} for moment in moments])


def _dimensions(rollout: Rollout) -> list[dict[str, str]]:
    named = {"EndpointName": rollout.endpoint_name, "Rollout": rollout.rollout_id}
    return [{"Name": name, "Value": value} for name, value in named.items()]
