"""The compose file, tested without a Docker engine: its schema, its agreement with the demo, its commands as processes."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import jsonschema
import pytest
import yaml

from airflow_sm_rollout.cli_local import DEFAULT_PORT
from airflow_sm_rollout.demo.airflow_processes import COMPONENTS, free_ports
from airflow_sm_rollout.demo.production import ENDPOINT
from airflow_sm_rollout.demo.run import HURRY, SPEED
from airflow_sm_rollout.demo.sandbox_process import CREDENTIALS
from airflow_sm_rollout.demo.settings import AIRFLOW_SETTINGS

ROOT = Path(__file__).parent.parent
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
AIRFLOW = {name: SERVICES[name] for name in COMPONENTS}

WORDS = {"type": "array", "items": {"type": "string"}, "minItems": 1}
DURATION = {"type": "string", "pattern": r"^\d+(ms|s|m)$"}
SCHEMA = {
    "type": "object",
    "required": ["name", "services", "volumes"],
    "additionalProperties": False,
    "patternProperties": {"^x-": {}},
    "properties": {
        "name": {"type": "string", "pattern": "^[a-z0-9][a-z0-9_-]*$"},
        "volumes": {"type": "object", "additionalProperties": {"type": "null"}},
        "services": {
            "type": "object",
            "additionalProperties": {
                "type": "object",
                "required": ["image", "restart"],
                "additionalProperties": False,
                "properties": {
                    "image": {"type": "string", "pattern": r"^[a-z0-9-]+:[a-z0-9.-]+$"},
                    "build": {
                        "type": "object",
                        "required": ["context", "dockerfile"],
                        "additionalProperties": {"type": "string"},
                    },
                    "restart": {"enum": ["no", "unless-stopped"]},
                    "command": WORDS,
                    "scale": {"type": "integer", "minimum": 2},
                    # YAML's own True and 60 would reach a container in some other spelling.
                    "environment": {"type": "object", "additionalProperties": {"type": "string"}},
                    "volumes": WORDS,
                    "ports": {"type": "array", "items": {"type": "string", "pattern": r"^127\.0\.0\.1:\d+:\d+$"}},
                    "depends_on": {
                        "type": "object",
                        "additionalProperties": {
                            "type": "object",
                            "required": ["condition"],
                            "additionalProperties": False,
                            "properties": {
                                "condition": {"enum": ["service_healthy", "service_completed_successfully"]}
                            },
                        },
                    },
                    "healthcheck": {
                        "type": "object",
                        "required": ["test", "interval", "timeout", "retries"],
                        "additionalProperties": False,
                        "properties": {
                            "test": {**WORDS, "contains": {"enum": ["CMD", "CMD-SHELL"]}},
                            "interval": DURATION,
                            "timeout": DURATION,
                            "start_period": DURATION,
                            "retries": {"type": "integer"},
                        },
                    },
                },
            },
        },
    },
}


def test_the_file_is_what_compose_takes() -> None:
    jsonschema.validate(COMPOSE, SCHEMA)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("ports",), ["8080:8080"]),
        (("environment", "AIRFLOW__CORE__LOAD_EXAMPLES"), False),
        (("depends_on", "migrate"), {"condition": "service_ready"}),
        (("comand",), ["airflow"]),
    ],
)
def test_the_schema_refuses_what_compose_or_we_would_not_want(place: tuple[str, ...], value: object) -> None:
    wrong = json.loads(json.dumps(COMPOSE))
    target = wrong["services"]["api-server"]
    for step in place[:-1]:
        target = target[step]
    target[place[-1]] = value
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(wrong, SCHEMA)


def test_services_wait_only_for_services_that_can_satisfy_them() -> None:
    for name, service in SERVICES.items():
        for other, wanted in service.get("depends_on", {}).items():
            ends = SERVICES[other]["restart"] == "no"
            assert ends == (wanted["condition"] == "service_completed_successfully"), (name, other)
            assert ends or "healthcheck" in SERVICES[other], (name, other)


def test_airflow_runs_with_the_demos_commands_and_settings() -> None:
    assert {name: service["command"] for name, service in AIRFLOW.items()} == {
        name: ["airflow", *command] for name, command in COMPONENTS.items()
    }
    wanted = {**AIRFLOW_SETTINGS, **CREDENTIALS, **HURRY}
    for name, service in AIRFLOW.items():
        assert {key: service["environment"].get(key) for key in wanted} == wanted, name


def test_every_variable_of_airflows_is_an_option_of_airflow() -> None:
    """A mistyped option would be ignored without a word."""
    from airflow.configuration import conf

    known = {
        section: set(conf.configuration_description[section]["options"]) for section in conf.configuration_description
    }
    for variable in AIRFLOW["scheduler"]["environment"]:
        if variable.startswith("AIRFLOW__"):
            _, section, option = variable.lower().split("__")
            assert option in known[section], variable


def test_addresses_lead_to_services() -> None:
    environment = AIRFLOW["scheduler"]["environment"]
    hosts = re.findall(r"(?:http://|redis://|@)([a-z-]+)", " ".join(environment.values()))
    assert set(hosts) == {"api-server", "postgres", "redis", "sandbox"} <= set(SERVICES)
    assert environment["AWS_ENDPOINT_URL"] == f"http://sandbox:{DEFAULT_PORT}"


def test_the_image_copies_only_what_is_there_and_all_that_is_needed() -> None:
    dockerfile = (ROOT / SERVICES["sandbox"]["build"]["dockerfile"]).read_text()
    copied = [name for line in re.findall(r"^COPY (.*) \S+$", dockerfile, re.MULTILINE) for name in line.split()]
    assert [name for name in copied if not (ROOT / name).exists()] == []
    assert {"airflow_sm_rollout", "dags", "pyproject.toml", "constraints.txt"} <= set(copied)


def as_process(command: list[str]) -> list[str]:
    """A container's command in this environment, whose programs need not be on the path."""
    programs = {
        "python": [sys.executable],
        "airflow": [sys.executable, "-m", "airflow"],
        "sm-rollout": [sys.executable, "-m", "airflow_sm_rollout.cli"],
    }
    return [*programs[command[0]], *command[1:]]


