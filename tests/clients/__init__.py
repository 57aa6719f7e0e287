"""Clients that nobody here wrote, each in an environment of its own, through the steps of a rollout: ``python -m tests.clients``."""
