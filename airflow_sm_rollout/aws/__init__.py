"""The only place that calls AWS: reads into observations, and does what was decided."""