@pytest.fixture
def sandbox() -> Iterator[str]:
    """The sandbox service's address; its command on a free port and on this machine only."""
    [port] = free_ports(1)
    command = as_process(SERVICES["sandbox"]["command"])
    assert "--address=0.0.0.0" in command
    assert f"--port={DEFAULT_PORT}" in command
    command = [word for word in command if not word.startswith(("--address", "--port"))]
    process = subprocess.Popen([*command, f"--port={port}"], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    with process.stdout as output:
        assert output.readline() == f"AWS_ENDPOINT_URL=http://127.0.0.1:{port}\n"
        yield f"http://127.0.0.1:{port}"
        process.terminate()
        assert process.wait(20) == 0


def test_the_sandbox_and_the_production_services_run(sandbox: str) -> None:
    assert f"--speed={SPEED:g}" in SERVICES["sandbox"]["command"]
    port = sandbox.rpartition(":")[2]
    check = [word.replace(str(DEFAULT_PORT), port) for word in SERVICES["sandbox"]["healthcheck"]["test"][1:]]
    assert subprocess.run(as_process(check), check=False).returncode == 0

    environment = {**os.environ, **SERVICES["production"]["environment"], "AWS_ENDPOINT_URL": sandbox}
    production = subprocess.Popen(as_process(SERVICES["production"]["command"]), env=environment)
    try:
        wait_for_requests(sandbox)
    finally:
        production.terminate()
        assert production.wait(20) == 0


def wait_for_requests(url: str) -> None:
    keys = (CREDENTIALS["AWS_ACCESS_KEY_ID"], CREDENTIALS["AWS_SECRET_ACCESS_KEY"])
    cloudwatch = boto3.Session(*keys, region_name=CREDENTIALS["AWS_DEFAULT_REGION"]).client(
        "cloudwatch", endpoint_url=url
    )
    deadline = time.monotonic() + 60
    while True:
        with urllib.request.urlopen(f"{url}/_sandbox/health") as answer:
            now = json.load(answer)["now"]
        found = cloudwatch.get_metric_statistics(
            Namespace="AWS/SageMaker",
            MetricName="Invocations",
            Dimensions=[
                {"Name": "EndpointName", "Value": ENDPOINT},
                {"Name": "VariantName", "Value": "AllTraffic"},
            ],
            StartTime=now - 600,
            EndTime=now + 60,
            Period=60,
            Statistics=["Sum"],
        )["Datapoints"]
        if sum(point["Sum"] for point in found) > 20:
            return
        assert time.monotonic() < deadline, "the endpoint gets no requests"
        time.sleep(0.5)


def test_the_database_is_migrated_by_the_migrate_service(tmp_path: Path) -> None:
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")},
        **SERVICES["migrate"]["environment"],
        "AIRFLOW_HOME": str(tmp_path),
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{tmp_path}/airflow.db",
    }
    migrate = subprocess.run(as_process(SERVICES["migrate"]["command"]), env=environment, check=False)
    assert migrate.returncode == 0
    job = SERVICES["scheduler"]["healthcheck"]["test"][1:]
    check = subprocess.run(as_process(job), env=environment, check=False, capture_output=True, text=True)
    assert "No alive jobs found" in check.stderr + check.stdout, "the check is understood, and finds no scheduler"
