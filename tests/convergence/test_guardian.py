"""What a guardian does, and what it leaves alone."""

from __future__ import annotations

import argparse
import fnmatch
import json
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from airflow_sm_rollout import cli_guardian
from airflow_sm_rollout.aws.clients import Clients
from airflow_sm_rollout.aws.clock import Clock
from airflow_sm_rollout.aws.guardian import SignsOfLife, leave_sign, read_guardian, read_sign, read_taken_back
from airflow_sm_rollout.aws.iam import guardian_policy
from airflow_sm_rollout.aws.record import read_record, update_record, write_record
from airflow_sm_rollout.core.control import Wish
from airflow_sm_rollout.core.errors import PlanError, RolloutGaveUp
from airflow_sm_rollout.core.goals import AsBefore, GreenShare
from airflow_sm_rollout.core.guardian import Patience, Sign, State
from airflow_sm_rollout.core.names import record_name
from airflow_sm_rollout.core.outcome import Outcome
from airflow_sm_rollout.core.rollout import Phase, with_green_traffic, with_phase
from airflow_sm_rollout.guardian.guardian import Guardian
from airflow_sm_rollout.guardian.run import look_on, look_once
from convergence.components_lab import ComponentsLab
from convergence.deploy_lab import DeployLab
from convergence.guardrails_lab import GuardrailsLab
from convergence.lab import BLUE_CONFIG, BLUES_TARGET, ENDPOINT, SCALES, Lab
from convergence.lambda_lab import PLACE, LambdaLab, WarmLambdaLab
from convergence.live_lab import LiveLab
from convergence.test_exits import green_share, update_by_hand, wish
from convergence.test_guardian_walk import BEGUN, guard, guardian_of, ring_quietly
from convergence.test_iam import IMPLIED, actions_of, is_allowed, resources_of
from convergence.walk import Make

LABS: list[Make] = [Lab, LiveLab, LambdaLab, GuardrailsLab, ComponentsLab]


def with_green_at(begun: int, make: Make = Lab) -> Lab:
    lab = make()
    lab.run(until=begun)
    leave_sign(lab.clients.ssm, ENDPOINT, Sign(lab.now()))
    return lab


def wait_until(lab: Lab, moment: datetime) -> None:
    lab.pass_time((moment - lab.now()).total_seconds())


def only_finding(guardian: Guardian) -> tuple[State, str]:
    [finding] = guardian.look()
    return finding.state, finding.sentence


@pytest.mark.parametrize("make", LABS)
@pytest.mark.usefixtures("direct")
def test_a_good_rollout_that_somebody_drives_is_promoted_under_a_guardians_eyes(make: Make) -> None:
    lab, states = make(), set()
    guardian = guardian_of(lab)
    for task in lab.tasks():
        task()
        leave_sign_if_driven(lab)
        states |= {finding.state for finding in guardian.look()}
    assert lab.is_promoted(lab.describe())
    assert states <= {State.LEFT_ALONE, State.WATCHED}
    assert State.WATCHED in states


def leave_sign_if_driven(lab: Lab) -> None:
    if read_record(lab.clients.ssm, ENDPOINT) is not None:
        leave_sign(lab.clients.ssm, ENDPOINT, Sign(lab.now()))


@pytest.mark.parametrize("begun", [2, 4, 6])
def test_harm_is_taken_from_users_at_the_first_look(begun: int) -> None:
    lab = with_green_at(begun)
    guardian = guardian_of(lab)
    assert guardian.look()[0].state is State.WATCHED
    ring_quietly(lab)
    lab.calls.clear()
    assert only_finding(guardian)[0] is State.TAKING_BACK
    assert "sagemaker:UpdateEndpointWeightsAndCapacities" in lab.calls
    lab.pass_time(70)
    assert green_share(lab) == 0
    guard(lab, guardian)
    assert lab.describe() == lab.before


