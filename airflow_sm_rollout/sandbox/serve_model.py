"""The sandbox's model container: an HTTP server that loads a trained model and answers as SageMaker's container contract has it.

``GET /ping`` is 200 once the model is loaded; ``POST /invocations`` takes rows by column name, as JSON
``{"instances": [{"alcohol": 13.2, ...}, ...]}`` or as ``text/csv`` with a header line, and answers ``{"predictions": ["class_1", ...]}``.

A column that a row lacks is imputed by the model. A column that the model never saw is refused with 400 and the words of scikit-learn's
own feature name check: dropping the value silently would answer a question nobody asked.

A model is the numbers that training found, as JSON. Whoever can put an archive into the sandbox's S3 can so give it a wrong model, but no
code to run, as a pickle would. It is also quick: an instance is up in a tenth of a second and needs a fifth of the memory that
scikit-learn takes.

Started by :mod:`.process_host` as ``python -m airflow_sm_rollout.sandbox.serve_model --model-dir DIR --port-file FILE``; the port it
chose is in FILE once it serves, and it lives as long as its standard input is open.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import math
import random
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingTCPServer
from typing import Any

from airflow_sm_rollout.sandbox.lifeline import end_with_stdin

CLASSIFIER_FILE = "classifier.json"
SIGNATURE_FILE = "signature.json"


class InvalidRequest(ValueError):
    """The request can't be answered by this model; its text goes to the client with status 400."""


@dataclass(frozen=True, slots=True)
class Signature:
    """What a model artifact says about itself, beside the pipeline, in ``signature.json``.

    :param columns: names of the model's features, in the order of the matrix it was fitted on.
    :param accuracy: share of right predictions on the held-out part, 0.0-1.0.
    :param slow_milliseconds: time that every request takes in addition.
    :param fail_percent: share of requests, 0-100, that fail with 500.
    """

    columns: tuple[str, ...]
    accuracy: float
    slow_milliseconds: float = 0.0
    fail_percent: float = 0.0

    def save(self, directory: Path) -> None:
        """Write it into the model directory."""
        (directory / SIGNATURE_FILE).write_text(json.dumps(asdict(self), indent=2))

    @classmethod
    def load(cls, directory: Path) -> Signature:
        """Read it from the model directory."""
        fields = json.loads((directory / SIGNATURE_FILE).read_text())
        return cls(**{**fields, "columns": tuple(fields["columns"])})


@dataclass(frozen=True, slots=True)
class Classifier:
    """A logistic regression over standardised columns, in ``classifier.json``.

    :param medians: what a missing value is taken for, by column, like ``means`` and ``scales``.
    :param coefficients: a row of weights by column for each label, like ``intercepts``.
    :param labels: what it tells apart.
    """

    medians: tuple[float, ...]
    means: tuple[float, ...]
    scales: tuple[float, ...]
    coefficients: tuple[tuple[float, ...], ...]
    intercepts: tuple[float, ...]
    labels: tuple[str, ...]

    def save(self, directory: Path) -> None:
        """Write it into the model directory."""
        (directory / CLASSIFIER_FILE).write_text(json.dumps(asdict(self)))

    @classmethod
    def load(cls, directory: Path) -> Classifier:
        """Read it from the model directory.

        :raises ValueError: if a member is not made of what it should be.
        """
        fields = json.loads((directory / CLASSIFIER_FILE).read_text())
        numbers = {name: _numbers(fields[name]) for name in ("medians", "means", "scales", "intercepts")}
        rows = tuple(map(_numbers, fields["coefficients"]))
        return cls(**numbers, coefficients=rows, labels=tuple(map(str, fields["labels"])))

    def predict(self, values: Sequence[float]) -> str:
        """The label of one row.

        :param values: by column; NaN for one that is missing.
        """
        standard = [
            ((median if math.isnan(value) else value) - mean) / scale
            for value, median, mean, scale in zip(values, self.medians, self.means, self.scales, strict=True)
        ]
        scores = [
            sum(map(float.__mul__, weights, standard)) + intercept
            for weights, intercept in zip(self.coefficients, self.intercepts, strict=True)
        ]
        return self.labels[scores.index(max(scores))]


def _numbers(values: Sequence[object]) -> tuple[float, ...]:
    return tuple(float(value) for value in values)  # type: ignore[arg-type]  # whatever is no number is refused here


