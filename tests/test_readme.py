"""The README tells the truth: every command and every block in it is run here."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import boto3
import psutil
import pytest

from airflow_sm_rollout.cli import main
from airflow_sm_rollout.demo.airflow_api import AirflowApi
from airflow_sm_rollout.demo.production import BUCKET, ENDPOINT, IMAGE, ROLE, VARIANT, put_into_production
from airflow_sm_rollout.demo.progress import TIMELINE_COLUMNS
from airflow_sm_rollout.demo.sandbox_process import CREDENTIALS
from airflow_sm_rollout.demo.settings import SETTINGS
from airflow_sm_rollout.sandbox import RunningServer, Timings, process_sandbox, serve
from airflow_sm_rollout.sandbox.traffic import Traffic, count
from airflow_sm_rollout.sandbox.train_model import load_rows
from operators.dag_runs import run_dag

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
OPERATIONS = (ROOT / "docs" / "operations.md").read_text()
INSTALL = re.findall(r"^pip .+$", (ROOT / "docs" / "install.md").read_text(), re.MULTILINE)
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", README, re.DOTALL)
COMMANDS = [line for language, block in BLOCKS if language == "sh" for line in block.splitlines()]
ONE_SCREEN_LINES = 90


def block(language: str) -> str:
    (found,) = [text for of, text in BLOCKS if of == language]
    return found


def test_it_is_one_screen() -> None:
    assert len(README.splitlines()) <= ONE_SCREEN_LINES


def test_every_block_is_of_a_kind_that_is_tested_here() -> None:
    assert {language for language, _ in BLOCKS} == {"sh", "text", "diff", "python"}
    assert [
        "make demo",
        "make test",
        "pip install .",
        f"sm-rollout status {ENDPOINT}",
        f"sm-rollout rollback {ENDPOINT}",
        f"sm-rollout iam-policy {ENDPOINT}",
    ] == COMMANDS


def test_the_installation_is_the_one_whose_page_is_tested() -> None:
    """``tests/test_docs.py`` runs every command of that page."""
    installed = [command for command in COMMANDS if command.startswith("pip ")]
    assert installed == [INSTALL[0]]


def make(*arguments: str, venv: Path) -> list[str]:
    """The Makefile's own recipes, in a virtual environment that is installed already: this one."""
    (venv / "bin").mkdir(parents=True)
    for name, module in {"python": "", "sm-rollout": "-m airflow_sm_rollout.cli"}.items():
        shim = venv / "bin" / name
        shim.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} {module} "$@"\n')
        shim.chmod(0o755)
    (venv / ".installed").touch()
    return ["make", "--no-print-directory", f"--directory={ROOT}", *arguments, f"VENV={venv}"]


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """``make demo`` as it runs, with ``--keep``."""
    command = make("demo", "DEMO=--keep", venv=tmp_path / "venv")
    with (tmp_path / "errors").open("w") as errors:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True)
    yield process
    if process.poll() is None:
        interrupt(process)
        process.communicate(timeout=60)


def interrupt(make: subprocess.Popen[str]) -> None:
    """Ctrl-C for the demo only: make would report it as its own failure."""
    for child in psutil.Process(make.pid).children(recursive=True):
        with suppress(psutil.Error):
            if child.cmdline()[1:] == ["-m", "airflow_sm_rollout.cli", "demo", "--keep"]:
                child.terminate()


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_make_demo_promotes_the_good_model_and_rolls_the_bad_one_back(
    demo: subprocess.Popen[str], tmp_path: Path
) -> None:
    assert demo.stdout is not None
    shown = []
    for line in demo.stdout:
        shown.append(line)
        if line.startswith('{"good": '):
            break
    text = "".join(shown)
    assert "outcome" in text, (text, (tmp_path / "errors").read_text())
    check_result(json.loads(shown[-1]))

    airflow = AirflowApi(re.findall(r"Airflow is at (http://127\.0\.0\.1:\d+) ", text)[0])
    runs = airflow.api("GET", "/dags/canary/dagRuns?order_by=run_after")["dag_runs"]
    assert [run["state"] for run in runs] == ["success", "failed"], "what a person sees in Airflow's UI"

    interrupt(demo)
    rest, _ = demo.communicate(timeout=60)
    assert (demo.returncode, rest, (tmp_path / "errors").read_text()) == (0, "", "")


def check_result(result: dict[str, Any]) -> None:
    good, bad = result["good"], result["bad"]
    assert (good["outcome"], good["max_green_share"], good["failed_requests"]) == ("promoted", 100, 0)

    assert bad["outcome"] == "rolled_back"
    # Whichever is first.
    alarm = r"alarm sm-rollout-wine-[0-9a-f]{8}-errors is in ALARM .*threshold \(5\.0\)"
    assert re.search(rf"{alarm}|Green refused \(4XX\) \d+ of \d+ calls .*worse than tolerated", bad["reason"])
    assert bad["max_green_share"] in (10, 50)
    assert 0 < bad["failed_requests"] < bad["failed_requests_all_at_once"]
    assert 0 < bad["seconds_harm_to_blue"] < 30
    assert bad["restored_exactly"] is True

    for run in (good, bad):
        assert (run["dropped_requests"], run["left_behind"]) == (0, [])
        assert run["requests"] > 1000