def test_a_rollout_that_nobody_drives_is_taken_back_after_a_while_and_not_before() -> None:
    lab = with_green_at(4)
    guardian = guardian_of(lab)
    lab.pass_time(Patience().in_task.total_seconds() - 5)
    assert only_finding(guardian)[0] is State.WATCHED
    lab.pass_time(10)
    assert only_finding(guardian)[0] is State.TAKING_BACK
    guard(lab, guardian)
    assert lab.describe() == lab.before
    note = read_taken_back(lab.clients.ssm, ENDPOINT, lab.names.rollout_id)
    assert note is not None
    assert "nobody has driven it for 10 min" in note.describe()


def test_a_task_of_a_users_own_between_two_of_ours_may_take_two_hours() -> None:
    lab = with_green_at(4)
    SignsOfLife(lab.now).leave_last(lab.clients, ENDPOINT)
    guardian = guardian_of(lab)
    lab.pass_time(7200 - 5)
    assert only_finding(guardian)[0] is State.WATCHED
    lab.pass_time(10)
    assert only_finding(guardian)[0] is State.TAKING_BACK
    note = read_taken_back(lab.clients.ssm, ENDPOINT, lab.names.rollout_id)
    assert note is not None
    assert "its last task ended 2 h ago and no other has begun (at most 2 h are allowed)" in note.describe()


def test_harm_between_two_tasks_is_taken_back_at_once() -> None:
    lab = with_green_at(4)
    SignsOfLife(lab.now).leave_last(lab.clients, ENDPOINT)
    ring_quietly(lab)
    assert only_finding(guardian_of(lab))[0] is State.TAKING_BACK


def test_behind_an_abort_no_task_of_a_users_own_is_waited_for() -> None:
    lab = with_green_at(4)
    SignsOfLife(lab.now).leave_last(lab.clients, ENDPOINT)
    wish(lab, Wish.ABORT)
    guardian = guardian_of(lab)
    lab.pass_time(Patience().in_task.total_seconds() - 5)
    assert only_finding(guardian)[0] is State.WATCHED
    lab.pass_time(10)
    assert only_finding(guardian)[0] is State.TAKING_BACK


def test_a_task_that_waits_for_its_next_try_is_waited_for_and_not_longer() -> None:
    lab = with_green_at(4)
    due = lab.now().replace(microsecond=0) + timedelta(hours=1)  # a sign of life holds whole seconds
    SignsOfLife(lab.now).leave_until(lab.clients, ENDPOINT, due)
    guardian, over = guardian_of(lab), due + Patience().in_task
    wait_until(lab, over - timedelta(seconds=5))
    assert only_finding(guardian)[0] is State.WATCHED
    wait_until(lab, over + timedelta(seconds=5))
    assert only_finding(guardian)[0] is State.TAKING_BACK
    note = read_taken_back(lab.clients.ssm, ENDPOINT, lab.names.rollout_id)
    assert note is not None
    assert "its task's next try was due 10 min 5 s ago at the latest and has not begun" in note.describe()


def test_harm_is_taken_back_while_a_task_waits_for_its_next_try() -> None:
    lab = with_green_at(4)
    SignsOfLife(lab.now).leave_until(lab.clients, ENDPOINT, lab.now() + timedelta(hours=1))
    ring_quietly(lab)
    assert only_finding(guardian_of(lab))[0] is State.TAKING_BACK


def test_the_first_sign_of_the_next_task_does_not_wait() -> None:
    lab = with_green_at(4)
    signs = SignsOfLife(lab.now)
    for has_ended in (False, True, False):
        (signs.leave_last if has_ended else signs.leave)(lab.clients, ENDPOINT)
        lab.pass_time(1)
        sign = read_sign(lab.clients.ssm, ENDPOINT)
        assert sign is not None
        assert sign.has_ended is has_ended


def test_of_a_rollout_that_never_gave_a_sign_only_its_age_tells() -> None:
    lab = Lab()
    lab.run(until=4)
    guardian = guardian_of(lab)
    lab.pass_time(3600)
    assert only_finding(guardian)[0] is State.WATCHED
    lab.pass_time(2 * 3600)
    assert only_finding(guardian)[0] is State.TAKING_BACK


