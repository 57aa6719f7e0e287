"""A share of the requests, and a share of the keys."""

from __future__ import annotations

import asyncio
import io
import json
import math
import random
import re
import subprocess
import sys
from collections import Counter
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_sm_rollout.core.pointer import Pointer, Split, render_pointer, split_between
from airflow_sm_rollout.live import live_endpoint, live_endpoint_async, live_shares

DOCS = Path(__file__).parents[2] / "docs"
SCHEMA = json.loads((DOCS / "live-pointer.schema.json").read_text())
NOW = datetime(2026, 11, 28, 9, 0, tzinfo=timezone.utc)
BLUE, GREEN = "fraud", "fraud-0badcafe"
SHARES = st.floats(0, 100, allow_nan=False)
KEYS = st.one_of(st.text(), st.integers())
UNREADABLE: list[Any] = [
    {"endpoint": BLUE},
    {"endpoint_name": 7},
    {"endpoint_name": None, "green": {"endpoint_name": GREEN, "share": 5}},
    *(
        {"endpoint_name": BLUE, "green": green}
        for green in (
            GREEN,
            [],
            {},
            {"endpoint_name": GREEN},
            {"share": 5},
            *({"endpoint_name": name, "share": 5} for name in ("", None, 7)),
            *({"endpoint_name": GREEN, "share": share} for share in (0, -1, 100, 101, "5", True, None, math.nan)),
        )
    ),
    [BLUE],
    BLUE,
    None,
]


class Ssm:
    """An SSM that has one parameter."""

    def __init__(self, text: str) -> None:
        self.text = text

    def get_parameter(self, Name: str) -> dict[str, Any]:  # noqa: N803 - boto3's
        assert Name == "/sm-rollout-live/fraud"
        return {"Parameter": {"Value": self.text}}


def text_of(share: float, green: str = GREEN) -> str:
    return render_pointer(split_between(BLUE, green, share), "0badcafe", NOW, 2)


def target(share: float, key: str | int | None, green: str = GREEN) -> str:
    return live_endpoint("fraud", key=key, client=Ssm(text_of(share, green)))


