"""Does green answer real samples as it should, before any user meets it? Reads samples, and judges answers (pure)."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from airflow_sm_rollout.core.errors import PlanError
from airflow_sm_rollout.core.plan.options import Fitting, set_numbers

CONTENT_TYPES = ("application/json", "text/csv")
_SHOWN = 300  # characters of a sample or an answer in a report
_WITHIN = 0.95  # share of the calls that must keep the latency limit; the first ones of a fresh container are slower

Schema = Sequence[str] | Callable[[Any], object]
Check = Callable[[Any, Any], object]


@dataclass(frozen=True, slots=True)
class Case:
    """One sample: what is sent, and the answer that is known to be right, if any."""

    body: str
    label: Any = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back.

    :param value: the answer, as JSON where it is JSON, else as text.
    :param seconds: from sending to the whole answer.
    :param error: why there is none; empty if there is one.
    """

    value: Any = None
    seconds: float = 0.0
    error: str = ""


_FITTING: Fitting = {
    "min_agreement": (lambda share: 0 <= share <= 1, "a share from 0 to 1"),
    "tolerance": (lambda difference: 0 <= difference < math.inf, "0 or more"),
    "max_latency_ms": (lambda limit: 0 < limit < math.inf, "a number of milliseconds above 0"),
}


@dataclass(frozen=True, slots=True)
class Checks:
    """What green's answers must be.

    :param schema: keys that each answer (a JSON object) must have, or a function of the answer that returns something false, or raises,
        for a wrong one.
    :param max_latency_ms: 95 % of the calls must be answered within it.
    :param agrees_with: ``blue``: green's predictions must be blue's on the samples that blue answers; ``labels``: the samples' labels.
    :param min_agreement: share of these samples on which they must agree, 0 to 1.
    :param tolerance: by how much two numbers may differ and agree, relative to the larger or absolute.
    :param prediction: where in an answer the prediction is: keys and positions joined by dots, such as ``predictions.0``; empty: all of it.
    :param check: a function of the sample and the answer that returns something false, or raises, for a wrong answer.
    :param most_reported: how many samples that are not as they should be are shown.
    """

    schema: Schema = ()
    max_latency_ms: float | None = None
    agrees_with: str | None = None
    min_agreement: float = 1.0
    tolerance: float = 0.0
    prediction: str = ""
    check: Check | None = None
    most_reported: int = 10

    def __post_init__(self) -> None:
        if self.agrees_with not in (None, "blue", "labels"):
            raise PlanError("agrees_with", self.agrees_with, "blue, labels or None")
        set_numbers(self, _FITTING, optional=("max_latency_ms",))
        if isinstance(self.schema, str) or not (callable(self.schema) or isinstance(self.schema, Sequence)):
            raise PlanError("schema", self.schema, "a list of keys, or a function")


