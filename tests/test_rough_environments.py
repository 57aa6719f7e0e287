"""A command in an environment that somebody has set wrong, or not at all: a sentence says what is wrong, or it does not matter."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from airflow_sm_rollout.cli import main

NOBODY = "http://127.0.0.1:9"
USUAL = {
    "AWS_ACCESS_KEY_ID": "a",
    "AWS_SECRET_ACCESS_KEY": "b",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_ENDPOINT_URL": NOBODY,
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
}
ROUGH: dict[str, tuple[str, ...]] = {
    "AWS_DEFAULT_REGION": ("", " ", "us east 1", "\U0001f984", "-", "us-east-1.example.com", "x" * 300),
    "AWS_REGION": ("", "us east 1"),
    "AWS_MAX_ATTEMPTS": ("abc", "", "0", "-1", "1.5", "9" * 30),
    "AWS_RETRY_MODE": ("bogus", ""),
    "AWS_ENDPOINT_URL": (
        "nonsense",
        "http://",
        "localhost:1",
        "http://[::1",
        "ftp://x",
        "http://127.0.0.1:99999",
        "http://a b",
    ),
    "AWS_PROFILE": ("nobody", " ", "\U0001f984"),
    "AWS_CONFIG_FILE": ("{spoilt}", "{binary}", "{folder}", "/nowhere", "\x01"),
    "AWS_SHARED_CREDENTIALS_FILE": ("{spoilt}", "{binary}", "{folder}"),
    "AWS_CA_BUNDLE": ("/nowhere", "{spoilt}"),
    "AWS_STS_REGIONAL_ENDPOINTS": ("bogus",),
    "AWS_DEFAULTS_MODE": ("bogus",),
    "AWS_USE_FIPS_ENDPOINT": ("maybe",),
    "AWS_ACCESS_KEY_ID": ("", "\U0001f984", "a\tb"),
    "AWS_SECRET_ACCESS_KEY": ("", "\U0001f984"),
    "AWS_SESSION_TOKEN": ("\U0001f984",),
    "HTTP_PROXY": ("nonsense", "http://[::1"),
    "HOME": ("", "/nowhere"),
    "TZ": ("Mars/Olympus", ":::", ""),
    "COLUMNS": ("0", "1", "abc", "-5"),
    "NO_COLOR": ("", "1"),
    "TERM": ("", "dumb", "nonsense"),
}
CASES = [(name, value) for name, values in ROUGH.items() for value in values]


def test_whatever_stands_in_a_variable_a_command_ends_by_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "spoilt").write_text("[default\nregion us-east-1\n= =\n[profile x\n")
    (tmp_path / "binary").write_bytes(bytes(range(256)))
    (tmp_path / "folder").mkdir()
    places = {name: str(tmp_path / name) for name in ("spoilt", "binary", "folder")}
    for name, rough in CASES:
        value = places.get(rough[1:-1], rough)
        with monkeypatch.context() as patch:
            for each in [each for each in os.environ if each.startswith("AWS_")]:
                patch.delenv(each)
            for usual, set_to in {**USUAL, name: value}.items():
                patch.setenv(usual, set_to)
            code = main(["status", "fraud", "--timeout", "0.5"])
            told = capsys.readouterr().err
        assert code == 1, (name, value)
        assert told.startswith("sm-rollout status: "), (name, value)
        assert told.count("\n") <= 2, told
    print(f"{len(CASES)} environments tried")


def told_by(*arguments: str, shell: str = "", **environment: str) -> tuple[int, str, str]:
    command = f'exec "{sys.executable}" -m airflow_sm_rollout.cli {" ".join(arguments)} {shell}'
    there = {"PATH": os.environ["PATH"], "PYTHONPATH": os.environ.get("PYTHONPATH", ""), **environment}
    ended = subprocess.run(["/bin/sh", "-c", command], capture_output=True, env=there, check=False)
    return ended.returncode, ended.stdout.decode(errors="replace"), ended.stderr.decode(errors="replace")


@pytest.mark.parametrize(
    "environment",
    [
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"PYTHONIOENCODING": "ascii"},
        {"COLUMNS": "1"},
        {"TZ": "Mars/x"},
    ],
    ids=lambda each: next(iter(each)),
)
def test_a_terminal_that_knows_little_shows_what_it_can(environment: dict[str, str]) -> None:
    code, said, told = told_by("plan", "--steps", "10,100", **environment)
    assert (code, told) == (0, "")
    assert "10 %" in said
    code, _, told = told_by("plan", "--steps", "'\U0001f984'", **environment)
    assert code == 1
    assert told.startswith("sm-rollout plan: ")
    assert "Traceback" not in told


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", ">&- 2>&- <&-", "| head -c 1 > /dev/null"])
def test_a_stream_that_is_closed_ends_no_command_by_a_traceback(closed: str) -> None:
    for arguments in (("plan", "--bake", "x"), ("iam-policy", "fraud")):
        code, _, told = told_by(*arguments, shell=closed)
        assert code in (0, 1), told
        assert "Traceback" not in told
        assert "Exception ignored" not in told


def test_a_user_without_a_name_is_no_reason_to_fail() -> None:
    code, said, told = told_by("plan", HOME="/nowhere")
    assert (code, told) == (0, "")
    assert said
