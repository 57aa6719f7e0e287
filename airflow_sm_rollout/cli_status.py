"""``sm-rollout status``: one endpoint or all, once or watched to the end, for people or as JSON; and ``history``."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from airflow_sm_rollout.cli_calls import describe_failure, make_clients
from airflow_sm_rollout.cli_ends import CommandFailed
from airflow_sm_rollout.cli_numbers import in_seconds
from airflow_sm_rollout.core.errors import RolloutError
from airflow_sm_rollout.core.names import validate_endpoint_name
from airflow_sm_rollout.core.outcome import Aftermath, find_aftermath
from airflow_sm_rollout.core.screen.state import State
from airflow_sm_rollout.core.screen.summary import Summary, describe_summary, ended, summarize, summary_to_dict
from airflow_sm_rollout.core.status import describe_status

if TYPE_CHECKING:
    from airflow_sm_rollout.aws.clients import Clients
    from airflow_sm_rollout.aws.watch import Memory
    from airflow_sm_rollout.core.comparison.results import Comparison
    from airflow_sm_rollout.core.observation import Observation
    from airflow_sm_rollout.core.rollout import Rollout
    from airflow_sm_rollout.core.undo import Kept, Undone

PROMOTED, ROLLED_BACK, NOT_SETTLED, TIMED_OUT = range(4)
"""Exit codes of ``status --watch``."""
EVIDENCE_SECONDS = 30.0
"""How often the evidence is read anew: it has news once a minute at most."""


def add_status_options(parser: argparse.ArgumentParser) -> None:
    """The options of ``status`` beside the endpoint and those of all commands."""
    parser.add_argument(
        "-w", "--watch", action="store_true", help="until the rollout is over; see the exit codes below"
    )
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text", help="(default: %(default)s)")
    parser.add_argument("--interval", type=in_seconds, default=2.0, help="seconds between two looks (default: 2)")
    parser.add_argument(
        "--for", dest="watch_seconds", type=in_seconds, help="seconds to watch at most (default: no limit)"
    )


def show_status(options: argparse.Namespace) -> int:
    """The command ``status``."""
    clients = make_clients(options.region, options.timeout, options.profile)
    if options.endpoint_name is None:
        if options.watch:
            raise CommandFailed("--watch needs an endpoint")
        return _show_all(clients, options)
    name = validate_endpoint_name(options.endpoint_name)
    if options.watch:
        return _Watching(clients, name, options).run()
    if options.output == "json":
        print(json.dumps(summary_to_dict(_look(clients, name, _now(), _Evidence())), indent=2))
        return 0
    seen = _observe(clients, name, _now())
    print(
        "\n".join(
            [
                *describe_status(seen),
                *_describe_last(clients, name, seen),
                *_describe_guard(clients, name, seen),
                *_describe_lost(clients, name, seen),
            ]
        )
    )
    return 0


def _describe_last(clients: Clients, name: str, seen: Observation) -> list[str]:
    """What was promoted last, or that it was undone."""
    last = _read_last(clients, name, seen)
    return [last.describe()] if last else []


def _read_last(clients: Clients, name: str, seen: Observation) -> Kept | Undone | None:
    """What there is of the rollout that was promoted last, where none is in progress. A person who may not read that sees the rest."""
    from airflow_sm_rollout.aws.errors import AWS_ERRORS
    from airflow_sm_rollout.aws.previous import read_previous

    try:
        return read_previous(clients.ssm, name) if seen.record is None else None
    except (*AWS_ERRORS, RolloutError):
        return None


def _describe_guard(clients: Clients, name: str, seen: Observation) -> list[str]:
    """Who would take the rollout back without Airflow. A person who may not read that sees the rest all the same."""
    from airflow_sm_rollout.aws.guardian import guardian_of

    guardian = guardian_of(clients.ssm, name) if seen.record else None
    return [guardian.describe(seen.at)] if guardian else []


def _describe_lost(clients: Clients, name: str, seen: Observation) -> list[str]:
    """What stands of rollouts that have lost their record."""
    from airflow_sm_rollout.aws.lost import read_rests

    rests = [] if seen.record is not None else read_rests(clients, name, seen.endpoint)
    return [f"LOST: {each.describe(seen.describe())}" for each in rests]


def _observe(clients: Clients, name: str, now: datetime) -> Any:
    from airflow_sm_rollout.aws.status import read_status

    seen = read_status(clients, name, now)
    if seen.record is None and seen.endpoint is None:
        raise CommandFailed(f"there is no endpoint {name} in region {clients.sagemaker.meta.region_name}")
    return seen


@dataclass(slots=True)
class _Evidence:
    """Green against blue, read anew now and then; where it can't be read, or there is none, ``None``."""

    memory: Memory | None = None
    read_at: datetime | None = None
    found: Comparison | None = None

    def by(self, clients: Clients, rollout: Rollout, now: datetime) -> Comparison | None:
        """As of a moment."""
        from airflow_sm_rollout.aws.watch import Memory, look_at
        from airflow_sm_rollout.core.watch.watch import watch_question

        if rollout.plan.evidence.tolerances is None or rollout.green_traffic_since is None:
            return None
        if self.read_at is not None and now - self.read_at < timedelta(seconds=EVIDENCE_SECONDS):
            return self.found
        self.memory, self.read_at = self.memory or Memory(), now
        try:
            found = look_at(clients, watch_question(rollout, now, now), now, self.memory).comparison
        except Exception as error:
            if describe_failure(error) is None:
                raise
            return self.found
        self.found = found if found and found.judged_until else None
        return self.found


