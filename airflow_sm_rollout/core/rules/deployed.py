"""Rules about the deployment by which CodeDeploy shifts the alias of a Lambda function.

What to know before reading them:

* CodeDeploy writes the alias, so nobody's name stands in it while it shifts: whose a share is, the versions tell.
* ``Succeeded`` proves nothing. Green is promoted only if the alias calls its version alone, too.
* Unlike SageMaker, it can be stopped. It goes back then by a deployment of its own. Where it does not, or not soon, the alias is written
  directly; and where AWS refuses the stop, that is done again for each of its shifts.
* Its IDs are AWS's. Ours is found by its description, among those that the group has had since the rollout began.
"""

from __future__ import annotations

from datetime import timedelta

from airflow_sm_rollout.core import actions
from airflow_sm_rollout.core.appspec import (
    MOST_ALARMS,
    is_config_made,
    last_bake,
    longest_deployment,
    obeyed_by_codedeploy,
)
from airflow_sm_rollout.core.control import Wish
from airflow_sm_rollout.core.front import deeds
from airflow_sm_rollout.core.front.deployments import APPLICATION, CONFIG, GROUP, Deployment, Deployments
from airflow_sm_rollout.core.goals import Act, AsBefore, Decision, GiveUp, Goal, Wait
from airflow_sm_rollout.core.observation import Observation
from airflow_sm_rollout.core.pointer import Split, share_on_green
from airflow_sm_rollout.core.rollout import Phase, Rollout, with_green_traffic
from airflow_sm_rollout.core.rules.pair import describe_drift, live, point_at, pointer_is_known
from airflow_sm_rollout.core.watch.ringing import describe_harm

_SOON = timedelta(seconds=15)
_WAY_BACK_TAKES = timedelta(seconds=30)  # nobody has recorded it; then the alias is written directly


def why_no_group(rollout: Rollout, seen: Deployments | None) -> str:
    """Why CodeDeploy can't shift by the plan's own group, as half a sentence; empty: it can, or the rollout makes one."""
    given = rollout.plan.deployment
    if given is None or seen is None or given.group is None:
        return ""
    place = f"deployment group {given.group} of application {given.application}"
    if seen.group_alarms is None:
        return f"there is no {place} in CodeDeploy"
    if seen.platform != "Lambda":
        return f"{place} deploys to {seen.platform}, not to Lambda"
    count = len({*seen.group_alarms, *rollout.watched_alarms, *rollout.verdict_alarms})
    if count > MOST_ALARMS:
        return f"the alarms of {place} and the rollout's are {count}, and CodeDeploy watches {MOST_ALARMS}"
    return ""


def group_is_ready(goal: Goal, rollout: Rollout, seen: Observation) -> Decision | None:
    """Refuse where the plan's own group could not be used."""
    why = why_no_group(rollout, seen.deployments) if seen.record is None else ""
    return GiveUp(f"{why}. Nothing was changed", refused=True) if why else None


def not_shifting_yet(goal: Goal, rollout: Rollout, seen: Observation) -> Decision | None:
    """A cleared step that deploys green has nothing to do once CodeDeploy was asked."""
    own = _own(seen)
    if own is None:
        return None
    if own.is_active:
        return Wait(f"CodeDeploy shifts already: {own}", _SOON)
    return GiveUp(f"CodeDeploy has shifted already: {own}. Start a new rollout with a new DAG run")


def shifter_exists(goal: Goal, rollout: Rollout, seen: Observation) -> Decision | None:
    """What the deployment stands on is there, given or made."""
    missing = [what for what in seen.deployments.missing if what in _made(rollout)] if seen.deployments else []
    return Act(deeds.MakeForDeployment(missing[0], rollout)) if missing else None


def shifter_is_gone(goal: Goal, rollout: Rollout, seen: Observation) -> Decision | None:
    """What was made for the deployment is deleted."""
    if seen.deployments is None:
        return None
    missing = {*seen.deployments.missing}
    left = [what for what in (GROUP, CONFIG, APPLICATION) if what in _made(rollout) and what not in missing]
    return Act(deeds.RemoveOfDeployment(left[0], rollout)) if left else None


def alias_calls_these_two(goal: Goal, rollout: Rollout, seen: Observation) -> Decision | None:
    """Once CodeDeploy was asked, the alias calls blue's version and green's and no other; before, it is as it was."""
    if _own(seen) is None and rollout.phase is Phase.FORWARD:
        return pointer_is_known(goal, rollout, seen)
    split = live(rollout, seen)
    named = {split.endpoint_name, split.green or split.endpoint_name} if split else {""}
    if named <= {rollout.blue_endpoint_name, rollout.green_endpoint_name}:
        return None
    return GiveUp(describe_drift(rollout, seen))


