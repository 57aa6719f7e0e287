"""Every way a call can fail has a known meaning: botocore's exceptions and AWS's codes are walked, and none may be unknown."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator
from importlib import resources
from typing import Any

import botocore.exceptions
import pytest
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError
from botocore.retries.standard import ThrottledRetryableChecker, TransientRetryableChecker

from airflow_sm_rollout.aws.causes import CAUSE_OF_CODE, CAUSE_OF_EXCEPTION, Meaning
from airflow_sm_rollout.aws.errors import AWS_ERRORS, cause_of, describe, meaning_of
from aws.answers import answer, calls_of_rollouts, service_model

EXCEPTIONS = [
    each
    for each in vars(botocore.exceptions).values()
    if inspect.isclass(each)
    and issubclass(each, Exception)
    and not issubclass(each, (Warning, ClientError))
    and each.__module__ == "botocore.exceptions"
]


def modelled_codes() -> Iterator[str]:
    """The codes that the service models name for the calls that are made, and for botocore's own calls for credentials."""
    for call in [*calls_of_rollouts(), service_model("sts").operation_model("AssumeRoleWithWebIdentity")]:
        yield from (shape.error_code for shape in call.error_shapes)


def codes_of_botocores_retries() -> Iterator[str]:
    """What botocore itself asks again for, in either of its ways to do so."""
    yield from ThrottledRetryableChecker._THROTTLED_ERROR_CODES
    yield from TransientRetryableChecker._TRANSIENT_ERROR_CODES
    rules = json.loads(resources.files("botocore").joinpath("data/_retry.json").read_text())
    yield from _codes_in(rules)


def _codes_in(rules: Any) -> Iterator[str]:
    if isinstance(rules, dict):
        yield from (rules[name] for name in ("service_error_code",) if name in rules)
        for each in rules.values():
            yield from _codes_in(each)


# AWS's "Common errors", the same list for each service (its API references), in both spellings where it has two.
COMMON_CODES = frozenset(
    """
    AccessDenied AccessDeniedException ExpiredToken ExpiredTokenException IncompleteSignature InternalFailure InvalidAction
    InvalidClientTokenId InvalidParameterCombination InvalidParameterValue InvalidQueryParameter MalformedHttpRequestException
    MalformedQueryString MissingAction MissingAuthenticationToken MissingAuthenticationTokenException MissingParameter NotAuthorized
    OptInRequired RequestAbortedException RequestEntityTooLargeException RequestExpired RequestTimeoutException RequestTimeTooSkewed
    ServiceUnavailable SignatureDoesNotMatch InvalidSignatureException Throttling ThrottlingException UnknownOperationException
    UnrecognizedClientException ValidationError ValidationException
    """.split()  # noqa: SIM905 - a list of that length is no easier to read
)


def test_every_exception_of_the_installed_botocore_has_a_cause(capsys: pytest.CaptureFixture[str]) -> None:
    assert [each.__name__ for each in EXCEPTIONS if each.__name__ not in CAUSE_OF_EXCEPTION] == []
    with capsys.disabled():
        print(f"\n{len(EXCEPTIONS)} exceptions of botocore {botocore.__version__} have a cause")
    assert len(EXCEPTIONS) > 90


def test_every_code_that_a_call_of_ours_may_be_answered_has_a_cause(capsys: pytest.CaptureFixture[str]) -> None:
    calls = [*calls_of_rollouts()]
    codes = {*modelled_codes(), *COMMON_CODES, *codes_of_botocores_retries()}
    assert sorted(codes - CAUSE_OF_CODE.keys()) == []
    with capsys.disabled():
        print(
            f"\n{len(codes)} codes have a cause: of {len(calls)} calls' models, AWS's common ones, botocore's retries"
        )
    assert len(calls) > 30
    assert len(codes) > 70


def test_each_name_has_one_cause() -> None:
    from airflow_sm_rollout.aws import causes

    for table in (causes._BY_CODE, causes._BY_EXCEPTION):
        names = [name for names in table.values() for name in names.split()]
        assert sorted(names) == sorted(set(names))


def test_what_botocore_asks_again_for_is_waited_out_here_too() -> None:
    # Application Auto Scaling's model has this code for a quota, which does not pass by itself.
    codes = set(codes_of_botocores_retries()) - {"LimitExceededException"}
    assert {code: CAUSE_OF_CODE[code].meaning for code in codes} == dict.fromkeys(codes, Meaning.WAIT)


@pytest.mark.parametrize("code", sorted(CAUSE_OF_CODE))
def test_an_answer_means_what_the_table_says(code: str) -> None:
    assert cause_of(answer(code)) == CAUSE_OF_CODE[code]


