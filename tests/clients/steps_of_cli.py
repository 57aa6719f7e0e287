"""The AWS command line, version 1 or 2: ``python steps_of_cli.py COMMAND``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from told import ASKED, IMAGE, MODEL_DATA, NAME, ROLE, equal, eventually, refusal, step, variants

EACH = ["--endpoint-url", os.environ["AWS_ENDPOINT_URL"]]
"""The oldest version 2 does not read the environment's."""


def aws(*arguments: str) -> Any:
    """What a command prints, read as JSON.

    :raises RuntimeError: if it fails, with what it says.
    """
    ran = subprocess.run([sys.argv[1], *arguments, *EACH], capture_output=True, text=True, check=False)
    if ran.returncode:
        raise RuntimeError(ran.stderr.strip())
    return json.loads(ran.stdout) if ran.stdout.strip() else None


def sagemaker(command: str, **options: str) -> Any:
    return aws("sagemaker", *words(command, options))


def cloudwatch(command: str, **options: str) -> Any:
    return aws("cloudwatch", *words(command, options))


def words(command: str, options: dict[str, str]) -> list[str]:
    pairs = ((f"--{name.replace('_', '-')}", value) for name, value in options.items())
    return [*command.split(), *(word for pair in pairs for word in pair)]


def deploy() -> None:
    container = json.dumps({"Image": IMAGE, "ModelDataUrl": MODEL_DATA})
    sagemaker("create-model", model_name=f"{NAME}-model", primary_container=container, execution_role_arn=ROLE)
    configure(f"{NAME}-1", [("blue", 1)])
    sagemaker("create-endpoint", endpoint_name=NAME, endpoint_config_name=f"{NAME}-1", tags="Key=team,Value=ml")
    sagemaker("wait endpoint-in-service", endpoint_name=NAME)


def configure(name: str, weights: list[tuple[str, float]]) -> None:
    sagemaker("create-endpoint-config", cli_input_json=json.dumps(variants(name, weights)))


def invoke() -> None:
    with tempfile.TemporaryDirectory() as folder:
        asked, answered = Path(folder, "asked"), Path(folder, "answered")
        asked.write_bytes(ASKED)
        told = aws(
            *("sagemaker-runtime", "invoke-endpoint", "--endpoint-name", NAME),
            *("--content-type", "application/json", "--body", f"fileb://{asked}", str(answered)),
        )
        equal((told["InvokedProductionVariant"], json.loads(answered.read_text())), ("blue", {}))


def refused() -> None:
    error = str(refusal(lambda: sagemaker("describe-endpoint", endpoint_name="nobody"), RuntimeError))
    equal(("(ValidationException)" in error, "Could not find endpoint" in error), (True, True))


def update() -> None:
    configure(f"{NAME}-2", [("blue", 9), ("green", 1)])
    sagemaker("update-endpoint", endpoint_name=NAME, endpoint_config_name=f"{NAME}-2")
    sagemaker("wait endpoint-in-service", endpoint_name=NAME)
    equal(sagemaker("describe-endpoint", endpoint_name=NAME)["EndpointConfigName"], f"{NAME}-2")


def weights() -> None:
    wished = "VariantName=green,DesiredWeight=9"
    sagemaker("update-endpoint-weights-and-capacities", endpoint_name=NAME, desired_weights_and_capacities=wished)
    sagemaker("wait endpoint-in-service", endpoint_name=NAME)
    now = sagemaker("describe-endpoint", endpoint_name=NAME)["ProductionVariants"]
    equal({variant["VariantName"]: variant["CurrentWeight"] for variant in now}, {"blue": 9.0, "green": 9.0})


def lists() -> None:
    found = sagemaker("list-endpoint-configs", name_contains=f"{NAME}-", page_size="1")
    equal({entry["EndpointConfigName"] for entry in found["EndpointConfigs"]}, {f"{NAME}-1", f"{NAME}-2"})


def metrics() -> None:
    def invocations() -> float:
        now = datetime.now(timezone.utc)
        found = cloudwatch(
            "get-metric-statistics",
            namespace="AWS/SageMaker",
            metric_name="Invocations",
            dimensions=json.dumps([{"Name": "EndpointName", "Value": NAME}, {"Name": "VariantName", "Value": "blue"}]),
            start_time=(now - timedelta(hours=1)).isoformat(),
            end_time=now.isoformat(),
            period="60",
            statistics="Sum",
        )
        return sum(point["Sum"] for point in found["Datapoints"])

    eventually(invocations)


def alarm() -> None:
    cloudwatch(
        "put-metric-alarm",
        alarm_name=NAME,
        namespace="AWS/SageMaker",
        metric_name="Invocation5XXErrors",
        dimensions=f"Name=EndpointName,Value={NAME}",
        statistic="Sum",
        period="60",
        evaluation_periods="1",
        threshold="1",
        comparison_operator="GreaterThanOrEqualToThreshold",
    )
    cloudwatch("set-alarm-state", alarm_name=NAME, state_value="ALARM", state_reason="a test")
    equal(cloudwatch("describe-alarms", alarm_names=NAME)["MetricAlarms"][0]["Threshold"], 1.0)
    history = cloudwatch("describe-alarm-history", alarm_name=NAME, history_item_type="StateUpdate")
    assert any("to ALARM" in item["HistorySummary"] for item in history["AlarmHistoryItems"]), history
    cloudwatch("delete-alarms", alarm_names=NAME)
    equal(cloudwatch("describe-alarms", alarm_names=NAME)["MetricAlarms"], [])


def delete() -> None:
    sagemaker("delete-endpoint", endpoint_name=NAME)
    sagemaker("wait endpoint-deleted", endpoint_name=NAME)
    for name in (f"{NAME}-1", f"{NAME}-2"):
        sagemaker("delete-endpoint-config", endpoint_config_name=name)
    sagemaker("delete-model", model_name=f"{NAME}-model")


if __name__ == "__main__":
    os.environ["AWS_PAGER"] = ""
    for deed in (deploy, invoke, refused, update, weights, lists, metrics, alarm, delete):
        step(deed.__name__, deed)
