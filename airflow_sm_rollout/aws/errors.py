"""What an error from AWS means for the loop. Codes decide; texts only where AWS has one code for everything.

That is SageMaker's control plane: an endpoint in progress, one not found and one that exists are all a ``ValidationException``.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from airflow_sm_rollout.aws.causes import (
    BUSY,
    CALLER_UNKNOWN,
    CAUSE_OF_CODE,
    CAUSE_OF_EXCEPTION,
    DENIED,
    EXISTS,
    GONE,
    REFUSED,
    SETTINGS,
    Cause,
    Meaning,
)

AWS_ERRORS = (ClientError, BotoCoreError, ResponseParserError)
"""What a boto3 client raises: an answer of AWS, no answer, and one that is not AWS's."""

# Calls that botocore makes by itself to find credentials. Whatever they are answered says nothing about ours.
_OF_CREDENTIALS = re.compile(
    "AssumeRole|GetSessionToken|GetFederationToken|GetRoleCredentials|CreateToken|CreateOAuth2Token"
)
_LONGEST = 1000  # characters of a message
_TEXTS = {
    "Cannot update in-progress ": BUSY,
    "Cannot create already existing ": EXISTS,
    # With the quotation mark: "Could not find model data at s3://..." is about what the request says.
    'Could not find endpoint "': GONE,
    'Could not find endpoint configuration "': GONE,
    'Could not find model "': GONE,
    'Could not find inference component "': GONE,
}


def cause_of(error: Exception) -> Cause:
    """Why a call failed.

    A lost connection is waited out: the call may have taken effect, and the next look shows whether it has.
    """
    if isinstance(error, ClientError):
        return _cause_of_answer(error)
    known = (CAUSE_OF_EXCEPTION.get(each.__name__) for each in type(error).__mro__)
    return next((cause for cause in known if cause is not None), SETTINGS)


def meaning_of(error: Exception) -> Meaning:
    """What a failed call says about the request."""
    return cause_of(error).meaning


def _cause_of_answer(error: ClientError) -> Cause:
    code = code_of(error)
    if _OF_CREDENTIALS.match(error.operation_name or ""):
        return CALLER_UNKNOWN
    if code == "ValidationException":
        message = error.response.get("Error", {}).get("Message") or ""
        return next((cause for start, cause in _TEXTS.items() if message.startswith(start)), REFUSED)
    return CAUSE_OF_CODE.get(code) or _cause_of_status(code, error)


def _cause_of_status(code: str, error: ClientError) -> Cause:
    """An answer with a code that nobody has heard of. One without a code of AWS's, which botocore replaces by the status, is not AWS's
    but a proxy's or a load balancer's on the way.
    """
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 400)
    if status >= 500 or status in (408, 429) or not code or code.isdigit():
        return BUSY
    return DENIED if status in (401, 403) else REFUSED


def code_of(error: ClientError) -> str:
    """The code of AWS's answer; empty if it has none."""
    return str(error.response.get("Error", {}).get("Code") or "")


def if_found(call: Callable[[], Any]) -> Any | None:
    """A describe call's answer; ``None``: AWS says there is no such thing."""
    try:
        return call()
    except ClientError as error:
        if meaning_of(error) is Meaning.GONE:
            return None
        raise


def describe(error: Exception) -> str:
    """The error as a half sentence for a person, with what was tried and what can be done."""
    cause = cause_of(error)
    return f"{_describe_what_happened(error)}{f'; {cause.advice}' if cause.advice else ''}"


def _shortened(message: str) -> str:
    """AWS repeats what it refuses, however long that is."""
    return message if len(message) <= _LONGEST else f"{message[:_LONGEST]} ..."


def _describe_what_happened(error: Exception) -> str:
    if not isinstance(error, ClientError):
        return _shortened(f"{type(error).__name__}: {error}".strip())
    message = _shortened(str(error.response.get("Error", {}).get("Message") or "").strip())
    tries = error.response.get("ResponseMetadata", {}).get("RetryAttempts") or 0
    answered = f"{error.operation_name} answered {code_of(error) or 'nothing that AWS answers'}"
    return f"{answered}{f': {message}' if message else ''}{f' (asked {tries + 1} times)' if tries else ''}"
