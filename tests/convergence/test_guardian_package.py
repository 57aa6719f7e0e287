"""The guardian for AWS Lambda: an archive that runs by itself, and a template that CloudFormation's linter accepts."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import cfnlint.api
import pytest

from airflow_sm_rollout.aws.iam import guardian_policy
from airflow_sm_rollout.cli import main
from airflow_sm_rollout.core.errors import PlanError
from airflow_sm_rollout.guardian.handler import answer
from airflow_sm_rollout.guardian.package import HANDLER, build_archive
from airflow_sm_rollout.guardian.template import render_template
from convergence.lab import ENDPOINT, USER_ALARM, Lab
from convergence.live_lab import LiveLab
from convergence.test_guardian_handler import SCHEDULE, by_event_bridge, with_green
from convergence.test_guardian_walk import guardian_of, ring_quietly
from convergence.test_iam import is_allowed, resources_of
from convergence.walk import Make

LAMBDAS_DEADLINE = 60.0
STACK = {"${AWS::Region}": "us-east-1", "${AWS::AccountId}": "1", "${AWS::Partition}": "aws"}


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("lambda") / "guardian.zip"
    path.write_bytes(build_archive())
    return path


def test_the_archive_runs_where_there_is_nothing_but_it_and_boto3(archive: Path, tmp_path: Path) -> None:
    zipfile.ZipFile(archive).extractall(tmp_path)
    program = f"""
import sys
sys.path.insert(0, {str(tmp_path)!r})
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {{"airflow", "fastapi", "moto", "sqlalchemy", "rich"}}:
            raise ImportError(name + " is not for guardians")
sys.meta_path.insert(0, Refuse())
import importlib, pkgutil, airflow_sm_rollout
for each in pkgutil.walk_packages(airflow_sm_rollout.__path__, "airflow_sm_rollout."):
    importlib.import_module(each.name)
module, _, name = {HANDLER!r}.rpartition(".")
assert callable(getattr(importlib.import_module(module), name))
ours = [each for name, each in sys.modules.items() if name.startswith("airflow_sm_rollout")]
assert all(each.__file__.startswith({str(tmp_path)!r}) for each in ours), ours
print(len(ours))
"""
    ran = subprocess.run(
        [sys.executable, "-I", "-c", program], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert ran.returncode == 0, ran.stderr
    assert int(ran.stdout) > 50


def test_the_same_version_gives_the_same_archive_and_lambda_can_read_its_files(archive: Path) -> None:
    assert archive.read_bytes() == build_archive()
    members = zipfile.ZipFile(archive).infolist()
    assert {member.external_attr >> 16 for member in members} == {0o644}
    assert len(archive.read_bytes()) < 1_000_000


@pytest.mark.parametrize("prefix", ["", "fraud"])
@pytest.mark.parametrize("environment", [None, {"SM_ROLLOUT_ABANDONED_AFTER": "20"}])
def test_cloudformations_linter_accepts_the_template(prefix: str, environment: dict[str, str] | None) -> None:
    text = json.dumps(render_template(prefix, environment))
    assert [str(match) for match in cfnlint.api.lint(text, regions=["us-east-1", "eu-central-1"])] == []


def test_a_prefix_that_could_widen_the_role_is_refused() -> None:
    with pytest.raises(PlanError):
        render_template("*")


def deployed(template: dict[str, Any]) -> list[dict[str, Any]]:
    """The statements of its role, as the stack has them."""

    def substituted(resource: Any) -> Any:
        text = resource["Fn::Sub"] if isinstance(resource, dict) else resource
        for name, value in STACK.items():
            text = text.replace(name, value)
        return text

    [policy] = template["Resources"]["Role"]["Properties"]["Policies"]
    statements: list[dict[str, Any]] = policy["PolicyDocument"]["Statement"]
    lists = [each["Resource"] if isinstance(each["Resource"], list) else [each["Resource"]] for each in statements]
    return [{**each, "Resource": [*map(substituted, arns)]} for each, arns in zip(statements, lists, strict=True)]


def test_its_role_may_what_the_printed_policy_says_and_write_its_log() -> None:
    *statements, log = deployed(render_template("fraud"))
    assert statements == guardian_policy("fraud", region="us-east-1", account="1")["Statement"]
    assert log["Action"] == ["logs:CreateLogStream", "logs:PutLogEvents"]


@pytest.mark.parametrize("make", [Lab, LiveLab])
def test_its_rules_call_it_with_what_makes_it_look_and_its_role_suffices(make: Make) -> None:
    template, lab = render_template("fraud"), with_green(make)
    rules = {name: each["Properties"] for name, each in template["Resources"].items() if "Rule" in each["Type"]}
    assert rules["EachMinute"]["ScheduleExpression"] == "rate(1 minute)"
    event, pattern = by_event_bridge(USER_ALARM), rules["AlarmRings"]["EventPattern"]
    assert event["source"] in pattern["source"]
    assert event["detail-type"] in pattern["detail-type"]
    assert event["detail"]["state"]["value"] in pattern["detail"]["state"]["value"]
    ring_quietly(lab)
    lab.sandbox.calls.clear()
    answer(event, guardian_of(lab), LAMBDAS_DEADLINE, lab.pass_time)
    for _ in range(20):
        if not answer(SCHEDULE, guardian_of(lab), LAMBDAS_DEADLINE, lab.pass_time):
            break
    calls = [(f"{call.service}:{call.operation}", arn) for call in lab.sandbox.calls for arn in resources_of(call)]
    assert calls
    assert [call for call in calls if not is_allowed(*call, deployed(template))] == []
    assert lab.describe() == lab.before


def test_the_commands_write_the_archive_and_print_the_template(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "out.zip"
    assert main(["guardian", "package", "--file", str(path)]) == 0
    assert "guardian template" in capsys.readouterr().out
    assert zipfile.ZipFile(io.BytesIO(path.read_bytes())).testzip() is None
    assert main(["guardian", "template", "--prefix", ENDPOINT, "--abandoned-after", "20"]) == 0
    template = json.loads(capsys.readouterr().out)
    assert template == render_template(
        ENDPOINT, {"SM_ROLLOUT_ABANDONED_AFTER": "20", "SM_ROLLOUT_BETWEEN_TASKS": "120"}
    )