def test_a_paused_rollout_that_is_driven_is_left_at_its_share() -> None:
    lab = with_green_at(4)
    share = green_share(lab)
    wish(lab, Wish.PAUSE)
    guardian = guardian_of(lab)
    for _ in range(20):
        lab.pass_time(300)
        leave_sign(lab.clients.ssm, ENDPOINT, Sign(lab.now()))
        assert only_finding(guardian)[0] is State.WATCHED
    assert green_share(lab) == share


@pytest.mark.parametrize(("make", "begun"), BEGUN)
def test_airflow_that_comes_back_meets_the_guardians_sentence(make: Make, begun: int) -> None:
    lab = with_green_at(begun, make)
    planned = read_record(lab.clients.ssm, ENDPOINT)
    ring_quietly(lab)
    guard(lab, guardian_of(lab, "lighthouse"))
    with pytest.raises(RolloutGaveUp):
        lab.tasks()[-1]()
    assert lab.reach(AsBefore(planned)).outcome is Outcome.ROLLED_BACK
    note = read_taken_back(lab.clients.ssm, ENDPOINT, lab.names.rollout_id)
    assert note is not None
    assert "guardian lighthouse took it back" in note.describe()
    assert "7 of 9 refused" in note.describe()
    assert read_taken_back(lab.clients.ssm, ENDPOINT, "another") is None


def test_only_endpoints_whose_names_begin_so_are_watched() -> None:
    lab = with_green_at(4)
    ring_quietly(lab)
    assert Guardian(lab.clients, name="g", prefix="churn-", now=lab.now).look() == []
    assert [each.state for each in Guardian(lab.clients, name="g", prefix="fr", now=lab.now).look()] == [
        State.TAKING_BACK
    ]


def test_a_record_that_nobody_can_read_is_said_and_keeps_nobody_else_from_being_watched() -> None:
    lab = with_green_at(4)
    lab.clients.ssm.put_parameter(Name=record_name("aaa"), Value="{", Type="String")
    ring_quietly(lab)
    spoilt, taken = guardian_of(lab).look()
    assert (spoilt.endpoint_name, spoilt.state) == ("aaa", State.FAILED)
    assert taken.state is State.TAKING_BACK


def test_a_copy_of_a_record_under_another_name_is_no_second_rollout() -> None:
    lab = with_green_at(4)
    [text] = [
        parameter["Value"] for parameter in lab.clients.ssm.get_parameters(Names=[lab.names.record])["Parameters"]
    ]
    lab.clients.ssm.put_parameter(Name=record_name("zzz"), Value=text, Type="String")
    watched, copy = guardian_of(lab).look()
    assert (watched.endpoint_name, watched.state) == (ENDPOINT, State.WATCHED)
    assert (copy.endpoint_name, copy.state, copy.rollout_id) == ("zzz", State.FAILED, "")
    assert "of another endpoint" in copy.sentence


def test_somebody_elses_change_is_said_with_what_to_do_and_tried_again() -> None:
    lab = with_green_at(4)
    ring_quietly(lab)
    guardian = guardian_of(lab)
    guardian.look()
    lab.pass_time(100)
    update_by_hand(lab, "theirs")
    for _ in range(2):
        state, sentence = only_finding(guardian)
        assert state is State.FAILED
        assert "somebody else changed the endpoint" in sentence


def test_who_guards_and_since_when_can_be_read() -> None:
    lab = with_green_at(4)
    assert read_guardian(lab.clients.ssm, ENDPOINT) is None
    guardian_of(lab, "all").look()
    lab.pass_time(30)
    Guardian(lab.clients, name="others", prefix="churn-", now=lab.now).look()
    Guardian(lab.clients, name="ours", prefix="fr", now=lab.now).look()
    lab.pass_time(12)
    found = read_guardian(lab.clients.ssm, ENDPOINT)
    assert found is not None
    assert found.describe(lab.now()) == "guarded by ours, last look 12 s ago"


