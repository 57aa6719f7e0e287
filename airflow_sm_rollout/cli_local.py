"""``sm-rollout sandbox`` and ``demo``: what runs on one's own machine, and needs the sandbox extra."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_sm_rollout import __version__
from airflow_sm_rollout.cli_ends import CommandFailed
from airflow_sm_rollout.cli_numbers import port, speed

if TYPE_CHECKING:
    from airflow_sm_rollout.sandbox.recording import Recorder


DEFAULT_PORT = 4599


def add_sandbox_options(parser: Any) -> None:
    """The options of ``sandbox``."""
    parser.add_argument("--port", type=port, default=DEFAULT_PORT, help="0: any that is free (default: %(default)s)")
    parser.add_argument("--address", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--allow-host", action="append", default=[], help="a name that its clients use for it")
    parser.add_argument("--speed", type=speed, default=1.0, help="how much faster than AWS (default: %(default)g)")
    text = "start no model processes: every instance answers {}"
    parser.add_argument("--no-containers", action="store_true", help=text)
    recording = parser.add_mutually_exclusive_group()
    text = "write each call and its answer to it, without secrets, for a bug report"
    recording.add_argument("--record", type=Path, metavar="FILE", help=text)
    text = "serve nothing: make a recording's calls again, and tell what differs"
    recording.add_argument("--replay", type=Path, metavar="FILE", help=text)


def run_sandbox(options: argparse.Namespace) -> int:
    """The command ``sandbox``."""
    with _sandbox_extra():
        from airflow_sm_rollout.sandbox.server import run
    if options.replay is not None:
        return _replay(options.replay)
    with _recorder(options) as recorder:
        try:
            run(
                *(options.port, options.speed, options.address, not options.no_containers),
                names=options.allow_host,
                recorder=recorder,
            )
        except OSError as error:
            raise CommandFailed(f"can't listen on {options.address}:{options.port}: {error.strerror}") from error
    return 0


@contextmanager
def _recorder(options: argparse.Namespace) -> Iterator[Recorder | None]:
    from airflow_sm_rollout.sandbox.recording import Recorder

    if options.record is None:
        yield None
        return
    with options.record.open("w", encoding="utf-8") as file:
        yield Recorder(file, version=__version__, speed=options.speed)


def _replay(recording: Path) -> int:
    from airflow_sm_rollout.sandbox.replaying import NoRecording, Replay

    differing = set()
    try:
        with recording.open(encoding="utf-8") as lines:
            replay = Replay(lines)
        for difference in replay.differences():
            differing.add(difference.line)
            print(difference, flush=True)
    except (NoRecording, UnicodeDecodeError) as error:
        raise CommandFailed(f"{recording} can't be replayed: {error}") from error
    print(f"{replay.calls} calls made again, {len(differing)} answered otherwise")
    return 1 if differing else 0


def demo(options: argparse.Namespace) -> int:
    """The command ``demo``."""
    with _sandbox_extra():
        from airflow_sm_rollout.demo import DemoFailed
        from airflow_sm_rollout.demo.run import run_demo
        from airflow_sm_rollout.demo.scripts import find_script
        from airflow_sm_rollout.demo.trials import TRIALS
    try:
        trial = TRIALS[options.model]
        return run_demo(
            trial.adapt(find_script(options.strategy, options.traffic, options.endpoint)),
            trial=trial,
            keep=options.keep,
        )
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
