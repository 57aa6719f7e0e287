from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone

import pytest

from airflow_sm_rollout.core.observation import Endpoint, Variant


def endpoint(**weights: tuple[float, float]) -> Endpoint:
    variants = tuple(Variant(name, current, desired, 1, 1) for name, (current, desired) in weights.items())
    return Endpoint("fraud", "arn", "InService", "config", variants, datetime(2026, 1, 1, tzinfo=timezone.utc))


def test_a_share_is_the_weight_of_all_weights() -> None:
    assert endpoint(blue=(3, 3), green=(1, 1)).share("green") == 25
    assert endpoint(blue=(3, 3)).share("green") == 0
    assert endpoint(blue=(0, 0)).share("blue") == 0


@pytest.mark.parametrize(("current", "desired"), [(0, 1), (1, 0)])
def test_while_weights_move_green_is_taken_to_have_the_larger_share(current: float, desired: float) -> None:
    assert endpoint(blue=(1, 1), green=(current, desired)).share("green") == 50


def test_its_state_is_told_in_one_line() -> None:
    assert endpoint(blue=(3, 3), green=(1, 1)).describe() == (
        "endpoint fraud is InService on config config (blue 75 % on 1, green 25 % on 1 instance(s))"
    )


@pytest.mark.parametrize(
    ("status", "is_busy"),
    [
        *(
            (each, True)
            for each in ("Creating", "Updating", "SystemUpdating", "RollingBack", "Deleting", "SomethingNew")
        ),
        *((each, False) for each in ("InService", "OutOfService", "Failed", "UpdateRollbackFailed")),
    ],
)
def test_a_status_that_nobody_knows_is_waited_out_as_a_change_in_progress(status: str, is_busy: bool) -> None:
    assert replace(endpoint(blue=(1, 1)), status=status).is_busy is is_busy