def test_a_sign_of_life_is_left_at_most_once_a_minute_and_not_where_no_rollout_is() -> None:
    lab = Lab()
    signs = SignsOfLife(lab.now)
    signs.leave(lab.clients, ENDPOINT)
    assert lab.describe()["records"] == []
    lab.run(until=1)
    lab.calls.clear()
    lab.pass_time(61)
    began = lab.now()
    while lab.now() < began + timedelta(seconds=300):
        signs.leave(lab.clients, ENDPOINT)
        lab.pass_time(5)
    assert lab.calls.count("ssm:AddTagsToResource") == 5
    sign = read_sign(lab.clients.ssm, ENDPOINT)
    assert sign is not None
    assert lab.now() - sign.at < timedelta(seconds=62)
    lab.roll_back()
    assert lab.describe() == lab.before


def test_whoever_writes_a_record_late_puts_back_the_turn_that_it_has_overwritten() -> None:
    lab = with_green_at(2)
    ssm, record = lab.clients.ssm, read_record(lab.clients.ssm, ENDPOINT)
    assert record is not None
    write_record(ssm, with_phase(record, Phase.ROLLING_BACK), overwrite=True)
    for late in (with_green_traffic(record, lab.now()), with_phase(record, Phase.PROMOTED)):
        update_record(ssm, late)
        kept = read_record(ssm, ENDPOINT)
        assert kept is not None
        assert kept.phase is Phase.ROLLING_BACK
    ssm.delete_parameter(Name=record_name(ENDPOINT))
    update_record(ssm, record)
    assert read_record(ssm, ENDPOINT) is None


def test_an_observation_that_is_too_old_moves_nothing_forward() -> None:
    lab = with_green_at(1)

    def stall(service: str, operation: str, phase: str) -> None:
        if operation == "DescribeAlarms" and phase == "after":
            lab.hook = None
            lab.pass_time(90)

    lab.hook = stall
    lab.reach(GreenShare(10))
    assert any("too old to act on" in line for line in lab.told)


def deleted_blue(lab: Lab) -> None:
    record = read_record(lab.clients.ssm, ENDPOINT)
    assert record is not None
    if isinstance(lab, LiveLab):
        lab.clients.sagemaker.delete_endpoint(EndpointName=record.blue_endpoint_name)
    lab.clients.sagemaker.delete_endpoint_config(EndpointConfigName=BLUE_CONFIG)
    lab.pass_time(100)


def ended_blues_scaling(lab: Lab) -> None:
    lab.clients.autoscaling.deregister_scalable_target(ResourceId=BLUES_TARGET, **SCALES)


def deleted_function_in_part(lab: Lab) -> None:
    if not isinstance(lab, LambdaLab):
        return
    lab.clients.functions.delete_alias(FunctionName=PLACE.function, Name=PLACE.alias)
    lab.clients.functions.delete_function(FunctionName=PLACE.function, Qualifier=lab.version_of(ENDPOINT))
    lab.pass_time(180)  # until then it could be that the alias has just not been written yet


