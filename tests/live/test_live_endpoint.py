from __future__ import annotations

import ast
import asyncio
import json
import logging
import os
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from airflow_sm_rollout import live
from airflow_sm_rollout.core.names import LIVE_PREFIX, pointer_name
from airflow_sm_rollout.live import live_endpoint, live_endpoint_async
from airflow_sm_rollout.sandbox.app import Sandbox
from airflow_sm_rollout.sandbox.faults import Fault
from airflow_sm_rollout.sandbox.server import RunningServer, serve


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    sandbox = Sandbox()
    yield sandbox
    sandbox.close()


@pytest.fixture
def server(sandbox: Sandbox) -> Iterator[RunningServer]:
    with serve(sandbox) as server:
        yield server


@pytest.fixture
def ssm(server: RunningServer) -> Any:
    return boto3.client("ssm", endpoint_url=server.url, config=live.QUICK)


def point_at(ssm: Any, endpoint: str) -> None:
    value = json.dumps({"endpoint_name": endpoint})
    ssm.put_parameter(Name=pointer_name("fraud"), Value=value, Type="String", Overwrite=True)


def questions(sandbox: Sandbox) -> int:
    return sum(call.operation == "GetParameter" for call in sandbox.calls)


def in_threads(count: int, call: Callable[[], str]) -> list[str]:
    """Call it from that many threads at the same moment."""
    together = threading.Barrier(count)

    def work(_: int) -> str:
        together.wait()
        return call()

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(work, range(count)))


class HeldUp:
    """An SSM that answers when it is let to."""

    def __init__(self, answer: str | Exception) -> None:
        self.answer = answer
        self.asked, self.go_on = threading.Event(), threading.Event()

    def get_parameter(self, Name: str) -> dict[str, Any]:  # noqa: N803 - boto3's
        self.asked.set()
        assert self.go_on.wait(10)
        if isinstance(self.answer, Exception):
            raise self.answer
        return {"Parameter": {"Value": json.dumps({"endpoint_name": self.answer})}}


def test_without_a_pointer_the_name_is_the_endpoints_own(ssm: Any) -> None:
    assert live_endpoint("fraud", client=ssm) == "fraud"


def test_a_pointer_says_which_endpoint_serves(ssm: Any) -> None:
    point_at(ssm, "fraud-1")
    assert live_endpoint("fraud", client=ssm) == "fraud-1"
    point_at(ssm, "fraud-2")
    assert live_endpoint("fraud", client=ssm) == "fraud-1"
    assert live_endpoint("fraud", client=ssm, max_age=0) == "fraud-2"
    assert live_endpoint("orders", client=ssm) == "orders"


