"""Measurements that are no tests: they print tables."""
