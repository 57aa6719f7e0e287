"""What the sandbox was called for, written down, made again, and compared."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from airflow_sm_rollout.cli import main
from airflow_sm_rollout.sandbox import Fault, FunctionHost, ManualClock, Reply, Sandbox, Timings
from airflow_sm_rollout.sandbox.inprocess import InProcessSession
from airflow_sm_rollout.sandbox.recording import Recorder
from airflow_sm_rollout.sandbox.replaying import NoRecording, Replay
from convergence.lab import Lab

SECRET = "hunter2"


@pytest.fixture
def file() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def sandbox(file: io.StringIO) -> Iterator[Sandbox]:
    def predict(model: Any, body: bytes) -> Reply:
        return Reply(500, b"no", seconds=0.2) if b"bad" in body else Reply(200, b'{"is": "wine"}', seconds=0.1)

    recorder = Recorder(file, speed=1, policies_act=False)
    sandbox = Sandbox(clock=ManualClock(), host=FunctionHost(predict), recorder=recorder)
    yield sandbox
    sandbox.close()


def told(file: io.StringIO) -> list[str]:
    return [str(difference) for difference in Replay(file.getvalue().splitlines()).differences()]


def lines(file: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.getvalue().splitlines()]


@pytest.fixture
def canary() -> io.StringIO:
    """A canary's calls, from blue alone to green alone."""
    file = io.StringIO()
    lab = Lab(sandbox=Sandbox(clock=ManualClock(), recorder=Recorder(file, speed=1, policies_act=False)))
    lab.run()
    return file


def test_a_canarys_calls_are_answered_alike_when_they_are_made_again(canary: io.StringIO) -> None:
    replay = Replay(canary.getvalue().splitlines())
    assert list(replay.differences()) == []
    operations = [line["operation"] for line in lines(canary)[1:] if line["service"] != "sandbox"]
    assert replay.calls == len(operations)
    assert {"CreateEndpoint", "UpdateEndpoint", "UpdateEndpointWeightsAndCapacities", "PutParameter"} <= set(operations)


def test_one_fact_of_the_sandbox_that_changed_is_all_that_differs(canary: io.StringIO) -> None:
    def slower(*, timings: Timings, **options: Any) -> Sandbox:
        return Sandbox(timings=replace(timings, change_weights=80.0), **options)

    found = list(Replay(canary.getvalue().splitlines(), slower).differences())
    assert {one.call.split()[2] for one in found} == {"DescribeEndpoint"}
    assert {one.path.rpartition(".")[2] for one in found} == {"EndpointStatus", "CurrentWeight"}
    assert (found[0].path, found[0].recorded, found[0].now) == ("answer.EndpointStatus", "InService", "Updating")


def test_an_answer_that_was_bent_is_told_with_its_line_and_its_place(canary: io.StringIO) -> None:
    recorded = lines(canary)
    number, line = next((n, one) for n, one in enumerate(recorded, 1) if one.get("operation") == "DescribeEndpoint")
    line["answer"]["EndpointStatus"] = "Sleeping"
    [difference] = Replay([json.dumps(one) for one in recorded]).differences()
    assert (difference.line, difference.path, difference.recorded) == (number, "answer.EndpointStatus", "Sleeping")
    assert "sagemaker DescribeEndpoint: answer.EndpointStatus: recorded" in str(difference)


def test_invocations_get_the_models_answers_again(
    sandbox: Sandbox, runtime: Any, deploy: Any, session: InProcessSession, file: io.StringIO
) -> None:
    deploy("wine", blue=(1, 1), green=(1, 1))
    for number in range(20):
        body = b"bad" if number % 5 == 0 else b"\xff\x00" * 3000
        try:
            runtime.invoke_endpoint(EndpointName="wine", Body=body)
        except ClientError:
            assert body == b"bad"
    sandbox.schedule.advance(180)
    now = sandbox.clock.now()
    for name in ("Invocations", "Invocation5XXErrors", "ModelLatency", "OverheadLatency"):
        dimensions = [{"Name": "EndpointName", "Value": "wine"}, {"Name": "VariantName", "Value": "blue"}]
        session.client("cloudwatch").get_metric_statistics(
            Namespace="AWS/SageMaker",
            MetricName=name,
            Dimensions=dimensions,
            StartTime=now - 600,
            EndTime=now,
            Period=60,
            Statistics=["Sum"],
        )
    assert told(file) == []
    bodies = [line["parameters"]["Body"] for line in lines(file) if line.get("operation") == "InvokeEndpoint"]
    assert bodies[0] == "bad"
    assert bodies[1]["bytes"] == 6000
    assert all(len(json.dumps(line)) < 5000 for line in lines(file))