def test_without_a_client_the_environment_says_which_account(
    server: RunningServer, ssm: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
    live._default_client.cache_clear()
    point_at(ssm, "fraud-1")
    assert live_endpoint("fraud", max_age=0) == "fraud-1"
    live._default_client.cache_clear()


def test_many_threads_at_once_ask_once(sandbox: Sandbox, ssm: Any) -> None:
    point_at(ssm, "fraud-1")
    assert in_threads(40, lambda: live_endpoint("fraud", client=ssm, max_age=60)) == ["fraud-1"] * 40
    assert questions(sandbox) == 1


def test_an_answer_that_is_too_old_is_asked_for_again(
    sandbox: Sandbox, ssm: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr(live.time, "monotonic", lambda: now[0])
    answers = []
    for later in (0.0, 4.9, 0.2):
        now[0] += later
        answers.append((live_endpoint("fraud", client=ssm), questions(sandbox)))
    assert answers == [("fraud", 1), ("fraud", 1), ("fraud", 2)]


def test_while_one_thread_asks_the_others_go_on_with_the_old_answer() -> None:
    client = HeldUp("fraud-1")
    client.go_on.set()
    assert live_endpoint("fraud", client=client) == "fraud-1"
    client.answer = "fraud-2"
    client.go_on.clear()
    client.asked.clear()
    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(live_endpoint, "fraud", client=client, max_age=0)
        assert client.asked.wait(10)
        assert live_endpoint("fraud", client=client, max_age=0) == "fraud-1"
        client.go_on.set()
        assert asking.result() == "fraud-2"


def test_in_an_outage_the_last_known_endpoint_is_called_and_said(
    sandbox: Sandbox, server: RunningServer, ssm: Any, caplog: pytest.LogCaptureFixture
) -> None:
    point_at(ssm, "fraud-1")
    live_endpoint("fraud", client=ssm)
    port = int(server.url.rpartition(":")[2])
    server.close()
    with caplog.at_level(logging.WARNING):
        assert in_threads(10, lambda: live_endpoint("fraud", client=ssm, max_age=0)) == ["fraud-1"] * 10
    assert "Could not resolve fraud, still calling endpoint fraud-1: Could not connect" in caplog.text
    with serve(sandbox, port):
        point_at(ssm, "fraud-2")
        assert live_endpoint("fraud", client=ssm, max_age=0) == "fraud-2"


@pytest.mark.parametrize("kind", ["throttle", "denied", "expired_credentials"])
def test_a_refused_question_is_an_outage_too(
    sandbox: Sandbox, ssm: Any, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    point_at(ssm, "fraud-1")
    live_endpoint("fraud", client=ssm)
    sandbox.faults.add(Fault(kind, "GetParameter", times=2))
    assert live_endpoint("fraud", client=ssm, max_age=0) == "fraud-1"
    assert "still calling endpoint fraud-1" in caplog.text


def test_after_a_failed_question_ssm_is_left_alone_for_as_long_as_an_answer_lasts(sandbox: Sandbox, ssm: Any) -> None:
    live_endpoint("fraud", client=ssm)
    sandbox.faults.add(Fault("denied", "GetParameter"))
    live_endpoint("fraud", client=ssm, max_age=0)
    for _ in range(5):
        live_endpoint("fraud", client=ssm)
    assert questions(sandbox) == 2


def test_with_nothing_known_an_outage_is_an_error_and_no_guess(server: RunningServer, ssm: Any) -> None:
    server.close()
    with pytest.raises(EndpointConnectionError):
        live_endpoint("fraud", client=ssm)


def test_all_who_wait_for_the_first_answer_meet_its_error() -> None:
    client = HeldUp(ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, "GetParameter"))
    with ThreadPoolExecutor(8) as pool:
        waiting = [pool.submit(live_endpoint, "fraud", client=client) for _ in range(8)]
        client.go_on.set()
        for each in waiting:
            with pytest.raises(ClientError, match="AccessDenied"):
                each.result(10)


@pytest.mark.parametrize("text", ["fraud-2", '["fraud-2"]', '{"endpoint": "fraud-2"}'])
def test_a_pointer_that_is_not_readable_leads_nowhere(ssm: Any, text: str) -> None:
    def spoil() -> None:
        ssm.put_parameter(Name=pointer_name("fraud"), Value=text, Type="String", Overwrite=True)

    spoil()
    with pytest.raises(ValueError, match="/sm-rollout-live/fraud names no endpoint"):
        live_endpoint("fraud", client=ssm)
    point_at(ssm, "fraud-1")
    live_endpoint("fraud", client=ssm)
    spoil()
    assert live_endpoint("fraud", client=ssm, max_age=0) == "fraud-1"


def test_many_coroutines_at_once_ask_once(sandbox: Sandbox, ssm: Any) -> None:
    point_at(ssm, "fraud-1")

    async def resolve_all() -> list[str]:
        return await asyncio.gather(*(live_endpoint_async("fraud", client=ssm, max_age=60) for _ in range(40)))

    assert asyncio.run(resolve_all()) == ["fraud-1"] * 40
    assert questions(sandbox) == 1
    assert asyncio.run(live_endpoint_async("fraud", client=ssm)) == "fraud-1"
    assert questions(sandbox) == 1


def test_the_event_loop_goes_on_while_ssm_is_asked() -> None:
    client = HeldUp("fraud-1")

    async def resolve() -> str:
        asking = asyncio.create_task(live_endpoint_async("fraud", client=client))
        while not client.asked.is_set():
            await asyncio.sleep(0.001)
        client.go_on.set()  # only a loop that is not blocked gets here
        return await asking

    assert asyncio.run(asyncio.wait_for(resolve(), 10)) == "fraud-1"


def test_a_forked_process_does_not_wait_for_a_question_of_its_parent(monkeypatch: pytest.MonkeyPatch) -> None:
    client = HeldUp("fraud-1")
    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(live_endpoint, "fraud", client=client)
        assert client.asked.wait(10)
        parent = os.getpid()
        monkeypatch.setattr(live.os, "getpid", lambda: parent + 1)
        client.go_on.set()
        assert live_endpoint("fraud", client=client) == "fraud-1"
        assert asking.result(10) == "fraud-1"


def test_the_module_stands_alone_and_agrees_with_the_rest_about_the_parameters_name() -> None:
    tree = ast.parse(Path(live.__file__).read_text())
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    outside = {name.partition(".")[0] for name in imported} - set(sys.stdlib_module_names)
    assert outside == {"boto3", "botocore"}
    assert live.LIVE_PREFIX == LIVE_PREFIX
