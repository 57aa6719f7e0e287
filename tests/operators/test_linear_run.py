"""A whole linear rollout, and a person who holds it."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

from airflow.sdk import DAG

from airflow_sm_rollout import linear_rollout
from airflow_sm_rollout.aws.control import read_control, write_control
from airflow_sm_rollout.aws.record import read_record
from airflow_sm_rollout.core.control import Control, Wish, next_control
from operators.dag_runs import Ended
from production import GOOD, IMAGE, Production, highest, meanwhile, wait_until

INTERVAL = 3.0


def build(dag: DAG) -> None:
    with dag:
        linear_rollout(
            endpoint_name="fraud",
            image=IMAGE,
            model_data_url=GOOD,
            step=50,
            interval=INTERVAL,
            default_alarms=None,
            limits={"min_requests": 0},
            poke_interval=0.2,
        )


class Person:
    """Holds the rollout once green has its first share, for longer than the plan would have left it there, and then ends the pause.

    :param end: by which wish.
    """

    def __init__(self, production: Production, end: Wish) -> None:
        self._production = production
        self._end = end
        self.paused_at = self.ended_at = 0.0

    def sees_traffic_on_green(self) -> bool:
        return self._production.shares("fraud").green > 0

    def acts(self) -> None:
        self._wish(Wish.PAUSE)
        self.paused_at = time.time()
        wait_until(lambda: time.time() > self.paused_at + INTERVAL + 1)
        self.ended_at = time.time()
        self._wish(self._end)

    def _wish(self, wish: Wish) -> None:
        """As the command line does, which takes no signal in a thread."""
        ssm = self._production.ssm
        record = read_record(ssm, "fraud")
        assert record is not None
        before = read_control(ssm, "fraud", record.rollout_id)
        wished = Control(record.rollout_id, wish, datetime.now(timezone.utc), "ada")
        write_control(ssm, "fraud", next_control(before, wished))


def test_a_paused_rollout_holds_its_share_and_goes_on_when_it_is_resumed(
    dag: DAG, run: Callable[[DAG], Ended], production: Production
) -> None:
    build(dag)
    person = Person(production, Wish.GO_ON)
    with production.watched("fraud") as seen, meanwhile(person.sees_traffic_on_green, person.acts):
        ended = run(dag)
    held = {looked.green for looked in seen["fraud"] if person.paused_at < looked.at < person.ended_at}
    assert held == {50}
    assert ended.state == "success"
    assert highest(seen["fraud"]) == 100
    assert person.ended_at - person.paused_at > INTERVAL, "without the pause the next step would have come"


def test_a_rollout_that_is_aborted_while_it_is_paused_is_restored(
    dag: DAG, run: Callable[[DAG], Ended], production: Production, before: dict[str, Any]
) -> None:
    build(dag)
    person = Person(production, Wish.ABORT)
    with production.watched("fraud") as seen, meanwhile(person.sees_traffic_on_green, person.acts):
        ended = run(dag)
    assert production.describe("fraud") == before
    assert highest(seen["fraud"]) == 50
    assert ended.state == "failed"
    assert ended.reason("linear.verdict").startswith("Rolled back")
    assert "aborted by ada" in ended.reason("linear.verdict")
