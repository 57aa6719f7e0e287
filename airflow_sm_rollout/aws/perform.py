"""Does what was decided. Each action is one effect on AWS and safe to repeat: that it is there already, or gone already, is no error."""

from __future__ import annotations

from collections.abc import Callable
from functools import singledispatch
from typing import Any

from botocore.exceptions import ClientError

from airflow_sm_rollout.aws import cloudwatch, codedeploy, components, front, live, own_alarms, scaling, verdict_alarm
from airflow_sm_rollout.aws.blue import read_tags
from airflow_sm_rollout.aws.causes import Meaning
from airflow_sm_rollout.aws.clients import Clients
from airflow_sm_rollout.aws.errors import meaning_of
from airflow_sm_rollout.aws.models import model_request, read_model, tag_list
from airflow_sm_rollout.aws.previous import keep_previous, note_undone
from airflow_sm_rollout.aws.record import delete_record, update_record, write_record
from airflow_sm_rollout.aws.whole import send
from airflow_sm_rollout.core import actions
from airflow_sm_rollout.core.actions import Action
from airflow_sm_rollout.core.errors import RolloutGaveUp
from airflow_sm_rollout.core.front import deeds
from airflow_sm_rollout.core.rolling_update import UpdateComponent
from airflow_sm_rollout.core.rollout import Rollout


@singledispatch
def perform(action: Action, clients: Clients) -> None:
    """Do it.

    :raises botocore.exceptions.ClientError: what AWS refuses, but for "exists" on creating and "not found" on deleting.
    """
    raise TypeError(f"no way to perform {action!r}")


@perform.register
def _(action: actions.CreateRecord, clients: Clients) -> None:
    write_record(clients.ssm, action.rollout, overwrite=False)


@perform.register
def _(action: actions.UpdateRecord, clients: Clients) -> None:
    update_record(clients.ssm, action.rollout, action.turned_from)


@perform.register
def _(action: actions.DeleteRecord, clients: Clients) -> None:
    if action.keeps:
        keep_previous(clients.ssm, action.rollout)
    elif action.rollout.undoes:
        note_undone(clients.ssm, action.rollout)
    delete_record(clients.ssm, action.rollout)


@perform.register
def _(action: actions.CreateModel, clients: Clients) -> None:
    request = _model_request(action.rollout, clients.sagemaker)
    _tolerating(Meaning.EXISTS, lambda: send(clients.sagemaker, "CreateModel", request))


@perform.register
def _(action: actions.CreateConfig, clients: Clients) -> None:
    request = {"EndpointConfigName": action.name, **action.config, "Tags": tag_list(action.tags)}
    _tolerating(Meaning.EXISTS, lambda: send(clients.sagemaker, "CreateEndpointConfig", request))


@perform.register
def _(action: actions.UpdateEndpoint, clients: Clients) -> None:
    weights = (
        {} if action.keep_weights else {"ExcludeRetainedVariantProperties": [{"VariantPropertyType": "DesiredWeight"}]}
    )
    clients.sagemaker.update_endpoint(
        EndpointName=action.endpoint_name,
        EndpointConfigName=action.config_name,
        RetainAllVariantProperties=True,
        **weights,
        **({"DeploymentConfig": action.deployment} if action.deployment else {}),
    )


@perform.register
def _(action: UpdateComponent, clients: Clients) -> None:
    components.update(clients.sagemaker, action)


@perform.register
def _(action: actions.SetCapacity, clients: Clients) -> None:
    clients.sagemaker.update_endpoint_weights_and_capacities(
        EndpointName=action.endpoint_name,
        DesiredWeightsAndCapacities=[{"VariantName": action.variant, **_capacity(action)}],
    )


def _capacity(action: actions.SetCapacity) -> dict[str, Any]:
    if action.max_concurrency is None:
        return {"DesiredInstanceCount": action.count}
    provisioned = {"ProvisionedConcurrency": action.count} if action.count else {}
    return {"ServerlessUpdateConfig": {"MaxConcurrency": action.max_concurrency, **provisioned}}


@perform.register
def _(action: actions.SetWeights, clients: Clients) -> None:
    changes = [{"VariantName": name, "DesiredWeight": weight} for name, weight in action.weights.items()]
    clients.sagemaker.update_endpoint_weights_and_capacities(
        EndpointName=action.endpoint_name, DesiredWeightsAndCapacities=changes
    )


@perform.register
def _(action: actions.RegisterTarget, clients: Clients) -> None:
    place = action.endpoint_name, action.variant
    bounds = action.minimum, action.maximum
    scaling.register(clients.autoscaling, place, bounds, action.suspended, dimension=action.dimension)


@perform.register
def _(action: actions.PutPolicy, clients: Clients) -> None:
    place = action.endpoint_name, action.variant
    scaling.put_policy(clients.autoscaling, place, action.policy, dimension=action.dimension)


