"""The client in docs/live-endpoint.mjs goes by the pointer as the one in Python does."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from airflow_sm_rollout.live import live_endpoint
from live.test_shares import BLUE, GREEN, UNREADABLE, Ssm, text_of

CLIENT = Path(__file__).parents[2] / "docs" / "live-endpoint.mjs"
RUN = ("node", "--input-type=module")

pytestmark = pytest.mark.skipif(shutil.which("node") is None, reason="there is no Node.js here")


def run(program: str, given: Any) -> Any:
    text = f"import * as client from {json.dumps(CLIENT.as_uri())};\nconst given = {json.dumps(given)};\n{program}"
    ran = subprocess.run([*RUN, "-e", text], capture_output=True, text=True, check=True)
    return json.loads(ran.stdout)


def test_each_key_goes_where_it_goes_in_python() -> None:
    keys = [*map(str, range(300)), "", "Zoë", "日本"]
    texts = [text_of(share) for share in (0, 0.1, 1, 100 / 3, 50, 99.9, 100)]
    program = "const drawn = given.texts.map((t) => given.keys.map((k) => client.draw(client.parse(t), k)));"
    drawn = run(program + "console.log(JSON.stringify(drawn))", {"keys": keys, "texts": texts})
    for text, each in zip(texts, drawn, strict=True):
        assert each == [live_endpoint("fraud", key=key, client=Ssm(text)) for key in keys]


def test_draws_without_a_key_keep_to_the_share_within_chance() -> None:
    program = (
        "const s = client.parse(given); let n = 0; for (let i = 0; i < 1e5; i++) n += +(client.draw(s) !== s.endpoint);"
    )
    drawn = run(program + "console.log(n)", text_of(10))
    assert abs(drawn - 10_000) < 5 * math.sqrt(100_000 * 0.1 * 0.9)


def test_what_is_no_split_is_read_by_nobody() -> None:
    stored = [json.dumps(each) for each in UNREADABLE]
    program = "const read = given.filter((t) => { try { client.parse(t); return true } catch { return false } });"
    assert run(program + "console.log(JSON.stringify(read))", stored) == []


def test_it_asks_once_goes_on_in_an_outage_and_takes_a_missing_pointer_for_the_name_itself() -> None:
    program = """
    let asked = 0, fails = undefined;
    const read = async () => { asked++; if (fails) throw Object.assign(new Error(fails), { name: fails }); return given };
    const live = new client.LiveEndpoint("fraud", read, 60000);
    const first = await Promise.all(Array.from({ length: 20 }, () => live.endpoint("alice")));
    const once = asked;
    const hasty = new client.LiveEndpoint("fraud", read, 0);
    await hasty.endpoint("alice");
    console.warn = () => {};
    fails = "TimeoutError";
    const held = await hasty.endpoint("alice");
    const unknown = await new client.LiveEndpoint("fraud", read).endpoint().catch((error) => error.name);
    fails = "ParameterNotFound";
    const own = await new client.LiveEndpoint("fraud", read).endpoint();
    console.log(JSON.stringify({ first: [...new Set(first)], once, held, unknown, own }));
    """
    told = run(program, text_of(90))
    assert told == {"first": [GREEN], "once": 1, "held": GREEN, "unknown": "TimeoutError", "own": BLUE}
