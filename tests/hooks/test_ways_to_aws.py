"""FIPS endpoints, VPC endpoints and proxies, as a connection, a DAG or the environment names them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from airflow_sm_rollout.aws.clients import Clients
from airflow_sm_rollout.hooks.aws import AwsConnection, SharedClients
from answering import Answer, Asked, answering
from hooks.stored import Airflow

SERVICES = {
    "sagemaker": "sagemaker",
    "cloudwatch": "monitoring",
    "ssm": "ssm",
    "autoscaling": "application-autoscaling",
    "functions": "lambda",
    "codedeploy": "codedeploy",
}
BOTO_NAMES = {"autoscaling": "application-autoscaling", "functions": "lambda"}
VPC = "https://vpce-0a1b.{}.us-gov-west-1.vpce.amazonaws.com"


def clients_of(connection: AwsConnection) -> Clients:
    return SharedClients().get(connection)


def urls(clients: Clients) -> dict[str, str]:
    return {name: str(getattr(clients, name).meta.endpoint_url) for name in SERVICES}


@pytest.fixture
def stored(airflow: Airflow) -> Airflow:
    """Nothing but credentials is stored."""
    airflow.extra.clear()
    return airflow


def by_dag(stored: Airflow, monkeypatch: pytest.MonkeyPatch) -> AwsConnection:
    return AwsConnection("stored", "us-gov-west-1", botocore_config={"use_fips_endpoint": True})


def by_connection(stored: Airflow, monkeypatch: pytest.MonkeyPatch) -> AwsConnection:
    stored.extra["config_kwargs"] = {"use_fips_endpoint": True}
    return AwsConnection("stored", "us-gov-west-1")


def by_environment(stored: Airflow, monkeypatch: pytest.MonkeyPatch) -> AwsConnection:
    monkeypatch.setenv("AWS_USE_FIPS_ENDPOINT", "true")
    return AwsConnection("stored", "us-gov-west-1")


@pytest.mark.parametrize("say", [by_dag, by_connection, by_environment])
def test_every_service_is_called_at_its_fips_endpoint(
    say: Callable[[Airflow, pytest.MonkeyPatch], AwsConnection], stored: Airflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = say(stored, monkeypatch)
    with_fips = urls(clients_of(connection))
    monkeypatch.delenv("AWS_USE_FIPS_ENDPOINT", raising=False)
    stored.extra.pop("config_kwargs", None)
    without = urls(clients_of(AwsConnection("stored", "us-gov-west-1")))
    # GovCloud's endpoints of some services are FIPS endpoints by their plain names.
    assert with_fips["sagemaker"] == "https://api-fips.sagemaker.us-gov-west-1.amazonaws.com"
    assert with_fips["functions"] == "https://lambda-fips.us-gov-west-1.amazonaws.com"
    assert without["sagemaker"] == "https://api.sagemaker.us-gov-west-1.amazonaws.com"
    assert all(name in with_fips[each] for each, name in SERVICES.items())


def test_china_has_a_domain_of_its_own(stored: Airflow) -> None:
    found = urls(clients_of(AwsConnection("stored", "cn-north-1")))
    assert {each: url.partition("cn-north-1")[2] for each, url in found.items()} == dict.fromkeys(
        SERVICES, ".amazonaws.com.cn"
    )


def test_each_service_has_its_vpc_endpoint(stored: Airflow) -> None:
    stored.extra["service_config"] = {
        BOTO_NAMES.get(each, each): {"endpoint_url": VPC.format(name)} for each, name in SERVICES.items()
    }
    found = urls(clients_of(AwsConnection("stored", "us-gov-west-1")))
    assert found == {each: VPC.format(name) for each, name in SERVICES.items()}


def answer_as_ssm(asked: Asked) -> Answer:
    return Answer(json.dumps({"Parameters": [], "InvalidParameters": []}), "application/x-amz-json-1.1")


@contextmanager
def proxied(into: list[Asked]) -> Iterator[str]:
    """A proxy that answers for AWS itself."""

    def answer(asked: Asked) -> Answer:
        into.append(asked)
        return answer_as_ssm(asked)

    with answering(answer) as url:
        yield url


def proxy_by_dag(stored: Airflow, monkeypatch: pytest.MonkeyPatch, url: str) -> dict[str, Any] | None:
    return {"proxies": {"http": url}}


def proxy_by_connection(stored: Airflow, monkeypatch: pytest.MonkeyPatch, url: str) -> dict[str, Any] | None:
    stored.extra["config_kwargs"] = {"proxies": {"http": url}}
    return None


def proxy_by_environment(stored: Airflow, monkeypatch: pytest.MonkeyPatch, url: str) -> dict[str, Any] | None:
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", url)
    return None


@pytest.mark.parametrize("say", [proxy_by_dag, proxy_by_connection, proxy_by_environment])
def test_calls_go_through_the_proxy(
    say: Callable[[Airflow, pytest.MonkeyPatch, str], dict[str, Any] | None],
    stored: Airflow,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[Asked] = []
    with proxied(asked) as url:
        config = say(stored, monkeypatch, url)
        stored.extra["service_config"] = {"ssm": {"endpoint_url": "http://ssm.of-nowhere.test"}}
        clients = clients_of(AwsConnection("stored", "us-east-1", botocore_config=config))
        assert clients.ssm.get_parameters(Names=["/sm-rollout/fraud"])["Parameters"] == []
    assert [each.path for each in asked] == ["http://ssm.of-nowhere.test/"]
