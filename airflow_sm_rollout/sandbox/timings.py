"""How long things take on AWS, and how to hurry them."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace


@dataclass(frozen=True, slots=True)
class Timings:
    """Durations in seconds, as recorded on AWS where a record exists.

    :param create_endpoint: CreateEndpoint to InService (recorded 130-390 s).
    :param update_endpoint: UpdateEndpoint to InService, all at once (recorded 134 s).
    :param failed_update: UpdateEndpoint whose container fails its ping, to InService on the old config (recorded 24 min and more, for
        a create).
    :param change_weights: UpdateEndpointWeightsAndCapacities to InService (recorded 62-63 s).
    :param weights_move: where inside that window the split really moves, 0.0 = at once, 1.0 = at its end. Not recorded anywhere, so
        a caller must be right for both.
    :param change_capacity: the same call when it has to launch instances (as an update has).
    :param delete_endpoint: DeleteEndpoint to gone.
    :param metric_first_visible: end of a period to its first points being readable (recorded: absent at 20 s).
    :param metric_final: end of a period to all of its points being readable (recorded: complete at 60 s).
    :param deployment_summary: UpdateEndpoint with a DeploymentConfig to the first PendingDeploymentSummary (recorded 3 s).
    :param launch_fleet: the same to the green fleet's first traffic being activated. Recorded together with the next two: users meet
        green 190 s after the call.
    :param activate_traffic: how long ActivatingTraffic is reported before Baking is. It counts toward the wait, so that a canary of a
        300 s wait has its traffic for 280 s (recorded 275-280 s).
    :param traffic_moves: Baking reported to the traffic really moving (recorded about 20 s).
    :param act_on_alarm: a rollback alarm's ALARM to SageMaker acting on it (recorded 22-25 s).
    :param traffic_back: that to blue having all of its traffic again, and the endpoint being InService (recorded 28 s).
    :param capture_written: a captured call to its file in S3 (documented: "a couple of minutes").
    :param launch_copies: an inference component's wish for copies, or each batch of its update, to these taking requests (not recorded;
        an endpoint of components took over 35 min to create).
    :param delete_component: DeleteInferenceComponent to gone (not recorded).
    :param update_function: UpdateFunctionConfiguration to LastUpdateStatus Successful (documented: seconds; not recorded).
    :param provision_function: PutProvisionedConcurrencyConfig to READY (documented: a minute or two; not recorded).
    :param start_deployment: CodeDeploy's CreateDeployment to its first deed (not recorded).
    :param poll_alarms: how often CodeDeploy looks at a deployment's alarms (not recorded).
    :param hook_timeout: how long CodeDeploy waits for a hook to report (documented: an hour).
    :param roll_back_deployment: the end of a deployment to the alias being back, where CodeDeploy goes back by itself (not recorded).
    :param training_start: CreateTrainingJob to the start of the container.
    """

    create_endpoint: float = 134.0
    update_endpoint: float = 134.0
    failed_update: float = 1440.0
    change_weights: float = 62.0
    weights_move: float = 0.5
    change_capacity: float = 134.0
    delete_endpoint: float = 30.0
    metric_first_visible: float = 30.0
    metric_final: float = 60.0
    deployment_summary: float = 3.0
    launch_fleet: float = 150.0
    activate_traffic: float = 20.0
    traffic_moves: float = 20.0
    act_on_alarm: float = 22.0
    traffic_back: float = 28.0
    capture_written: float = 60.0
    launch_copies: float = 60.0
    delete_component: float = 30.0
    update_function: float = 2.0
    provision_function: float = 60.0
    start_deployment: float = 2.0
    poll_alarms: float = 10.0
    hook_timeout: float = 3600.0
    roll_back_deployment: float = 5.0
    training_start: float = 60.0

    def hurried(self, factor: float) -> Timings:
        """The same, ``factor`` times faster. Timestamps stay those of the clock; only waits shrink.

        :raises ValueError: if ``factor`` is not positive.
        """
        if factor <= 0:
            raise ValueError(f"speed must be positive, got {factor}")
        scaled = {f.name: getattr(self, f.name) / factor for f in fields(self) if f.name != "weights_move"}
        return replace(self, **scaled)
