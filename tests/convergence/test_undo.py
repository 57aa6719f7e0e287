"""The way back after a promotion: exact, by the same rules as a rollback, and refused with a reason where there is none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from airflow_sm_rollout.aws.previous import read_previous
from airflow_sm_rollout.aws.record import read_record, write_record
from airflow_sm_rollout.aws.undo import Possible, Wanted, begin_undo, end_undo, find_undo
from airflow_sm_rollout.core.errors import RolloutError, RolloutGaveUp, RolloutRefused
from airflow_sm_rollout.core.goals import AsBefore, GreenDeployed, OnlyGreen
from airflow_sm_rollout.core.guardian import Patience, State
from airflow_sm_rollout.core.names import Names, derive_rollout_id, previous_name
from airflow_sm_rollout.core.record import to_json
from airflow_sm_rollout.core.undo import Kept, Undone, describe_steps
from airflow_sm_rollout.sandbox.faults import Fault as SandboxFault
from convergence.guardrails_lab import GuardrailsLab
from convergence.lab import BLUE_CONFIG, BLUE_INSTANCES, BLUES_TARGET, ENDPOINT, SCALES, Lab
from convergence.live_lab import LiveLab, with_pointer
from convergence.test_guardian_walk import guard, guardian_of
from convergence.walk import Make


def by_shares() -> LiveLab:
    """Green gets its clients share by share, the pointer is there from the beginning, and blue is kept."""
    lab = with_pointer()
    lab.delete_blue = False
    return lab


ONE_ENDPOINT: list[Make] = [Lab, GuardrailsLab]
TWO_ENDPOINTS: list[Make] = [LiveLab, by_shares]
LABS: list[Make] = [*ONE_ENDPOINT, *TWO_ENDPOINTS]
STRIDE = 5


def promoted(make: Make) -> Lab:
    lab = make()
    lab.run()
    lab.pass_time(3600)
    assert lab.is_promoted(lab.describe())
    lab.calls.clear()
    lab.shares.clear()
    lab.under_capacity.clear()
    return lab


def undo(lab: Lab, **wanted: Any) -> str:
    """As the command and the operator do."""
    begun = begin_undo(lab.clients, Wanted(ENDPOINT, "ada", **wanted), lab.now)
    if isinstance(begun, Undone):
        return begun.describe()
    return end_undo(lab.clients, begun, lab.reach(AsBefore(begun)))


def refused(lab: Lab, **wanted: Any) -> str:
    """Why it can't be undone; that nothing was changed."""
    before = lab.describe()
    with pytest.raises(RolloutRefused) as caught:
        undo(lab, **wanted)
    assert lab.describe() == before
    return str(caught.value)


def previous(lab: Lab) -> Kept | Undone | None:
    return read_previous(lab.clients.ssm, ENDPOINT)


@pytest.mark.parametrize("make", LABS)
def test_an_undo_restores_everything_field_by_field(make: Make) -> None:
    lab = promoted(make)
    assert "undone" in undo(lab, note="complaints")
    assert lab.describe() == lab.before
    assert not lab.under_capacity
    left = previous(lab)
    assert isinstance(left, Undone)
    assert (left.by, left.note) == ("ada", "complaints")


@pytest.mark.parametrize("make", LABS)
def test_it_says_beforehand_what_it_will_do_and_changes_nothing(make: Make) -> None:
    lab = promoted(make)
    before, wanted = lab.describe(), Wanted(ENDPOINT, "ada")
    found = find_undo(lab.clients, wanted, lab.now)
    assert isinstance(found, Possible)
    told = " ".join(describe_steps(found.rollout, found.seen))
    assert lab.describe() == before
    assert f"with {BLUE_INSTANCES} instance(s)" in told or "the live pointer names" in told
    assert f"endpoint config {lab.names.final_config}, model {lab.names.model}" in told


def test_by_variants_blue_serves_everything_within_one_update() -> None:
    lab = promoted(GuardrailsLab)
    began = lab.now()
    lab.hook = None
    begun = begin_undo(lab.clients, Wanted(ENDPOINT, "ada"), lab.now)
    assert not isinstance(begun, Undone)
    lab.reach(AsBefore(begun))
    gone = [call for call in lab.calls if call == "sagemaker:UpdateEndpoint"]
    assert len(gone) == 1
    assert lab.now() - began < timedelta(seconds=300)


