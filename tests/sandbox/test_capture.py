"""Data capture writes what was asked and answered to S3, as the endpoint's config says."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from airflow_sm_rollout.sandbox import ManualClock, Sandbox, connect
from airflow_sm_rollout.sandbox.containers import FunctionHost, Reply
from airflow_sm_rollout.sandbox.sagemaker import capture

START = 1_700_000_040.0  # 2023-11-14 22:14:00 UTC
BOTH = ["Input", "Output"]
TEXTS = {"CsvContentTypes": ["text/csv"], "JsonContentTypes": ["application/json"]}


class Capturing:
    """An endpoint that captures, with its bucket."""

    def __init__(self, *, options: list[str], percentage: int = 100, shadow: bool = False, **config: Any) -> None:
        host = FunctionHost(lambda model, body: Reply(400 if body == b"bad" else 200, b'{"class": 1}'))
        self.sandbox = Sandbox(clock=ManualClock(START), host=host)
        session = connect(self.sandbox)
        self.s3, self.sagemaker = session.client("s3"), session.client("sagemaker")
        self.runtime = session.client("sagemaker-runtime")
        self.s3.create_bucket(Bucket="captured")
        self.sagemaker.create_model(ModelName="m", PrimaryContainer={"Image": "i:1"})
        variant = {"ModelName": "m", "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
        shadows = {"ShadowProductionVariants": [{**variant, "VariantName": "shadow", "InitialVariantWeight": 1.0}]}
        self.sagemaker.create_endpoint_config(
            EndpointConfigName="c",
            ProductionVariants=[{**variant, "VariantName": "blue", "InitialVariantWeight": 1.0}],
            DataCaptureConfig={
                "EnableCapture": True,
                "InitialSamplingPercentage": percentage,
                "DestinationS3Uri": "s3://captured/calls/",
                "CaptureOptions": [{"CaptureMode": mode} for mode in options],
                **config,
            },
            **(shadows if shadow else {}),
        )
        self.sagemaker.create_endpoint(EndpointName="orders", EndpointConfigName="c")
        self.sandbox.schedule.advance(180)

    def invoke(self, body: bytes = b"1,2", **options: Any) -> None:
        self.runtime.invoke_endpoint(EndpointName="orders", Body=body, ContentType="text/csv", **options)

    def files(self) -> dict[str, list[dict[str, Any]]]:
        """The captured calls by the key of their file."""
        listed = self.s3.list_objects_v2(Bucket="captured").get("Contents", [])
        return {
            each["Key"]: [
                json.loads(line) for line in self.s3.get_object(Bucket="captured", Key=each["Key"])["Body"].iter_lines()
            ]
            for each in listed
        }

    def events(self) -> list[dict[str, Any]]:
        return [event for events in self.files().values() for event in events]


def test_each_call_is_a_line_of_its_variants_file_for_the_hour() -> None:
    account = Capturing(options=BOTH, CaptureContentTypeHeader=TEXTS)
    account.invoke(InferenceId="order-7")
    account.invoke(b"3,4")
    assert account.files() == {}, "nothing is written before its time"
    account.sandbox.schedule.advance(account.sandbox.timings.capture_written)
    [(key, [first, second])] = account.files().items()
    assert key.startswith("calls/orders/blue/2023/11/14/22/")
    assert key.endswith(".jsonl")
    assert first["captureData"] == {
        "endpointInput": {"observedContentType": "text/csv", "mode": "INPUT", "data": "1,2", "encoding": "CSV"},
        "endpointOutput": {
            "observedContentType": "application/json",
            "mode": "OUTPUT",
            "data": '{"class": 1}',
            "encoding": "JSON",
        },
    }
    assert (first["eventVersion"], first["eventMetadata"]["inferenceId"]) == ("0", "order-7")
    assert first["eventMetadata"]["inferenceTime"] == "2023-11-14T22:17:00Z"
    assert second["captureData"]["endpointInput"]["data"] == "3,4"
    assert "inferenceId" not in second["eventMetadata"]


@pytest.mark.parametrize(
    ("options", "kept"),
    [
        (["Input"], {"endpointInput"}),
        (["Output"], {"endpointOutput"}),
        (["InputAndOutput"], {"endpointInput", "endpointOutput"}),
    ],
)
def test_what_the_options_name_is_kept_and_written_in_base64_unless_its_type_is_known(
    options: list[str], kept: set[str]
) -> None:
    account = Capturing(options=options)
    account.invoke()
    account.sandbox.schedule.advance(60)
    [event] = account.events()
    assert event["captureData"].keys() == kept
    for side in event["captureData"].values():
        assert side["encoding"] == "BASE64"
        assert base64.b64decode(side["data"]) in (b"1,2", b'{"class": 1}')


@pytest.mark.parametrize(("percentage", "fewest", "most"), [(0, 0, 0), (20, 20, 65), (100, 200, 200)])
def test_calls_are_sampled_as_the_config_says(percentage: int, fewest: int, most: int) -> None:
    account = Capturing(options=BOTH, percentage=percentage)
    for _ in range(200):
        account.invoke()
    account.sandbox.schedule.advance(60)
    assert fewest <= len(account.events()) <= most


def test_a_config_that_switches_capture_off_writes_nothing() -> None:
    account = Capturing(options=BOTH, EnableCapture=False)
    account.invoke()
    account.sandbox.schedule.advance(600)
    assert account.files() == {}


def test_calls_that_fail_are_left_out() -> None:
    account = Capturing(options=BOTH)
    with pytest.raises(account.runtime.exceptions.ModelError):
        account.invoke(b"bad")
    account.sandbox.schedule.advance(600)
    assert account.files() == {}


def test_a_shadows_answers_are_in_a_folder_of_its_own() -> None:
    account = Capturing(options=BOTH, shadow=True)
    account.invoke()
    account.sandbox.close()  # ends once the copy is answered
    account.sandbox.schedule.advance(60)
    assert sorted(key.split("/")[2] for key in account.files()) == ["blue", "shadow"]


def test_a_file_that_grows_too_large_is_written_before_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capture, "MAX_KEPT_BYTES", 2_000)
    account = Capturing(options=BOTH)
    for _ in range(20):
        account.invoke()
    written = len(account.events())
    assert 0 < written < 20
    account.sandbox.schedule.advance(120)
    assert len(account.events()) == 20


def test_a_bucket_that_is_not_there_costs_the_captured_calls_and_no_answer(
    caplog: pytest.LogCaptureFixture,
) -> None:
    account = Capturing(options=BOTH)
    account.s3.delete_bucket(Bucket="captured")
    account.invoke()
    account.sandbox.schedule.advance(60)
    assert "1 captured calls are lost" in caplog.text
    account.invoke()
