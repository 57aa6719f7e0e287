"""``sm-rollout replay`` on an endpoint that had rollouts: found in CloudWatch, and judged as they were."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone

import pytest

from airflow_sm_rollout.aws.evidence import read_past
from airflow_sm_rollout.aws.history import list_fleets, read_calls, read_rollout
from airflow_sm_rollout.aws.iam import policy
from airflow_sm_rollout.cli_replay import add_options, tell_history, tell_replay
from airflow_sm_rollout.core.comparison.periods import Period, Sample
from airflow_sm_rollout.core.plan.strategy import canary
from airflow_sm_rollout.core.replay.history import Fate, Fleet, PastRollout
from airflow_sm_rollout.core.replay.replay import PastMinute
from convergence.guardrails_lab import GuardrailsLab
from convergence.lab import BLUE_CONFIG, ENDPOINT, Lab
from evidence.published import publish

MINUTE = timedelta(minutes=1)
NOTHING = (None, None, None, None)
PLAN = canary([50, 100], bake=timedelta(minutes=20))
FAST, SLOW = [20 + number / 4 for number in range(120)], [50 + number for number in range(30)]
BLUE, SLOW_GREEN, GREEN, IDLE = "AllTraffic", "model-0badcafe", "model-1badcafe", "model-2badcafe"


def dimensions(variant: str) -> dict[str, str]:
    return {"EndpointName": ENDPOINT, "VariantName": variant}


def serve(lab: Lab, variant: str, began: datetime, minutes: range, milliseconds: Sequence[float]) -> None:
    for minute in minutes:
        publish(
            lab.sandbox,
            dimensions(variant),
            began + minute * MINUTE,
            requests=len(milliseconds),
            milliseconds=milliseconds,
        )


@pytest.fixture
def lab() -> Lab:
    """An endpoint with a slow green that was rolled back, another that serves now, and a third that never had a call."""
    lab = Lab()
    lab.pass_time(60 - lab.sandbox.clock.now() % 60)
    began = lab.now()
    serve(lab, BLUE, began, range(445), FAST)
    serve(lab, SLOW_GREEN, began, range(240, 260), SLOW)
    serve(lab, GREEN, began, range(420, 520), FAST)
    serve(lab, IDLE, began, range(500, 510), [])
    lab.pass_time(521 * 60)
    lab.calls.clear()
    return lab


def tell(lab: Lab, *arguments: str) -> tuple[list[str], list[str]]:
    """What is told, and what is said meanwhile."""
    parser, said = argparse.ArgumentParser(), list[str]()
    add_options(parser)
    options = parser.parse_args(["--days", "1", "--more-errors", "100", "--slower", "100", *arguments])
    return list(tell_replay(lab.clients, ENDPOINT, PLAN, options, lab.now(), said.append)), said


def test_past_rollouts_are_told_as_they_were_and_as_they_would_have_been_judged(lab: Lab) -> None:
    told, said = tell(lab)
    first, second = (lab.now() + (minute - 521) * MINUTE for minute in (240, 420))
    slow = f"{first:%Y-%m-%d %H:%M} UTC: {SLOW_GREEN} beside {BLUE} for 20 min, 600 of 3,000 calls (20 %); "
    good = f"{second:%Y-%m-%d %H:%M} UTC: {GREEN} beside {BLUE} for 25 min, 3,000 of 6,000 calls (50 %); "
    heads = [f"{slow}green was gone, blue served on", f"{good}green served on alone"]
    begin = told.index("2 past rollouts as they were:")
    assert [told[begin + 1], told[begin + 3]] == heads
    assert told[begin + 2].startswith("  would have been rolled back after ")
    assert "slower than" in told[begin + 2]
    assert told[begin + 4].startswith("  would have been proven healthy after ")
    assert told[begin + 5 :] == [f"{IDLE} was there without a call: can't be judged"]
    assert said[0] == f"reading calls of 4 variants of endpoint {ENDPOINT}"
    assert said[-2:] == ["reading past rollout 1 of 2", "reading past rollout 2 of 2"]

    # The command history lists the same, the newest first, and judges none.
    assert list(tell_history(lab.clients, ENDPOINT, timedelta(days=1), lab.now(), said.append)) == heads[::-1]
    [none] = tell_history(lab.clients, ENDPOINT, timedelta(minutes=15), lab.now(), said.append)
    assert none.startswith("no past rollout in ")


def test_a_rollout_at_the_begin_of_the_days_is_judged_by_the_hours_before_them(lab: Lab) -> None:
    days = (521 - 420) / (24 * 60)
    told, _ = tell(lab, "--days", str(days))
    assert 60 <= int(told[0].split()[0]) <= 100
    [found] = [number for number, line in enumerate(told) if f"{GREEN} beside {BLUE}" in line]
    assert told[found + 1].startswith("  would have been proven healthy after ")


def test_a_past_rollout_is_judged_with_what_was_known_before_it() -> None:
    lab = Lab()
    lab.pass_time(60 - lab.sandbox.clock.now() % 60)
    began = lab.now()
    serve(lab, BLUE, began, range(120), [100] * 10)
    serve(lab, BLUE, began, range(120, 180), [10] * 10)
    serve(lab, BLUE, began, range(180, 190), [10] * 9 + [30])
    serve(lab, GREEN, began, range(180, 190), [20] * 2 + [5])
    lab.pass_time(200 * 60)
    at, green_calls = began + 180 * MINUTE, 30
    rollout = PastRollout(Fleet(BLUE), Fleet(GREEN), at, at + 10 * MINUTE, green_calls, 130, Fate.BOTH)
    baseline, periods = read_rollout(lab.clients.cloudwatch, ENDPOINT, rollout)
    # All thresholds are the last hour's 10 ms.
    slow, fast = Sample(10, 0, 0, 10, 10, 10, 10), Sample(10, 0, 0, 0, 0, 0, 0)
    assert [each.blue for each in baseline] == [slow] * 120 + [fast] * 60
    assert (baseline[0].start, baseline[-1].end) == (began, at)
    both = {"blue": Sample(10, 0, 0, 1, 1, 1, 1), "green": Sample(3, 0, 0, 2, 2, 2, 0)}
    assert periods == [Period(at + minute * MINUTE, 60, **both) for minute in range(10)]


def test_tolerances_decide_about_past_rollouts_too(lab: Lab) -> None:
    told, _ = tell(lab, "--tolerances", '{"warm_up_minutes": 60}')
    assert "  nobody could have told: " in told[-4]


def test_the_slices_are_of_each_variant_that_was_blue(lab: Lab) -> None:
    told, _ = tell(lab)
    # Who is blue is told by the hour: so long at most is lost where one takes over.
    assert 520 - 60 < int(told[0].split()[0]) <= 520
    as_good, fails, slow = (line[34:].split() for line in told[2:5])
    rollouts = as_good[2]
    assert as_good[:4] == ["0", "of", rollouts, "-"]
    assert fails[:3] == slow[:3] == [rollouts, "of", rollouts]
    assert int(rollouts) >= 12 + 2


def test_all_calls_of_the_command_are_granted_by_the_policy_that_is_printed_for_it(lab: Lab) -> None:
    tell(lab)

    def granted(*extras: str) -> set[str]:
        statements = policy("variants", ENDPOINT, extras=extras)["Statement"]
        return {action for statement in statements for action in statement["Action"]}

    assert set(lab.calls) == {
        "ssm:GetParameters",
        "sagemaker:DescribeEndpoint",
        "cloudwatch:ListMetrics",
        "cloudwatch:GetMetricData",
    }
    assert set(lab.calls) <= granted("replay")
    assert granted("replay") - granted() == {"cloudwatch:ListMetrics"}


def test_fleets_are_found_by_variant_and_by_config_and_nothing_else_is(lab: Lab) -> None:
    now = lab.sandbox.clock.now()
    for more in (
        {"EndpointConfigName": "fraud-2024"},
        {"InferenceComponentName": "c"},
        {"EndpointConfigName": "c", "InferenceComponentName": "c"},
    ):
        named = {**dimensions(BLUE), **more}
        lab.sandbox.cloudwatch.record("AWS/SageMaker", "Invocations", named, 1.0, "None", now, now)
    assert list_fleets(lab.clients.cloudwatch, ENDPOINT) == [
        Fleet(BLUE),
        Fleet(BLUE, "fraud-2024"),
        Fleet(SLOW_GREEN),
        Fleet(GREEN),
        Fleet(IDLE),
    ]
    assert list_fleets(lab.clients.cloudwatch, "frau") == []


def test_more_fleets_than_one_call_can_ask_of_are_read_in_several(lab: Lab) -> None:
    fleets = [Fleet(f"other-{number}") for number in range(600)] + [Fleet(BLUE)]
    calls = read_calls(lab.clients.cloudwatch, ENDPOINT, fleets, lab.now() - 521 * MINUTE, lab.now())
    assert len(calls) == 601
    assert sum(calls[Fleet(BLUE)].values()) == 445 * len(FAST)
    assert lab.calls.count("cloudwatch:GetMetricData") == 2


def test_a_slower_past_is_counted_from_the_calls_there_were() -> None:
    lab, since = Lab(), datetime(2023, 11, 14, 23, tzinfo=timezone.utc)
    publish(lab.sandbox, dimensions(GREEN), since, requests=10, e5=1, milliseconds=range(10, 110, 10))
    publish(lab.sandbox, dimensions(GREEN), since + MINUTE)
    lab.pass_time(7200)
    past = read_past(lab.clients.cloudwatch, dimensions(GREEN), since, since + 3 * MINUTE, slowdowns=(1.1, 2.0))
    # The thresholds are 55, 95.5 and 99.1 ms: so many calls are above them, above 50, 86.8 and 90.1, and above half of them.
    assert past == [
        PastMinute(Period(since, 60, Sample(10, 1, 0, 5, 1, 1, 0), None), {1.1: (5, 2, 1, 0), 2.0: (8, 6, 6, 1)}),
        PastMinute(Period(since + MINUTE, 60, Sample(0, 0, 0, 0, 0, 0, 0), None), dict.fromkeys((1.1, 2.0), NOTHING)),
        PastMinute(Period(since + 2 * MINUTE, 60, None, None), dict.fromkeys((1.1, 2.0), NOTHING)),
    ]


def test_a_rollout_by_sagemakers_guardrails_is_found_by_its_two_configs() -> None:
    lab = GuardrailsLab()
    lab.let_pass(70 * 60)
    lab.run()
    lab.let_pass(20 * 60)
    told, _ = tell(lab)
    [found] = [number for number, line in enumerate(told) if line.endswith("past rollout as they were:")]
    assert f"AllTraffic of config {lab.names.final_config} beside AllTraffic of config {BLUE_CONFIG}" in told[found + 1]
    assert told[found + 1].endswith("; green served on alone")
    assert told[found + 2].startswith("  nobody could have told: ")
    assert told[found + 3 :] == []
