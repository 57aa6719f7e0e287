"""However a command fails, a person reads one sentence with what to do, and no traceback."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_sm_rollout.cli import main
from production import AWS_ENVIRONMENT, Production

BARE = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
NOWHERE = {
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
}
ONES = ("status", "pause", "resume", "promote", "abort", "rollback")


@pytest.fixture
def silent() -> Iterator[str]:
    """The address of something that takes calls and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


def told_by(*arguments: str, stdout: int = subprocess.PIPE, **environment: str) -> tuple[int, str]:
    """A command's exit code and what it says on standard error."""
    command = [sys.executable, "-m", "airflow_sm_rollout.cli", *arguments]
    ended = subprocess.run(
        command, stdout=stdout, stderr=subprocess.PIPE, text=True, env={**BARE, **NOWHERE, **environment}, check=False
    )
    return ended.returncode, ended.stderr


@pytest.mark.parametrize("command", ONES[:-1])
def test_an_aws_that_takes_calls_and_never_answers_is_given_up_in_the_time_that_it_has(
    command: str, silent: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in {**AWS_ENVIRONMENT, "AWS_ENDPOINT_URL": silent}.items():
        monkeypatch.setenv(name, value)
    begun = time.monotonic()
    assert main([command, "fraud", "--timeout", "0.4"]) == 1
    assert time.monotonic() - begun < 5
    assert f"sm-rollout {command}: AWS does not answer" in capsys.readouterr().err


@pytest.mark.parametrize("command", ONES)
def test_who_has_set_no_region_is_told_how(command: str) -> None:
    assert told_by(command, "fraud") == (
        1,
        f"sm-rollout {command}: no AWS region is set. Give --region, or set AWS_DEFAULT_REGION\n",
    )


@pytest.mark.parametrize("command", ONES)
def test_who_has_no_credentials_is_told_what_to_set(command: str) -> None:
    code, told = told_by(command, "fraud", "--region", "us-east-1")
    assert (code, told.count("\n")) == (1, 1)
    assert told.startswith(f"sm-rollout {command}: there are no AWS credentials. Set AWS_PROFILE")


def test_a_full_disk_is_named() -> None:
    with Path("/dev/full").open("w") as full:
        code, told = told_by("iam-policy", "fraud", stdout=full.fileno())
    assert (code, told) == (
        1,
        "sm-rollout iam-policy: could not write or read: [Errno 28] No space left on device\n",
    )


@pytest.mark.parametrize("port", ["99999", "-1", "x"])
def test_a_port_that_is_none_is_a_wrong_command_line(port: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["sandbox", "--port", port])
    assert ended.value.code == 2
    assert "--port" in capsys.readouterr().err


def test_every_command_has_help(capsys: pytest.CaptureFixture[str]) -> None:
    commands = (*ONES, "plan", "replay", "iam-policy", "sandbox", "demo")
    for command in commands:
        with pytest.raises(SystemExit) as ended:
            main([command, "--help"])
        assert ended.value.code == 0
        assert capsys.readouterr().out.startswith(f"usage: sm-rollout {command}")
    with pytest.raises(SystemExit):
        main(["--help"])
    told = capsys.readouterr().out
    assert [command for command in commands if f"    {command}" not in told] == []


@pytest.mark.parametrize(
    "text", ["null", "[]", "{}", '{"version":1}', '{"version":2}', "garbage", '{"version":1,"plan":[]}']
)
@pytest.mark.parametrize("command", ["status", "rollback", "pause"])
def test_a_record_that_somebody_has_spoilt_is_named(
    command: str, text: str, production: Production, capsys: pytest.CaptureFixture[str]
) -> None:
    production.ssm.put_parameter(Name="/sm-rollout/fraud", Value=text, Type="String")
    assert main([command, "fraud"]) == 1
    assert " record" in capsys.readouterr().err