def test_by_endpoints_blue_serves_everything_by_one_write() -> None:
    lab = promoted(LiveLab)
    assert isinstance(lab, LiveLab)
    began = lab.now()
    begun = begin_undo(lab.clients, Wanted(ENDPOINT, "ada"), lab.now)
    assert not isinstance(begun, Undone)
    lab.hook = lambda service, operation, phase: noted.append(lab.now()) if lab.live() == ENDPOINT else None
    noted: list[Any] = []
    lab.reach(AsBefore(begun))
    assert noted[0] - began < timedelta(seconds=5)


@pytest.mark.parametrize("make", LABS)
def test_what_was_undone_is_not_undone_again(make: Make) -> None:
    lab = promoted(make)
    undo(lab, note="complaints")
    assert undo(lab).endswith(": complaints")
    assert lab.describe() == lab.before


@pytest.mark.parametrize("make", LABS)
def test_whoever_finds_the_record_of_an_undo_can_end_it(make: Make) -> None:
    lab = promoted(make)
    begin_undo(lab.clients, Wanted(ENDPOINT, "ada", "complaints"), lab.now)
    lab.roll_back()
    assert lab.describe() == lab.before
    assert isinstance(previous(lab), Undone)


@pytest.mark.parametrize("make", LABS)
def test_a_guardian_ends_an_undo_that_nobody_drives_any_more(make: Make) -> None:
    lab = promoted(make)
    begun = begin_undo(lab.clients, Wanted(ENDPOINT, "ada"), lab.now)
    assert not isinstance(begun, Undone)
    guardian = guardian_of(lab)
    assert [each.state for each in guardian.look()] == [State.WATCHED]
    lab.pass_time(Patience().between_tasks.total_seconds() + 3600)
    guard(lab, guardian)
    assert lab.describe() == lab.before


@pytest.mark.parametrize("make", LABS)
def test_a_step_of_the_promoted_run_that_is_cleared_meets_the_undo_and_changes_nothing(make: Make) -> None:
    lab = promoted(make)
    begin_undo(lab.clients, Wanted(ENDPOINT, "ada"), lab.now)
    before = lab.describe()
    with pytest.raises(RolloutGaveUp, match="is being rolled back"):
        lab.reach(OnlyGreen())
    assert lab.describe() == before


def test_another_rollout_is_refused_while_an_undo_is_in_progress_and_is_told_whose_it_is() -> None:
    lab = promoted(Lab)
    begin_undo(lab.clients, Wanted(ENDPOINT, "ada"), lab.now)
    undone, lab.names = lab.names, Names(ENDPOINT, derive_rollout_id(ENDPOINT, "dag", "next"))
    with pytest.raises(RolloutError, match="undo by ada"):
        lab.reach(GreenDeployed(lab.plan()))
    lab.names = undone


# What makes it impossible.


def test_nothing_kept() -> None:
    assert "nothing was kept of a promotion" in refused(Lab())


def test_a_rolled_back_rollout_leaves_nothing_to_undo() -> None:
    lab = Lab()
    lab.run(until=4)
    lab.roll_back()
    assert "nothing was kept of a promotion" in refused(lab)


def test_too_old() -> None:
    lab = promoted(Lab)
    lab.pass_time(timedelta(days=7).total_seconds())
    assert "was promoted 7 d 1 h ago, and an undo is for 7 d after that" in refused(lab)
    assert "undone" in undo(lab, within=timedelta(days=30))
    assert lab.describe() == lab.before


def test_a_note_that_nobody_can_read() -> None:
    lab = promoted(Lab)
    lab.clients.ssm.put_parameter(Name=previous_name(ENDPOINT), Value="{", Type="String", Overwrite=True)
    with pytest.raises(RolloutError, match="nothing that can be undone was kept there"):
        undo(lab)


@pytest.mark.parametrize("make", LABS)
def test_another_rollout_in_progress(make: Make) -> None:
    lab = promoted(make)
    kept = previous(lab)
    assert isinstance(kept, Kept)
    other = replace(kept.rollout, rollout_id="0badcafe", owner={"dag_id": "other"})
    write_record(lab.clients.ssm, other, overwrite=False)
    assert "is held by rollout 0badcafe (dag_id other)" in refused(lab)


@pytest.mark.parametrize("is_undone", [True, False])
def test_another_rollout_was_promoted_since(is_undone: bool) -> None:
    lab = promoted(Lab)
    if is_undone:
        undo(lab)
    assert "so 0badcafe can't be undone (any more)" in refused(lab, rollout_id="0badcafe")
    undo(lab, rollout_id=lab.names.rollout_id)
    assert lab.describe() == lab.before


