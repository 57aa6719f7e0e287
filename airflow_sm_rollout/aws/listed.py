"""Whether something of a rollout's is there, without an error where it is not: a list may be empty, which a description can't."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from botocore.exceptions import ClientError

from airflow_sm_rollout.aws.answers import told
from airflow_sm_rollout.aws.causes import Meaning
from airflow_sm_rollout.aws.errors import meaning_of


class _List(NamedTuple):
    method: str
    members: str
    name: str


_LISTS: Mapping[str, _List] = {
    "DescribeEndpoint": _List("list_endpoints", "Endpoints", "EndpointName"),
    "DescribeEndpointConfig": _List("list_endpoint_configs", "EndpointConfigs", "EndpointConfigName"),
    "DescribeModel": _List("list_models", "Models", "ModelName"),
}


def read_names(sagemaker: Any, described_by: str, rollout_id: str) -> frozenset[str] | None:
    """The names with a rollout's id in them, as all that it makes have; ``None``: this role may not list.

    :param described_by: the operation that describes one of them.
    """
    method, members, name = _LISTS[described_by]
    try:
        pages = list(sagemaker.get_paginator(method).paginate(NameContains=rollout_id))
    except ClientError as error:
        if meaning_of(error) is not Meaning.DENIED:
            raise
        return None
    return frozenset(told(each, name, f"an answer of {method}") for page in pages for each in page.get(members, ()))
