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
    training_start: float = 60.0

    def hurried(self, factor: float) -> Timings:
        """The same, ``factor`` times faster. Timestamps stay those of the clock; only waits shrink.

        :raises ValueError: if ``factor`` is not positive.
        """
        if factor <= 0:
            raise ValueError(f"speed must be positive, got {factor}")
        scaled = {f.name: getattr(self, f.name) / factor for f in fields(self) if f.name != "weights_move"}
        return replace(self, **scaled)
