"""What AWS may leave out it may leave out: each member that a model calls optional is taken from each answer that is read, and each word of
an enumeration becomes one that nobody knows. Whatever then comes of it has a sentence; no task ends by a KeyError.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from airflow_sm_rollout.aws.figures import read_figures
from airflow_sm_rollout.aws.history import list_fleets
from airflow_sm_rollout.aws.record import read_record, read_records
from airflow_sm_rollout.aws.status import read_serving, read_status
from airflow_sm_rollout.aws.watch import Memory, look_at
from airflow_sm_rollout.aws.world import translated_errors
from airflow_sm_rollout.core.advance import Passing
from airflow_sm_rollout.core.errors import RolloutError
from airflow_sm_rollout.core.goals import AsBefore, GreenDeployed, GreenShare, OnlyGreen
from airflow_sm_rollout.core.watch.watch import watch_question
from aws.answers import change_answers, service_model
from convergence.lab import ENDPOINT, USER_ALARM, Lab
from convergence.live_lab import LiveLab
from evidence.published import publish

pytestmark = pytest.mark.usefixtures("direct")

UNKNOWN = "SomethingNew"
SERVICES = {"sagemaker": "sagemaker", "cloudwatch": "cloudwatch", "ssm": "ssm", "scaling": "application-autoscaling"}


def plan(lab: Lab) -> None:
    lab.plan_once()  # type: ignore[attr-defined]


def deploy(lab: Lab) -> None:
    lab.reach(GreenDeployed(lab.plan_once()), patience=timedelta(minutes=20))  # type: ignore[attr-defined]


def shift(lab: Lab) -> None:
    lab.reach(GreenShare(100), patience=timedelta(minutes=20))


def promote(lab: Lab) -> None:
    lab.reach(OnlyGreen(), patience=timedelta(minutes=20))


def roll_back(lab: Lab) -> None:
    lab.reach(AsBefore(), patience=timedelta(minutes=20))


def look(lab: Lab) -> None:
    with translated_errors("could not look"):
        read_status(lab.clients, ENDPOINT, lab.now())
        read_records(lab.clients.ssm)
        record = read_record(lab.clients.ssm, ENDPOINT)
        assert record is not None
        read_serving(lab.clients, record, lab.now())
        read_figures(lab.clients, record, lab.now(), is_shadow_read=True)
        list_fleets(lab.clients.cloudwatch, ENDPOINT)
        look_at(lab.clients, watch_question(record, lab.now(), lab.now()), lab.now(), Memory())


# What is done, and how many tasks of the rollout come before.
MOMENTS: dict[str, tuple[Callable[[Lab], None], int]] = {
    "plan": (plan, 0),
    "deploy": (deploy, 0),
    "shift": (shift, 2),
    "look": (look, 2),
    "promote": (promote, -1),
    "roll back": (roll_back, 3),
}


class Planning:
    def plan_once(self: Any) -> Any:
        """Plan once, where the lab's own goes on until it can."""
        from aws.test_blue import plan as planned

        return planned(self)


class VariantsLab(Planning, Lab):
    pass


class EndpointsLab(Planning, LiveLab):
    pass


def at_moment(make: Callable[[], Lab], tasks: int) -> Lab:
    """A lab with so many tasks done, and figures of blue and green."""
    lab = make()
    if tasks:
        lab.run(until=tasks)
        record = read_record(lab.clients.ssm, ENDPOINT)
        assert record is not None
        for minute in range(3):
            at = lab.now() + timedelta(minutes=minute)
            publish(lab.sandbox, record.blue_dimensions, at, requests=9, milliseconds=(20.0,) * 9)
            publish(lab.sandbox, record.green_dimensions, at, requests=9, milliseconds=(20.0,) * 9)
        lab.pass_time(300)
    return lab


