"""Make a recording's calls again, against a fresh sandbox, and tell which are answered otherwise.

The new sandbox's clock stands still but for the recording's own times, so that an hour takes seconds, and nothing depends on how fast this
machine is. Its containers answer what the recorded ones did, and are healthy when those were. Not compared are:

* times, also inside of texts, and what AWS makes up: UUIDs and ids of deployments. A recorded id stands for the new one in later calls;
* the operations on training jobs, which end when a process of this machine's does, and metrics of OverheadLatency, which is its own;
* of what moto answers, all but the status and an error's text. A call whose body was left out is not made again.
"""

from __future__ import annotations

import base64
import json
import math
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from airflow_sm_rollout.sandbox.app import Sandbox
from airflow_sm_rollout.sandbox.clock import ManualClock
from airflow_sm_rollout.sandbox.containers import Container, ModelSpec, Reply
from airflow_sm_rollout.sandbox.errors import AwsError
from airflow_sm_rollout.sandbox.faults import Fault
from airflow_sm_rollout.sandbox.recording import FORMAT, LEFT_OUT, OWN, limit_of, readable, refusal
from airflow_sm_rollout.sandbox.surface import PassOn
from airflow_sm_rollout.sandbox.timings import Timings
from airflow_sm_rollout.sandbox.wire import AnswerLost, Call, HttpRequest, operation_model

_TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:?\d\d)?|\d\d/\d\d/\d\d \d\d:\d\d:\d\d")
_ID = re.compile(
    r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|\bd-[0-9A-Z]{9}\b|(?<=<RequestI[dD]>)[^<]+|(?<=<HostId>)[^<]+"
)
_TRAINING = ("TrainingJob", "Search")
_MEASURED = "OverheadLatency"
_TICK_SECONDS = 0.5
"""The recorded sandbox found a container healthy up to a tick after it had asked."""

NewSandbox = Callable[..., Sandbox]


class NoRecording(Exception):
    """What was given is no recording, or one of another format; the text says which line."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A call that is answered otherwise.

    :param line: its line in the recording, from 1.
    :param call: when it was made, and which.
    :param path: where in the answer.
    :param recorded: what is there in the recording.
    :param now: what is there now.
    """

    line: int
    call: str
    path: str
    recorded: Any
    now: Any

    def __str__(self) -> str:
        recorded, now = (json.dumps(value, ensure_ascii=False) for value in (self.recorded, self.now))
        return f"line {self.line}, {self.call}: {self.path or 'the answer'}: recorded {recorded}, now {now}"


@dataclass
class Replay:
    """A recording, made again call by call.

    :param lines: the recording's.
    :param new_sandbox: makes the fresh one.
    :raises NoRecording: if it has no head of a recording's, or a line is no JSON.
    """

    lines: Iterable[str]
    new_sandbox: NewSandbox = Sandbox
    calls: int = 0
    _aliases: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        read = [(number, _read(number, line)) for number, line in enumerate(self.lines, start=1) if line.strip()]
        if not read or read[0][1].get("recording") != FORMAT:
            raise NoRecording(f"its first line is no head of a recording of format {FORMAT}")
        self._head = read[0][1]
        # Calls that overlapped were written as they ended; they take effect as they began.
        self._told = sorted(read[1:], key=lambda entry: _seconds(entry[1]))

    def differences(self) -> Iterator[Difference]:
        """Make the calls, in order; ends at the recording's end."""
        if not self._told:
            return
        clock = ManualClock(_seconds(self._told[0][1]))
        host = _RecordedHost(clock.now, self._healthy())
        timings = Timings().hurried(float(self._head.get("speed", 1)))
        sandbox = self.new_sandbox(
            clock=clock, timings=timings, host=host, policies_act=self._head.get("policies_act", True)
        )
        try:
            for number, line in self._told:
                sandbox.schedule.advance(max(0.0, _seconds(line) - clock.now()))
                host.reply = _reply(line.get("reply"))
                yield from self._again(sandbox, number, line)
        finally:
            sandbox.close()

    def _healthy(self) -> dict[str, list[float]]:
        told: dict[str, list[float]] = defaultdict(list)
        for _, line in self._told:
            if (line["service"], line["operation"]) == (OWN, "ContainerHealthy"):
                told[line["parameters"]["model"]].append(_seconds(line))
        return told

    def _again(self, sandbox: Sandbox, number: int, line: Mapping[str, Any]) -> Iterator[Difference]:
        if line["service"] == OWN:
            if line["operation"] == "AddFault":
                sandbox.put_fault(Fault(**line["parameters"]))
            elif line["operation"] == "ClearFaults":
                sandbox.put_fault(None)
            return
        if line.get("request", {}).get("body") == LEFT_OUT:
            return
        self.calls += 1
        renamed = self._renamed(line)
        now = _exchange(sandbox, renamed) if "request" in line else _call(sandbox, renamed)
        if _MEASURED in json.dumps(line.get("parameters")) or any(word in line["operation"] for word in _TRAINING):
            return
        recorded = {name: line[name] for name in ("answer", "error", "lost") if name in line}
        name = f"{line['at'][11:19]} {line['service']} {line['operation']}"
        for path, one, other in self._compare(recorded, now, ""):
            yield Difference(number, name, path, one, other)

    def _renamed(self, line: Mapping[str, Any]) -> Mapping[str, Any]:
        """A line with ids as they are this time."""
        text = json.dumps(line)
        for recorded, now in self._aliases.items():
            text = text.replace(recorded, now)
        renamed: Mapping[str, Any] = json.loads(text)
        return renamed

    def _compare(self, recorded: Any, now: Any, path: str) -> Iterator[tuple[str, Any, Any]]:
        if isinstance(recorded, dict) and isinstance(now, dict):
            for name in sorted(recorded.keys() | now.keys()):
                yield from self._compare(recorded.get(name), now.get(name), f"{path}.{name}".lstrip("."))
        elif isinstance(recorded, list) and isinstance(now, list) and len(recorded) == len(now):
            for index, (one, other) in enumerate(zip(recorded, now, strict=True)):
                yield from self._compare(one, other, f"{path}[{index}]")
        elif not self._same(recorded, now):
            yield path, recorded, now

    def _same(self, recorded: Any, now: Any) -> bool:
        if isinstance(recorded, str) and isinstance(now, str):
            if _plain(recorded) != _plain(now):
                return False
            ids = zip(_ID.finditer(recorded), _ID.finditer(now), strict=True)
            self._aliases.update({one[0]: other[0] for one, other in ids if one[0] != other[0]})
            return True
        if isinstance(recorded, float | int) and isinstance(now, float | int):
            return math.isclose(recorded, now, rel_tol=1e-9)
        return bool(recorded == now)


