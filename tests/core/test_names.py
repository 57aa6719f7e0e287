from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_sm_rollout.core.errors import PlanError
from airflow_sm_rollout.core.names import Names, derive_rollout_id, validate_endpoint_name

SAGEMAKER_NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}")
ENDPOINTS = st.from_regex(SAGEMAKER_NAME, fullmatch=True).filter(lambda name: len(name) <= 63 and name.isascii())


@given(ENDPOINTS, st.text(min_size=1), st.text(min_size=1))
def test_every_name_is_one_that_sagemaker_takes(endpoint: str, dag: str, run: str) -> None:
    names = Names(endpoint, derive_rollout_id(endpoint, dag, run))
    for name in (names.variant, names.model, names.mixed_config, names.final_config):
        assert SAGEMAKER_NAME.fullmatch(name)
        assert len(name) <= 63
    assert names.mixed_config != names.final_config
    assert len(names.error_alarm) <= 255


def test_a_retry_has_the_names_of_the_first_try_and_another_run_has_others() -> None:
    assert derive_rollout_id("fraud", "dag", "run") == derive_rollout_id("fraud", "dag", "run")
    others = {
        derive_rollout_id("fraud", *parts)
        for parts in [("dag", "run"), ("dag", "run2"), ("da", "grun"), ("dag", "run", "group")]
    }
    assert len(others) == 4


@pytest.mark.parametrize("name", ["", "-fraud", "fraud-", "fraud_v1", "fraud.v1", "a" * 64, "größe", "a b", None, 7])
def test_a_name_that_sagemaker_would_refuse_is_refused(name: object) -> None:
    with pytest.raises(PlanError, match="endpoint_name="):
        validate_endpoint_name(name)  # type: ignore[arg-type]


@given(ENDPOINTS)
def test_a_name_that_sagemaker_takes_is_taken(name: str) -> None:
    assert validate_endpoint_name(name) == name
