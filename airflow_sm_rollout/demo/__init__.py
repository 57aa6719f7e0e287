"""A good and a bad model rolled out on this machine: the sandbox, real Airflow, real traffic."""

from __future__ import annotations


class DemoFailed(Exception):
    """Base of what keeps the demo from coming to its end; the text is for a person."""
