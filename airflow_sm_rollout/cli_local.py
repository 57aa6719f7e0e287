"""``sm-rollout sandbox`` and ``demo``: what runs on one's own machine, and needs the sandbox extra."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager

from airflow_sm_rollout.cli_ends import CommandFailed


def run_sandbox(options: argparse.Namespace) -> None:
    """The command ``sandbox``."""
    with _sandbox_extra():
        from airflow_sm_rollout.sandbox.server import run
    try:
        run(options.port, options.speed, options.address, not options.no_containers, names=options.allow_host)
    except OSError as error:
        raise CommandFailed(f"can't listen on {options.address}:{options.port}: {error.strerror}") from error


def demo(options: argparse.Namespace) -> int:
    """The command ``demo``."""
    with _sandbox_extra():
        from airflow_sm_rollout.demo import DemoFailed
        from airflow_sm_rollout.demo.run import run_demo
        from airflow_sm_rollout.demo.scripts import find_script
        from airflow_sm_rollout.demo.trials import TRIALS
    try:
        trial = TRIALS[options.model]
        return run_demo(trial.adapt(find_script(options.strategy, options.traffic)), trial=trial, keep=options.keep)
    except DemoFailed as error:
        raise CommandFailed(str(error)) from error


@contextmanager
def _sandbox_extra() -> Iterator[None]:
    """Say what to install where an import of the sandbox's fails."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise CommandFailed(
            f"{error.name} is not installed; it comes with pip install airflow-sm-rollout-sandbox"
        ) from error
