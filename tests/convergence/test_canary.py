from __future__ import annotations

from convergence.lab import Lab


def test_a_canary_ends_with_green_alone_and_nothing_else_left() -> None:
    lab = Lab()
    lab.run()
    after = lab.describe()
    assert after["endpoint"]["EndpointConfigName"] == lab.names.final_config
    [variant] = after["endpoint"]["ProductionVariants"]
    assert (variant["VariantName"], variant["CurrentInstanceCount"]) == (lab.names.variant, 4)
    assert after["configs"] == sorted([*lab.before["configs"], lab.names.final_config])
    assert after["models"] == sorted([*lab.before["models"], lab.names.model])
    assert after["alarms"] == lab.before["alarms"]
    assert after["records"] == []
    assert max(lab.shares) == 100
    assert not lab.under_capacity
