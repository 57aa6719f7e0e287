"""Asynchronous endpoints: what judges green is what its queue and its answers publish, and no queue is deleted with requests in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from airflow_sm_rollout.aws.evidence import read_periods
from airflow_sm_rollout.aws.metrics import count_requests
from airflow_sm_rollout.aws.record import read_record
from airflow_sm_rollout.aws.watch import Memory, look
from airflow_sm_rollout.core.errors import RolloutRefused
from airflow_sm_rollout.core.rollout import Rollout
from airflow_sm_rollout.core.watch.sources import sources_of
from airflow_sm_rollout.core.watch.verdict import Verdict
from airflow_sm_rollout.core.watch.watch import watch_question
from airflow_sm_rollout.sandbox.app import Sandbox
from airflow_sm_rollout.sandbox.clock import ManualClock
from airflow_sm_rollout.sandbox.containers import FunctionHost, Reply
from airflow_sm_rollout.sandbox.faults import Fault
from convergence.kinds_lab import AsyncLiveLab, AsyncVariantsLab
from convergence.lab import BLUES_TARGET, ENDPOINT, shared_session
from convergence.live_lab import scale


def answer(model: object, body: bytes) -> Reply:
    return Reply(500, b"out of memory") if body == b"bad" else Reply(200, body)


def lab_with_green() -> AsyncLiveLab:
    """Green has had 10 % for a minute."""
    lab = AsyncLiveLab(sandbox=Sandbox(clock=ManualClock(), host=FunctionHost(answer)))
    shared_session().client("s3").create_bucket(Bucket="out")
    lab.run(until=3)
    return lab


def invoke(endpoint: str, *bodies: bytes, **params: Any) -> None:
    runtime = shared_session().client("sagemaker-runtime")
    for body in bodies:
        runtime.invoke_endpoint_async(EndpointName=endpoint, Body=body, **params)


def recorded(lab: AsyncLiveLab) -> Rollout:
    rollout = read_record(lab.clients.ssm, ENDPOINT)
    assert rollout is not None
    return rollout


def take_greens_instances(lab: AsyncLiveLab, endpoint: str | None = None) -> None:
    scale(lab, endpoint or lab.names.green_endpoint, 0)
    lab.pass_time(200)


def test_answers_are_counted_with_what_failed_and_without_an_answer_nobody_called() -> None:
    lab = lab_with_green()
    lab.pass_time(60 - lab.now().timestamp() % 60)
    began = lab.now()
    invoke(lab.names.green_endpoint, b"1", b"2", b"bad")
    runtime = shared_session().client("sagemaker-runtime")
    runtime.invoke_endpoint_async(EndpointName=lab.names.green_endpoint, InputLocation="s3://out/nothing")
    invoke(ENDPOINT, b"1", b"2")
    lab.pass_time(0)
    lab.sandbox.close()  # the requests are answered in threads of their own
    lab.pass_time(300)
    rollout = recorded(lab)
    sources = sources_of(rollout, lab.now())
    assert sources is not None
    called, *idle = read_periods(lab.clients.cloudwatch, replace(sources, since=began), lab.now())
    assert called.green is not None
    assert called.blue is not None
    assert (called.green.requests, called.green.errors_5xx, called.green.errors_4xx) == (4, 2, 0)
    assert (called.blue.requests, called.blue.errors_5xx) == (2, 0)
    assert [(each.blue.requests, each.green.requests) for each in idle if each.blue and each.green] == [(0, 0)] * 3
    since = began - timedelta(seconds=1)
    told = count_requests(lab.clients.cloudwatch, rollout.green_dimensions, 60, since, lab.now(), is_queued=True)
    assert told == 3


def state_of_queue_alarm(lab: AsyncLiveLab) -> str:
    [alarm] = lab.clients.cloudwatch.describe_alarms(AlarmNames=[lab.names.queue_alarm])["MetricAlarms"]
    return str(alarm["StateValue"])


def test_a_green_that_answers_nothing_from_its_queue_is_harmful() -> None:
    lab = lab_with_green()
    assert state_of_queue_alarm(lab) == "OK"
    take_greens_instances(lab)
    invoke(lab.names.green_endpoint, b"1")
    lab.pass_time(900)
    assert state_of_queue_alarm(lab) == "ALARM"
    rollout = recorded(lab)
    looked = look(lab.clients, watch_question(rollout, lab.now(), lab.now()), lab.now(), Memory())
    assert looked.judgement.verdict is Verdict.HARMFUL
    assert f"{lab.names.queue_alarm} is in ALARM" in looked.judgement.reason


def test_requests_that_wait_as_long_on_blue_ring_nothing() -> None:
    lab = lab_with_green()
    take_greens_instances(lab)
    take_greens_instances(lab, ENDPOINT)
    invoke(ENDPOINT, b"1")
    invoke(lab.names.green_endpoint, b"1")
    lab.pass_time(900)
    assert state_of_queue_alarm(lab) == "OK"


def test_a_queue_is_answered_before_its_endpoint_is_deleted() -> None:
    lab = lab_with_green()
    take_greens_instances(lab)
    invoke(lab.names.green_endpoint, b"1")
    began = lab.now()

    def look_away() -> None:
        AsyncLiveLab.look_away(lab)
        if lab.now() > began + timedelta(minutes=20) and lab.hook is None:
            lab.hook = lambda *call: None
            scale(lab, lab.names.green_endpoint, 4)

    lab.look_away = look_away  # type: ignore[method-assign]
    lab.roll_back()
    assert timedelta(minutes=20) < lab.now() - began < timedelta(minutes=40)
    assert any("1 request(s) are in its queue" in line for line in lab.told)
    assert lab.describe() == lab.before


def test_a_queue_that_nobody_answers_holds_a_rollback_up_for_an_hour_and_no_longer() -> None:
    lab = lab_with_green()
    take_greens_instances(lab)
    invoke(lab.names.green_endpoint, b"1")
    began = lab.now()
    lab.roll_back()
    assert timedelta(minutes=60) < lab.now() - began < timedelta(minutes=75)
    assert lab.describe() == lab.before


def test_a_queue_that_aws_does_not_tell_of_is_not_waited_for_long() -> None:
    lab = lab_with_green()
    lab.sandbox.faults.add(Fault("denied", "GetMetricData", times=1_000_000))
    began = lab.now()
    lab.roll_back()
    lab.sandbox.faults.clear()
    assert timedelta(minutes=10) < lab.now() - began < timedelta(minutes=16)
    assert lab.describe() == lab.before


def scaled_to_nothing(lab: AsyncLiveLab) -> None:
    lab.clients.autoscaling.register_scalable_target(MinCapacity=0, ResourceId=BLUES_TARGET, **lab.scales)
    scale(lab, ENDPOINT, 0)
    lab.pass_time(200)


@pytest.mark.parametrize("make", [AsyncLiveLab, AsyncVariantsLab])
def test_an_endpoint_that_has_scaled_to_nothing_is_refused_by_name(make: Callable[[], AsyncLiveLab]) -> None:
    lab = make()
    scaled_to_nothing(lab)
    with pytest.raises(RolloutRefused, match="it is asynchronous"):
        lab.plan()
