"""The command ``sm-rollout``. What is about rollouts on AWS works without the sandbox extra."""

from __future__ import annotations

import argparse
import getpass
import json
import sys
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from airflow_sm_rollout import __version__
from airflow_sm_rollout.cli_answer import add_answer_options, answer
from airflow_sm_rollout.cli_calls import ANSWER_SECONDS, make_clients
from airflow_sm_rollout.cli_completion import SHELLS, complete, print_completion
from airflow_sm_rollout.cli_ends import (
    INTERRUPTED,
    CommandFailed,
    describe,
    discard_output,
    interruptible,
    take_any_text,
)
from airflow_sm_rollout.cli_examples import epilog_of
from airflow_sm_rollout.cli_local import add_sandbox_options, demo, run_sandbox
from airflow_sm_rollout.cli_numbers import count, in_seconds, parse_days
from airflow_sm_rollout.cli_report import add_report_options, save_report
from airflow_sm_rollout.cli_status import add_status_options, show_history, show_status
from airflow_sm_rollout.core.control import Control, Wish
from airflow_sm_rollout.core.names import validate_endpoint_name
from airflow_sm_rollout.core.plan.strategy import STRATEGIES, expand_strategy
from airflow_sm_rollout.core.plan.tolerances import DEFAULTS
from airflow_sm_rollout.core.traffic import DEFAULT, TRAFFIC

if TYPE_CHECKING:
    from airflow_sm_rollout.aws.clients import Clients
    from airflow_sm_rollout.core.plan.strategy import Strategy
    from airflow_sm_rollout.core.rollout import Rollout

_PLAN_OPTIONS = {
    "steps": "of a canary: shares in percent, rising to 100 (default: 10,50,100)",
    "bake": "of a canary or blue/green, in seconds: one number, or for a canary one for each step (default: 600, and 1800)",
    "step": "of a linear rollout: percent more each time (default: 10)",
    "interval": "of a linear rollout: seconds from one step to the next (default: 900)",
}

_DEMO_MODELS = ("good-and-bad", "slow", "subtle")