@pytest.mark.parametrize("kind", EXCEPTIONS, ids=lambda kind: kind.__name__)
def test_an_exception_means_what_the_table_says(kind: type[BotoCoreError]) -> None:
    error = kind.__new__(kind)
    Exception.__init__(error, "as raised")
    assert cause_of(error) == CAUSE_OF_EXCEPTION[kind.__name__]


def test_a_kind_of_exception_that_nobody_knows_means_what_its_nearest_known_ancestor_does() -> None:
    class NewTimeout(botocore.exceptions.ReadTimeoutError):
        pass

    class NewError(BotoCoreError):
        pass

    assert cause_of(NewTimeout(endpoint_url="https://x")) == CAUSE_OF_EXCEPTION["ReadTimeoutError"]
    assert meaning_of(NewError()) is Meaning.WAIT


@pytest.mark.parametrize(
    ("error", "meaning"),
    [
        (answer("NobodyKnowsIt", status=400), Meaning.REFUSED),
        (answer("NobodyKnowsIt", status=403), Meaning.DENIED),
        (answer("NobodyKnowsIt", status=429), Meaning.WAIT),
        (answer("NobodyKnowsIt", status=500), Meaning.WAIT),
        (answer("NobodyKnowsIt", status=530), Meaning.WAIT),
        # What botocore makes of a page that a proxy or a load balancer answers: no code of AWS's.
        (answer("403", "<html>Blocked by policy</html>", status=403), Meaning.WAIT),
        (answer("407", "Proxy Authentication Required", status=407), Meaning.WAIT),
        (answer("", status=404), Meaning.WAIT),
        (ClientError({}, "DescribeEndpoint"), Meaning.WAIT),
        (ResponseParserError("Unable to parse response"), Meaning.WAIT),
        # Calls that botocore makes by itself, to find credentials.
        (answer("AccessDenied", operation="AssumeRole", status=403), Meaning.WAIT),
        (answer("ValidationError", operation="AssumeRoleWithWebIdentity"), Meaning.WAIT),
        (answer("ForbiddenException", operation="GetRoleCredentials", status=403), Meaning.WAIT),
    ],
    ids=str,
)
def test_an_answer_that_is_in_no_table_is_told_by_what_it_is(error: Exception, meaning: Meaning) -> None:
    assert meaning_of(error) is meaning


@pytest.mark.parametrize(
    ("message", "meaning"),
    [
        ('Cannot update in-progress endpoint "arn:aws:sagemaker:us-east-1:1:endpoint/fraud".', Meaning.WAIT),
        ('Cannot create already existing model "arn:aws:sagemaker:us-east-1:1:model/m".', Meaning.EXISTS),
        ('Could not find endpoint "arn:aws:sagemaker:us-east-1:1:endpoint/fraud".', Meaning.GONE),
        ('Could not find endpoint configuration "arn:aws:sagemaker:us-east-1:1:endpoint-config/c".', Meaning.GONE),
        ('Could not find model "arn:aws:sagemaker:us-east-1:1:model/m".', Meaning.GONE),
        ("Could not find model data at s3://models/nosuch.tar.gz.", Meaning.REFUSED),
        ("1 validation error detected: Value 'x' at 'modelName' failed to satisfy constraint", Meaning.REFUSED),
        ("", Meaning.REFUSED),
    ],
)
def test_what_sagemaker_has_one_code_for_is_told_by_its_text(message: str, meaning: Meaning) -> None:
    assert meaning_of(answer("ValidationException", message)) is meaning


def test_a_message_says_what_was_asked_how_often_and_what_can_be_done() -> None:
    error = answer("ThrottlingException", "Rate exceeded", operation="UpdateEndpointWeightsAndCapacities")
    error.response["ResponseMetadata"]["RetryAttempts"] = 4
    assert describe(error) == (
        "UpdateEndpointWeightsAndCapacities answered ThrottlingException: Rate exceeded (asked 5 times)"
    )
    missing = describe(botocore.exceptions.NoCredentialsError())
    assert missing.startswith(
        "NoCredentialsError: Unable to locate credentials; if it stays, renew the AWS credentials"
    )
    assert "sm-rollout iam-policy" in describe(answer("AccessDeniedException", "User is not authorized"))


@pytest.mark.parametrize("message", [None, "", "   "])
def test_an_answer_without_a_text_is_described_by_its_code(message: str | None) -> None:
    error = answer("ThrottlingException", operation="InvokeEndpoint")
    error.response["Error"]["Message"] = message
    assert describe(error) == "InvokeEndpoint answered ThrottlingException"
    assert describe(ClientError({}, "DescribeEndpoint")) == "DescribeEndpoint answered nothing that AWS answers"


def test_everything_that_a_client_raises_is_caught() -> None:
    assert set(AWS_ERRORS) == {ClientError, BotoCoreError, ResponseParserError}
