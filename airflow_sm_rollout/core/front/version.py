"""Versions of the function, as AWS tells them, and in what they differ."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

# What AWS tells of each version, and what differs without anybody's will.
_OF_THE_VERSION = frozenset(
    {
        "FunctionArn",
        "Version",
        "Description",
        "LastModified",
        "RevisionId",
        "State",
        "StateReason",
        "StateReasonCode",
        "LastUpdateStatus",
        "LastUpdateStatusReason",
        "LastUpdateStatusReasonCode",
        "MasterArn",
        "ConfigSha256",
        "RuntimeVersionConfig",
        "SnapStart",
        "ResponseMetadata",
    }
)


@dataclass(frozen=True, slots=True)
class FunctionVersion:
    """One version of a function.

    :param settings: its configuration as AWS tells it.
    """

    settings: Mapping[str, Any]

    @property
    def number(self) -> str:
        """Its number, or ``$LATEST``."""
        return str(self.settings["Version"])

    @property
    def revision(self) -> str:
        """AWS's mark of its state."""
        return str(self.settings.get("RevisionId", ""))

    @property
    def timeout(self) -> timedelta:
        """How long a call of it may take."""
        return timedelta(seconds=self.settings["Timeout"])

    @property
    def is_busy(self) -> bool:
        """Whether AWS is still taking a change, or making it ready, and refuses another."""
        return self.settings.get("LastUpdateStatus") == "InProgress" or self.settings.get("State") == "Pending"

    @property
    def failure(self) -> str:
        """Why it can't be called, as AWS says; empty: it can."""
        if "Failed" not in (self.settings.get("State"), self.settings.get("LastUpdateStatus")):
            return ""
        told = self.settings.get("StateReason") or self.settings.get("LastUpdateStatusReason")
        return str(told or "AWS gives no reason")

    @property
    def variables(self) -> Mapping[str, str]:
        """Its environment variables."""
        found: Mapping[str, str] = (self.settings.get("Environment") or {}).get("Variables") or {}
        return found

    @property
    def hidden(self) -> str:
        """Why AWS does not show its variables, so that they can't be carried over; empty: it does."""
        error = (self.settings.get("Environment") or {}).get("Error") or {}
        return str(error.get("Message") or error.get("ErrorCode") or "")

    def differences(self, other: FunctionVersion, variable: str = "") -> list[str]:
        """In what two versions differ, as AWS names it, sorted.

        :param variable: an environment variable in which they may.
        """
        mine, others = _compared(self, variable), _compared(other, variable)
        return sorted(name for name in mine.keys() | others.keys() if mine.get(name) != others.get(name))


@dataclass(frozen=True, slots=True)
class Provisioned:
    """What is provisioned of a version's concurrency.

    :param count: what was asked for.
    :param status: ``READY``, ``IN_PROGRESS`` or ``FAILED``.
    :param failure: why it failed, as AWS says.
    """

    count: int
    status: str = "READY"
    failure: str = ""


@dataclass(frozen=True, slots=True)
class Front:
    """A function as it was seen.

    :param latest: ``$LATEST``.
    :param blue: the version that the alias called before the rollout; ``None``: somebody has deleted it.
    :param green: the version that calls green's endpoint; ``None``: none yet, or none any more.
    :param in_place: where blue's is gone, a version that can be called in its place; ``None``: none can, or blue's stands.
    :param provisioned: of that version; ``None``: nothing is, or blue has nothing of it either.
    """

    latest: FunctionVersion
    blue: FunctionVersion | None
    green: FunctionVersion | None = None
    in_place: FunctionVersion | None = None
    provisioned: Provisioned | None = None


def _compared(version: FunctionVersion, variable: str) -> dict[str, Any]:
    variables = {f"Environment.{name}": value for name, value in version.variables.items() if name != variable}
    left_out = _OF_THE_VERSION | {"Environment"}
    return {name: value for name, value in version.settings.items() if name not in left_out} | variables