def test_ids_that_aws_makes_up_stand_for_the_new_ones(session: InProcessSession, file: io.StringIO) -> None:
    codedeploy = session.client("codedeploy")
    codedeploy.create_application(applicationName="app", computePlatform="Lambda")
    group = {"applicationName": "app", "deploymentGroupName": "group"}
    role = "arn:aws:iam::123456789012:role/deploy"
    style = {"deploymentType": "BLUE_GREEN", "deploymentOption": "WITH_TRAFFIC_CONTROL"}
    codedeploy.create_deployment_group(**group, serviceRoleArn=role, deploymentStyle=style)
    content = json.dumps(
        {
            "version": 0.0,
            "Resources": [
                {
                    "f": {
                        "Type": "AWS::Lambda::Function",
                        "Properties": {"Name": "f", "Alias": "live", "CurrentVersion": "1", "TargetVersion": "2"},
                    }
                }
            ],
        }
    )
    revision = {"revisionType": "AppSpecContent", "appSpecContent": {"content": content}}
    made = codedeploy.create_deployment(**group, revision=revision)["deploymentId"]
    codedeploy.get_deployment(deploymentId=made)
    assert told(file) == []


def test_faults_refusals_and_what_moto_answers_come_again(
    sandbox: Sandbox, session: InProcessSession, file: io.StringIO
) -> None:
    sandbox.put_fault(Fault("throttle", operation="ListModels"))
    sandbox.put_fault(Fault("lost_answer", operation="ListEndpoints"))
    for call in (
        session.client("sagemaker").list_models,
        session.client("sagemaker").list_endpoints,
        lambda: session.client("s3").get_object(Bucket="none", Key="x"),
        lambda: session.client("ssm").get_parameter(Name="none"),
    ):
        with pytest.raises(Exception):  # noqa: B017, PT011 - each ends in its own way
            call()
    session.client("s3").create_bucket(Bucket="wine")
    assert told(file) == []
    assert [line["error"]["code"] for line in lines(file) if "error" in line] == [
        "ThrottlingException",
        "ParameterNotFound",
    ]


def test_no_secret_is_written(session: InProcessSession, file: io.StringIO) -> None:
    ssm = session.client("ssm")
    ssm.put_parameter(Name="key", Value=SECRET, Type="SecureString")
    ssm.get_parameter(Name="key", WithDecryption=True)
    container = {"Image": "i:1", "Environment": {"HF_TOKEN": SECRET, "LEVEL": "info"}}
    session.client("sagemaker").create_model(ModelName="wine", PrimaryContainer=container)
    session.client("secretsmanager").create_secret(Name="one", SecretString=SECRET)
    session.client("sts").assume_role(RoleArn="arn:aws:iam::123456789012:role/r", RoleSessionName="me")
    text = file.getvalue()
    assert SECRET not in text
    assert not [word for word in ("Signature", "Credential=", "AccessKeyId", "SessionToken") if word in text]
    assert '"LEVEL": "info"' in text
    assert told(file) == []


@pytest.mark.parametrize(
    "text", ["", "[]\n", '{"recording": 99}\n', '{"recording": 1}\nnonsense\n', '{"recording": 1}\n{"at": 1}\n']
)
def test_what_is_no_recording_is_refused(text: str) -> None:
    with pytest.raises(NoRecording):
        Replay(text.splitlines())


def test_the_command_says_how_many_differ(
    canary: io.StringIO, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "calls.jsonl"
    file.write_text(canary.getvalue())
    assert main(["sandbox", "--replay", str(file)]) == 0
    assert "calls made again, 0 answered otherwise" in capsys.readouterr().out
    file.write_text(canary.getvalue().replace('"EndpointStatus": "Updating"', '"EndpointStatus": "Asleep"'))
    assert main(["sandbox", "--replay", str(file)]) == 1
    assert 'recorded "Asleep", now "Updating"' in capsys.readouterr().out
    file.write_text("")
    assert main(["sandbox", "--replay", str(file)]) == 1
    assert "can't be replayed" in capsys.readouterr().err