@pytest.mark.parametrize("share", [0.5, 1, 10, 50, 99])
def test_draws_keep_to_the_share_within_chance(share: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airflow_sm_rollout.live.random", random.Random(7))
    ssm, count, wanted = Ssm(text_of(share)), 100_000, share / 100
    drawn = Counter(live_endpoint("fraud", client=ssm, max_age=60) for _ in range(count))
    assert set(drawn) == {BLUE, GREEN}
    assert abs(drawn[GREEN] - count * wanted) < 4 * math.sqrt(count * wanted * (1 - wanted))


@pytest.mark.parametrize("share", [0.5, 1, 10, 50, 99])
def test_keys_keep_to_the_share_within_chance(share: float) -> None:
    ssm, count, wanted = Ssm(text_of(share)), 100_000, share / 100
    drawn = Counter(live_endpoint("fraud", key=f"user-{each}", client=ssm, max_age=60) for each in range(count))
    assert abs(drawn[GREEN] - count * wanted) < 4 * math.sqrt(count * wanted * (1 - wanted))


@given(KEYS, SHARES, SHARES)
def test_as_a_share_changes_keys_move_in_one_direction_only(key: str | int, one: float, other: float) -> None:
    less, more = sorted((one, other))
    before, after = target(less, key), target(more, key)
    assert (before, after) in {(BLUE, BLUE), (BLUE, GREEN), (GREEN, GREEN)}
    assert target(less, key) == before
    assert target(0, key) == BLUE
    assert target(100, key) == GREEN


def test_each_rollout_begins_with_other_keys() -> None:
    first = {key for key in range(1000) if target(10, key) == GREEN}
    second = {key for key in range(1000) if target(10, key, "fraud-ffffffff") == "fraud-ffffffff"}
    assert 50 < len(first) < 150 > len(second) > 50
    assert len(first & second) < 40  # 10 are to be expected


def documented_places() -> list[tuple[str, float]]:
    """What docs/clients.md gives to whoever writes a client in another language."""
    rows = re.findall(r"^\| `(.+)` \| ([0-9.]+) \|$", (DOCS / "clients.md").read_text(), re.MULTILINE)
    return [(key, float(place)) for key, place in rows]


@pytest.mark.parametrize(("key", "place"), documented_places())
def test_the_places_of_the_documented_keys_are_right(key: str, place: float) -> None:
    green = "wine-0badcafe"
    assert target(place, key, green) == BLUE
    assert target(math.nextafter(place, 100), key, green) == green
    assert len(documented_places()) == 3


@pytest.mark.parametrize(
    ("key", "place"),
    [
        ("", 24.039649599856006),
        ("alice", 79.53997660447527),
        ("42", 79.26981062637992),
        ("Zoë", 41.280129448242775),
        ("日本", 54.32534739363284),
    ],
)
def test_a_keys_place_is_the_same_in_every_version_and_language(key: str, place: float) -> None:
    assert target(place, key) == BLUE
    assert target(math.nextafter(place, 100), key) == GREEN


def test_a_number_is_the_key_that_its_digits_are() -> None:
    assert all(target(50, key) == target(50, str(key)) for key in range(100))


def test_in_asyncio_a_key_goes_where_it_goes_in_threads() -> None:
    async def resolve(key: int) -> tuple[str, str]:
        ssm = Ssm(text_of(50))
        return (
            await live_endpoint_async("fraud", key=key, client=ssm),
            await live_endpoint_async("fraud", key=key, client=ssm),
        )

    for key in range(50):
        assert asyncio.run(resolve(key)) == (target(50, key),) * 2


@given(SHARES)
def test_clients_of_an_earlier_version_call_blue_until_green_has_all(share: float) -> None:
    """They know ``endpoint_name`` alone."""
    assert json.loads(text_of(share))["endpoint_name"] == (GREEN if share == 100 else BLUE)


@given(SHARES)
def test_what_a_rollout_writes_is_what_it_reads(share: float) -> None:
    written = split_between(BLUE, GREEN, share)
    assert Pointer(text_of(share), 2, NOW).split == written
    assert written.share_of(BLUE) + written.share_of(GREEN) == 100
    assert written.share_of("orders") == 0
    told = live_shares("fraud", client=Ssm(text_of(share)))
    assert told == {name: written.share_of(name) for name in (BLUE, GREEN) if written.share_of(name)}


def test_the_documented_client_calls_the_endpoint_of_its_users_share(monkeypatch: pytest.MonkeyPatch) -> None:
    class Runtime:
        def invoke_endpoint(self, EndpointName: str, **_: str) -> dict[str, Any]:  # noqa: N803 - boto3's
            return {"Body": io.StringIO(EndpointName)}

    [program] = re.findall(r"```python\n(.*?)```", (DOCS / "clients.md").read_text(), re.DOTALL)
    [pointer] = re.findall(r"```json\n(.*?)```", (DOCS / "clients.md").read_text(), re.DOTALL)
    jsonschema.validate(json.loads(pointer), SCHEMA)
    ssm = {"get_parameter": staticmethod(lambda Name: {"Parameter": {"Value": pointer}})}  # noqa: N803
    monkeypatch.setattr("airflow_sm_rollout.live._default_client", lambda process: type("Wine", (), ssm)())
    monkeypatch.setattr("boto3.client", lambda service: Runtime())
    names: dict[str, Any] = {}
    exec(program, names)
    called = {key: names["predict"]("{}", key) for key in map(str, range(200))}
    assert set(called.values()) == {"wine", "wine-0badcafe"}
    assert called == {key: names["predict"]("{}", key) for key in called}


def test_the_module_is_imported_where_airflow_is_not_installed() -> None:
    program = "import sys; sys.modules['airflow'] = None; import airflow_sm_rollout.live; print(sorted(sys.modules))"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "airflow_sm_rollout.core" not in ran.stdout


@given(SHARES)
def test_what_a_rollout_writes_is_what_the_schema_describes(share: float) -> None:
    jsonschema.validate(json.loads(text_of(share)), SCHEMA)


@pytest.mark.parametrize("stored", [each for each in UNREADABLE if "nan" not in str(each)], ids=str)
def test_what_the_schema_refuses_is_what_is_not_readable(stored: Any) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(stored, SCHEMA)


@pytest.mark.parametrize("stored", UNREADABLE, ids=str)
def test_what_is_no_split_is_read_by_nobody(stored: Any) -> None:
    text = json.dumps(stored)
    assert Pointer(text, 2, NOW).split is None
    with pytest.raises(ValueError, match="names no endpoint, or a share that is none"):
        live_endpoint("fraud", client=Ssm(text))


def test_a_green_of_null_is_none() -> None:
    text = json.dumps({"endpoint_name": BLUE, "green": None})
    assert Pointer(text, 2, NOW).split == Split(BLUE)
    assert live_endpoint("fraud", client=Ssm(text)) == BLUE