def _look(clients: Clients, name: str, now: datetime, evidence: _Evidence) -> Summary:
    from airflow_sm_rollout.aws.bake_note import read_note

    seen = _observe(clients, name, now)
    if seen.record is None:
        return summarize(name, seen, last=_read_last(clients, name, seen))
    return summarize(name, seen, evidence.by(clients, seen.record, now), read_note(clients.ssm, name))


def _show_all(clients: Clients, options: argparse.Namespace) -> int:
    from airflow_sm_rollout.aws.record import read_records

    found, unread = [], []
    for name in sorted(read_records(clients.ssm)):
        try:
            found.append(
                _look(clients, name, _now(), _Evidence()) if options.output == "json" else _glance(clients, name)
            )
        except (RolloutError, CommandFailed) as error:
            unread.append(f"{name}: can't be read: {error}")
    found.sort(key=lambda each: (-(each.state.trouble if each.state else 0) - 10 * bool(each.stale), each.name))
    if options.output == "json":
        print(json.dumps([summary_to_dict(each) for each in found], indent=2))
    else:
        lines = [line for each in found for line in _one_line(each)] + unread
        print("\n".join(lines or ["no rollout is in progress"]))
    return 0


def _glance(clients: Clients, name: str) -> Summary:
    return summarize(name, _observe(clients, name, _now()))


def _one_line(summary: Summary) -> Iterator[str]:
    rollout = summary.rollout
    if rollout is not None:
        stale = "   STALE" if summary.stale else ""
        yield f"{summary.name:<30} {summary.chip:<26} {rollout.describe_owner()}{stale}"


