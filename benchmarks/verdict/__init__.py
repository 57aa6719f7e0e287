"""How well harm is told from health: ours, Kayenta's judge and fixed alarms on the same made-up traffic.

Run it by ``python -m benchmarks.verdict``.
"""
