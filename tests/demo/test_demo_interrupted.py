"""The demo starts some twenty processes. However it ends, none of them may stay."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

MARK = "SM_ROLLOUT_TEST_MARK"
ENDED_WITHIN_SECONDS = 30
# A test run in the background of a shell hands down that SIGINT is ignored.
PROGRAM = """
import signal, sys
from airflow_sm_rollout.cli import main
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.exit(main(["demo"]))
"""


def marked(mark: str) -> list[psutil.Process]:
    """Processes that have inherited a mark in their environment, wherever they are in the tree by now."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == mark and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.Error:
            continue
    return found


class Demo:
    """A demo that runs, with a mark of its own, in a temporary directory of its own."""

    def __init__(self, directory: Path) -> None:
        # The whole path: directories of two test processes have the same names.
        self.mark = str(directory)
        self.temporary = directory / "tmp"
        self.temporary.mkdir()
        self.process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, MARK: self.mark, "TMPDIR": str(self.temporary)},
        )

    def wait_for(self, text: str) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if text in line:
                return
        pytest.fail(f"the demo ended without saying {text!r}: {self.process.communicate()[1]}")

    def end_by(self, number: int) -> tuple[int, str]:
        """As somebody impatient does it, who asks again while it is still stopping."""
        for _ in range(3):
            self.process.send_signal(number)
            time.sleep(0.3)
        _, errors = self.process.communicate(timeout=ENDED_WITHIN_SECONDS)
        return self.process.returncode, errors


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Demo]:
    demo = Demo(tmp_path)
    yield demo
    for process in marked(demo.mark):
        process.kill()
    demo.process.communicate()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("moment", "number"),
    [
        pytest.param("green  10 %", signal.SIGINT, id="by Ctrl-C in the middle of a rollout"),
        pytest.param("Starting Airflow", signal.SIGTERM, id="by somebody else while Airflow starts"),
    ],
)
def test_a_demo_that_is_ended_leaves_no_process_and_no_file(demo: Demo, moment: str, number: int) -> None:
    demo.wait_for(moment)
    assert len(marked(demo.mark)) > 3, "the mark does not find the demo's processes"
    assert demo.end_by(number) == (130, "")
    assert marked(demo.mark) == []
    assert list(demo.temporary.iterdir()) == []
