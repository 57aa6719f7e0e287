"""One environment of a function: reads an event a line from standard input, writes what the handler made of it.

It ends with its standard input, so with the sandbox. What the handler prints goes to standard error.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from typing import Any


def main(directory: str, handler: str) -> None:
    """Serve ``module.function`` from a directory until standard input ends."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    sys.path.insert(0, directory)
    for line in sys.stdin:
        answers.write(json.dumps(_answer(handler, json.loads(line))) + "\n")
        answers.flush()


def _answer(handler: str, event: Any) -> dict[str, Any]:
    module, _, name = handler.rpartition(".")
    try:
        return {"payload": getattr(importlib.import_module(module), name)(event, None), "error": ""}
    except Exception as error:  # noqa: BLE001 - whatever the user's code raises is the call's answer
        return {"payload": {"errorMessage": str(error), "errorType": type(error).__name__}, "error": "Unhandled"}


if __name__ == "__main__":
    main(*sys.argv[1:])