@pytest.mark.parametrize("make", LABS)
def test_blues_model_is_gone(make: Make) -> None:
    lab = promoted(make)
    lab.clients.sagemaker.delete_model(ModelName="fraud-v1")
    assert "blue's model fraud-v1 is gone (deleted?). Create a model of that name" in refused(lab)


def test_blue_was_deleted_by_the_promotion() -> None:
    lab = LiveLab(delete_blue=True)
    lab.run()
    assert "(promotion deleted it: delete_blue=True)" in refused(lab)


@pytest.mark.parametrize("make", ONE_ENDPOINT)
def test_the_endpoint_is_gone(make: Make) -> None:
    lab = promoted(make)
    lab.clients.sagemaker.delete_endpoint(EndpointName=ENDPOINT)
    lab.pass_time(100)
    with pytest.raises(RolloutRefused, match="there is no endpoint fraud"):
        undo(lab)


@pytest.mark.parametrize("make", TWO_ENDPOINTS)
def test_blues_endpoint_is_gone_and_the_way_that_works_works(make: Make) -> None:
    lab = promoted(make)
    lab.clients.sagemaker.delete_endpoint(EndpointName=ENDPOINT)
    lab.pass_time(100)
    assert f"create-endpoint --endpoint-name {ENDPOINT} --endpoint-config-name {BLUE_CONFIG}" in refused(lab)
    lab.clients.sagemaker.create_endpoint(EndpointName=ENDPOINT, EndpointConfigName=BLUE_CONFIG)
    assert "Wait until it serves" in refused(lab)
    lab.pass_time(300)
    undo(lab)
    assert isinstance(lab, LiveLab)
    assert lab.live() == ENDPOINT
    assert not lab.under_capacity


@pytest.mark.parametrize("make", LABS)
def test_blues_config_is_gone_and_made_again(make: Make) -> None:
    lab = promoted(make)
    lab.clients.sagemaker.delete_endpoint_config(EndpointConfigName=BLUE_CONFIG)
    undo(lab)
    assert lab.describe() == lab.before


def put_on_another_config(lab: Lab) -> None:
    if type(lab) is not GuardrailsLab and not isinstance(lab, LiveLab):  # AWS removes no variant that scales
        target = f"endpoint/{ENDPOINT}/variant/{lab.names.variant}"
        lab.clients.autoscaling.deregister_scalable_target(ResourceId=target, **SCALES)
    variants = lab.clients.sagemaker.describe_endpoint_config(EndpointConfigName=BLUE_CONFIG)["ProductionVariants"]
    lab.clients.sagemaker.create_endpoint_config(EndpointConfigName="theirs", ProductionVariants=variants)
    lab.clients.sagemaker.update_endpoint(EndpointName=ENDPOINT, EndpointConfigName="theirs")
    lab.pass_time(300)


def scale_by_hand(lab: Lab) -> None:
    lab.is_test_looking = True
    endpoint, variant = lab.green_place
    change = {"VariantName": variant, "DesiredInstanceCount": 7}
    lab.clients.sagemaker.update_endpoint_weights_and_capacities(
        EndpointName=endpoint, DesiredWeightsAndCapacities=[change]
    )
    lab.pass_time(300)
    lab.is_test_looking = False


def point_elsewhere(lab: Lab) -> None:
    assert isinstance(lab, LiveLab)
    lab.put_pointer(endpoint_name="theirs")


def forget_theirs(lab: Lab) -> None:
    lab.clients.sagemaker.delete_endpoint_config(EndpointConfigName="theirs")


CHANGES: list[tuple[Make, Callable[[Lab], None], str]] = [
    *((make, put_on_another_config, "is InService on config theirs") for make in LABS),
    *((make, point_elsewhere, "names endpoint theirs") for make in TWO_ENDPOINTS),
]


@pytest.mark.parametrize(("make", "change", "words"), CHANGES)
def test_somebody_has_changed_something_since(make: Make, change: Callable[[Lab], None], words: str) -> None:
    lab = promoted(make)
    change(lab)
    told = refused(lab)
    assert "somebody has changed something since" in told
    assert words in told
    assert "on_drift='restore'" in told


