"""The command ``sm-rollout``. What is about rollouts on AWS works without the sandbox extra."""

from __future__ import annotations

import argparse
import getpass
import json
import math
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from airflow_sm_rollout import __version__
from airflow_sm_rollout.core.control import Control, Wish, next_control
from airflow_sm_rollout.core.converge import WAYS
from airflow_sm_rollout.core.errors import RolloutError

if TYPE_CHECKING:
    from airflow_sm_rollout.aws.clients import Clients

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it: 128 + SIGINT."""

INTERRUPTS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

DEFAULT_PORT = 4599

_WISHES = {
    Wish.PAUSE: ("pause", "Hold the rollout in progress at its share; it goes on being watched."),
    Wish.GO_ON: ("resume", "Let a paused rollout go on."),
    Wish.PROMOTE: ("promote", "Cut the bakes of the rollout in progress short, unless an alarm rings."),
    Wish.ABORT: ("abort", "End the rollout in progress: its DAG run rolls it back."),
}


class CommandFailed(Exception):
    """A command can't do what it was asked for; the text is one sentence for a person."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    :param arguments: command line without the program's name; by default that of the process.
    :return: exit code: 0, 1 with one sentence on standard error, 2 for a wrong command line, 130 after Ctrl-C.
    """
    options = _parser().parse_args(arguments)
    try:
        with _interruptible():
            return int(options.command(options) or 0)
    except KeyboardInterrupt:
        return INTERRUPTED
    except (CommandFailed, RolloutError) as error:
        print(f"sm-rollout {options.name}: {error}", file=sys.stderr)
    except Exception as error:
        if not _is_from_aws(error):
            raise
        print(f"sm-rollout {options.name}: {error}", file=sys.stderr)
    return 1


@contextmanager
def _interruptible() -> Iterator[None]:
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


def _is_from_aws(error: Exception) -> bool:
    from botocore.exceptions import BotoCoreError, ClientError

    return isinstance(error, (BotoCoreError, ClientError))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="sm-rollout", description="Roll out models on Amazon SageMaker from Airflow.")
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(dest="name", required=True, metavar="COMMAND")
    _add_plan(commands)
    _add_status(commands)
    _add_rollback(commands)
    _add_wishes(commands)
    _add_iam_policy(commands)
    _add_sandbox(commands)
    _add_demo(commands)
    return parser


def _add_command(commands: Any, name: str, command: Callable[[argparse.Namespace], Any], text: str) -> Any:
    parser = commands.add_parser(name, help=text, description=text)
    parser.set_defaults(command=command)
    return parser


def _add_plan(commands: Any) -> None:
    parser = _add_command(commands, "plan", _plan, "Show a canary's steps and how long they take at least.")
    parser.add_argument("--steps", default="10,50,100", help="shares in percent, rising to 100 (default: %(default)s)")
    parser.add_argument(
        "--bake", default="600", help="seconds: one number, or one for each step (default: %(default)s)"
    )


def _add_status(commands: Any) -> None:
    parser = _add_command(commands, "status", _status, "Show an endpoint and the rollout that is in progress on it.")
    _add_endpoint(parser)


def _add_rollback(commands: Any) -> None:
    text = "Take an endpoint back to what it was before the rollout in progress, with nothing but the record on AWS."
    parser = _add_command(commands, "rollback", _rollback, text)
    _add_endpoint(parser)
    parser.add_argument("--poke-interval", type=_positive, default=5.0, help="seconds between two looks (default: 5)")
    parser.add_argument("--timeout", type=_positive, default=7200.0, help="seconds until it gives up (default: 7200)")


def _add_wishes(commands: Any) -> None:
    for wish, (name, text) in _WISHES.items():
        parser = _add_command(commands, name, _wish, text)
        _add_endpoint(parser)
        parser.add_argument("--note", default="", help="why, for whoever reads the run")
        parser.set_defaults(wish=wish)


def _add_endpoint(parser: Any) -> None:
    parser.add_argument("endpoint_name", metavar="ENDPOINT")
    parser.add_argument("--region", help="AWS region, by default as boto3 finds it")


def _add_iam_policy(commands: Any) -> None:
    text = "Print the least that a rollout of an endpoint must be allowed to do, as an IAM policy."
    parser = _add_command(commands, "iam-policy", _iam_policy, text)
    _add_endpoint(parser)
    parser.add_argument(
        "--traffic", choices=sorted(WAYS), default="variants", help="how traffic is split (default: %(default)s)"
    )
    parser.add_argument("--account", default="*", help="AWS account (default: any)")


def _add_sandbox(commands: Any) -> None:
    parser = _add_command(commands, "sandbox", _sandbox, "Play SageMaker and CloudWatch on this machine until Ctrl-C.")
    parser.add_argument("--port", type=int, default=DEFAULT_PORT, help="0: any that is free (default: %(default)s)")
    parser.add_argument("--address", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--speed", type=_positive, default=1.0, help="how much faster than AWS (default: %(default)g)")
    parser.add_argument(
        "--no-containers", action="store_true", help="start no model processes: every instance answers {}"
    )


def _add_demo(commands: Any) -> None:
    text = "Roll out a good and a bad model on this machine: real Airflow, real training, real traffic, no AWS account."
    parser = _add_command(commands, "demo", _demo, text)
    parser.add_argument(
        "--strategy", choices=("canary", "linear", "blue_green"), default="canary", help="(default: %(default)s)"
    )
    parser.add_argument("--keep", action="store_true", help="leave everything running at the end, until Ctrl-C")


def _positive(text: str) -> float:
    number = float(text)
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return number


def _plan(options: argparse.Namespace) -> None:
    from airflow_sm_rollout.core.strategy import canary

    strategy = canary(options.steps, options.bake)
    for step in strategy.steps:
        print(f"{step.share:>6g} %  for {step.bake}")
    print(f"at least {strategy.minimum_duration}, and what SageMaker takes for each change")


def _status(options: argparse.Namespace) -> None:
    from airflow_sm_rollout.aws.cloudwatch import read_alarms
    from airflow_sm_rollout.aws.control import read_control
    from airflow_sm_rollout.aws.record import read_record

    clients = _clients(options.region)
    print(_describe_endpoint(clients, options.endpoint_name))
    record = read_record(clients.ssm, options.endpoint_name)
    if record is None:
        print("no rollout is in progress")
        return
    print(f"{record.describe_owner()}, phase {record.phase.value}")
    print(f"blue was config {record.blue.config_name} with {record.blue.instance_count} instance(s)")
    control = read_control(clients.ssm, options.endpoint_name, record.rollout_id)
    if control is not None:
        print(control.describe())
    for alarm in read_alarms(clients.cloudwatch, record.watched_alarms, record.green_traffic_since):
        print(f"alarm {alarm.name}: {alarm.state} {alarm.reason}".rstrip())


def _rollback(options: argparse.Namespace) -> None:
    from airflow_sm_rollout.aws.record import read_record
    from airflow_sm_rollout.aws.world import AwsWorld
    from airflow_sm_rollout.core.advance import advance
    from airflow_sm_rollout.core.goals import AsBefore, Done

    clients = _clients(options.region)
    _describe_endpoint(clients, options.endpoint_name)  # a mistyped name has no rollout either
    record = read_record(clients.ssm, options.endpoint_name)
    if record is None:
        print(f"no rollout of endpoint {options.endpoint_name} is in progress: nothing to roll back")
        return
    _say(f"rolling back {record.describe_owner()}")
    world = AwsWorld(clients, options.endpoint_name, record.rollout_id)
    deadline = world.now() + timedelta(seconds=options.timeout)
    while not isinstance(step := advance(AsBefore(), record.rollout_id, world, deadline, _say), Done):
        _say(f"waiting: {step.reason}")
        time.sleep(options.poke_interval)
    _say(step.reason)


def _wish(options: argparse.Namespace) -> None:
    from airflow_sm_rollout.aws.control import read_control, write_control
    from airflow_sm_rollout.aws.record import read_record

    clients, name = _clients(options.region), options.endpoint_name
    _describe_endpoint(clients, name)  # a mistyped name has no rollout either
    record = read_record(clients.ssm, name)
    if record is None:
        raise CommandFailed(f"no rollout of endpoint {name} is in progress")
    wished = Control(record.rollout_id, options.wish, datetime.now(timezone.utc), getpass.getuser(), options.note)
    control = next_control(read_control(clients.ssm, name, record.rollout_id), wished)
    write_control(clients.ssm, name, control)
    print(f"{record.describe_owner()}: {control.describe()}")


def _iam_policy(options: argparse.Namespace) -> None:
    from airflow_sm_rollout.aws.iam import policy

    region = options.region or "*"
    print(json.dumps(policy(options.traffic, options.endpoint_name, region=region, account=options.account), indent=2))


def _clients(region: str | None) -> Clients:
    import boto3

    from airflow_sm_rollout.aws.clients import Clients

    return Clients.of(boto3.Session(region_name=region))


def _describe_endpoint(clients: Clients, endpoint_name: str) -> str:
    from airflow_sm_rollout.aws.live import read_live_name
    from airflow_sm_rollout.aws.world import read_endpoint
    from airflow_sm_rollout.core.names import validate_endpoint_name

    endpoint = read_endpoint(clients.sagemaker, read_live_name(clients.ssm, validate_endpoint_name(endpoint_name)))
    if endpoint is None:
        region = clients.sagemaker.meta.region_name
        raise CommandFailed(f"there is no endpoint {endpoint_name} in region {region}")
    return endpoint.describe()


def _say(line: str) -> None:
    print(f"{datetime.now(timezone.utc):%H:%M:%S} {line}", flush=True)


def _sandbox(options: argparse.Namespace) -> None:
    with _sandbox_extra():
        from airflow_sm_rollout.sandbox.server import run
    try:
        run(options.port, options.speed, options.address, not options.no_containers)
    except OSError as error:
        raise CommandFailed(f"can't listen on {options.address}:{options.port}: {error.strerror}") from error


def _demo(options: argparse.Namespace) -> int:
    with _sandbox_extra():
        from airflow_sm_rollout.demo import DemoFailed
        from airflow_sm_rollout.demo.run import run_demo
    try:
        return run_demo(strategy=options.strategy, keep=options.keep)
    except DemoFailed as error:
        raise CommandFailed(str(error)) from error


@contextmanager
def _sandbox_extra() -> Iterator[None]:
    """Say what to install where an import of the sandbox's fails."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise CommandFailed(
            f"{error.name} is not installed; it comes with pip install 'airflow-sm-rollout[sandbox]'"
        ) from error


if __name__ == "__main__":
    sys.exit(main())
