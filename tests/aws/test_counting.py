"""Calls of AWS are counted where somebody asks for that, in the thread that makes them, and nowhere else."""

from __future__ import annotations

import contextvars
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from airflow_sm_rollout.aws.counting import counting
from airflow_sm_rollout.core.goals import GreenDeployed
from convergence.lab import Lab


def test_each_call_is_counted_once_by_its_operation_and_errors_too() -> None:
    lab, made = Lab(), Counter[str]()
    planned = lab.plan()
    lab.calls.clear()
    with counting(made):
        lab.reach(GreenDeployed(planned))
    assert made == Counter(call.split(":")[1] for call in lab.calls)
    lab.run()
    assert made["UpdateEndpoint"] == 1


def test_a_thread_counts_for_who_has_sent_it_and_two_do_not_mix() -> None:
    lab, counts = Lab(), [Counter[str](), Counter[str]()]
    with ThreadPoolExecutor(2) as pool:
        for count in counts:
            with counting(count):
                pool.submit(contextvars.copy_context().run, lab.clients.sagemaker.list_models).result()
    assert counts == [Counter({"ListModels": 1})] * 2
