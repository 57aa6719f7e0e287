"""An error as AWS answers it."""

from __future__ import annotations


class AwsError(Exception):
    """Raised by an operation of the sandbox; the wire layer turns it into the protocol's error answer.

    :param code: AWS's error code, e.g. ``ValidationException``.
    :param message: AWS's text.
    :param status: HTTP status.
    :param fields: further members of a modelled error's body (``OriginalStatusCode`` of a ``ModelError``).
    """

    def __init__(self, code: str, message: str, status: int = 400, fields: dict[str, object] | None = None) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status
        self.fields = fields or {}
