"""Data capture: what was asked and answered, in S3, where the endpoint's config says so.

One file of JSON lines for each variant and span of time, under ``<destination>/<endpoint>/<variant>/<year>/<month>/<day>/<hour>/``, in the
form that the SageMaker developer guide's page on data capture shows. Calls that fail are left out: no record tells what AWS makes of them.
"""

from __future__ import annotations

import base64
import json
import logging
import random
import threading
import uuid
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from typing import Any, TypeAlias

from airflow_sm_rollout.sandbox.containers import Reply
from airflow_sm_rollout.sandbox.sagemaker.metrics import Route
from airflow_sm_rollout.sandbox.sagemaker.region import Region

log = logging.getLogger(__name__)

MAX_KEPT_BYTES = 4 * 1024 * 1024
"""What waits for one file at most; more is written before its time."""

_MODES = {"Input": ("Input",), "Output": ("Output",), "InputAndOutput": ("Input", "Output")}
Folder: TypeAlias = str


class Capture:
    """Keeps captured calls until their file is due.

    :param put_object: stores bytes at an ``s3://`` URL; a :class:`LookupError` of its is logged, as nobody waits for it.
    :param rng: chooses the calls, where not all are to be captured.
    """

    def __init__(self, region: Region, put_object: Callable[[str, bytes], None], rng: random.Random) -> None:
        self._region = region
        self._put_object = put_object
        self._rng = rng
        self._lock = threading.Lock()
        self._lines: dict[Folder, list[bytes]] = {}

    def take(self, route: Route, params: Mapping[str, Any], reply: Reply) -> None:
        """Capture one call that was answered, if its config asks for it. Thread-safe.

        :param params: InvokeEndpoint's.
        """
        wanted: Mapping[str, Any] = route.config.description.get("DataCaptureConfig", {})
        if not wanted.get("EnableCapture") or not self._is_chosen(wanted):
            return
        now = datetime.fromtimestamp(self._region.now(), timezone.utc)
        line = json.dumps(_event(wanted, params, reply, now)).encode() + b"\n"
        destination = wanted["DestinationS3Uri"].rstrip("/")
        folder = f"{destination}/{route.endpoint_name}/{route.variant.name}"
        with self._lock:
            lines = self._lines.setdefault(folder, [])
            lines.append(line)
            is_first, is_full = len(lines) == 1, sum(map(len, lines)) > MAX_KEPT_BYTES
        if is_first:
            due = self._region.now() + self._region.timings.capture_written
            self._region.schedule.at(due, lambda _: self._write(folder))
        if is_full:
            self._write(folder)

    def _is_chosen(self, wanted: Mapping[str, Any]) -> bool:
        return self._rng.random() * 100 < float(wanted["InitialSamplingPercentage"])

    def _write(self, folder: Folder) -> None:
        with self._lock:
            lines = self._lines.pop(folder, [])
        if not lines:
            return
        now = datetime.fromtimestamp(self._region.now(), timezone.utc)
        name = f"{now:%Y/%m/%d/%H/%M-%S}-{now.microsecond // 1000:03d}-{uuid.uuid4()}.jsonl"
        try:
            self._put_object(f"{folder}/{name}", b"".join(lines))
        except LookupError as error:
            log.warning("%d captured calls are lost: %s", len(lines), error)


def _event(wanted: Mapping[str, Any], params: Mapping[str, Any], reply: Reply, at: datetime) -> dict[str, Any]:
    modes = {mode for option in wanted["CaptureOptions"] for mode in _MODES[option["CaptureMode"]]}
    asked_type = params.get("ContentType") or "application/octet-stream"
    seen = {
        "Input": (asked_type, bytes(params.get("Body", b""))),
        "Output": (reply.content_type, reply.body),
    }
    inference = {"inferenceId": params["InferenceId"]} if "InferenceId" in params else {}
    return {
        "captureData": {
            f"endpoint{mode}": _side(wanted, mode.upper(), *seen[mode]) for mode in ("Input", "Output") if mode in modes
        },
        "eventMetadata": {"eventId": str(uuid.uuid4()), **inference, "inferenceTime": f"{at:%Y-%m-%dT%H:%M:%SZ}"},
        "eventVersion": "0",
    }


def _side(wanted: Mapping[str, Any], mode: str, content_type: str, body: bytes) -> dict[str, str]:
    encoding = _encoding(wanted.get("CaptureContentTypeHeader", {}), content_type)
    data = base64.b64encode(body).decode() if encoding == "BASE64" else body.decode(errors="replace")
    return {"observedContentType": content_type, "mode": mode, "data": data, "encoding": encoding}


def _encoding(known: Mapping[str, Any], content_type: str) -> str:
    """How a body is written: as text if the config names its type, else in base64 (documented)."""
    plain = content_type.partition(";")[0].strip()
    for member, encoding in (("CsvContentTypes", "CSV"), ("JsonContentTypes", "JSON")):
        if plain in known.get(member, ()):
            return encoding
    return "BASE64"
