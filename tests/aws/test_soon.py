"""A call whose answer is worth a little time, and no more."""

from __future__ import annotations

import time
from threading import Event

import pytest
from botocore.exceptions import ClientError

from airflow_sm_rollout.aws import world
from airflow_sm_rollout.aws.soon import ask_soon
from convergence.lab import ENDPOINT
from convergence.live_lab import LiveLab
from convergence.test_blue_deleted_behind_green import on_green


def test_an_answer_that_does_not_come_keeps_nobody_on_green(monkeypatch: pytest.MonkeyPatch) -> None:
    lab, comes = on_green(LiveLab), Event()
    monkeypatch.setattr(world, "_BLUE_TELLS", 0.01)
    real = world.read_endpoint

    def hanging(sagemaker: object, name: str) -> object:
        if lab.live() != ENDPOINT:
            comes.wait(timeout=20)
        return real(sagemaker, name)

    monkeypatch.setattr(world, "read_endpoint", hanging)
    began = time.monotonic()
    lab.roll_back()
    comes.set()
    assert time.monotonic() - began < 15
    assert lab.describe() == lab.before


def test_what_a_call_raises_is_raised_where_it_is_waited_for() -> None:
    def refused() -> None:
        raise ClientError({"Error": {"Code": "AccessDenied"}}, "DescribeEndpoint")

    with pytest.raises(ClientError):
        ask_soon(refused, 10)
    assert ask_soon(lambda: 7, 10) == 7
    with pytest.raises(TimeoutError):
        ask_soon(Event().wait, 0.01)
