from __future__ import annotations

import io
import json
import tarfile
import threading
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timezone
from typing import Any

import pytest

from airflow_sm_rollout.sandbox.clock import ManualClock, Schedule
from airflow_sm_rollout.sandbox.errors import AwsError
from airflow_sm_rollout.sandbox.sagemaker.region import Region
from airflow_sm_rollout.sandbox.sagemaker.tags import Tags
from airflow_sm_rollout.sandbox.sagemaker.training import TrainingJobs
from airflow_sm_rollout.sandbox.timings import Timings
from airflow_sm_rollout.sandbox.training_process import TrainingResult

ARN = "arn:aws:sagemaker:us-east-1:123456789012:training-job/job-1"


class ScriptedContainer:
    """Ends when told, as told."""

    def __init__(self) -> None:
        self.result = TrainingResult(0, "", b"model")
        self.ended = threading.Event()
        self.terminated = False

    def wait(self, log: Callable[[str], None]) -> TrainingResult:
        assert self.ended.wait(30)
        log("done")
        return self.result

    def terminate(self) -> None:
        self.terminated = True
        self.ended.set()


class Account:
    """A region with a bucket, a log and training jobs on a manual clock."""

    def __init__(self, container: ScriptedContainer | None = None) -> None:
        self.schedule = Schedule(ManualClock())
        self.region = Region("us-east-1", "123456789012", self.schedule, Timings(training_start=60), Tags())
        self.bucket: dict[str, bytes] = {}
        self.log: list[tuple[str, str]] = []
        self.started: list[tuple[Mapping[str, str], Mapping[str, str]]] = []
        self.container = container
        scripted = {} if container is None else {"start_container": self._start}
        self.jobs = TrainingJobs(
            self.region, put_object=self.upload, log=lambda stream, line: self.log.append((stream, line)), **scripted
        )

    def upload(self, url: str, body: bytes) -> None:
        self.bucket[url] = body

    def _start(self, hyperparameters: Mapping[str, str], environment: Mapping[str, str]) -> ScriptedContainer:
        assert self.container is not None
        self.started.append((hyperparameters, environment))
        return self.container

    def create(self, name: str = "job-1", **more: Any) -> None:
        request = {
            "TrainingJobName": name,
            "AlgorithmSpecification": {"TrainingImage": "any/image:1", "TrainingInputMode": "File"},
            "RoleArn": "arn:aws:iam::123456789012:role/sagemaker",
            "OutputDataConfig": {"S3OutputPath": "s3://models/out/"},
            "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 10},
            "StoppingCondition": {"MaxRuntimeInSeconds": 3600},
        }
        self.jobs.create_training_job({**request, **more})

    def describe(self, name: str = "job-1") -> dict[str, Any]:
        return self.jobs.describe_training_job({"TrainingJobName": name})

    def status(self, name: str = "job-1") -> tuple[str, str]:
        job = self.describe(name)
        return job["TrainingJobStatus"], job["SecondaryStatus"]

    def run_to_the_end(self) -> dict[str, Any]:
        self.schedule.advance(60)
        if self.container is not None:
            self.container.ended.set()
        self.jobs.join()
        return self.describe()


@pytest.fixture
def account() -> Iterator[Account]:
    account = Account(ScriptedContainer())
    yield account
    account.jobs.close()


