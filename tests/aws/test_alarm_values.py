"""When each alarm rings and how far it is from that, read of alarms that the sandbox really evaluates."""

from __future__ import annotations

from airflow_sm_rollout.aws.alarm_values import read_limits
from airflow_sm_rollout.aws.cloudwatch import read_alarms
from airflow_sm_rollout.aws.own_alarms import put_own_alarms
from airflow_sm_rollout.aws.record import read_record
from convergence.lab import ENDPOINT, USER_ALARM, Lab
from evidence.published import publish


def test_a_rollouts_own_alarms_the_users_and_one_over_them_tell_their_limit_and_the_last_value() -> None:
    lab = Lab()
    lab.run(until=2)
    rollout = read_record(lab.clients.ssm, ENDPOINT)
    assert rollout is not None
    put_own_alarms(lab.clients.cloudwatch, rollout)
    lab.clients.cloudwatch.put_composite_alarm(
        AlarmName="both", AlarmRule=f'ALARM("{USER_ALARM}") OR ALARM("{rollout.names.error_alarm}")'
    )
    for _ in range(12):
        publish(lab.sandbox, rollout.blue_dimensions, lab.now(), requests=900, milliseconds=[50.0] * 900)
        publish(lab.sandbox, rollout.green_dimensions, lab.now(), requests=300, e5=30, milliseconds=[50.0] * 300)
        lab.pass_time(10)
    names = [USER_ALARM, rollout.names.error_alarm, "both", "gone"]
    limits = read_limits(lab.clients.cloudwatch, names, lab.now())
    assert set(limits) == {USER_ALARM, rollout.names.error_alarm, "both"}
    errors = limits[rollout.names.error_alarm]
    assert (errors.limit, errors.unit, errors.last) == (rollout.plan.default_alarms.max_error_percent, "%", 10.0)
    assert errors.at is not None
    assert (lab.now() - errors.at).total_seconds() < 200
    assert errors.describe() == ("rings when failing, % above 3 x blue's is over 5 % in 3 periods of 60 s in a row")
    assert limits["both"].rings == f"{USER_ALARM} rings or {rollout.names.error_alarm} rings"
    told = {alarm.name: alarm.limit for alarm in read_alarms(lab.clients.cloudwatch, names, None)}
    assert told["gone"] is None
    assert {name: limit and limit.rings for name, limit in told.items() if limit} == {
        name: limit.rings for name, limit in limits.items()
    }
