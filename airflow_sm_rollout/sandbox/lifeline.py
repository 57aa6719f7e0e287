"""Ends a process of the sandbox when the one that started it is gone."""

from __future__ import annotations

import os
import sys
import threading


def end_with_stdin() -> None:
    """End this process, without further ado, once its standard input is closed.

    Whoever starts the process holds the other end of a pipe and never writes to it. The kernel closes that end however the starter
    dies, ``kill -9`` included. Linux's parent-death signal would not do: it fires when the *thread* that started the process ends
    (prctl(2), ``PR_SET_PDEATHSIG``), and the sandbox starts containers from short-lived threads.
    """
    threading.Thread(target=_wait_for_end_of_stdin, name="lifeline", daemon=True).start()


def _wait_for_end_of_stdin() -> None:
    while os.read(sys.stdin.fileno(), 1024):
        pass
    os._exit(0)