def test_a_real_job_uploads_a_model_that_it_really_trained_and_logs_its_accuracy() -> None:
    account = Account()
    metric = {"Name": "accuracy", "Regex": r"held_out_accuracy=([0-9.]+)"}
    algorithm = {"TrainingImage": "any/image:1", "TrainingInputMode": "File", "MetricDefinitions": [metric]}
    account.create(AlgorithmSpecification=algorithm, HyperParameters={"C": "0.5", "epochs": "ignored"})
    job = account.run_to_the_end()

    assert job["TrainingJobStatus"] == "Completed", job
    url = "s3://models/out/job-1/output/model.tar.gz"
    assert job["ModelArtifacts"] == {"S3ModelArtifacts": url}
    with tarfile.open(fileobj=io.BytesIO(account.bucket[url])) as tar:
        assert {"./classifier.json", "./signature.json"} <= set(tar.getnames())
        signature = json.load(tar.extractfile("./signature.json") or io.BytesIO())
    assert 0.9 < signature["accuracy"] <= 1.0
    assert [(found["MetricName"], found["Value"]) for found in job["FinalMetricDataList"]] == [
        ("accuracy", pytest.approx(signature["accuracy"], abs=1e-4))
    ]
    streams = {stream for stream, _ in account.log}
    assert streams == {"job-1/algo-1-1700000000"}
    assert any("held_out_accuracy" in line for _, line in account.log)


def test_a_real_job_that_fails_says_why_in_the_words_of_its_container() -> None:
    account = Account()
    account.create(HyperParameters={"drop_column": '"taste"'})
    job = account.run_to_the_end()
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Failed", "Failed")
    assert job["FailureReason"].startswith("AlgorithmError: ValueError: drop_column='taste' is not one of alcohol,")
    assert job["FailureReason"].endswith(", exit code: 1")
    assert account.bucket == {}


def test_a_real_job_that_is_stopped_ends_stopped_without_a_model() -> None:
    account = Account()
    account.create()
    account.schedule.advance(60)
    account.jobs.stop_training_job({"TrainingJobName": "job-1"})
    account.jobs.join()
    assert account.status() == ("Stopped", "Stopped")
    assert account.bucket == {}


def test_a_job_goes_through_amazons_statuses_with_their_times(account: Account) -> None:
    account.create()
    seen = [account.status()]
    account.schedule.advance(30)
    seen.append(account.status())
    account.schedule.advance(30)
    seen.append(account.status())
    job = account.run_to_the_end()
    assert seen == [("InProgress", "Starting"), ("InProgress", "Downloading"), ("InProgress", "Training")]
    steps = [(step["Status"], step["StartTime"], step["EndTime"]) for step in job["SecondaryStatusTransitions"]]
    at = {seconds: datetime.fromtimestamp(1_700_000_000 + seconds, timezone.utc) for seconds in (0, 30, 60, 120)}
    assert steps == [
        ("Starting", at[0], at[30]),
        ("Downloading", at[30], at[60]),
        ("Training", at[60], at[120]),
        ("Uploading", at[120], at[120]),
        ("Completed", at[120], at[120]),
    ]
    assert (job["TrainingStartTime"], job["TrainingEndTime"]) == (at[60], at[120])
    assert job["TrainingTimeInSeconds"] == job["BillableTimeInSeconds"] == 60


def test_a_job_is_described_as_it_was_requested_but_without_its_tags(account: Account) -> None:
    account.create(HyperParameters={"C": "2"}, Tags=[{"Key": "team", "Value": "fraud"}])
    job = account.describe()
    assert job["HyperParameters"] == {"C": "2"}
    assert job["AlgorithmSpecification"]["TrainingImage"] == "any/image:1"
    assert job["TrainingJobArn"] == ARN
    assert "Tags" not in job
    assert "ModelArtifacts" not in job
    assert account.region.tags.of(ARN) == [{"Key": "team", "Value": "fraud"}]


def test_the_container_gets_the_jobs_hyperparameters_and_environment(account: Account) -> None:
    account.create(HyperParameters={"C": "2"}, Environment={"STAGE": "test"})
    account.run_to_the_end()
    assert account.started == [({"C": "2"}, {"STAGE": "test"})]


def test_a_second_job_of_the_same_name_is_refused_in_amazons_words(account: Account) -> None:
    account.create()
    with pytest.raises(AwsError) as refusal:
        account.create()
    assert (refusal.value.code, refusal.value.status) == ("ResourceInUse", 400)
    assert refusal.value.message == (
        "Training job names must be unique within an AWS account and region, "
        f"and a training job with this name already exists ({ARN})"
    )


