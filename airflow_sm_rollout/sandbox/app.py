"""The sandbox: every service behind one door.

A request is recognised, checked, hit by a fault if one waits, carried out under the schedule's lock, recorded, and
answered. Invocations of a model take the lock for their routing only. What is none of ours goes to moto.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from airflow_sm_rollout.sandbox import faults, wire
from airflow_sm_rollout.sandbox.clock import Clock, Schedule, SystemClock
from airflow_sm_rollout.sandbox.constraints import validate
from airflow_sm_rollout.sandbox.containers import ContainerHost, FunctionHost
from airflow_sm_rollout.sandbox.elsewhere import Elsewhere
from airflow_sm_rollout.sandbox.errors import AwsError
from airflow_sm_rollout.sandbox.faults import Fault
from airflow_sm_rollout.sandbox.permissions import simulate
from airflow_sm_rollout.sandbox.process_host import ProcessHost
from airflow_sm_rollout.sandbox.recording import Recorder
from airflow_sm_rollout.sandbox.regional import Account, Regional
from airflow_sm_rollout.sandbox.sessions import Sessions
from airflow_sm_rollout.sandbox.surface import PassOn, leave_to_others, not_played
from airflow_sm_rollout.sandbox.timings import Timings

log = logging.getLogger(__name__)

AS_RECORDED = Timings()
KEPT_CALLS = 10_000
"""How many control calls a sandbox remembers at least, the newest; a server that stays up would keep them all otherwise."""

_REGION = re.compile(r"[a-z]{2,4}(-[a-z]+){1,3}-\d{1,2}")
_BULK = ("MetricData", "EntityMetricData")


@dataclass(frozen=True, slots=True)
class CallRecord:
    """One control-plane call, ours or moto's, as it went.

    :param service: botocore's name of the service for our own, the signing name for moto's.
    :param operation: AWS's name; for a REST service of moto's, method and path.
    :param params: the parsed parameters; empty for moto's.
    :param at: seconds since the epoch.
    :param error_code: AWS's code if it was refused (the HTTP status for moto's), else ``None``. A call whose answer
        was lost was not.
    """

    service: str
    operation: str
    params: Mapping[str, Any]
    at: float
    error_code: str | None


def process_sandbox(timings: Timings = AS_RECORDED, recorder: Recorder | None = None) -> Sandbox:
    """A sandbox on the machine's clock whose containers are real processes, which load their models from its own S3."""

    def fetch(url: str) -> bytes:
        return sandbox.elsewhere.get_object(url)

    sandbox = Sandbox(timings=timings, host=ProcessHost(fetch), policies_act=True, recorder=recorder)
    return sandbox


