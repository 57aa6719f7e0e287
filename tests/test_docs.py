"""The documentation tells the truth: every block of code in it is run here, and every link leads somewhere."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import venv
from datetime import datetime, timezone
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import boto3
import cfnlint.api
import hcl2
import pytest
import yaml
from airflow.models.connection import Connection
from airflow.providers.amazon.aws.utils.connection_wrapper import AwsConnectionWrapper

from airflow_sm_rollout.airflow_versions import as_stored, read_dags
from airflow_sm_rollout.aws.clients import Clients
from airflow_sm_rollout.aws.planning import plan_rollout
from airflow_sm_rollout.aws.record import write_record
from airflow_sm_rollout.cli import main
from airflow_sm_rollout.core.names import Names
from airflow_sm_rollout.core.rollout import Green, Plan
from airflow_sm_rollout.demo.settings import SETTINGS
from airflow_sm_rollout.pytest_plugin import SageMakerSandbox, sagemaker_sandbox, sagemaker_sandbox_speed
from airflow_sm_rollout.task_arguments import FIXED

ROOT = Path(__file__).parent.parent
PAGES = sorted(page for page in (ROOT / "docs").glob("*.md") if page.name != "evidence.md")
ENDPOINT = "wine"
CLIENTS = "clients.md"  # run in tests/live/test_shares.py
UNDO = "undo.md"  # run in tests/test_cli_undo.py

__all__ = ["sagemaker_sandbox", "sagemaker_sandbox_speed"]


def blocks(language: str) -> list[tuple[str, str]]:
    """Page and text of each block in a language."""
    found = re.compile(rf"```{language}\n(.*?)```", re.DOTALL)
    return [(page.name, text) for page in PAGES for text in found.findall(page.read_text())]


def test_there_is_no_block_of_a_kind_that_is_not_run() -> None:
    languages = {language for page in PAGES for language in re.findall(r"^```(\w*)$", page.read_text(), re.MULTILINE)}
    assert languages - {""} == {"python", "sh", "json", "yaml", "hcl", "text"}


def json_blocks(*, are_connections: bool) -> list[Any]:
    """Policies, or what the extra of a connection to AWS has."""
    found = [(page, text) for page, text in blocks("json") if page != CLIENTS]
    return [
        pytest.param(text, id=page) for page, text in found if ("region_name" in json.loads(text)) is are_connections
    ]


@pytest.mark.parametrize("extra", json_blocks(are_connections=True))
def test_every_connection_is_one_that_the_amazon_provider_reads(extra: str) -> None:
    document = json.loads(extra)
    connection = AwsConnectionWrapper(Connection(conn_id="aws", conn_type="aws", extra=extra))
    assert connection.region_name == document["region_name"]
    assert connection.role_arn == document["role_arn"]
    assert connection.botocore_config is not None
    for service, settings in document["service_config"].items():
        assert connection.get_service_endpoint_url(service) == settings["endpoint_url"]


@pytest.mark.parametrize("policy", json_blocks(are_connections=False))
def test_every_policy_is_one_that_iam_can_read(policy: str) -> None:
    """AWS's grammar: a version, and statements with an effect, an action and whom or what they are about."""
    document = json.loads(policy)
    assert document["Version"] == "2012-10-17"
    for statement in document["Statement"]:
        assert {"Effect", "Action"} < set(statement)
        assert {"Resource", "Principal"} & set(statement)
        assert re.fullmatch(r"\w+:\w+", statement["Action"])


@pytest.mark.parametrize("text", [pytest.param(text, id=page) for page, text in blocks("hcl")])
def test_every_terraform_snippet_is_one_that_a_parser_reads(text: str) -> None:
    parsed = hcl2.loads(text)
    assert parsed["resource"]


def test_the_template_for_cloudformation_is_one_that_its_linter_accepts() -> None:
    [template] = [text for page, text in blocks("yaml") if page == "infrastructure.md"]
    assert [str(match) for match in cfnlint.api.lint(template, regions=["us-east-1"])] == []


@pytest.mark.parametrize("values", [text for page, text in blocks("yaml") if page == "helm.md"])
def test_every_setting_in_a_charts_values_is_one_that_we_recommend(values: str) -> None:
    ours = {(each.section, each.option): each.value for each in SETTINGS}
    told = {
        (section, option): value
        for section, each in yaml.safe_load(values)["config"].items()
        for option, value in each.items()
    }
    assert told
    assert told.items() <= ours.items()


def test_the_requirements_for_mwaa_name_this_package_and_leave_its_constraints_alone() -> None:
    """MWAA looks for these words anywhere in the file, comments included."""
    [requirements] = [text for page, text in blocks("text") if page == "mwaa.md"]
    assert requirements.splitlines()[-1] == "airflow-sm-rollout"
    assert not re.search(r"-c |--constraint ", requirements)


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize(
    "text", [pytest.param(text, id=page) for page, text in blocks("python") if page not in ("testing.md", CLIENTS)]
)
def test_every_dag_parses_and_can_be_stored(text: str, tmp_path: Path) -> None:
    (tmp_path / "example.py").write_text(text)
    bag = read_dags(str(tmp_path / "example.py"), "dags-folder")
    assert bag.import_errors == {}
    assert bag.dags
    for dag in bag.dags.values():
        assert as_stored(dag).task_ids == dag.task_ids


