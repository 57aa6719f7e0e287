"""Training jobs: SageMaker's operations on them, around a real training container.

Statuses, their order and their messages are those of the API reference (SecondaryStatusTransition) and of saved job logs; error texts
are recorded ones:

* ``Training job names must be unique within an AWS account and region, and a training job with this name already exists (arn)``
* ``Requested resource not found.``
* ``The request was rejected because the training job is in status Completed.``
"""

from __future__ import annotations

import copy
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from airflow_sm_rollout.sandbox.errors import AwsError
from airflow_sm_rollout.sandbox.sagemaker.region import Region, timestamp
from airflow_sm_rollout.sandbox.sagemaker.resources import start_of
from airflow_sm_rollout.sandbox.training_process import TrainingProcess, TrainingResult

TERMINAL = frozenset({"Completed", "Failed", "Stopped"})

FAILURE_CHARACTERS = 1024
"""How much of ``output/failure`` becomes part of the FailureReason (AWS guide, "How Amazon SageMaker signals algorithm success")."""

SORT_KEYS: Mapping[str, Callable[[Job], Any]] = {
    "Name": lambda job: job.name,
    "CreationTime": lambda job: job.created_at,
    "Status": lambda job: job.status,
}


class TrainingContainer(Protocol):
    """What a job runs; :class:`.TrainingProcess` is the real one."""

    def wait(self, log: Callable[[str], None]) -> TrainingResult:
        """Wait for its end; ``log`` gets its lines."""
        ...

    def terminate(self) -> None:
        """Ask it to end."""
        ...


@dataclass(slots=True)
class Job:
    """One training job.

    :param request: CreateTrainingJob's parameters.
    :param arn: its ARN.
    :param created_at: seconds since the epoch, as all times here.
    """

    request: Mapping[str, Any]
    arn: str
    created_at: float
    status: str = "InProgress"
    transitions: list[dict[str, Any]] = field(default_factory=list)
    modified_at: float = 0.0
    training_started_at: float | None = None
    ended_at: float | None = None
    failure_reason: str | None = None
    model_url: str | None = None
    metrics: list[dict[str, Any]] = field(default_factory=list)
    container: TrainingContainer | None = None
    stops_as: str = "Stopped"

    @property
    def name(self) -> str:
        """TrainingJobName."""
        return str(self.request["TrainingJobName"])

    @property
    def secondary_status(self) -> str:
        """Where exactly it is."""
        return str(self.transitions[-1]["Status"])

    def enter(self, secondary_status: str, message: str, at: float) -> None:
        """Go on to the next secondary status."""
        if self.transitions:
            self.transitions[-1]["EndTime"] = timestamp(at)
        self.transitions.append({"Status": secondary_status, "StartTime": timestamp(at), "StatusMessage": message})
        self.modified_at = at

    def end(self, status: str, secondary_status: str, message: str, at: float) -> None:
        """Reach a terminal status."""
        self.enter(secondary_status, message, at)
        self.transitions[-1]["EndTime"] = timestamp(at)
        self.status, self.ended_at, self.container = status, at, None