class _Watching:
    """Looks at a rollout until it is over."""

    def __init__(self, clients: Clients, name: str, options: argparse.Namespace) -> None:
        self._clients, self._name, self._options = clients, name, options
        self._evidence = _Evidence()
        self._last: Summary | None = None

    def run(self) -> int:
        """Watch; the exit code."""
        deadline = time.monotonic() + self._options.watch_seconds if self._options.watch_seconds else None
        with _screen(self._options.output) as show, _ctrl_c() as interrupted:
            try:
                while (code := self._turn(show)) is None:
                    if deadline is not None and time.monotonic() > deadline:
                        _tell(
                            f"not over within {self._options.watch_seconds:g} s; the rollout goes on without this command"
                        )
                        return TIMED_OUT
                    _pause(self._options.interval, interrupted)
            except KeyboardInterrupt:
                _tell("no longer watched; the rollout goes on without this command: its DAG run drives it")
                raise
        return code

    def _turn(self, show: Callable[[Summary], None]) -> int | None:
        try:
            summary = self._read()
        except Exception as error:
            failure = describe_failure(error)
            if failure is None or self._last is None:
                raise
            _tell(f"{failure}. Trying again")
            return None
        show(summary)
        self._last = summary
        if summary.rollout is None:
            _tell(f"no rollout of {self._name} is in progress: there is nothing to watch")
            return NOT_SETTLED
        return _code_of(summary)

    def _read(self) -> Summary:
        now, before = _now(), self._last
        over = self._over(before, now)
        if over is not None:
            return over
        seen = _look(self._clients, self._name, now, self._evidence)
        # It may have ended between those two reads, and its record with it.
        return seen if seen.rollout is not None else self._over(before, now) or seen

    def _over(self, before: Summary | None, now: datetime) -> Summary | None:
        """What became of the rollout that was watched; ``None``: it still holds its endpoint, or none was watched."""
        from airflow_sm_rollout.aws.status import read_serving

        if before is None or before.rollout is None:
            return None
        serving = read_serving(self._clients, before.rollout, now)
        aftermath = find_aftermath(before.rollout, serving)
        return None if aftermath is Aftermath.HELD else ended(before, serving, aftermath)


def _code_of(summary: Summary) -> int | None:
    """The exit code of a rollout that is over, or that nobody drives any more; ``None``: it goes on."""
    codes = {
        State.PROMOTED: PROMOTED,
        State.ROLLED_BACK: ROLLED_BACK,
        State.UNDONE: ROLLED_BACK,
        State.NOT_SETTLED: NOT_SETTLED,
    }
    if summary.state in codes:
        return codes[summary.state]
    return NOT_SETTLED if summary.stale else None


def _pause(seconds: float, interrupted: threading.Event) -> None:
    if interrupted.wait(seconds):
        raise KeyboardInterrupt


@contextmanager
def _ctrl_c() -> Iterator[threading.Event]:
    """Note Ctrl-C beside raising it: where it falls into a destructor or a callback, Python prints the exception and goes on."""
    interrupted = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield interrupted
        return

    def interrupt(number: int, frame: object) -> None:
        interrupted.set()
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, interrupt)
    try:
        yield interrupted
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def _screen(output: str) -> Iterator[Callable[[Summary], None]]:
    """What shows a summary: in a terminal in place, elsewhere by a line whenever something is new, as JSON by one line each time."""
    if output == "json":
        yield lambda summary: print(json.dumps(summary_to_dict(summary)), flush=True)
        return
    if not sys.stdout.isatty():
        yield _Lines().show
        return
    try:
        from rich.console import Console
        from rich.live import Live
        from rich.text import Text
    except ModuleNotFoundError:  # it comes with Airflow, and is not needed
        yield _Lines().show
        return
    with Live(console=Console(highlight=False), auto_refresh=False) as live:
        yield lambda summary: live.update(Text("\n".join(describe_summary(summary, _now()))), refresh=True)


@dataclass(slots=True)
class _Lines:
    """A log: a line for what is new."""

    said: list[str] = field(default_factory=list)

    def show(self, summary: Summary) -> None:
        """Say it, unless the last line said so."""
        stops = ", ".join(stop.name for stop in summary.way.stops if stop.state == "now") if summary.way else ""
        share = "" if summary.share is None else f", green has {summary.share:g} %"
        line = f"{summary.name}: {summary.chip}{share}{f', at {stops}' if stops else ''}"
        if self.said[-1:] != [line]:
            self.said.append(line)
            print(f"{summary.seen.at:%H:%M:%S} {line}", flush=True)


def show_history(options: argparse.Namespace) -> None:
    """The command ``history``."""
    from airflow_sm_rollout.cli_replay import tell_history

    clients = make_clients(options.region, options.timeout, options.profile)
    for line in tell_history(clients, options.endpoint_name, timedelta(days=options.days), _now()):
        print(line, flush=True)


def _tell(line: str) -> None:
    print(f"sm-rollout status: {line}", file=sys.stderr, flush=True)


def _now() -> datetime:
    return datetime.now(timezone.utc)
