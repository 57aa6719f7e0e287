"""Each option of each command x odd values: it does what it was asked, or ends by a sentence that says why not, never a traceback."""

from __future__ import annotations

import argparse
import socket
from collections.abc import Callable, Iterator
from functools import partial
from itertools import product
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_sm_rollout import cli, cli_answer, cli_guardian, cli_rollback, cli_status, cli_undo
from convergence.lab import Lab

ODD = (
    *(
        "",
        " ",
        "-",
        "None",
        "null",
        "True",
        "[]",
        "{}",
        '{"a": 1}',
        '{"a":',
        "[1]",
        "[" * 3000,
        "x" * 10_000,
        "%s%n",
        "{0}",
    ),
    *(
        "0",
        "-1",
        "-0",
        "1e400",
        "nan",
        "-inf",
        "1e-300",
        "1e308",
        "1e15",
        "1e9",
        "9" * 400,
        "0x10",
        "1_000",
        "\u0661\u0662",
        "\u00bd",
    ),
    *(
        "\U0001f984",
        "\u202eabc",
        "a\nb",
        "a\x00b",
        "\udcff",
        "a b",
        "*",
        "../../etc/passwd",
        "/",
        "/dev/null",
        "/nowhere/x",
    ),
    *(
        "1,2,3",
        "1,,2",
        ",",
        "50,10",
        "10,50,100",
        "fraud",
        "us-east-1",
        "moon",
        "arn:aws:sagemaker:us-east-1:1:endpoint/x",
    ),
    *(
        "http://",
        "http://[::1",
        "https://user:pw@",
        "ftp://x",
        "http://a b",
        "http://127.0.0.1:1",
        "http://127.0.0.1:99999",
    ),
)
TRIED_EACH = 6
NEEDED = {"endpoint_name": "fraud", "dag_id": "dag", "run_id": "run", "shell": "bash", "html": "-"}
AT_ONCE = {"guardian": ["--once"]}  # which else goes on for ever


@pytest.fixture(scope="module")
def lab() -> Lab:
    """A rollout with green at its first share."""
    lab = Lab()
    lab.run(until=2)
    return lab


@pytest.fixture
def offline(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every command meets the lab, nobody waits, and there is no name service."""
    for module in (cli, cli_answer, cli_guardian, cli_status, cli_undo):
        monkeypatch.setattr(module, "make_clients", lambda *_, **__: lab.clients, raising=False)
    for module in (cli_rollback, cli_undo):
        monkeypatch.setattr(module, "time", SimpleNamespace(sleep=lambda seconds: lab.pass_time(min(seconds, 60))))
    guard = partial(cli_guardian.guard, sleep=lambda seconds: lab.pass_time(min(seconds, 60)))
    monkeypatch.setattr(cli_guardian, "guard", guard)
    monkeypatch.setattr(cli_status, "_now", lab.now)  # or there would be years of evidence to read
    monkeypatch.setattr(cli, "run_sandbox", lambda options: None)
    monkeypatch.setattr(cli, "demo", lambda options: 0)
    by_name, here = socket.getaddrinfo, ("127.0.0.1", "localhost")

    def resolve(host: Any, *arguments: Any, **others: Any) -> Any:
        if host not in here:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return by_name(host, *arguments, **others)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)


def commands() -> dict[str, argparse.ArgumentParser]:
    [found] = [each for each in cli._parser()._actions if isinstance(each, argparse._SubParsersAction)]
    return dict(found.choices)


def command_lines(name: str, parser: argparse.ArgumentParser) -> Iterator[list[str]]:
    """A command with one odd value each, beside what it needs."""
    for action in parser._actions:
        others = [each for each in parser._actions if each is not action and each.required]
        base = [name, *AT_ONCE.get(name, ())]
        for each in others:
            base += ([each.option_strings[-1]] if each.option_strings else []) + [NEEDED[each.dest]]
        if isinstance(action, argparse._HelpAction):
            continue
        if action.nargs == 0:
            yield [*base, action.option_strings[-1]]
            continue
        for odd in Random(f"{name} {action.dest}").sample(ODD, TRIED_EACH):
            given = f"{action.option_strings[-1]}={odd}" if action.option_strings else odd
            short = action.option_strings and not action.option_strings[-1].startswith("--")
            yield [*base, *((action.option_strings[-1], odd) if short else (given,))]


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize("name", commands())
def test_whatever_is_written_behind_an_option_ends_in_a_result_or_in_a_sentence(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    tried = 0
    for line in command_lines(name, commands()[name]):
        code = ended_by(partial(cli.main, line))
        told = capsys.readouterr().err
        assert code in (0, 1, 2, 3), line
        assert told.strip() or code == 0 or "--watch" in line, line  # its exit code tells what became of the rollout
        assert "Traceback" not in told, line
        tried += 1
    print(f"{name}: {tried} command lines tried")
    assert tried


def ended_by(command: Callable[[], int]) -> int:
    try:
        return command()
    except SystemExit as ended:
        return int(ended.code or 0)


@pytest.mark.parametrize(("name", "option", "odd"), [
    *product(("rollback", "status"), ("--timeout",), ("1e308", "1e15", "nan", "0", "x")),
    *product(("guardian",), ("--every", "--abandoned-after"), ("1e308", "-1")),
    *product(("plan",), ("--instances",), ("1e308", "0", "2.5")),
    *product(("sandbox",), ("--speed", "--port"), ("1e308", "1e-300", "nan")),
])  # fmt: skip
def test_a_number_that_can_not_be_is_a_wrong_command_line(
    name: str, option: str, odd: str, capsys: pytest.CaptureFixture[str]
) -> None:
    needed = ["fraud"] if name in ("rollback", "status") else []
    assert ended_by(lambda: cli.main([name, *needed, option, odd])) == 2
    assert f"argument {option}: {odd} is " in capsys.readouterr().err
