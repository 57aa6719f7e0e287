"""Waiting without a worker. Triggers only read, and hold nothing worth keeping."""