@dataclass(frozen=True, slots=True)
class Complaint:
    """A sample that is not answered as it should be. Texts are cut."""

    number: int
    why: str
    sample: str
    answer: str
    expected: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """What came of a validation.

    :param passes: whether green may have users.
    :param sentence: why, with the figures.
    :param samples: how many were sent.
    :param complaints: some of those that were not answered as they should be.
    """

    passes: bool
    sentence: str
    samples: int
    complaints: tuple[Complaint, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {**asdict(self), "complaints": [asdict(complaint) for complaint in self.complaints]}


def parse_cases(text: str, content_type: str, label: str | int | None, has_header: bool) -> list[Case]:
    """Samples from a text: JSON lines, or CSV with a sample in each row.

    :param label: where each sample has its label, which is not sent: a key of a JSON object, the name of a CSV column (with a header) or
        its number, counted from 0.
    :param has_header: whether the first row of a CSV names its columns; it is then sent with each of them.
    :raises PlanError: if there is no sample, one is not JSON, or has no label.
    """
    lines = [line for line in text.splitlines() if line.strip()]
    try:
        read = _csv_cases(lines, label, has_header) if content_type == "text/csv" else _json_cases(lines, label)
        cases = list(read)
    except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        raise PlanError("samples", text[:80], f"{content_type} with a label at {label!r}: {error!r}") from None
    if not cases:
        raise PlanError("samples", text[:80], "at least one sample")
    return cases


def _json_cases(lines: Sequence[str], label: str | int | None) -> Iterator[Case]:
    for line in lines:
        sample = json.loads(line)
        if label is None:
            yield Case(json.dumps(sample))
        else:
            yield Case(json.dumps({key: value for key, value in sample.items() if key != label}), sample[label])


def _csv_cases(lines: Sequence[str], label: str | int | None, has_header: bool) -> Iterator[Case]:
    rows = list(csv.reader(lines))
    header = rows.pop(0) if has_header and rows else None
    place = header.index(label) if header and isinstance(label, str) else label
    if isinstance(place, str):
        raise KeyError(f"a column is called {label} only in a header")
    names = _row(header, place) if header else ""
    for row in rows:
        yield Case(names + _row(row, place), None if place is None else row[place])


def _row(values: Sequence[str], leave_out: int | None) -> str:
    written = io.StringIO()
    csv.writer(written, lineterminator="\n").writerow(
        [value for number, value in enumerate(values) if number != leave_out]
    )
    return written.getvalue()


def validate_answers(
    cases: Sequence[Case], green: Sequence[Answer], blue: Sequence[Answer] | None, checks: Checks
) -> Report:
    """Judge green's answers.

    :param blue: blue's answers to the same samples, where green is to agree with them.
    """
    wrong = [
        _complain(number, case, answer, checks)
        for number, (case, answer) in enumerate(zip(cases, green, strict=True), 1)
    ]
    complaints = [complaint for complaint in wrong if complaint]
    if complaints:
        sentence = f"{len(complaints)} of {len(cases)} samples were not answered as they should be: {complaints[0].why}"
        return Report(False, sentence, len(cases), tuple(complaints[: checks.most_reported]))
    slow = _describe_slow(green, checks.max_latency_ms)
    if slow:
        return Report(False, slow, len(cases))
    return _judge_agreement(cases, green, blue, checks)


def _complain(number: int, case: Case, answer: Answer, checks: Checks) -> Complaint | None:
    why = answer.error or _why_misshapen(answer.value, checks.schema) or _why_refused(case, answer, checks.check)
    return Complaint(number, why, _short(case.body), _short(answer.value)) if why else None


def _why_misshapen(value: Any, schema: Schema) -> str:
    if callable(schema):
        return _why_false("the schema", lambda: schema(value))
    if schema and not isinstance(value, Mapping):
        return f"the answer is no JSON object: {_short(value)}"
    missing = [key for key in schema if key not in value]
    return f"the answer lacks {', '.join(missing)}" if missing else ""


def _why_refused(case: Case, answer: Answer, check: Check | None) -> str:
    return _why_false("the check", lambda: check(_as_value(case.body), answer.value)) if check else ""


def _why_false(what: str, ask: Callable[[], object]) -> str:
    try:
        return "" if ask() else f"{what} said no"
    except Exception as error:  # noqa: BLE001 - a user's function: whatever it raises is its answer
        return f"{what} said {type(error).__name__}: {error}"


def _describe_slow(answers: Sequence[Answer], limit: float | None) -> str:
    if limit is None:
        return ""
    took = sorted(1000 * answer.seconds for answer in answers)
    reached = took[math.ceil(_WITHIN * len(took)) - 1]
    if reached <= limit:
        return ""
    return f"95 % of {len(took)} calls took up to {reached:.0f} ms, max_latency_ms={limit:g} is allowed"


def _judge_agreement(
    cases: Sequence[Case], green: Sequence[Answer], blue: Sequence[Answer] | None, checks: Checks
) -> Report:
    if checks.agrees_with is None:
        return Report(True, f"all {len(cases)} samples were answered as they should be", len(cases))
    expected = _expected(cases, blue, checks)
    compared, differing = 0, []
    for number, (case, answer, wanted) in enumerate(zip(cases, green, expected, strict=True), 1):
        if wanted is None:
            continue
        compared += 1
        given = _prediction(answer.value, checks.prediction)
        if not _agree(given, wanted, checks.tolerance):
            why = f"the answer is not that of {checks.agrees_with}"
            differing.append(Complaint(number, why, _short(case.body), _short(given), _short(wanted)))
    return _report_agreement(len(cases), compared, differing, checks)


def _report_agreement(samples: int, compared: int, differing: Sequence[Complaint], checks: Checks) -> Report:
    shown = tuple(differing[: checks.most_reported])
    if not compared:
        return Report(False, f"none of {samples} samples could be compared with {checks.agrees_with}", samples)
    share = 1 - len(differing) / compared
    sentence = (
        f"green agrees with {checks.agrees_with} on {100 * share:.4g} % of {compared} samples, "
        f"min_agreement={checks.min_agreement:g} is wanted"
    )
    return Report(share >= checks.min_agreement - 1e-12, sentence, samples, shown)


def _expected(cases: Sequence[Case], blue: Sequence[Answer] | None, checks: Checks) -> list[Any]:
    """What each prediction should be; ``None``: nobody knows."""
    if blue is None:
        return [case.label for case in cases]
    return [None if answer.error else _prediction(answer.value, checks.prediction) for answer in blue]


def _prediction(value: Any, path: str) -> Any:
    for key in path.split(".") if path else ():
        try:
            value = value[int(key)] if isinstance(value, list) else value[key]
        except (KeyError, IndexError, ValueError, TypeError):
            return None
    return value


def _agree(given: Any, wanted: Any, tolerance: float) -> bool:
    if isinstance(given, list) and isinstance(wanted, list):
        same = len(given) == len(wanted)
        return same and all(_agree(one, other, tolerance) for one, other in zip(given, wanted, strict=True))
    if isinstance(given, Mapping) and isinstance(wanted, Mapping):
        return given.keys() == wanted.keys() and all(_agree(given[key], wanted[key], tolerance) for key in given)
    numbers = _numbers(given, wanted)
    if numbers is None:
        return bool(given == wanted)
    return math.isclose(*numbers, rel_tol=tolerance, abs_tol=tolerance)


def _numbers(given: Any, wanted: Any) -> tuple[float, float] | None:
    """Both as numbers, also where a CSV has one as text; ``None``: they are something else."""
    try:
        return float(given), float(wanted)
    except (TypeError, ValueError):
        return None


def answer_from(body: bytes, seconds: float) -> Answer:
    """An answer from the bytes that came back."""
    return Answer(_as_value(body.decode(errors="replace")), seconds)


def _as_value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return text if len(text) <= _SHOWN else text[:_SHOWN] + " ..."