_WISHES = {
    Wish.PAUSE: ("pause", "Hold the rollout in progress at its share; it goes on being watched."),
    Wish.GO_ON: ("resume", "Let a paused rollout go on."),
    Wish.PROMOTE: ("promote", "Cut the bakes of the rollout in progress short, unless an alarm rings."),
    Wish.ABORT: ("abort", "End the rollout in progress: its DAG run rolls it back."),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    :param arguments: command line without the program's name; by default that of the process.
    :return: exit code: 0, 1 with one sentence on standard error, 2 for a wrong command line, 130 after Ctrl-C; those of
        ``status --watch`` stand in its help.
    """
    take_any_text()
    parser = _parser()
    complete(parser)
    options = parser.parse_args(arguments)
    try:
        with interruptible():
            code = int(options.command(options) or 0)
            sys.stdout.flush()
            return code
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        discard_output()  # whoever read it has read enough, such as head
    except Exception as error:
        sentence = describe(error)
        if sentence is None:
            raise
        print(f"sm-rollout {options.name}: {sentence}", file=sys.stderr)
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="sm-rollout", description="Roll out models on Amazon SageMaker from Airflow.")
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(dest="name", required=True, metavar="COMMAND")
    _add_plan(commands)
    _add_replay(commands)
    _add_status(commands)
    _add_history(commands)
    _add_report(commands)
    _add_rollback(commands)
    _add_undo(commands)
    _add_wishes(commands)
    _add_answers(commands)
    _add_guardian(commands)
    _add_iam_policy(commands)
    _add_probe(commands)
    _add_sandbox(commands)
    _add_demo(commands)
    _add_completion(commands)
    return parser


def _add_command(commands: Any, name: str, command: Callable[[argparse.Namespace], Any], text: str) -> Any:
    parser = commands.add_parser(
        name,
        help=text,
        description=text,
        epilog=epilog_of(name),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(command=command)
    return parser


def _add_plan(commands: Any) -> None:
    text = "Show a rollout's steps and how long they take at least, or why it can't be done."
    parser = _add_command(commands, "plan", _plan, text)
    _add_strategy(parser)
    _add_plan_options(parser)
    text = "when green gets its instances: all before it has traffic, or for each share (default: %(default)s)"
    parser.add_argument("--capacity", choices=("ahead", "when_needed"), default="ahead", help=text)
    parser.add_argument("--keep-blue", help="how long blue is kept warm after the promotion, such as 1h (default: not)")
    parser.add_argument("--instances", type=count, default=1, help="blue's, for what it costs (default: %(default)s)")


def _add_plan_options(parser: Any) -> None:
    for name, text in _PLAN_OPTIONS.items():
        parser.add_argument(f"--{name}", help=text)


def _add_replay(commands: Any) -> None:
    from airflow_sm_rollout.cli_replay import add_options

    text = (
        "Replay a plan over an endpoint's own past: how often it would have rolled back for nothing, how soon for something, "
        "and what it would have said of the rollouts that there were."
    )
    parser = _add_command(commands, "replay", _replay, text)
    _add_endpoint(parser)
    _add_timeout(parser)
    _add_strategy(parser)
    _add_plan_options(parser)
    add_options(parser)


def _add_status(commands: Any) -> None:
    text = "Show an endpoint and the rollout that is in progress on it, or all rollouts in progress; once, or until it is over."
    parser = _add_command(commands, "status", show_status, text)
    _add_endpoint(parser, nargs="?")
    _add_timeout(parser)
    add_status_options(parser)


def _add_history(commands: Any) -> None:
    text = "List an endpoint's rollouts of the last days, as CloudWatch remembers them: who served beside whom, and what became of it."
    parser = _add_command(commands, "history", show_history, text)
    _add_endpoint(parser)
    _add_timeout(parser)
    parser.add_argument("--days", type=parse_days, default=14.0, help="how far back, up to 14 (default: %(default)g)")


def _add_report(commands: Any) -> None:
    text = "Save the Rollout screen of a DAG run as one file, for an audit or a post-mortem. Run it where Airflow's own commands work."
    add_report_options(_add_command(commands, "report", save_report, text))


def _add_answers(commands: Any) -> None:
    for name, text in (
        ("approve", "Approve what the rollout in progress asks, by Airflow's API; AIRFLOW_TOKEN says who asks."),
        ("reject", "Reject what the rollout in progress asks: its DAG run rolls it back."),
    ):
        parser = _add_command(commands, name, answer, text)
        _add_endpoint(parser)
        _add_timeout(parser)
        add_answer_options(parser)


def _add_completion(commands: Any) -> None:
    text = "Print what lets a shell complete this command's words."
    parser = _add_command(commands, "completion", print_completion, text)
    parser.add_argument("shell", choices=SHELLS)


def _add_rollback(commands: Any) -> None:
    from airflow_sm_rollout.cli_rollback import add_options

    text = "Take an endpoint back to what it was before the rollout in progress, with nothing but the record on AWS."
    parser = _add_command(commands, "rollback", _rollback, text)
    _add_endpoint(parser)
    add_options(parser)


def _add_undo(commands: Any) -> None:
    from airflow_sm_rollout.cli_undo import add_options

    text = "Take an endpoint back to what it was before the rollout that was promoted last, up to a week later."
    parser = _add_command(commands, "undo", _undo, text)
    _add_endpoint(parser)
    add_options(parser)


def _add_wishes(commands: Any) -> None:
    for wish, (name, text) in _WISHES.items():
        parser = _add_command(commands, name, _wish, text)
        _add_endpoint(parser)
        _add_timeout(parser)
        parser.add_argument("--note", default="", help="why, for whoever reads the run")
        parser.set_defaults(wish=wish)


def _add_guardian(commands: Any) -> None:
    from airflow_sm_rollout.cli_guardian import add_options, guard

    text = "Watch the rollouts in progress without Airflow, and take back what harms or what nobody drives any more."
    add_options(_add_command(commands, "guardian", guard, text))


def _add_endpoint(parser: Any, nargs: str | None = None) -> None:
    parser.add_argument("endpoint_name", metavar="ENDPOINT", nargs=nargs)
    parser.add_argument("--region", help="AWS region, by default as boto3 finds it")
    parser.add_argument("--profile", help="a profile of AWS's configuration, by default as boto3 finds it")


def _add_timeout(parser: Any) -> None:
    text = "seconds that AWS has for an answer (default: %(default)g)"
    parser.add_argument("--timeout", type=in_seconds, default=ANSWER_SECONDS, help=text)


def _add_strategy(parser: Any) -> None:
    parser.add_argument("--strategy", choices=sorted(STRATEGIES), default="canary", help="(default: %(default)s)")
    _add_traffic(parser)


def _add_traffic(parser: Any) -> None:
    parser.add_argument(
        "--traffic", choices=sorted(TRAFFIC), default=DEFAULT, help="how traffic is split (default: %(default)s)"
    )


def _add_iam_policy(commands: Any) -> None:
    text = "Print the least that a rollout of an endpoint must be allowed to do, as an IAM policy."
    parser = _add_command(commands, "iam-policy", _iam_policy, text)
    _add_endpoint(parser)
    _add_traffic(parser)
    parser.add_argument("--account", default="*", help="AWS account (default: any)")
    parser.add_argument(
        "--blue-endpoint", metavar="NAME", help="the endpoint that a live pointer names now, if it is called otherwise"
    )
    parser.add_argument(
        "--function", metavar="NAME", help="with --traffic lambda: the function in front of the endpoint"
    )
    parser.add_argument(
        "--with",
        dest="extras",
        action="append",
        choices=("validate", "monitoring", "registry", "events", "guardian", "replay"),
        default=[],
        help="what plans with these need, and the command replay",
    )
    parser.add_argument(
        "--clients", action="store_true", help="what the clients of a live pointer need, instead of a rollout"
    )


def _add_probe(commands: Any) -> None:
    from airflow_sm_rollout.cli_probe import add_options, probe

    text = (
        "Ask your AWS account what the sandbox assumes of AWS, with an endpoint of its own, and show where they differ."
    )
    add_options(_add_command(commands, "probe", probe, text))


def _add_sandbox(commands: Any) -> None:
    text = "Play SageMaker and CloudWatch on this machine until Ctrl-C."
    add_sandbox_options(_add_command(commands, "sandbox", run_sandbox, text))


def _add_demo(commands: Any) -> None:
    text = "Roll out a good and a bad model on this machine: real Airflow, real training, real traffic, no AWS account."
    parser = _add_command(commands, "demo", demo, text)
    _add_strategy(parser)
    models = "a slow one, or one that fails 1.5 %% of its requests instead of 0.5 %%; both by a canary (default: %(default)s)"
    parser.add_argument("--model", choices=_DEMO_MODELS, default=_DEMO_MODELS[0], help=f"other models: {models}")
    parser.add_argument(
        "--endpoint", choices=("instances", "serverless", "async"), default="instances", help="its kind"
    )
    parser.add_argument("--keep", action="store_true", help="leave everything running at the end, until Ctrl-C")


def _plan(options: argparse.Namespace) -> None:
    from airflow_sm_rollout.cli_plan import read_plan
    from airflow_sm_rollout.core.cost import describe_cost

    plan, strategy = read_plan(options, _PLAN_OPTIONS)
    begins = timedelta()
    for step in strategy.steps:
        print(f"{step.share:>6g} %  for {step.bake}" + (f", from {begins} on" if strategy.paced_by_clock else ""))
        begins += step.bake
    print(f"at least {strategy.minimum_duration}, and what SageMaker takes for each change")
    print(describe_cost(plan, options.instances))
    short = [step for step in strategy.steps if step.share < 100 and step.bake <= DEFAULTS.warm_up]
    if short:
        shares = ", ".join(f"{step.share:g} %" for step in short)
        print(f"too short to prove that green is slow, as new instances warm up for {DEFAULTS.warm_up} first: {shares}")


def _strategy_of(options: argparse.Namespace) -> Strategy:
    given = {name: getattr(options, name) for name in _PLAN_OPTIONS if getattr(options, name) is not None}
    return expand_strategy({"name": options.strategy, **given})


def _replay(options: argparse.Namespace) -> None:
    from airflow_sm_rollout.cli_replay import tell_replay

    now = datetime.now(timezone.utc)
    for line in tell_replay(
        make_clients(options.region, options.timeout, options.profile),
        options.endpoint_name,
        _strategy_of(options),
        options,
        now,
    ):
        print(line, flush=True)


def _rollback(options: argparse.Namespace) -> None:
    from airflow_sm_rollout.cli_rollback import roll_back

    clients = make_clients(options.region, profile=options.profile)
    roll_back(clients, _read_record(clients, options.endpoint_name), options, _say)


def _undo(options: argparse.Namespace) -> None:
    from airflow_sm_rollout.cli_undo import undo

    undo(make_clients(options.region, profile=options.profile), options, _say)


def _wish(options: argparse.Namespace) -> None:
    from airflow_sm_rollout.aws.control import make_wish

    clients, name = make_clients(options.region, options.timeout, options.profile), options.endpoint_name
    record = _read_record(clients, name)
    if record is None:
        raise CommandFailed(f"no rollout of endpoint {name} is in progress")
    wished = Control(record.rollout_id, options.wish, datetime.now(timezone.utc), getpass.getuser(), options.note)
    control = make_wish(clients.ssm, name, wished)
    print(f"{record.describe_owner()}: {control.describe()}")


def _iam_policy(options: argparse.Namespace) -> None:
    from airflow_sm_rollout.aws.iam import client_policy, policy

    way = TRAFFIC[options.traffic]
    if not way.has_pointer and (options.clients or options.blue_endpoint):
        raise CommandFailed("--clients and --blue-endpoint are for --traffic endpoints, which has a live pointer")
    if way.has_function and options.clients:
        raise CommandFailed(
            "--clients is for --traffic endpoints: who calls a function needs lambda:InvokeFunction on its alias"
        )
    where = {"region": options.region or "*", "account": options.account, "blue_endpoint": options.blue_endpoint}
    name = options.endpoint_name
    if options.clients:
        document = client_policy(name, **where)
    else:
        document = policy(options.traffic, name, function=options.function, extras=options.extras, **where)
    print(json.dumps(document, indent=2))


def _read_record(clients: Clients, endpoint_name: str) -> Rollout | None:
    """The rollout in progress, also where its endpoint is gone; ``None``: there is none.

    :raises CommandFailed: where there is no such endpoint either: the name is mistyped.
    """
    from airflow_sm_rollout.aws.live import read_live_name
    from airflow_sm_rollout.aws.record import read_record
    from airflow_sm_rollout.aws.serving import read_named

    record = read_record(clients.ssm, validate_endpoint_name(endpoint_name))
    if record is None and read_named(clients.sagemaker, read_live_name(clients.ssm, endpoint_name)) is None:
        raise _no_endpoint(clients, endpoint_name)
    return record


def _no_endpoint(clients: Clients, endpoint_name: str) -> CommandFailed:
    return CommandFailed(f"there is no endpoint {endpoint_name} in region {clients.sagemaker.meta.region_name}")


def _say(line: str) -> None:
    print(f"{datetime.now(timezone.utc):%H:%M:%S} {line}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
