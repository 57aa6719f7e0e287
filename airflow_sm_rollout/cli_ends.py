"""How a command ends: by an error that is one sentence for a person, or by a signal."""

from __future__ import annotations

import io
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from airflow_sm_rollout.cli_calls import describe_failure
from airflow_sm_rollout.core.advance import Passing
from airflow_sm_rollout.core.errors import RolloutError

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it: 128 + SIGINT."""

INTERRUPTS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class CommandFailed(Exception):
    """A command can't do what it was asked for; the text is one sentence for a person."""


def describe(error: Exception) -> str | None:
    """An error that a person can do something about, as one sentence; ``None``: a fault of this program's."""
    if isinstance(error, CommandFailed):
        return str(error)
    if (failure := describe_failure(error)) is not None:
        return failure if not isinstance(error, RolloutError) else str(error)
    if isinstance(error, OSError):
        discard_output()
        return f"could not write or read: {error}"
    return str(error) if isinstance(error, (RolloutError, Passing)) else None


def take_any_text() -> None:
    """A terminal that can't show a character is no reason to fail: it is written as its number. Nor is an output that is closed."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, Path(os.devnull).open("w"))  # noqa: SIM115 - open until the process ends
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def discard_output() -> None:
    """Python writes what is left at its end, and would say a second time that it can't."""
    with suppress(OSError):  # standard output is no file
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextmanager
def interruptible() -> Iterator[None]:
    """Being ended by a service manager or a closed terminal is no other end than Ctrl-C: everything that was started is stopped.

    What comes after the first signal is ignored, so that an impatient person does not stop the stopping,
    nor the end of the process, which comes a while after this block.
    """

    def interrupt(number: int, frame: object) -> None:
        for each in before:
            signal.signal(each, signal.SIG_IGN)
        raise KeyboardInterrupt

    # nohup, and a shell's background, have some of them ignored already.
    listened = [number for number in INTERRUPTS if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, interrupt) for number in listened}
    try:
        yield
    finally:
        for number, action in before.items():
            if signal.getsignal(number) is interrupt:
                signal.signal(number, action)