def _plain(text: str) -> str:
    return _ID.sub("<id>", _TIME.sub("<time>", text))


def _read(number: int, line: str) -> dict[str, Any]:
    try:
        read = json.loads(line)
    except ValueError as error:
        raise NoRecording(f"line {number} is no JSON: {error}") from None
    if not isinstance(read, dict) or (number > 1 and not {"at", "service", "operation"} <= read.keys()):
        raise NoRecording(f"line {number} is no call")
    return read


def _seconds(line: Mapping[str, Any]) -> float:
    return datetime.fromisoformat(line["at"].replace("Z", "+00:00")).timestamp()


def _call(sandbox: Sandbox, line: Mapping[str, Any]) -> dict[str, Any]:
    service, operation = line["service"], line["operation"]
    params = _revived(operation_model(service, operation).input_shape, line["parameters"])
    call = Call(service, operation, line.get("protocol", "json"), params, line.get("region"))
    try:
        answer = sandbox.carry_out(call)
    except AwsError as error:
        return {"error": json.loads(json.dumps(refusal(error)))}
    except AnswerLost:
        return {"lost": True, "answer": line.get("answer")}
    except PassOn:
        return {"error": {"code": "PassOn", "message": "it is left to moto now", "status": 0}}
    return {"answer": json.loads(json.dumps(readable(answer, limit_of(call))))}


def _exchange(sandbox: Sandbox, line: Mapping[str, Any]) -> dict[str, Any]:
    asked = line["request"]
    scope = f"Credential=sandbox/20240101/{line.get('region', 'us-east-1')}/{line['service']}/aws4_request"
    signed = {"host": "127.0.0.1", "authorization": f"AWS4-HMAC-SHA256 {scope}, SignedHeaders=host, Signature=0"}
    request = HttpRequest(
        asked["method"], asked["path"], asked["query"], {**signed, **asked["headers"]}, _bytes(asked["body"])
    )
    try:
        response = sandbox.handle(request)
    except AnswerLost:
        return {"lost": True}
    told: dict[str, Any] = {"status": response.status}
    if response.status >= 400:
        told["body"] = readable(response.body)
    return {"answer": told}


def _revived(shape: Any, value: Any) -> Any:
    """A parameter as an operation takes it: bytes and times are what they were."""
    kind = getattr(shape, "type_name", None)
    if kind == "structure" and isinstance(value, dict):
        return {name: _revived(shape.members.get(name), item) for name, item in value.items()}
    if kind == "list" and isinstance(value, list):
        return [_revived(shape.member, item) for item in value]
    if kind == "map" and isinstance(value, dict):
        return {name: _revived(shape.value, item) for name, item in value.items()}
    if kind == "blob":
        return _bytes(value)
    if kind == "timestamp" and isinstance(value, str):
        return datetime.fromisoformat(value.replace("Z", "+00:00"))
    return value


def _bytes(told: Any) -> bytes:
    if isinstance(told, dict):
        return base64.b64decode(told["base64"]) if "base64" in told else _bytes(told["begins"])
    return str(told).encode()


def _reply(told: Mapping[str, Any] | None) -> Reply:
    if told is None:
        return Reply(200, b"{}")
    return Reply(told["status"], _bytes(told["body"]), told["type"], told["seconds"])


class _RecordedHost:
    """Containers that are healthy when the recorded ones were, and answer what the recorded call got.

    :param healthy: by model, when each of its containers was found healthy.
    """

    def __init__(self, now: Callable[[], float], healthy: Mapping[str, list[float]]) -> None:
        self._now = now
        self._healthy = healthy
        self._started: dict[str, int] = defaultdict(int)
        self.reply = Reply(200, b"{}")

    def start(self, model: ModelSpec) -> Container:
        times = self._healthy.get(model.name, [])
        number = self._started[model.name]
        self._started[model.name] += 1
        return _RecordedContainer(self, times[number] - _TICK_SECONDS if number < len(times) else math.inf)

    def is_past(self, moment: float) -> bool:
        return self._now() >= moment

    def close(self) -> None:
        pass


@dataclass(frozen=True, slots=True)
class _RecordedContainer:
    host: _RecordedHost
    healthy_at: float

    def ping(self) -> bool:
        return self.host.is_past(self.healthy_at)

    def invoke(self, body: bytes, content_type: str, accept: str) -> Reply:
        return self.host.reply

    def stop(self) -> None:
        pass
