"""SageMaker's endpoints, CloudWatch's alarms and Parameter Store on one's own machine, in AWS's wire protocols.

Names are loaded on first use: a model server process imports a module of this package, and must not wait for what the
control plane needs.
"""

from __future__ import annotations

import importlib
from typing import Any

_NAMES = {
    "CallRecord": "app",
    "Fault": "faults",
    "FunctionHost": "containers",
    "ManualClock": "clock",
    "ModelSpec": "containers",
    "Reply": "containers",
    "RunningServer": "server",
    "Sandbox": "app",
    "Timings": "timings",
    "connect": "inprocess",
    "process_sandbox": "app",
    "serve": "server",
}
__all__ = list(_NAMES)


def __getattr__(name: str) -> Any:
    if name not in _NAMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_NAMES[name]}"), name)