def deployment_went_well(goal: Goal, rollout: Rollout, seen: Observation) -> Decision | None:
    """Give up where CodeDeploy has failed or was stopped, with its reason, and the alarm's where one has rung."""
    own = _own(seen)
    if own is None or own.is_active or own.succeeded:
        return None
    harm = describe_harm(seen.alarms, rollout.green_traffic_since)
    why = f": {harm}" if harm else ""
    back = seen.deployments.back if seen.deployments else None
    then = f"; CodeDeploy goes back by {back}" if back else ""
    return GiveUp(f"CodeDeploy did not shift to green{why}; {own}{then}. The alias calls {live(rollout, seen)}")


def heed_abort(goal: Goal, rollout: Rollout, seen: Observation) -> Decision | None:
    """Nobody can pause CodeDeploy, but it can be stopped."""
    if seen.control is None or seen.control.wish is not Wish.ABORT:
        return None
    return GiveUp(f"the rollout was {seen.control.describe()}")


def wait_while_codedeploy_shifts(goal: Goal, rollout: Rollout, seen: Observation) -> Decision | None:
    """Follow CodeDeploy to its end, unless it takes longer than its waits and hooks may."""
    own = _own(seen)
    if own is None or not own.is_active:
        return None
    share = share_on_green(rollout, seen.pointer)
    late = own.created_at + longest_deployment(rollout.plan) - seen.at
    if late <= timedelta():
        took = int((seen.at - own.created_at).total_seconds())
        return GiveUp(f"CodeDeploy has not ended after {took} s: {own}; green has {share:g} % of the traffic")
    return Wait(f"CodeDeploy shifts, and green has {share:g} % of the traffic: {own}", _SOON)


def note_deployment(goal: Goal, rollout: Rollout, seen: Observation) -> Decision | None:
    """Written before CodeDeploy is asked, so that green is watched from its first call on."""
    if rollout.green_traffic_since is not None:
        return None
    return Act(
        actions.UpdateRecord(with_green_traffic(rollout, seen.at), "CodeDeploy is about to shift traffic to green")
    )


def begin_deployment(goal: Goal, rollout: Rollout, seen: Observation) -> Decision | None:
    """Ask CodeDeploy to shift to green's version."""
    green = seen.front.green if seen.front else None
    if green is None or seen.deployments is None:
        raise LookupError("no version of green's, or nothing of CodeDeploy, was observed")
    obeyed = obeyed_by_codedeploy(rollout, seen.deployments.group_alarms or ())
    return Act(deeds.BeginDeployment(rollout, green.number, obeyed))


def alias_is_on_green(goal: Goal, rollout: Rollout, seen: Observation) -> Decision | None:
    """CodeDeploy's word is no proof: the alias has to call green's version alone."""
    if share_on_green(rollout, seen.pointer) == 100:
        return None
    own = _own(seen)
    told = f"CodeDeploy says that {own}" if own else "green is promoted"
    return GiveUp(f"{told}, but {rollout.pointer_described} calls {live(rollout, seen)} (moved by somebody else?)")


def last_bake_is_over(goal: Goal, rollout: Rollout, seen: Observation) -> Decision | None:
    """CodeDeploy ends with its last shift, so the plan's last bake is watched after it."""
    own = _own(seen)
    ended = own.ended_at or own.created_at if own else seen.at
    left = ended + last_bake(rollout) - seen.at
    if own is None or left <= timedelta():
        return None
    return Wait(f"green has all traffic: {own}; {left.total_seconds():.0f} s of the last bake left", left)


def stop_deployment(goal: AsBefore, rollout: Rollout, seen: Observation) -> Decision | None:
    """First of all, as it would shift on."""
    own = _own(seen)
    if own is None or not own.is_active:
        return None
    stop = deeds.StopDeployment(own.id)
    return None if stop in goal.refused else Act(stop)


def alias_goes_back(goal: AsBefore, rollout: Rollout, seen: Observation) -> Decision | None:
    """CodeDeploy has half a minute for it. Where it does not go back by then, or was not stopped, the alias is written."""
    if not share_on_green(rollout, seen.pointer):
        return None
    own, back = _own(seen), seen.deployments.back if seen.deployments else None
    since = own.ended_at if own else None
    if back is not None and back.is_active and since and seen.at < since + _WAY_BACK_TAKES:
        return Wait(f"CodeDeploy goes back by {back}", timedelta(seconds=2))
    return Act(point_at(Split(rollout.blue_endpoint_name), rollout, seen))


def codedeploy_rests(goal: AsBefore, rollout: Rollout, seen: Observation) -> Decision | None:
    """Nothing that it shifts by is deleted while it is at work."""
    found = (_own(seen), seen.deployments.back if seen.deployments else None)
    active = next((each for each in found if each is not None and each.is_active), None)
    return Wait(f"CodeDeploy is at work: {active}", _SOON) if active else None


def _own(seen: Observation) -> Deployment | None:
    return seen.deployments.own if seen.deployments else None


def _made(rollout: Rollout) -> tuple[str, ...]:
    """What of it the rollout makes."""
    given = rollout.plan.deployment
    config = (CONFIG,) if is_config_made(rollout) else ()
    return config if given is None or given.group else (APPLICATION, *config, GROUP)