@pytest.mark.parametrize(("make", "change", "words"), CHANGES)
def test_with_restore_it_goes_back_over_that(make: Make, change: Callable[[Lab], None], words: str) -> None:
    lab = promoted(make)
    change(lab)
    undo(lab, on_drift="restore")
    if change is put_on_another_config:
        forget_theirs(lab)
    after = lab.describe()
    assert {**after, "pointer": None} == {**lab.before, "pointer": None}
    assert words
    if isinstance(lab, LiveLab):
        assert lab.live() == ENDPOINT


def without_scaling(make: Make) -> Callable[[], Lab]:
    def made() -> Lab:
        lab = make()
        lab.clients.autoscaling.deregister_scalable_target(ResourceId=BLUES_TARGET, **SCALES)
        lab.before = lab.describe()
        return lab

    return made


@pytest.mark.parametrize("make", ONE_ENDPOINT)
def test_an_endpoint_that_a_person_has_scaled_up_is_not_taken_back_to_fewer_instances_unasked(make: Make) -> None:
    lab = promoted(without_scaling(make))
    scale_by_hand(lab)
    assert "blue had 4 instance(s), which may be too few by now" in refused(lab)
    undo(lab, on_drift="restore")
    assert lab.describe() == lab.before


@pytest.mark.parametrize("make", LABS)
def test_where_instances_are_autoscalings_blue_gets_as_many_as_green_needs_now(make: Make) -> None:
    lab = promoted(make)
    scale_by_hand(lab)
    undo(lab)
    assert not lab.under_capacity
    after = lab.describe()
    endpoint = after["endpoints"][ENDPOINT] if isinstance(lab, LiveLab) else after["endpoint"]
    assert [each["DesiredInstanceCount"] for each in endpoint["ProductionVariants"]] == [7]
    assert after["scaling"] == lab.before["scaling"]


# AWS can't start blue any more.


@pytest.mark.parametrize("make", ONE_ENDPOINT)
@pytest.mark.parametrize("fault", [SandboxFault("bad_ping"), SandboxFault("no_capacity", "UpdateEndpoint")])
def test_where_aws_puts_green_back_all_is_promoted_again_and_can_be_undone_later(
    make: Make, fault: SandboxFault
) -> None:
    lab = promoted(make)
    before = lab.describe()
    lab.sandbox.faults.add(fault)
    with pytest.raises(RolloutGaveUp, match=r"not undone: AWS did not take blue's config fraud-2024 \(AWS says: "):
        undo(lab)
    assert lab.describe() == before
    assert not lab.under_capacity
    assert isinstance(previous(lab), Kept)
    undo(lab)
    assert lab.describe() == lab.before


# A role of an earlier policy.


@pytest.mark.parametrize("make", LABS)
def test_a_role_that_may_keep_nothing_promotes_all_the_same(make: Make) -> None:
    written = promoted_with(make, lambda lab: None).calls.count("ssm:PutParameter")
    denied = SandboxFault("denied", "PutParameter", skip=written - 1)
    lab = promoted_with(make, lambda lab: lab.sandbox.faults.add(denied))
    assert lab.is_promoted(lab.describe())
    assert previous(lab) is None


def promoted_with(make: Make, prepare: Callable[[Lab], None]) -> Lab:
    lab = make()
    prepare(lab)
    lab.run()
    return lab


def test_the_note_is_left_out_where_the_record_would_be_too_large_with_it() -> None:
    lab = promoted(Lab)
    kept = previous(lab)
    assert isinstance(kept, Kept)
    long = replace(kept.rollout, owner={"dag_id": "d" * (8192 - 200 - len(to_json(kept.rollout)))})
    lab.clients.ssm.put_parameter(
        Name=previous_name(ENDPOINT), Value=to_json(long), Type="String", Tier="Advanced", Overwrite=True
    )
    undo(lab, note="x" * 256)
    assert lab.describe() == lab.before


def test_the_next_promotion_takes_the_place_of_what_was_kept() -> None:
    lab = promoted(Lab)
    assert read_record(lab.clients.ssm, ENDPOINT) is None
    first = previous(lab)
    assert isinstance(first, Kept)
    assert first.rollout.rollout_id == lab.names.rollout_id
    lab.names = Names(ENDPOINT, derive_rollout_id(ENDPOINT, "dag", "next"))
    lab.before = lab.describe()
    lab.run()
    second = previous(lab)
    assert isinstance(second, Kept)
    assert second.rollout.rollout_id == lab.names.rollout_id
    undo(lab)
    assert lab.describe() == lab.before
