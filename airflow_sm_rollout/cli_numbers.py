"""Numbers on a command line."""

from __future__ import annotations

import argparse
import math
from datetime import timedelta

_MOST_DAYS = 14  # CloudWatch lists metrics of the last two weeks, and keeps figures by the minute for 15 days
_LONGEST = timedelta(days=365)
_FASTEST, _MOST = 1000, 100_000


def in_seconds(text: str) -> float:
    """A time in seconds."""
    return _time(text, timedelta(seconds=1))


def in_minutes(text: str) -> float:
    """A time in minutes."""
    return _time(text, timedelta(minutes=1))


def in_days(text: str) -> float:
    """A time in days."""
    return _time(text, timedelta(days=1))


def _time(text: str, unit: timedelta) -> float:
    number = number_or_nan(text)
    if not 0 < number <= _LONGEST / unit:
        raise argparse.ArgumentTypeError(f"{text} is not above 0 and up to {_LONGEST / unit:,.0f}, which is a year")
    return number


def speed(text: str) -> float:
    """How much faster a clock goes."""
    number = number_or_nan(text)
    if not 1 / _FASTEST <= number <= _FASTEST:
        raise argparse.ArgumentTypeError(f"{text} is not from {1 / _FASTEST:g} to {_FASTEST:,}")
    return number


def count(text: str) -> int:
    """How many, at least one."""
    number = number_or_nan(text)
    if not (1 <= number <= _MOST and number.is_integer()):
        raise argparse.ArgumentTypeError(f"{text} is no whole number from 1 to {_MOST:,}")
    return int(number)


def port(text: str) -> int:
    """A port."""
    number = number_or_nan(text)
    if not (0 <= number <= 65535 and number.is_integer()):
        raise argparse.ArgumentTypeError(f"{text} is no port: one is from 0 to 65535")
    return int(number)


def parse_days(text: str) -> float:
    """So many days of CloudWatch's minutes."""
    number = number_or_nan(text)
    if not 0 < number <= _MOST_DAYS:
        raise argparse.ArgumentTypeError(
            f"{text} is not above 0 and up to {_MOST_DAYS}: CloudWatch has no older minutes"
        )
    return number


def number_or_nan(text: str) -> float:
    """The number, or one that is never allowed: argparse's own message would name this module's functions."""
    try:
        return float(text)
    except ValueError:
        return math.nan