@perform.register
def _(action: actions.DeregisterTarget, clients: Clients) -> None:
    place = action.endpoint_name, action.variant
    _tolerating(Meaning.GONE, lambda: scaling.deregister(clients.autoscaling, place, action.dimension))


@perform.register
def _(action: actions.PutAlarms, clients: Clients) -> None:
    own_alarms.put_own_alarms(clients.cloudwatch, action.rollout)


@perform.register
def _(action: actions.PutVerdictAlarm, clients: Clients) -> None:
    verdict_alarm.put(clients.cloudwatch, action.rollout, action.at)


@perform.register
def _(action: actions.TellHarm, clients: Clients) -> None:
    verdict_alarm.tell(clients.cloudwatch, action.rollout, action.at, is_harmful=True)


@perform.register
def _(action: actions.DeleteAlarms, clients: Clients) -> None:
    cloudwatch.delete_alarms(clients.cloudwatch, action.names)


@perform.register
def _(action: actions.CreateEndpoint, clients: Clients) -> None:
    request = {"EndpointName": action.name, "EndpointConfigName": action.config_name, "Tags": tag_list(action.tags)}
    _tolerating(Meaning.EXISTS, lambda: clients.sagemaker.create_endpoint(**request))


@perform.register
def _(action: actions.DeleteEndpoint, clients: Clients) -> None:
    _tolerating(Meaning.GONE, lambda: clients.sagemaker.delete_endpoint(EndpointName=action.name))


@perform.register
def _(action: actions.PutPointer, clients: Clients) -> None:
    live.write_pointer(clients.ssm, action)


@perform.register
def _(action: actions.DeletePointer, clients: Clients) -> None:
    live.delete_pointer(clients.ssm, action.name)


@perform.register
def _(action: actions.PutAlias, clients: Clients) -> None:
    front.write_alias(clients.functions, action)


@perform.register
def _(action: actions.NameEndpoint, clients: Clients) -> None:
    clients.functions.update_function_configuration(
        FunctionName=action.place.function,
        Environment={"Variables": dict(action.variables)},
        RevisionId=action.replaces,
    )


@perform.register
def _(action: actions.PublishVersion, clients: Clients) -> None:
    clients.functions.publish_version(
        FunctionName=action.place.function, Description=action.description, RevisionId=action.replaces
    )


@perform.register
def _(action: actions.DeleteVersion, clients: Clients) -> None:
    named = {"FunctionName": action.place.function, "Qualifier": action.number}
    _tolerating(Meaning.GONE, lambda: clients.functions.delete_function(**named))


@perform.register
def _(action: deeds.ProvisionVersion, clients: Clients) -> None:
    clients.functions.put_provisioned_concurrency_config(
        FunctionName=action.place.function,
        Qualifier=action.number,
        ProvisionedConcurrentExecutions=action.count,
    )


@perform.register
def _(action: deeds.ReleaseVersion, clients: Clients) -> None:
    named = {"FunctionName": action.place.function, "Qualifier": action.number}
    _tolerating(Meaning.GONE, lambda: clients.functions.delete_provisioned_concurrency_config(**named))


@perform.register
def _(action: deeds.MakeForDeployment, clients: Clients) -> None:
    codedeploy.make(clients.codedeploy, action)


@perform.register
def _(action: deeds.BeginDeployment, clients: Clients) -> None:
    codedeploy.begin(clients.codedeploy, action)


@perform.register
def _(action: deeds.StopDeployment, clients: Clients) -> None:
    codedeploy.stop(clients.codedeploy, action)


@perform.register
def _(action: deeds.RemoveOfDeployment, clients: Clients) -> None:
    codedeploy.remove(clients.codedeploy, action)


@perform.register
def _(action: actions.DeleteConfig, clients: Clients) -> None:
    _tolerating(Meaning.GONE, lambda: clients.sagemaker.delete_endpoint_config(EndpointConfigName=action.name))


@perform.register
def _(action: actions.DeleteModel, clients: Clients) -> None:
    _tolerating(Meaning.GONE, lambda: clients.sagemaker.delete_model(ModelName=action.name))


def _tolerating(meaning: Meaning, call: Callable[[], Any]) -> None:
    try:
        call()
    except ClientError as error:
        if meaning_of(error) is not meaning:
            raise


def _model_request(rollout: Rollout, sagemaker: Any) -> dict[str, Any]:
    blue = read_model(sagemaker, rollout.blue.model_name)
    if blue is None:
        raise RolloutGaveUp(
            f"blue's model {rollout.blue.model_name} was deleted, and green's is made like it: it can't be made. Blue serves on"
        )
    return model_request(rollout.green, rollout.green_model_name, blue, read_tags(sagemaker, blue["ModelArn"]))
