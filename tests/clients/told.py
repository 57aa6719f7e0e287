"""What a client's script tells the runner: one line for each step.

Scripts import it by its file's name: they run in their client's environment, where this repository is not installed.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterable
from typing import Any

MARK = "STEP "
NAME = os.environ.get("CLIENT_NAME", "client")
ROLE = "arn:aws:iam::123456789012:role/sagemaker"
IMAGE = "123456789012.dkr.ecr.us-east-1.amazonaws.com/wine:1"
MODEL_DATA = f"s3://{os.environ.get('CLIENT_BUCKET', 'models')}/model.tar.gz"
INSTANCE = "ml.m5.large"
ASKED = b'{"instances": [{"alcohol": 13.2}]}'


def step(name: str, deed: Callable[[], object]) -> None:
    """Do one step, and tell what became of it; the next is done whatever that is."""
    began = time.monotonic()
    try:
        deed()
        error = None
    except Exception as failure:  # noqa: BLE001 - whatever it is, the runner tells it
        error = f"{type(failure).__name__}: {failure}"
    line = {"step": name, "error": error, "seconds": round(time.monotonic() - began, 1)}
    print(MARK + json.dumps(line), flush=True)


def equal(found: Any, expected: Any) -> None:
    """Raise unless both are the same."""
    if found != expected:
        raise AssertionError(f"{found!r} instead of {expected!r}")


def eventually(ask: Callable[[], Any], seconds: float = 100.0) -> None:
    """Ask until the answer is true, as a metric's newest minute comes late."""
    until = time.monotonic() + seconds
    while not (answer := ask()):
        if time.monotonic() > until:
            raise AssertionError(f"still {answer!r} after {seconds:g} s")
        time.sleep(1)


def refusal(call: Callable[[], object], expected: type[Exception] = Exception) -> Exception:
    """The error that a call ends with."""
    try:
        call()
    except expected as error:
        return error
    raise AssertionError("it was not refused")


def variants(config: str, weights: Iterable[tuple[str, float]]) -> dict[str, Any]:
    """The parameters of CreateEndpointConfig, with a variant for each weight."""
    entries = [
        {
            "VariantName": variant,
            "ModelName": f"{NAME}-model",
            "InitialInstanceCount": 1,
            "InstanceType": INSTANCE,
            "InitialVariantWeight": weight,
        }
        for variant, weight in weights
    ]
    return {"EndpointConfigName": config, "ProductionVariants": entries}