class Sandbox:
    """SageMaker, CloudWatch, Parameter Store and Application Auto Scaling on one schedule, and moto for the rest.

    :param clock: the machine's by default; with a :class:`.ManualClock` time passes by :meth:`.Schedule.advance` only.
    :param timings: how long things take.
    :param region: the one that its attributes show. Each call is for the Region of its client's signature.
    :param host: where containers run; by default each answers ``{}`` from this process.
    :param account: twelve digits; moto knows no other than the default.
    :param seed: of the random routing.
    :param policies_act: whether scaling policies that track a target make alarms, and scale when these ring. A test that says
        itself when a variant scales, by :meth:`.Scaling.scale`, leaves that out.
    :param recorder: is told each call and its answer.
    """

    def __init__(
        self,
        *,
        clock: Clock | None = None,
        timings: Timings = AS_RECORDED,
        host: ContainerHost | None = None,
        region: str = "us-east-1",
        account: str = "123456789012",
        seed: int = 0,
        policies_act: bool = False,
        recorder: Recorder | None = None,
    ) -> None:
        self.clock = clock or SystemClock()
        self._recorder = recorder
        host = host or FunctionHost()
        if recorder is not None:
            host = recorder.host(host, self.clock.now)
        self.timings = timings
        self.schedule = Schedule(self.clock)
        self.faults = faults.Faults()
        self.calls: list[CallRecord] = []
        self.elsewhere = Elsewhere()
        self._sessions = Sessions(self.clock)
        self._account = Account(account, self.schedule, timings, host, self.faults, self.elsewhere, seed, policies_act)
        self._home = Regional(self._account, region)
        self._regions = {region: self._home}
        self.region, self.services = self._home.region, self._home.services
        self.cloudwatch, self.endpoints = self._home.cloudwatch, self._home.endpoints
        self.scaling, self.training_jobs = self._home.scaling, self._home.training_jobs

    def handle(self, request: wire.HttpRequest) -> wire.HttpResponse:
        """Answer one request. Thread-safe.

        :raises AnswerLost: if a ``lost_answer`` fault hit it: the effect is taken, and the connection is to be closed.
        """
        try:
            request = wire.uncompressed(request) if wire.is_ours(request) else request
            call = wire.recognise(request)
            if call is None:
                _refuse_unknown(request)
                self._refuse_ended(request, None)
                return self._pass_on(request, call)
        except AwsError as error:
            refused = wire.encode_refusal(request, error)
            if self._recorder is not None:
                self._recorder.exchange(request, refused, self.clock.now())
            return refused
        try:
            self._refuse_ended(request, call)
            return wire.encode_answer(call, self.carry_out(call))
        except PassOn:
            return self._pass_on(request, call)
        except AwsError as error:
            return wire.encode_error(call, error)

    def carry_out(self, call: wire.Call) -> dict[str, Any]:
        """Do what one of our own operations is called for. Thread-safe.

        :raises AwsError: as AWS would refuse it, or as a fault has it.
        :raises AnswerLost: see :meth:`handle`.
        """
        self.schedule.run_due()
        at = self.clock.now()
        fault = self.faults.take_request_fault(call.operation)
        try:
            if fault is not None and fault.kind != "lost_answer":
                raise faults.refusal(fault, call, self._in(call.region).region)
            answer = self._perform(call)
        except AwsError as error:
            self._record(call, error.code)
            if self._recorder is not None:
                self._recorder.call(call, at, error=error)
            raise
        self._record(call, None)
        if self._recorder is not None:
            self._recorder.call(call, at, answer=answer, lost=fault is not None)
        if fault is not None:
            raise wire.AnswerLost
        return answer

    def invoke(self, endpoint_name: str, body: bytes = b"{}") -> bytes:
        """The answer of an endpoint in the region of the attributes, without the wire: for who sends many requests.

        :raises AwsError: as AWS would refuse it.
        """
        answer: bytes = self._home.invoke({"EndpointName": endpoint_name, "Body": body})["Body"]
        return answer

    def put_fault(self, fault: Fault | None) -> None:
        """Let something go wrong; ``None`` takes away all that still waits."""
        if self._recorder is not None:
            self._recorder.fault(fault, self.clock.now())
        if fault is None:
            self.faults.clear()
        else:
            self.faults.add(fault)

    def close(self) -> None:
        """Stop what runs: training jobs, requests to shadows and containers."""
        for regional in list(self._regions.values()):
            regional.close()
        self._account.host.close()

    def _in(self, region: str | None) -> Regional:
        """A Region's services, made when the first call is for it.

        :param region: ``None``: the sandbox's own.
        :raises AwsError: for what can be no Region's name.
        """
        if region is None:
            return self._home
        if region not in self._regions:
            if not _REGION.fullmatch(region):
                raise AwsError("InvalidSignatureException", "Credential should be scoped to a valid region.", 403)
            with self.schedule.lock:
                self._regions.setdefault(region, Regional(self._account, region))
        return self._regions[region]

    def _refuse_ended(self, request: wire.HttpRequest, call: wire.Call | None) -> None:
        """Refuse what is signed with credentials whose time is over."""
        if self._sessions.has_ended(request):
            error = faults.ended(call)
            if call is not None:
                self._record(call, error.code)
            raise error

    def _perform(self, call: wire.Call) -> dict[str, Any]:
        operation = self._in(call.region).operation(call.service, call.operation)
        if operation is None:
            leave_to_others(call.service, call.operation, lambda: validate(call))
        validate(call)
        if call.is_invocation:
            return operation(call.params)
        with self.schedule.lock:
            return operation(call.params)

    def _record(self, call: wire.Call, error_code: str | None) -> None:
        # Invocations are the data plane: hundreds a second, and counted by their metrics.
        if not call.is_invocation:
            params = {name: value for name, value in call.params.items() if name not in _BULK}
            self._keep(CallRecord(call.service, call.operation, params, self.clock.now(), error_code))

    def _keep(self, record: CallRecord) -> None:
        self.calls.append(record)
        if len(self.calls) > 2 * KEPT_CALLS:
            del self.calls[:KEPT_CALLS]

    def _pass_on(self, request: wire.HttpRequest, call: wire.Call | None) -> wire.HttpResponse:
        self.schedule.run_due()
        response = self._ask_elsewhere(request, call)
        operation = call.operation if call else wire.named_operation(request) or f"{request.method} {request.path}"
        error_code = str(response.status) if response.status >= 400 else None
        service = call.service if call else wire.signing_name(request) or ""
        if service == "sts":
            response = self._sessions.noted(request, response)
        self._keep(CallRecord(service, operation, {}, self.clock.now(), error_code))
        if self._recorder is not None:
            self._recorder.exchange(request, response, self.clock.now())
        return response

    def _ask_elsewhere(self, request: wire.HttpRequest, call: wire.Call | None) -> wire.HttpResponse:
        try:
            response = simulate(request) or self.elsewhere.handle(request)
        except NotImplementedError:
            return wire.encode_refusal(request, not_played(wire.named_operation(request) or request.path))
        except Exception as error:
            log.exception("moto failed on %s %s", request.method, request.path)
            failure = AwsError("InternalFailure", f"moto failed: {error}", 500)
            response = wire.encode_refusal(request, failure)
        if call is not None and response.status == 500:
            return wire.encode_error(call, not_played(f"{call.operation} with these parameters"))
        return response


def _refuse_unknown(request: wire.HttpRequest) -> None:
    if wire.names_unknown_operation(request):
        name = wire.named_operation(request)
        code = "InvalidAction" if wire.is_form(request) else "UnknownOperation"
        raise AwsError(code, f"Could not find operation {name}")