@pytest.fixture
def in_progress(sagemaker_sandbox: SageMakerSandbox) -> None:
    """A rollout of the endpoint that the commands name, as far as its record."""
    sagemaker_sandbox.put_endpoint(ENDPOINT)
    boto3.client("sagemaker").create_model(
        ModelName="wine-v2",
        PrimaryContainer={"Image": "registry/wine:2"},
        ExecutionRoleArn="arn:aws:iam::123456789012:role/wine",
    )
    clients, owner = Clients.of(boto3.Session()), {"dag_id": "docs"}
    names, now = Names(ENDPOINT, "0123abcd"), datetime.now(timezone.utc)
    write_record(clients.ssm, plan_rollout(clients, names, owner, Green("wine-v2"), Plan(), now), overwrite=False)


@pytest.mark.usefixtures("in_progress")
@pytest.mark.parametrize(
    "commands",
    [pytest.param(text, id=page) for page, text in blocks("sh") if page not in ("install.md", "alarms.md", UNDO)],
)
def test_every_command_works(commands: str, capsys: pytest.CaptureFixture[str]) -> None:
    for command in commands.splitlines():
        words = re.findall(r'"[^"]*"|\S+', command)
        assert words[0] == "sm-rollout"
        assert main([word.strip('"') for word in words[1:]]) == 0, command
        assert capsys.readouterr().out, command


def test_every_command_of_the_installation_works(tmp_path: Path) -> None:
    """In an environment of its own. What the package needs is left out: Airflow is there where it is installed."""
    venv.create(tmp_path, with_pip=True)
    commands = [command for page, text in blocks("sh") if page == "install.md" for command in text.splitlines()]
    assert len(commands) == 3
    for command in commands:
        words = [word.strip('"') for word in command.split()]
        assert words[0] == "pip"
        alone = ["--no-deps"] if words[1] == "install" else []
        pip = [tmp_path / "bin" / "pip", *words[1:], *alone]
        ran = subprocess.run(pip, cwd=ROOT, capture_output=True, text=True, check=False)
        assert ran.returncode == 0, (command, ran.stderr)
        assert (tmp_path / "bin" / "sm-rollout").exists() == (words[1] == "install")


def test_the_users_own_tests_pass_by_the_plugin_in_seconds(tmp_path: Path) -> None:
    [(_, text)] = [found for found in blocks("python") if found[0] == "testing.md"]
    (tmp_path / "test_wine.py").write_text(text)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "PYTEST"))}
    environment |= {"AIRFLOW_HOME": str(tmp_path / "airflow"), "AIRFLOW__CORE__LOAD_EXAMPLES": "False"}
    # Installed, the plugin is found by its entry point; twice is an error, so it is named only where it is not.
    is_installed = any(each.name == "sm_rollout" for each in entry_points(group="pytest11"))
    named = [] if is_installed else ["-p", "airflow_sm_rollout.pytest_plugin"]
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *named, "-p", "no:cacheprovider", "--durations=3", "test_wine.py"],
        cwd=tmp_path,
        env=environment | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout[-4000:]
    assert "3 passed" in ran.stdout
    slowest = max(float(found) for found in re.findall(r"^([\d.]+)s call", ran.stdout, re.MULTILINE))
    print(f"\nthe slowest of the user's tests took {slowest:g} s")


@pytest.mark.filterwarnings("default")
def test_a_users_own_airflow_database_is_not_touched_by_a_test(
    sagemaker_sandbox: SageMakerSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.sdk import DAG

    for name in ("AIRFLOW_HOME", "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(pytest.UsageError, match="AIRFLOW_HOME"):
        sagemaker_sandbox.run(DAG("never", schedule=None))


def test_every_symptom_that_is_explained_is_what_the_package_says() -> None:
    """Headings quote messages; the code has them in one piece."""
    symptoms = re.findall(r"^### `(.*)`$", (ROOT / "docs" / "troubleshooting.md").read_text(), re.MULTILINE)
    said = "\n".join(path.read_text() for path in (ROOT / "airflow_sm_rollout").rglob("*.py"))
    assert len(symptoms) > 9
    assert [symptom for symptom in symptoms if symptom not in said] == []


def test_every_argument_of_airflows_that_a_group_fixes_is_explained() -> None:
    page = (ROOT / "docs" / "refused.md").read_text()
    section = page.partition("## Airflow's own arguments\n")[2].partition("\n## ")[0]
    explained = {
        name for row in re.findall(r"^\| (`.*?) \|", section, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)
    }
    assert explained == set(FIXED)


@pytest.mark.parametrize("page", [*PAGES, ROOT / "README.md"], ids=lambda page: page.name)
def test_every_link_to_a_file_leads_to_one(page: Path) -> None:
    targets = re.findall(r"\]\(((?!https?:)[^)#]+)", page.read_text())
    assert [target for target in targets if not (page.parent / target).exists()] == []
