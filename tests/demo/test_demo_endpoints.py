"""The demo with two endpoints, for real: clients follow the live pointer, and the blue that comes back is not called as they call it."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_blue_green_by_two_endpoints_promotes_the_good_model_and_restores_the_pointer_after_the_bad_one() -> None:
    command = ("demo", "--strategy", "blue_green", "--traffic", "endpoints")
    ran = subprocess.run(
        [sys.executable, "-m", "airflow_sm_rollout.cli", *command],
        capture_output=True,
        text=True,
        check=False,
        env=dict(os.environ),
    )
    assert (ran.returncode, ran.stderr) == (0, ""), ran.stdout[-4000:]
    result = json.loads(ran.stdout.splitlines()[-1])
    good, bad = result["good"], result["bad"]
    assert (good["outcome"], good["failed_requests"], bad["outcome"]) == ("promoted", 0, "rolled_back")
    assert bad["restored_exactly"] is True
    assert bad["failed_requests"] > 0
    assert 0 < bad["seconds_harm_to_blue"] < 30
    for run in (good, bad):
        assert (run["max_green_share"], run["dropped_requests"], run["left_behind"]) == (100, 0, [])
