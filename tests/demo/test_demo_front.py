"""The demo's function in front of an endpoint, for real: clients call its alias, and the weights of the alias decide who answers."""

from __future__ import annotations

import boto3

from airflow_sm_rollout.demo.front import FRONT, put_in_front, shares_of_alias
from airflow_sm_rollout.demo.front_clients import FrontClient
from airflow_sm_rollout.demo.inventory import take_inventory
from airflow_sm_rollout.demo.production import ENDPOINT
from production import Production


def answer_of(client: FrontClient) -> tuple[int, str | None]:
    status, variant, _ = client.invoke("any", b"{}")
    return status, variant


def test_the_alias_decides_which_endpoint_answers_and_nothing_else_does(production: Production) -> None:
    production.put_endpoint(ENDPOINT)
    session = boto3.Session("sandbox", "sandbox", region_name="us-east-1")
    for _ in range(2):  # again, it changes nothing
        put_in_front(session, production.environment)
    shares, client = shares_of_alias(session), FrontClient(production.server.url, "us-east-1")
    assert shares() == {ENDPOINT: 100.0}
    assert answer_of(client) == (200, "AllTraffic")
    before = take_inventory(session, ENDPOINT, FRONT)
    functions = session.client("lambda")
    variables = {**production.environment, FRONT.variable: "gone"}
    functions.update_function_configuration(FunctionName=FRONT.function, Environment={"Variables": variables})
    functions.get_waiter("function_updated_v2").wait(FunctionName=FRONT.function)
    number = functions.publish_version(FunctionName=FRONT.function)["Version"]
    named = {"FunctionName": FRONT.function, "Name": FRONT.alias}
    functions.update_alias(**named, RoutingConfig={"AdditionalVersionWeights": {number: 0.25}})
    assert shares() == {ENDPOINT: 75.0, "gone": 25.0}
    functions.update_alias(**named, FunctionVersion=number, RoutingConfig={"AdditionalVersionWeights": {}})
    assert answer_of(client)[0] == 400
    functions.update_alias(**named, FunctionVersion="1")
    after = take_inventory(session, ENDPOINT, FRONT)
    assert after.names - before.names == {"version that calls gone"}
    assert after.endpoint != before.endpoint  # $LATEST names another
    client.close()


def test_a_function_that_fails_has_dropped_the_request(production: Production) -> None:
    session = boto3.Session("sandbox", "sandbox", region_name="us-east-1")
    put_in_front(session, {**production.environment, "AWS_ENDPOINT_URL": "http://127.0.0.1:9"})
    client = FrontClient(production.server.url, "us-east-1")
    status, _, error = client.invoke(ENDPOINT, b"{}")
    assert status == 0
    assert "refused" in error
    client.close()