def test_the_policy_names_exactly_the_actions_that_guardians_need_on_what_they_name() -> None:
    called: set[str] = set()
    functions = [PLACE.function]
    statements = guardian_policy("fraud", region="us-east-1", account="1", functions=functions)["Statement"]
    meanwhile: list[Callable[[Lab], None]] = [
        lambda lab: None,
        deleted_blue,
        ended_blues_scaling,
        deleted_function_in_part,
    ]
    for make, begun in [*BEGUN, (WarmLambdaLab, 2), (DeployLab, 2), (ComponentsLab, 3)]:
        for happens in meanwhile if make is not ComponentsLab else meanwhile[:1]:
            lab = with_green_at(begun, make)
            happens(lab)
            guardian = Guardian(lab.clients, name="g", prefix="fraud", now=lab.now)
            lab.calls.clear()
            guardian.look()
            ring_quietly(lab)
            lab.sandbox.calls.clear()
            guard(lab, guardian)
            called |= set(lab.calls)
            for call in lab.sandbox.calls:
                for arn in resources_of(call):
                    assert is_allowed(f"{call.service}:{call.operation}", arn, statements), (call.operation, arn)
    needed = called | {implied for call in called for implied in IMPLIED.get(call, ())}
    assert actions_of(statements) >= needed
    assert actions_of(statements) - needed <= {
        # After a promotion that went back, green's own target ends; the walks here don't get there.
        "application-autoscaling:DeregisterScalableTarget",
        # $LATEST names green for a few seconds only.
        "lambda:UpdateFunctionConfiguration",
        # CodeDeploy obeys the alarm itself here, before the guardian has to stop it; and so does SageMaker.
        "codedeploy:StopDeployment",
        "sagemaker:UpdateInferenceComponent",
        # AWS makes and deletes a scaling policy's alarms in the caller's name.
        "cloudwatch:PutMetricAlarm",
    }


def test_a_prefix_that_could_widen_the_policy_is_refused() -> None:
    with pytest.raises(PlanError):
        guardian_policy("*")
    assert fnmatch.fnmatchcase("parameter/sm-rollout/churn-a", "parameter/sm-rollout/churn-*")


def test_one_look_goes_on_only_as_long_as_it_may() -> None:
    lab = with_green_at(4)
    ring_quietly(lab)
    waited: list[float] = []

    def sleep(seconds: float) -> None:
        waited.append(seconds)
        lab.pass_time(seconds)

    [finding] = look_once(guardian_of(lab), 20, sleep)
    assert finding.state is State.TAKING_BACK
    assert waited == [5, 5, 5, 5]
    for _ in range(20):
        findings = look_once(guardian_of(lab), 50, sleep)
        if not findings:
            break
        lab.pass_time(10)
    assert lab.describe() == lab.before


def test_it_looks_sooner_while_it_takes_something_back() -> None:
    lab = with_green_at(4)
    waited: list[float] = []

    def sleep(seconds: float) -> None:
        waited.append(seconds)
        lab.pass_time(seconds)
        if len(waited) == 2:
            ring_quietly(lab)

    looks = look_on(guardian_of(lab), 15, sleep)
    for _ in range(4):
        next(looks)
    assert waited == [15, 15, 5]


@pytest.mark.parametrize("output", ["text", "json"])
def test_the_command_tells_what_it_does(
    output: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lab = with_green_at(4)
    ring_quietly(lab)
    monkeypatch.setattr(cli_guardian, "make_clients", lambda region: clients_of_now(lab))
    monkeypatch.setattr("airflow_sm_rollout.aws.world.MACHINE", Clock(lab.now))
    parser = argparse.ArgumentParser()
    cli_guardian.add_options(parser)
    options = parser.parse_args(["--once", "--name", "g", "-o", output])
    assert cli_guardian.guard(options, lab.pass_time) == 0
    lines = capsys.readouterr().out.splitlines()
    if output == "json":
        assert {json.loads(line)["endpoint_name"] for line in lines} == {ENDPOINT}
    assert any("taken back: alarm" in line and "7 of 9 refused" in line for line in lines)


def clients_of_now(lab: Lab) -> Clients:
    return lab.clients


def test_a_guardian_needs_no_airflow() -> None:
    program = (
        "import sys\n"
        "class Refuse:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.partition('.')[0] in {'airflow', 'asgiref', 'fastapi', 'moto', 'sqlalchemy'}:\n"
        "            raise ImportError(f'{name} is not for guardians')\n"
        "sys.meta_path.insert(0, Refuse())\n"
        "import airflow_sm_rollout.guardian.handler, airflow_sm_rollout.guardian.run\n"
        "from airflow_sm_rollout.cli import main\n"
        "main(['guardian', '--help'])\n"
    )
    outcome = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert outcome.returncode == 0, outcome.stderr
    assert "--abandoned-after" in outcome.stdout