def paths(shape: Any, value: Any, at: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    """What can be changed in an answer: paths to optional members, and to words of an enumeration."""
    if shape.type_name == "structure":
        for name, member in shape.members.items():
            if name not in value or value[name] is None:
                continue
            if name not in shape.required_members:
                yield (*at, name), "left out"
            yield from paths(member, value[name], (*at, name))
    elif shape.type_name == "list":
        for item in value:
            yield from paths(shape.member, item, (*at, "[]"))
    elif shape.type_name == "string" and shape.enum:
        yield at, "unknown"


def changed(value: Any, path: tuple[str, ...], how: str) -> Any:
    if not path:
        return UNKNOWN
    first, *rest = path
    if first == "[]":
        return [changed(item, tuple(rest), how) if _has(item, tuple(rest)) else item for item in value]
    if not rest and how == "left out":
        return {name: each for name, each in value.items() if name != first}
    return {**value, first: changed(value[first], tuple(rest), how)} if first in value else value


def _has(value: Any, path: tuple[str, ...]) -> bool:
    return not path or path[0] == "[]" or (isinstance(value, dict) and path[0] in value)


def bare(shape: Any, value: Any) -> Any:
    """An answer with what is required only."""
    if shape.type_name == "structure":
        kept = {name: each for name, each in value.items() if name in shape.required_members and each is not None}
        return {name: bare(shape.members[name], each) for name, each in kept.items()}
    return [bare(shape.member, item) for item in value] if shape.type_name == "list" else value


def answers_of(make: Callable[[], Lab], moment: str) -> dict[str, list[Any]]:
    """Every answer that something at a moment is given, by operation, undisturbed."""
    act, tasks = MOMENTS[moment]
    lab = at_moment(make, tasks)
    heard: dict[str, list[Any]] = {}
    carry_out = lab.sandbox.carry_out

    def hearing(call: Any) -> Any:
        answered = carry_out(call)
        heard.setdefault(f"{call.service}:{call.operation}", []).append(answered)
        return answered

    lab.sandbox.carry_out = hearing  # type: ignore[method-assign]
    act(lab)
    return heard


def changes_of(make: Callable[[], Lab], moment: str) -> Iterator[tuple[str, Any, str]]:
    """Each thing that can be changed in these answers."""
    for name, given in answers_of(make, moment).items():
        service, operation = name.split(":")
        shape = service_model(service).operation_model(operation).output_shape
        if shape is None:
            continue
        found = {change for answer in given for change in paths(shape, answer)}
        yield from ((operation, path, how) for path, how in sorted(found))
        yield operation, None, "bare"


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("make", [VariantsLab, EndpointsLab])
def test_whatever_is_left_out_or_new_there_is_a_sentence(
    make: Callable[[], Lab], moment: str, capsys: pytest.CaptureFixture[str]
) -> None:
    act, tasks = MOMENTS[moment]
    count, wrong = 0, []
    for operation, path, how in changes_of(make, moment):
        count += 1
        lab = at_moment(make, tasks)
        shape = _shape_of(operation)
        change_answers(
            lab,
            operation,
            lambda answer, path=path, how=how, shape=shape: (
                bare(shape, answer) if how == "bare" else changed(answer, path, how)
            ),
        )
        try:
            act(lab)
        except (RolloutError, Passing) as told:
            if not str(told):
                wrong.append(f"{operation} {path} {how}: nothing is said")
        except Exception as error:  # noqa: BLE001 - whatever it is, it is no sentence
            wrong.append(f"{operation} {'.'.join(path or ())} {how}: {error!r}")
    with capsys.disabled():
        print(f"\n{moment} ({make.__name__}): {count} answers without something, or with something new")
    assert wrong == [], "\n".join(wrong)
    assert count > 10


def _shape_of(operation: str) -> Any:
    models = (service_model(service) for service in SERVICES.values())
    return next(each.operation_model(operation).output_shape for each in models if operation in each.operation_names)


def test_the_lab_watches_an_alarm_of_the_users() -> None:
    assert USER_ALARM in Lab().clients.cloudwatch.describe_alarms()["MetricAlarms"][0]["AlarmName"]
