"""AWS's clients are made once for a connection, and anew when what is behind it has changed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from airflow.sdk import Connection

from airflow_sm_rollout.core.watch.watch import Watch, watch_to_dict
from airflow_sm_rollout.hooks.aws import KEPT_FOR, LOOK_UP_AGAIN, AwsConnection, SharedClients
from airflow_sm_rollout.triggers.bake import BakeTrigger
from hooks.stored import Airflow
from production import Production, alarm_of

STORED = AwsConnection("stored", "eu-west-1")
JUST_BEFORE = 0.1


class Held:
    """A clock that the test holds."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Held:
    return Held()


@pytest.fixture
def shared(clock: Held) -> SharedClients:
    return SharedClients(clock)


def url_of(clients: Any) -> str:
    return str(clients.sagemaker.meta.endpoint_url)


def test_threads_that_ask_at_once_get_the_same_clients(airflow: Airflow, shared: SharedClients) -> None:
    with ThreadPoolExecutor(8) as threads:
        got = list(threads.map(lambda _: shared.get(STORED), range(40)))
    assert {id(clients) for clients in got} == {id(got[0])}
    assert len(airflow.asked_by) == 1


@pytest.mark.parametrize(
    "other",
    [
        AwsConnection("stored", "us-east-1"),
        AwsConnection("another", "eu-west-1"),
        AwsConnection("stored", "eu-west-1", verify=False),
        AwsConnection("stored", "eu-west-1", botocore_config={"read_timeout": 3}),
    ],
)
def test_what_is_another_way_to_aws_has_clients_of_its_own(
    other: AwsConnection, airflow: Airflow, shared: SharedClients
) -> None:
    assert shared.get(other) is not shared.get(STORED)


def test_another_environment_is_heeded_at_once(
    airflow: Airflow, shared: SharedClients, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = shared.get(STORED)
    monkeypatch.setenv("AWS_PROFILE", "another")
    assert shared.at_hand(STORED) is None
    monkeypatch.delenv("AWS_PROFILE")
    assert shared.at_hand(STORED) is before


def test_a_changed_connection_is_noticed_when_it_is_looked_up_again(
    airflow: Airflow, shared: SharedClients, clock: Held
) -> None:
    first = shared.get(STORED)
    airflow.extra["endpoint_url"] = "http://second"
    clock.now += LOOK_UP_AGAIN - JUST_BEFORE
    assert shared.at_hand(STORED) is shared.get(STORED) is first
    clock.now += JUST_BEFORE
    assert shared.at_hand(STORED) is None
    assert url_of(shared.get(STORED)) == "http://second"
    assert url_of(first) == "http://first"


def test_an_unchanged_connection_keeps_its_clients_for_a_while_and_no_longer(
    airflow: Airflow, shared: SharedClients, clock: Held
) -> None:
    first = shared.get(STORED)
    for _ in range(int(KEPT_FOR / LOOK_UP_AGAIN) - 1):
        clock.now += LOOK_UP_AGAIN
        assert shared.get(STORED) is first
        assert shared.at_hand(STORED) is first
    clock.now += LOOK_UP_AGAIN
    assert shared.at_hand(STORED) is None
    assert shared.get(STORED) is not first


def test_a_connection_that_can_not_be_looked_up_again_goes_on_as_it_was(
    airflow: Airflow, shared: SharedClients, clock: Held
) -> None:
    first = shared.get(STORED)
    airflow.fails = True
    for after in (LOOK_UP_AGAIN, KEPT_FOR, KEPT_FOR):
        clock.now += after
        assert shared.get(STORED) is first
    airflow.fails = False
    clock.now += LOOK_UP_AGAIN
    assert shared.get(STORED) is not first


def test_a_connection_that_was_never_looked_up_has_no_clients(airflow: Airflow, shared: SharedClients) -> None:
    airflow.fails = True
    with pytest.raises(RuntimeError, match="does not answer"):
        shared.get(STORED)
    airflow.fails = False
    assert url_of(shared.get(STORED)) == "http://first"


def test_what_the_connection_itself_says_of_its_clients_holds(airflow: Airflow, shared: SharedClients) -> None:
    assert shared.get(STORED).ssm.meta.config.read_timeout == 7
    own = AwsConnection("stored", "eu-west-1", botocore_config={"read_timeout": 3})
    assert shared.get(own).ssm.meta.config.read_timeout == 3


def test_only_so_many_connections_are_kept(airflow: Airflow, shared: SharedClients) -> None:
    regions = [f"eu-west-{number}" for number in range(20)]
    for region in regions:
        shared.get(AwsConnection("stored", region))
    kept = [region for region in regions if shared.at_hand(AwsConnection("stored", region))]
    assert kept == regions[-len(kept) :]
    assert 0 < len(kept) <= 16


def bake(connection: AwsConnection, seconds: float) -> BakeTrigger:
    now = datetime.now(timezone.utc)
    watch = Watch(now, now + timedelta(seconds=seconds), now, 0, alarms=(alarm_of("fraud"),))
    return BakeTrigger(watch=watch_to_dict(watch), poke_interval=0.2, connection=connection.as_dict())


async def first_events(make: Callable[[], BakeTrigger], count: int) -> list[Any]:
    return await asyncio.gather(*(anext(make().run()) for _ in range(count)))  # type: ignore[call-overload]


def test_the_bakes_of_a_triggerer_ask_airflow_once_and_never_from_the_threads_that_look(
    airflow: Airflow, production: Production
) -> None:
    airflow.extra["endpoint_url"] = production.server.url
    connection = AwsConnection("stored", "us-east-1", botocore_config={"read_timeout": 11})
    events = asyncio.run(first_events(lambda: bake(connection, 1.0), 20))
    assert [event.xcoms["return_value"]["verdict"] for event in events] == ["healthy"] * 20
    assert len(airflow.asked_by) == 1
    assert not airflow.asked_by[0].startswith("sm-rollout")


def test_a_bake_waits_for_an_airflow_that_does_not_answer_for_a_while(
    airflow: Airflow, production: Production, monkeypatch: pytest.MonkeyPatch
) -> None:
    airflow.extra["endpoint_url"], airflow.fails = production.server.url, True
    answer = airflow.answer

    def third_time(conn_id: str) -> Connection:
        airflow.fails = len(airflow.asked_by) < 2
        return answer(conn_id)

    monkeypatch.setattr(airflow, "answer", third_time)
    connection = AwsConnection("stored", "us-east-1", botocore_config={"read_timeout": 12})
    (event,) = asyncio.run(first_events(lambda: bake(connection, 1.0), 1))
    assert event.xcoms["return_value"]["verdict"] == "healthy"
    assert len(airflow.asked_by) == 3
