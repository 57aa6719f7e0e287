"""CloudWatch's ways to write a time, and seconds since the epoch, which the rest of the package counts in."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any


def to_seconds(moment: datetime) -> float:
    """Seconds since the epoch; a datetime without a zone is UTC, as AWS's are."""
    return (moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).timestamp()


def to_datetime(seconds: float) -> datetime:
    """An aware UTC datetime with AWS's precision, milliseconds."""
    return datetime.fromtimestamp(round(seconds, 3), tz=timezone.utc)


def render_iso(seconds: float) -> str:
    """``2013-10-30T03:03:51.479+0000``, as in StateReasonData and HistoryData."""
    return to_datetime(seconds).isoformat(timespec="milliseconds").replace("+00:00", "+0000")


def render_short(seconds: float) -> str:
    """``05/02/18 06:28:00`` (day first), as in the reason of a metric alarm."""
    return to_datetime(seconds).strftime("%d/%m/%y %H:%M:%S")


def render_long(seconds: float) -> str:
    """``Friday 22 July, 2022 15:57:45 UTC``, as in the reason of a composite alarm."""
    return to_datetime(seconds).strftime("%A %d %B, %Y %H:%M:%S UTC")


def render_json(document: Mapping[str, Any]) -> str:
    """JSON without blanks, as CloudWatch writes it."""
    return json.dumps(document, separators=(",", ":"))
