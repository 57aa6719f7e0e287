"""The training container as a real process: :mod:`.train_model` below a directory that stands for ``/opt/ml``."""

from __future__ import annotations

import io
import json
import signal
import tarfile
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from airflow_sm_rollout.sandbox.process_host import passed_on, start_python


@dataclass(frozen=True, slots=True)
class TrainingResult:
    """What a training container has left behind.

    :param exit_code: of its process; negative for a signal.
    :param failure: content of ``output/failure``, empty if there is none.
    :param model: ``model/`` as a gzipped tar, what SageMaker uploads as ``model.tar.gz``.
    """

    exit_code: int
    failure: str
    model: bytes


class TrainingProcess:
    """One training container, started on construction.

    :param hyperparameters: as CreateTrainingJob has them, strings all.
    :param environment: the job's environment variables.
    """

    def __init__(self, hyperparameters: Mapping[str, str], environment: Mapping[str, str]) -> None:
        self._temporary = tempfile.TemporaryDirectory(prefix="sm-rollout-training-")
        self._directory = Path(self._temporary.name)
        for path in ("input/config", "model", "output"):
            (self._directory / path).mkdir(parents=True)
        (self._directory / "input/config/hyperparameters.json").write_text(json.dumps(dict(hyperparameters)))
        self._log = (self._directory / "log").open("wb")
        self._process = start_python(
            f"{__package__}.train_model",
            f"--opt-ml={self._directory}",
            environment=passed_on(environment),
            output=self._log,
        )

    def wait(self, log: Callable[[str], None]) -> TrainingResult:
        """Wait for its end, then clean up.

        :param log: gets every line that the container printed.
        """
        exit_code = self._process.wait()
        self._log.close()
        for line in (self._directory / "log").read_text(errors="replace").splitlines():
            log(line)
        failure = self._directory / "output/failure"
        result = TrainingResult(exit_code, failure.read_text() if failure.exists() else "", self._archive())
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._temporary.cleanup()
        return result

    def terminate(self) -> None:
        """Ask it to end, as StopTrainingJob does (SIGTERM)."""
        self._process.send_signal(signal.SIGTERM)

    def _archive(self) -> bytes:
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w:gz") as tar:
            tar.add(self._directory / "model", arcname=".")
        return archive.getvalue()
