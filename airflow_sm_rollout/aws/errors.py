"""What an error from AWS means for the loop. Codes decide; texts only where AWS has one code for everything.

That is SageMaker's control plane: an endpoint in progress, one not found and one that exists are all a ``ValidationException``
(AWS_FACTS.md sections 3 and 4).
"""

from __future__ import annotations

from enum import Enum

from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as BotoConnectionError


class Meaning(Enum):
    """What to do about an error."""

    TRANSIENT = "look again and go on"
    EXISTS = "it is there already"
    MISSING = "it is not there"
    PERMANENT = "it will fail again"


_TRANSIENT_CODES = frozenset(
    {
        "ThrottlingException",
        "Throttling",
        "TooManyRequestsException",
        "RequestLimitExceeded",
        "TooManyUpdates",
        "InternalFailure",
        "InternalServerError",
        "InternalServiceError",
        "ServiceUnavailable",
        "RequestTimeout",
        "RequestTimeoutException",
        "ConcurrentUpdateException",
        "InternalServiceException",
        # Whoever renews them renews them for the next look, too.
        "ExpiredToken",
        "ExpiredTokenException",
    }
)
_EXISTS_CODES = frozenset({"ParameterAlreadyExists"})
_MISSING_CODES = frozenset(
    {"ParameterNotFound", "ResourceNotFound", "ResourceNotFoundException", "ObjectNotFoundException"}
)


def meaning_of(error: ClientError | BotoCoreError) -> Meaning:
    """Tell what an error means.

    A lost connection is transient: the call may have taken effect, and the next look shows whether it has.
    """
    if not isinstance(error, ClientError):
        return Meaning.TRANSIENT if isinstance(error, (HTTPClientError, BotoConnectionError)) else Meaning.PERMANENT
    code = error.response["Error"].get("Code", "")
    if code in _TRANSIENT_CODES or error.response["ResponseMetadata"].get("HTTPStatusCode", 400) >= 500:
        return Meaning.TRANSIENT
    if code in _EXISTS_CODES:
        return Meaning.EXISTS
    if code in _MISSING_CODES:
        return Meaning.MISSING
    return (
        _meaning_of_validation(error.response["Error"].get("Message", ""))
        if code == "ValidationException"
        else Meaning.PERMANENT
    )


def _meaning_of_validation(message: str) -> Meaning:
    if message.startswith("Cannot update in-progress"):
        return Meaning.TRANSIENT
    if message.startswith("Cannot create already existing"):
        return Meaning.EXISTS
    if message.startswith("Could not find"):
        return Meaning.MISSING
    return Meaning.PERMANENT


def describe(error: ClientError | BotoCoreError) -> str:
    """The error as a half sentence for a person."""
    if isinstance(error, ClientError):
        return f"{error.operation_name} answered {error.response['Error'].get('Code')}: {error.response['Error'].get('Message')}"
    return str(error)