@pytest.mark.parametrize("operation", ["describe_training_job", "stop_training_job"])
def test_an_unknown_job_is_a_validation_exception(account: Account, operation: str) -> None:
    with pytest.raises(AwsError) as refusal:
        getattr(account.jobs, operation)({"TrainingJobName": "nobody"})
    assert (refusal.value.code, refusal.value.message) == ("ValidationException", "Requested resource not found.")


def test_a_job_that_has_ended_cannot_be_stopped(account: Account) -> None:
    account.create()
    account.run_to_the_end()
    with pytest.raises(AwsError, match=r"The request was rejected because the training job is in status Completed\."):
        account.jobs.stop_training_job({"TrainingJobName": "job-1"})


def test_a_job_stopped_before_its_container_started_never_starts_one(account: Account) -> None:
    account.create()
    account.jobs.stop_training_job({"TrainingJobName": "job-1"})
    assert account.status() == ("Stopping", "Stopping")
    account.run_to_the_end()
    assert account.status() == ("Stopped", "Stopped")
    assert account.started == []


def test_a_job_that_runs_too_long_is_stopped_and_says_so(account: Account) -> None:
    account.create(StoppingCondition={"MaxRuntimeInSeconds": 100})
    account.schedule.advance(159)
    assert account.status() == ("InProgress", "Training")
    account.schedule.advance(1)
    account.jobs.join()
    assert account.status() == ("Stopped", "MaxRuntimeExceeded")


def test_a_model_that_cannot_be_uploaded_fails_the_job(account: Account) -> None:
    def refuse(url: str, body: bytes) -> None:
        raise OSError("The specified bucket does not exist")

    account.jobs._put_object = refuse
    account.create()
    job = account.run_to_the_end()
    assert job["TrainingJobStatus"] == "Failed"
    assert job["FailureReason"] == "ClientError: Artifact upload failed: The specified bucket does not exist"


def test_a_long_failure_is_cut_to_the_1024_characters_that_amazon_shows(account: Account) -> None:
    assert account.container is not None
    account.container.result = TrainingResult(3, "x" * 2000, b"")
    account.create()
    assert account.run_to_the_end()["FailureReason"] == f"AlgorithmError: {'x' * 1024}, exit code: 3"


def test_jobs_are_listed_by_creation_time_in_pages(account: Account) -> None:
    for index in range(12):
        account.create(f"job-{index}")
        account.schedule.advance(1)
    first = account.jobs.list_training_jobs({})
    second = account.jobs.list_training_jobs({"NextToken": first["NextToken"]})
    names = [job["TrainingJobName"] for page in (first, second) for job in page["TrainingJobSummaries"]]
    assert names == [f"job-{index}" for index in range(12)]
    assert "NextToken" not in second
    latest = account.jobs.list_training_jobs({"SortOrder": "Descending", "MaxResults": 1})
    assert [job["TrainingJobName"] for job in latest["TrainingJobSummaries"]] == ["job-11"]


def test_jobs_are_filtered_by_name_status_and_time(account: Account) -> None:
    account.create("wine-1")
    account.schedule.advance(10)
    account.create("beer-1")
    account.jobs.stop_training_job({"TrainingJobName": "beer-1"})

    def names(**filters: Any) -> list[str]:
        return [job["TrainingJobName"] for job in account.jobs.list_training_jobs(filters)["TrainingJobSummaries"]]

    between = datetime.fromtimestamp(1_700_000_005, timezone.utc)
    assert names(NameContains="wine") == ["wine-1"]
    assert names(StatusEquals="Stopping") == ["beer-1"]
    assert names(CreationTimeBefore=between) == ["wine-1"]
    assert names(LastModifiedTimeAfter=between) == ["beer-1"]
    assert names(SortBy="Name") == ["beer-1", "wine-1"]


def test_closing_stops_the_containers_that_run(account: Account) -> None:
    assert account.container is not None
    account.create()
    account.schedule.advance(60)
    account.jobs.close()
    assert account.container.terminated
    assert account.status() == ("Stopped", "Stopped")
