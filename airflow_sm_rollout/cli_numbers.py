"""Numbers on a command line."""

from __future__ import annotations

import argparse
import math

_MOST_DAYS = 14  # CloudWatch lists metrics of the last two weeks, and keeps figures by the minute for 15 days


def positive(text: str) -> float:
    """Above 0."""
    number = float(text)
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return number


def count(text: str) -> int:
    """How many, at least one."""
    number = number_or_nan(text)
    if not (number >= 1 and number.is_integer()):
        raise argparse.ArgumentTypeError(f"{text} is no whole number from 1 on")
    return int(number)


def port(text: str) -> int:
    """A port."""
    number = int(text)
    if not 0 <= number <= 65535:
        raise argparse.ArgumentTypeError(f"{text} is no port: one is from 0 to 65535")
    return number


def parse_days(text: str) -> float:
    """So many days of CloudWatch's minutes."""
    days = number_or_nan(text)
    if not 0 < days <= _MOST_DAYS:
        raise argparse.ArgumentTypeError(
            f"{text} is not above 0 and up to {_MOST_DAYS}: CloudWatch has no older minutes"
        )
    return days


def number_or_nan(text: str) -> float:
    """The number, or one that is never allowed: argparse's own message would name this module's functions."""
    try:
        return float(text)
    except ValueError:
        return math.nan