class Model:
    """A classifier with its signature, loaded from an unpacked ``model.tar.gz``.

    :param directory: where :mod:`.train_model` has put both files.
    """

    def __init__(self, directory: Path) -> None:
        self.signature = Signature.load(directory)
        self._classifier = Classifier.load(directory)
        self._position = {column: index for index, column in enumerate(self.signature.columns)}

    def predict(self, rows: Sequence[Mapping[str, object]]) -> list[str]:
        """Predict one label per row.

        :param rows: values by column name; a missing one is imputed.
        :raises InvalidRequest: for a column that the model never saw, or a value that is no number.
        """
        return [self._classifier.predict(self._values(row)) for row in rows]

    def _values(self, row: Mapping[str, object]) -> list[float]:
        unseen = [column for column in row if column not in self._position]
        if unseen:
            raise InvalidRequest(
                "The feature names should match those that were passed during fit. "
                f"Feature names unseen at fit time: {', '.join(sorted(unseen))}"
            )
        values = [float("nan")] * len(self._position)
        for column, value in row.items():
            values[self._position[column]] = _number(column, value)
        return values


def _number(column: str, value: object) -> float:
    if value is None or value == "":
        return float("nan")
    try:
        number = float(value)  # type: ignore[arg-type]  # whatever is no number is refused here
    except (TypeError, ValueError, OverflowError):
        raise InvalidRequest(f"could not convert {column}={value!r} to a number") from None
    if math.isinf(number):
        raise InvalidRequest(f"{column} contains infinity or a value too large for a number of 64 bits")
    return number


def parse_rows(body: bytes, content_type: str) -> list[Mapping[str, object]]:
    """The rows of a request.

    :param body: as it was sent.
    :param content_type: ``application/json`` or ``text/csv``, parameters like a charset are ignored.
    :raises InvalidRequest: for any other type, or a body that is not what its type says.
    """
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type == "text/csv":
        return _csv_rows(body.decode(errors="replace"))
    if media_type != "application/json":
        raise InvalidRequest(f"content type {content_type!r} is neither application/json nor text/csv")
    try:
        rows = json.loads(body)["instances"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise InvalidRequest('the body is not JSON of the form {"instances": [{column: value}]}') from None
    if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
        raise InvalidRequest('"instances" is not a list of objects with at least one of them')
    return rows


def _csv_rows(text: str) -> list[Mapping[str, object]]:
    csv.field_size_limit(sys.maxsize)  # a request is bounded as a whole
    try:
        return list(csv.DictReader(io.StringIO(text), restkey="values beyond the header"))
    except csv.Error as error:
        raise InvalidRequest(f"the body is not CSV: {error}") from None


class _Requests(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Headers and body leave in one segment: two small writes on a kept-alive connection cost 40 ms (Nagle against delayed ACK).
    wbufsize = -1
    disable_nagle_algorithm = True
    server: ModelServer

    def do_GET(self) -> None:
        self._answer(200 if self.path == "/ping" else 404, {})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path != "/invocations":
            self._answer(404, {})
            return
        self._answer(*self.server.invoke(body, self.headers.get("Content-Type", "")))

    def _answer(self, status: int, answer: Mapping[str, Any]) -> None:
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is http.server's
        """Say nothing: a container's log is for what goes wrong, and a line per request would drown it."""


class ModelServer(ThreadingTCPServer):
    """Serves one model on a free port of 127.0.0.1, a thread per connection.

    (``http.server``'s own server class looks up the host's name in DNS before it listens.)

    :param model: what answers.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, model: Model) -> None:
        super().__init__(("127.0.0.1", 0), _Requests)
        self._model = model

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return int(self.server_address[1])

    def invoke(self, body: bytes, content_type: str) -> tuple[int, dict[str, Any]]:
        """Answer one request: HTTP status and what to say."""
        signature = self._model.signature
        time.sleep(signature.slow_milliseconds / 1000)
        if random.uniform(0, 100) < signature.fail_percent:
            return 500, {"error": f"this model was trained to fail on {signature.fail_percent:g} % of its requests"}
        try:
            return 200, {"predictions": self._model.predict(parse_rows(body, content_type))}
        except InvalidRequest as error:
            return 400, {"error": str(error)}


def serve(model_directory: Path, port_file: Path) -> None:
    """Load the model, then serve until the process ends.

    :param model_directory: the unpacked ``model.tar.gz``.
    :param port_file: gets the port as decimal text, all at once, when the server answers.
    """
    server = ModelServer(Model(model_directory))
    unfinished = port_file.with_suffix(".tmp")
    unfinished.write_text(str(server.port))
    unfinished.rename(port_file)
    server.serve_forever()


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point of the container.

    :param arguments: command line without the program's name; by default that of the process.
    """
    parser = argparse.ArgumentParser(description="Serve a model that the sandbox trained.")
    parser.add_argument("--model-dir", type=Path, required=True)
    parser.add_argument("--port-file", type=Path, required=True)
    options = parser.parse_args(arguments)
    end_with_stdin()
    serve(options.model_dir, options.port_file)


if __name__ == "__main__":
    main()