def test_make_test_runs_pytest_on_everything(tmp_path: Path) -> None:
    command = make("test", "TESTS=--collect-only -q tests/test_readme.py", venv=tmp_path / "venv")
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert "test_make_test_runs_pytest_on_everything" in ran.stdout


def test_the_picture_is_one_of_the_demos() -> None:
    shares, failures, seconds = block("text").splitlines()
    assert re.fullmatch(rf"green's share    \|.{{{TIMELINE_COLUMNS}}}\| up to 10 %", shares)
    assert re.fullmatch(rf"failed requests  \|.{{{TIMELINE_COLUMNS}}}\| up to \d+ a second", failures)
    assert re.fullmatch(r" +0 s +\^ (alarm|proven) +\d+ s", seconds)


def test_the_settings_are_those_of_the_demo_and_the_compose_file() -> None:
    rows = re.findall(r"^\| `\[(\w+)\] (\w+)` \| (\S+) \| (\S+) \| (.+) \|$", OPERATIONS, re.MULTILINE)
    assert rows == [(each.section, each.option, each.value, each.default, each.why) for each in SETTINGS]


def test_airflows_own_values_are_told_rightly() -> None:
    from airflow.configuration import conf

    for setting in SETTINGS:
        default = conf.get_default_value(setting.section, setting.option)
        assert float(default) == float(setting.default), setting.option


# --- the five lines, on a sandbox with real training and under real traffic


def test_there_are_five_added_lines_and_the_rest_is_a_dag_of_its_own() -> None:
    lines = block("diff").splitlines()
    assert len([line for line in lines if line.startswith("+")]) == 5
    assert all(line[:1] in ("+", " ", "") for line in lines)


def source_of(text: str) -> str:
    return "\n".join(line[1:] for line in text.splitlines())


@pytest.fixture(scope="module")
def server() -> Iterator[RunningServer]:
    sandbox = process_sandbox(Timings().hurried(100))
    with serve(sandbox) as server:
        yield server
    sandbox.close()


@pytest.fixture
def environment(server: RunningServer, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**CREDENTIALS, "AWS_ENDPOINT_URL": server.url}.items():
        monkeypatch.setenv(name, value)


@pytest.mark.slow
@pytest.mark.usefixtures("environment")
@pytest.mark.filterwarnings("default")
def test_the_five_lines_roll_out_what_the_dag_has_trained(server: RunningServer) -> None:
    put_into_production(boto3.Session())
    program = source_of(block("diff"))
    plan = "steps=[10, 50, 100], bake=600"
    assert plan in program
    training = {
        "TrainingJobName": "wine-weekly",
        "AlgorithmSpecification": {"TrainingImage": IMAGE, "TrainingInputMode": "File"},
        "RoleArn": ROLE,
        "OutputDataConfig": {"S3OutputPath": f"s3://{BUCKET}/weekly"},
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 10},
        "StoppingCondition": {"MaxRuntimeInSeconds": 600},
    }
    names: dict[str, Any] = {"TRAINING": training, "IMAGE": IMAGE}
    # Nobody waits half an hour for a test. A bake must be longer than a metric's period, here 10 s.
    hurried = program.replace(plan, "steps=[50, 100], bake=[25, 14], poke_interval=0.5")
    exec(hurried.replace("config=TRAINING", "config=TRAINING, check_interval=1"), names)
    initialise_database()
    with Traffic(server.url, ENDPOINT, 60) as traffic:
        run = run_dag(names["train"].dag)
    assert (run.state, run.states["canary.promote"]) == ("success", "success"), run.xcoms
    assert count(traffic.records).dropped == 0
    (variant,) = boto3.client("sagemaker").describe_endpoint(EndpointName=ENDPOINT)["ProductionVariants"]
    assert variant["VariantName"] != VARIANT


def initialise_database() -> None:
    from airflow.dag_processing.bundles.manager import DagBundlesManager
    from airflow.utils.db import initdb

    initdb()
    DagBundlesManager().sync_bundles_to_db()


# --- the clients of two endpoints


@pytest.mark.slow
@pytest.mark.usefixtures("environment")
def test_a_client_reaches_what_serves_under_the_name() -> None:
    put_into_production(boto3.Session())
    names: dict[str, Any] = {
        "runtime": boto3.client("sagemaker-runtime"),
        "body": json.dumps({"instances": load_rows()[0][:1]}),
    }
    exec(block("python"), names)
    assert names["answer"]["ResponseMetadata"]["HTTPStatusCode"] == 200


# --- the commands for operators


@pytest.mark.usefixtures("environment")
@pytest.mark.parametrize("command", [command for command in COMMANDS if command.startswith("sm-rollout")])
def test_the_operators_commands_work(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    put_into_production(boto3.Session())
    assert main(command.split()[1:]) == 0
    assert ENDPOINT in capsys.readouterr().out
