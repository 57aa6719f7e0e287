"""Green as a shadow: every exit is as before, promoted, or refused with nothing changed, and no user ever meets it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from airflow_sm_rollout.aws.record import read_record, write_record
from airflow_sm_rollout.core.control import Wish
from airflow_sm_rollout.core.errors import RolloutGaveUp, RolloutRefused
from airflow_sm_rollout.core.goals import GreenDeployed, GreenShadowed
from airflow_sm_rollout.core.rollout import Green, Phase, with_phase
from airflow_sm_rollout.sandbox.faults import Fault
from convergence.lab import BLUE_CONFIG, ENDPOINT, USER_ALARM, Lab
from convergence.test_exits import ring, scale, update_by_hand, wish
from convergence.test_scaling import is_suspended


def shadow(lab: Lab, percent: float = 50) -> None:
    lab.reach(GreenShadowed(lab.plan(), percent))


def test_a_shadow_gets_copies_by_its_share_and_users_meet_blue_alone() -> None:
    lab = Lab()
    shadow(lab, percent=50)
    endpoint = lab.clients.sagemaker.describe_endpoint(EndpointName=ENDPOINT)
    [blue], [green] = endpoint["ProductionVariants"], endpoint["ShadowProductionVariants"]
    assert (blue["VariantName"], blue["CurrentInstanceCount"]) == ("AllTraffic", 4)
    assert (green["VariantName"], green["CurrentInstanceCount"]) == (lab.names.shadow, 2)
    assert green["CurrentWeight"] == pytest.approx(blue["CurrentWeight"] / 2)
    assert set(lab.shares) == {0.0}
    assert is_suspended(lab)
    record = read_record(lab.clients.ssm, ENDPOINT)
    assert record is not None
    assert record.shadow_since is not None
    assert record.green_traffic_since is None


def test_the_record_is_there_before_the_first_effect_and_says_since_when_before_green_gets_copies() -> None:
    lab = Lab()
    shadow(lab)
    effects = [call for call in lab.calls if not call.split(":")[1].startswith(("Describe", "Get", "List"))]
    assert effects[0] == "ssm:PutParameter"
    assert effects.index("sagemaker:UpdateEndpoint") == len(effects) - 1
    assert effects[-2] == "ssm:PutParameter"


def test_a_shadow_goes_on_to_a_canary_and_leaves_nothing_but_green() -> None:
    lab = Lab()
    shadow(lab)
    lab.run()
    assert lab.is_promoted(lab.describe())
    assert set(lab.shares) == lab.planned_shares


@pytest.mark.parametrize("tasks_done", [0, 1, 2])
def test_a_rollback_restores_everything_from_the_shadow_on(tasks_done: int) -> None:
    lab = Lab()
    shadow(lab)
    lab.run(until=tasks_done)
    lab.roll_back()
    assert lab.describe() == lab.before


def test_shadowing_again_changes_nothing() -> None:
    lab = Lab()
    shadow(lab)
    state = lab.describe()
    shadow(lab)
    assert lab.describe() == state


def test_an_update_that_aws_puts_back_is_a_failure_and_everything_is_as_before() -> None:
    lab = Lab()
    lab.sandbox.faults.add(Fault("bad_ping"))
    with pytest.raises(RolloutGaveUp, match="AWS did not keep the update"):
        shadow(lab)
    lab.roll_back()
    assert lab.describe() == lab.before


def ring_user_alarm(lab: Lab) -> None:
    ring(lab, USER_ALARM)


def change_config(lab: Lab) -> None:
    update_by_hand(lab, "theirs")


def scale_blue(lab: Lab) -> None:
    scale(lab, "AllTraffic", 6)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (ring_user_alarm, "from before green had traffic"),
        (change_config, "not what was planned with"),
        (scale_blue, "not what was planned with"),
    ],
)
def test_what_has_changed_since_the_plan_refuses_the_shadow_before_anything_is_done(
    spoil: Callable[[Lab], None], words: str
) -> None:
    lab = Lab()
    rollout = lab.plan()
    spoil(lab)
    before = lab.describe()
    with pytest.raises(RolloutRefused, match=words):
        lab.reach(GreenShadowed(rollout, 100))
    assert lab.describe() == before


def test_a_model_that_is_not_there_refuses_the_shadow() -> None:
    lab = Lab()
    rollout = replace(lab.plan(), green=Green(model_name="fraud-v9"))
    with pytest.raises(RolloutRefused, match="there is no such SageMaker model"):
        lab.reach(GreenShadowed(rollout, 100))
    assert lab.describe() == lab.before


def test_an_endpoint_that_is_gone_refuses_the_shadow() -> None:
    lab = Lab()
    rollout = lab.plan()
    lab.clients.sagemaker.delete_endpoint(EndpointName=ENDPOINT)
    lab.pass_time(60)
    with pytest.raises(RolloutRefused, match="there is no endpoint"):
        lab.reach(GreenShadowed(rollout, 100))


def test_somebody_elses_update_of_a_shadowed_endpoint_is_not_overwritten() -> None:
    lab = Lab()
    shadow(lab)
    update_by_hand(lab, "theirs")
    with pytest.raises(RolloutGaveUp, match="somebody else changed the endpoint"):
        shadow(lab)
    assert lab.clients.sagemaker.describe_endpoint(EndpointName=ENDPOINT)["EndpointConfigName"] == "theirs"


def test_a_cleared_shadow_task_gives_nothing_to_a_green_that_goes_back_was_aborted_or_promoted() -> None:
    lab = Lab()
    rollout = lab.plan()
    lab.reach(GreenShadowed(rollout, 100))
    recorded = read_record(lab.clients.ssm, ENDPOINT)
    assert recorded is not None
    write_record(lab.clients.ssm, with_phase(recorded, Phase.ROLLING_BACK), overwrite=True)
    with pytest.raises(RolloutGaveUp, match="is being rolled back"):
        lab.reach(GreenShadowed(rollout, 100))
    write_record(lab.clients.ssm, recorded, overwrite=True)
    wish(lab, Wish.ABORT)
    with pytest.raises(RolloutGaveUp, match="was aborted"):
        lab.reach(GreenShadowed(rollout, 100))

    promoted = Lab()
    plan = promoted.plan()
    promoted.run()
    state = promoted.describe()
    with pytest.raises(RolloutRefused, match="was promoted already"):
        promoted.reach(GreenShadowed(plan, 100))
    assert promoted.describe() == state


def test_an_endpoint_that_failed_is_left_to_a_person() -> None:
    lab = Lab()
    rollout = lab.plan()
    endpoint = lab.sandbox.endpoints.serving(ENDPOINT)
    assert endpoint is not None
    endpoint.status = "Failed"
    with pytest.raises(RolloutRefused, match="a person has to look"):
        lab.reach(GreenShadowed(rollout, 100))


def test_green_is_deployed_from_the_shadow_with_no_traffic() -> None:
    lab = Lab()
    rollout = lab.plan()
    lab.reach(GreenShadowed(rollout, 100))
    lab.reach(GreenDeployed(rollout))
    endpoint = lab.clients.sagemaker.describe_endpoint(EndpointName=ENDPOINT)
    assert "ShadowProductionVariants" not in endpoint
    assert {v["VariantName"]: v["CurrentWeight"] for v in endpoint["ProductionVariants"]} == {
        "AllTraffic": pytest.approx(0.7),
        lab.names.variant: 0.0,
    }
    assert BLUE_CONFIG in lab.describe()["configs"]
