"""The sandbox's training container: fits a classifier on the wine data that scikit-learn ships.

It follows SageMaker's training contract below one directory (``/opt/ml`` in a real container): hyperparameters, all of them strings, in
``input/config/hyperparameters.json``, the model into ``model/``, and on failure the reason into ``output/failure``. What it prints is
the job's log.

Columns come by name, and some clients are older than some columns: they don't send :data:`LATE_COLUMNS`, so the pipeline imputes what
is missing by its median in the training data. That is what makes ``drop_column`` a real defect rather than a switch: a model whose
training data lost such a column answers the older clients, and fails for the newer ones that send it.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from airflow_sm_rollout.sandbox.lifeline import end_with_stdin
from airflow_sm_rollout.sandbox.serve_model import Classifier, Signature

LATE_COLUMNS = ("color_intensity", "hue", "proline")
"""Columns that came with a later release of the clients, so that a part of the requests lacks them."""

HELD_OUT = 0.25


@dataclass(frozen=True, slots=True)
class HyperParameters:
    """What a job may set; everything else that it sets is ignored, as any image is accepted.

    :param C: inverse strength of the regularisation, as scikit-learn has it.
    :param random_state: which rows are held out.
    :param drop_column: a column that is lost from the training data, or empty.
    :param slow_milliseconds: time by which the model is slower, per request.
    :param fail_percent: share of requests, 0-100, that the model fails with 500.
    """

    C: float = 1.0
    random_state: int = 0
    drop_column: str = ""
    slow_milliseconds: float = 0.0
    fail_percent: float = 0.0

    @classmethod
    def parse(cls, texts: Mapping[str, str]) -> HyperParameters:
        """Read them from a training job's strings; the SageMaker SDK puts JSON quotes around them, which are taken off.

        :raises ValueError: naming the hyperparameter that is not of its type.
        """
        types = {"C": float, "random_state": int, "drop_column": str, "slow_milliseconds": float, "fail_percent": float}
        known = {name: text.strip('"') for name, text in texts.items() if name in types}
        try:
            return cls(**{name: types[name](text) for name, text in known.items()})
        except ValueError as error:
            raise ValueError(f"hyperparameters {dict(known)}: {error}") from None


def load_rows() -> tuple[list[dict[str, float]], list[str]]:
    """The wine data: 178 rows of 13 numbers by column name, and each row's label (``class_0`` to ``class_2``)."""
    from sklearn.datasets import load_wine

    wine = load_wine()
    columns = [str(name) for name in wine.feature_names]
    rows = [dict(zip(columns, map(float, values), strict=True)) for values in wine.data]
    return rows, [str(wine.target_names[label]) for label in wine.target]


def fit(parameters: HyperParameters) -> tuple[Classifier, Signature]:
    """Train a pipeline (median imputer, scaler, logistic regression) and measure it on the held-out part.

    :return: what the fitted scikit-learn pipeline has learnt, and its signature.
    :raises ValueError: if ``drop_column`` is no column of the data.
    """
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import train_test_split
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    rows, labels = load_rows()
    columns = tuple(column for column in rows[0] if column != parameters.drop_column)
    if parameters.drop_column and len(columns) == len(rows[0]):
        raise ValueError(f"drop_column={parameters.drop_column!r} is not one of {', '.join(columns)}")
    matrix = [[row[column] for column in columns] for row in rows]
    x_train, x_held_out, y_train, y_held_out = train_test_split(
        matrix, labels, test_size=HELD_OUT, random_state=parameters.random_state, stratify=labels
    )
    pipeline = make_pipeline(SimpleImputer(strategy="median"), StandardScaler(), LogisticRegression(C=parameters.C))
    pipeline.fit(x_train, y_train)
    accuracy = float(pipeline.score(x_held_out, y_held_out))
    return _learnt(pipeline), Signature(columns, accuracy, parameters.slow_milliseconds, parameters.fail_percent)


def _learnt(pipeline: Any) -> Classifier:
    imputer, scaler, regression = (step for _, step in pipeline.steps)
    return Classifier(
        medians=tuple(imputer.statistics_.tolist()),
        means=tuple(scaler.mean_.tolist()),
        scales=tuple(scaler.scale_.tolist()),
        coefficients=tuple(map(tuple, regression.coef_.tolist())),
        intercepts=tuple(regression.intercept_.tolist()),
        labels=tuple(map(str, regression.classes_)),
    )


def train(directory: Path) -> None:
    """Run one training job: read the hyperparameters, write the model, print the metrics.

    :param directory: stands for ``/opt/ml``.
    """
    texts = json.loads((directory / "input/config/hyperparameters.json").read_text())
    parameters = HyperParameters.parse(texts)
    print(f"training with {parameters}", flush=True)
    classifier, signature = fit(parameters)
    classifier.save(directory / "model")
    signature.save(directory / "model")
    print(f"columns={len(signature.columns)}; held_out_accuracy={signature.accuracy:.4f};", flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of the container; the exit code is 0, or 1 with the reason in ``output/failure``.

    :param arguments: command line without the program's name; by default that of the process.
    """
    parser = argparse.ArgumentParser(description="Train a model as a SageMaker training container does.")
    parser.add_argument("--opt-ml", type=Path, required=True)
    directory: Path = parser.parse_args(arguments).opt_ml
    end_with_stdin()
    try:
        train(directory)
    except Exception as error:  # noqa: BLE001 - whatever went wrong is the job's FailureReason
        reason = f"{type(error).__name__}: {error}"
        (directory / "output/failure").write_text(reason)
        print(reason, file=sys.stderr, flush=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
