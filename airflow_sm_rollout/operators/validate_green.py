"""Lets green answer real samples before any user meets it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow_sm_rollout.core.errors import PlanError, RolloutGaveUp
from airflow_sm_rollout.core.validation import CONTENT_TYPES, Case, Check, Checks, Schema, parse_cases
from airflow_sm_rollout.operators.base import RolloutTask, is_template

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_sm_rollout.core.rollout import Rollout
    from airflow_sm_rollout.core.validation import Report


class ValidateGreenOperator(RolloutTask):
    """Sends real samples to green alone, and fails unless they are answered as they should be.

    Green is reached by its variant, though it has no traffic yet, or by its own endpoint. All calls must succeed; what else is wanted, the
    options say. The report, with some of the samples that were not answered as they should be, is the return value, and XCom ``report``
    where the task fails.

    It needs what ``sm-rollout iam-policy ENDPOINT --with validate`` prints, and ``s3:GetObject`` where samples are there.

    :param samples: an S3 URL, or a text, of JSON lines or CSV (templated); or a list of samples: texts, or what JSON can hold.
    :param content_type: ``application/json`` or ``text/csv``.
    :param accept: what green is asked to answer in.
    :param label_field: where each sample has its label, which is not sent: a key, a CSV column's name or its number.
    :param has_header: whether a CSV begins with the names of its columns, which are then sent with each sample.
    :param schema: keys that each answer must have, or a function of the answer.
    :param max_latency_ms: 95 % of the calls must be answered within it.
    :param agrees_with: ``blue`` or ``labels``: whose answers green's must be, on a share of ``min_agreement`` of the samples, where numbers
        may differ by ``tolerance`` (relative or absolute).
    :param prediction: where in an answer the prediction is, such as ``predictions.0``; empty: all of it is.
    :param check: a function of the sample and the answer, which says whether it is right.
    :param most_reported: how many samples the report shows.
    """

    template_fields: Sequence[str] = (*RolloutTask.template_fields, "samples")
    ui_color = "#d8ecef"

    def __init__(
        self,
        *,
        samples: str | Sequence[Any],
        content_type: str = "application/json",
        accept: str = "application/json",
        label_field: str | int | None = None,
        has_header: bool = False,
        schema: Schema = (),
        max_latency_ms: float | None = None,
        agrees_with: str | None = None,
        min_agreement: float = 1.0,
        tolerance: float = 0.0,
        prediction: str = "",
        check: Check | None = None,
        most_reported: int = 10,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if content_type not in CONTENT_TYPES:
            raise PlanError("content_type", content_type, f"one of {', '.join(CONTENT_TYPES)}")
        if agrees_with == "labels" and label_field is None:
            raise PlanError("label_field", label_field, "where each sample has its label, since agrees_with='labels'")
        self.samples, self.content_type, self.accept = samples, content_type, accept
        self.label_field, self.has_header = label_field, has_header
        self.checks = Checks(
            schema, max_latency_ms, agrees_with, min_agreement, tolerance, prediction, check, most_reported
        )
        if not is_template(samples) and not is_s3_url(samples):
            self._parse(samples)

    def run_until(self, context: Context, deadline: datetime | None) -> dict[str, Any]:
        rollout = self.recorded(context)
        if rollout is None:
            raise RolloutGaveUp("no rollout is in progress here, so there is no green to validate")
        if rollout.traffic.launches_with_shift:
            raise RolloutGaveUp(
                f"traffic={rollout.plan.traffic!r}: SageMaker launches green with the shift, so it can't be validated before"
            )
        if rollout.blue.is_asynchronous:
            raise RolloutGaveUp(
                f"endpoint {rollout.green_endpoint_name} is asynchronous: it answers to S3 some time later, so its answers can't be "
                "validated here. Leave validate out"
            )
        report = self._validate(rollout)
        self.log.info("%s", report.sentence)
        for complaint in report.complaints:
            self.log.info("%s", complaint)
        if not report.passes:
            context["ti"].xcom_push(key="report", value=report.as_dict())
            raise RolloutGaveUp(f"green did not pass its validation: {report.sentence}")
        return report.as_dict()

    def _validate(self, rollout: Rollout) -> Report:
        from airflow_sm_rollout.aws.invoke import ask, blue_target, green_target
        from airflow_sm_rollout.core.validation import validate_answers

        cases = self._read()
        runtime = self.connection.client("sagemaker-runtime")
        green = ask(runtime, green_target(rollout), cases, self.content_type, self.accept)
        with_blue = self.checks.agrees_with == "blue"
        blue = ask(runtime, blue_target(rollout), cases, self.content_type, self.accept) if with_blue else None
        return validate_answers(cases, green, blue, self.checks)

    def _read(self) -> list[Case]:
        from airflow_sm_rollout.aws.invoke import read_text

        url = self.samples
        if not isinstance(url, str) or not is_s3_url(url):
            return self._parse(url)
        return self._parse(
            self.read_patiently(f"could not read {url}", lambda: read_text(self.connection.client("s3"), url))
        )

    def _parse(self, samples: str | Sequence[Any]) -> list[Case]:
        if not isinstance(samples, (str, list, tuple)):
            raise PlanError("samples", samples, "an S3 URL, a text, or a list of samples")
        if not isinstance(samples, str):
            samples = "\n".join(each if isinstance(each, str) else json.dumps(each) for each in samples)
        return parse_cases(samples, self.content_type, self.label_field, self.has_header)


def is_s3_url(value: object) -> bool:
    """Whether a value is an S3 URL."""
    return isinstance(value, str) and value.startswith("s3://")