class TrainingJobs:
    """CreateTrainingJob, DescribeTrainingJob, ListTrainingJobs and StopTrainingJob.

    A job's container starts :attr:`.Timings.training_start` after its creation, on the schedule, and then takes the time that it really
    takes, in a thread; its end is seen on the schedule's clock at that moment.

    :param region: the sandbox's account; its schedule's lock guards the jobs.
    :param put_object: uploads bytes to an ``s3://`` URL; called without the lock; an exception fails the job.
    :param log: gets ``(log stream, line)`` for the log group ``/aws/sagemaker/TrainingJobs``; called without the lock.
    :param start_container: starts a container from hyperparameters and environment.
    """

    def __init__(
        self,
        region: Region,
        *,
        put_object: Callable[[str, bytes], None],
        log: Callable[[str, str], None] = lambda stream, line: None,
        start_container: Callable[[Mapping[str, str], Mapping[str, str]], TrainingContainer] = TrainingProcess,
    ) -> None:
        self._region = region
        self._lock = region.schedule.lock
        self._put_object = put_object
        self._log = log
        self._start_container = start_container
        self._jobs: dict[str, Job] = {}
        self._threads: list[threading.Thread] = []

    def create_training_job(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Accept a job; any image will do, the sandbox runs its own training container for it."""
        name = str(params["TrainingJobName"])
        arn = self._region.arn("training-job", name)
        with self._lock:
            if name in self._jobs:
                raise AwsError(
                    "ResourceInUse",
                    "Training job names must be unique within an AWS account and region, "
                    f"and a training job with this name already exists ({arn})",
                )
            self._region.tags.put(arn, params.get("Tags", []))
            self._jobs[name] = self._accept(params, arn)
        return {"TrainingJobArn": arn}

    def describe_training_job(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """All about one job."""
        with self._lock:
            return _description(self._find(params))

    def records(self) -> list[dict[str, Any]]:
        """What DescribeTrainingJob answers for each job."""
        with self._lock:
            return [_description(job) for job in self._jobs.values()]

    def list_training_jobs(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Summaries, filtered, sorted by creation time in ascending order unless asked otherwise, 10 a page unless asked otherwise."""
        with self._lock:
            jobs = [job for job in self._jobs.values() if _is_wanted(job, params)]
            jobs.sort(key=SORT_KEYS[params.get("SortBy", "CreationTime")])
            if params.get("SortOrder") == "Descending":
                jobs.reverse()
            start = start_of(params.get("NextToken"))
            end = start + int(params.get("MaxResults", 10))
            page: dict[str, Any] = {"TrainingJobSummaries": [_summary(job) for job in jobs[start:end]]}
            return page if end >= len(jobs) else {**page, "NextToken": str(end)}

    def stop_training_job(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Ask a job to stop; it is Stopping until its container has ended."""
        with self._lock:
            job = self._find(params)
            if job.status != "InProgress":
                raise AwsError(
                    "ValidationException",
                    f"The request was rejected because the training job is in status {job.status}.",
                )
            self._stop(job, self._region.now())
        return {}

    def join(self) -> None:
        """Wait until no container is running; a manual clock does not wait for them by itself."""
        for thread in list(self._threads):
            thread.join()

    def close(self) -> None:
        """Terminate the containers that are running, and wait for their end."""
        with self._lock:
            for job in self._jobs.values():
                if job.status not in TERMINAL:
                    self._stop(job, self._region.now())
        self.join()

    def _find(self, params: Mapping[str, Any]) -> Job:
        job = self._jobs.get(params["TrainingJobName"])
        if job is None:
            raise AwsError("ValidationException", "Requested resource not found.")
        return job

    def _accept(self, params: Mapping[str, Any], arn: str) -> Job:
        now = self._region.now()
        job = Job(copy.deepcopy(dict(params)), arn, now)
        job.enter("Starting", "Starting the training job", now)
        self._region.schedule.at(now + self._region.timings.training_start / 2, lambda when: self._download(job, when))
        self._region.schedule.at(now + self._region.timings.training_start, lambda when: self._begin(job, when))
        return job

    def _download(self, job: Job, when: float) -> None:
        if job.status == "InProgress":
            job.enter("Downloading", "Downloading the training image", when)

    def _begin(self, job: Job, when: float) -> None:
        if job.status != "InProgress":
            self._end_stopped(job)
            return
        job.training_started_at = when
        job.enter("Training", "Training image download completed. Training in progress.", when)
        job.container = self._start_container(
            job.request.get("HyperParameters", {}), job.request.get("Environment", {})
        )
        limit = job.request.get("StoppingCondition", {}).get("MaxRuntimeInSeconds", 86_400)
        self._region.schedule.at(when + limit, lambda late: self._exceed(job, late))
        thread = threading.Thread(target=self._attend, args=(job, job.container), name=job.name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _exceed(self, job: Job, when: float) -> None:
        if job.status == "InProgress":
            job.stops_as = "MaxRuntimeExceeded"
            self._stop(job, when)

    def _stop(self, job: Job, when: float) -> None:
        job.status = "Stopping"
        job.enter("Stopping", "Stopping the training job", when)
        if job.container is not None:
            job.container.terminate()

    def _attend(self, job: Job, container: TrainingContainer) -> None:
        lines: list[str] = []
        result = container.wait(lines.append)
        stream = f"{job.name}/algo-1-{int(job.created_at)}"
        for line in lines:
            self._log(stream, line)
        with self._lock:
            job.metrics = _metrics(job.request, lines, self._region.now())
            if job.status == "Stopping":
                self._end_stopped(job)
                return
            if result.exit_code:
                reason = f"AlgorithmError: {result.failure[:FAILURE_CHARACTERS]}, exit code: {result.exit_code}"
                self._end_failed(job, reason)
                return
            job.enter("Uploading", "Uploading generated training model", self._region.now())
        self._upload(job, result.model)

    def _upload(self, job: Job, model: bytes) -> None:
        url = f"{job.request['OutputDataConfig']['S3OutputPath'].rstrip('/')}/{job.name}/output/model.tar.gz"
        try:
            self._put_object(url, model)
        except Exception as error:  # noqa: BLE001 - whatever goes wrong there, a job has to end
            with self._lock:
                self._end_failed(job, f"ClientError: Artifact upload failed: {error}")
            return
        with self._lock:
            job.model_url = url
            if job.status == "Stopping":
                self._end_stopped(job)
                return
            job.end("Completed", "Completed", "Training job completed", self._region.now())

    def _end_failed(self, job: Job, reason: str) -> None:
        job.failure_reason = reason
        job.end("Failed", "Failed", "Training job failed", self._region.now())

    def _end_stopped(self, job: Job) -> None:
        job.end("Stopped", job.stops_as, "Training job stopped", self._region.now())


def _metrics(request: Mapping[str, Any], lines: Sequence[str], now: float) -> list[dict[str, Any]]:
    """The last value of each metric that the job defines by a regular expression on its log."""
    found = []
    for definition in request.get("AlgorithmSpecification", {}).get("MetricDefinitions", []):
        values = [match.group(1) for line in lines if (match := re.search(definition["Regex"], line))]
        if values:
            found.append({"MetricName": definition["Name"], "Value": float(values[-1]), "Timestamp": timestamp(now)})
    return found


def _is_wanted(job: Job, params: Mapping[str, Any]) -> bool:
    created, modified = timestamp(job.created_at), timestamp(job.modified_at)
    return (
        params.get("NameContains", "") in job.name
        and params.get("StatusEquals", job.status) == job.status
        and params.get("CreationTimeAfter", created) <= created <= params.get("CreationTimeBefore", created)
        and params.get("LastModifiedTimeAfter", modified) <= modified <= params.get("LastModifiedTimeBefore", modified)
    )


def _summary(job: Job) -> dict[str, Any]:
    summary = {
        "TrainingJobName": job.name,
        "TrainingJobArn": job.arn,
        "CreationTime": timestamp(job.created_at),
        "LastModifiedTime": timestamp(job.modified_at),
        "TrainingJobStatus": job.status,
        "SecondaryStatus": job.secondary_status,
    }
    return summary if job.ended_at is None else {**summary, "TrainingEndTime": timestamp(job.ended_at)}


def _description(job: Job) -> dict[str, Any]:
    requested = {key: value for key, value in job.request.items() if key != "Tags"}
    description = {
        **copy.deepcopy(requested),
        **_summary(job),
        "SecondaryStatusTransitions": copy.deepcopy(job.transitions),
    }
    if job.training_started_at is not None:
        description["TrainingStartTime"] = timestamp(job.training_started_at)
        if job.ended_at is not None:
            seconds = int(job.ended_at - job.training_started_at)
            description |= {"TrainingTimeInSeconds": seconds, "BillableTimeInSeconds": seconds}
    if job.failure_reason is not None:
        description["FailureReason"] = job.failure_reason
    if job.model_url is not None:
        description["ModelArtifacts"] = {"S3ModelArtifacts": job.model_url}
    return description | ({"FinalMetricDataList": job.metrics} if job.metrics else {})
