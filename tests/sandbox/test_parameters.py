from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from airflow_sm_rollout.sandbox.app import Sandbox
from airflow_sm_rollout.sandbox.inprocess import connect

Refused = Callable[[Callable[[], object]], tuple[str, str, int]]


def put(ssm: Any, name: str, value: str = "v", **options: Any) -> Any:
    return ssm.put_parameter(Name=name, **{"Type": "String", "Value": value, **options})


def test_a_parameter_is_read_back_with_version_and_time(sandbox: Sandbox, ssm: Any, refused: Refused) -> None:
    assert put(ssm, "/sm-rollout/orders", '{"a": 1}')["Version"] == 1
    sandbox.schedule.advance(10)
    assert put(ssm, "/sm-rollout/orders", "new", Overwrite=True)["Version"] == 2
    parameter = ssm.get_parameter(Name="/sm-rollout/orders")["Parameter"]
    assert (parameter["Value"], parameter["Version"], parameter["Type"]) == ("new", 2, "String")
    assert parameter["LastModifiedDate"].timestamp() == sandbox.clock.now()
    assert parameter["ARN"] == "arn:aws:ssm:us-east-1:123456789012:parameter/sm-rollout/orders"
    assert ssm.get_parameter(Name=parameter["ARN"])["Parameter"]["Value"] == "new"
    assert ssm.get_parameter(Name="/sm-rollout/orders:1")["Parameter"]["Value"] == '{"a": 1}'
    assert refused(lambda: ssm.get_parameter(Name="/sm-rollout/orders:3"))[0] == "ParameterVersionNotFound"


def test_without_overwrite_the_second_put_is_refused_and_changes_nothing(ssm: Any, refused: Refused) -> None:
    put(ssm, "lock", "mine")
    assert refused(lambda: put(ssm, "lock", "theirs")) == (
        "ParameterAlreadyExists",
        "The parameter already exists. To overwrite this value, set the overwrite option in the request to true.",
        400,
    )
    assert ssm.get_parameter(Name="lock")["Parameter"]["Value"] == "mine"


def test_of_many_who_put_at_once_exactly_one_gets_the_lock(sandbox: Sandbox) -> None:
    clients = [connect(sandbox).client("ssm") for _ in range(8)]
    gate = threading.Barrier(len(clients))
    won: list[str] = []

    def contend(name: str, client: Any) -> None:
        gate.wait()
        try:
            put(client, "lock", name)
            won.append(name)
        except client.exceptions.ParameterAlreadyExists:
            pass

    threads = [threading.Thread(target=contend, args=(str(n), client)) for n, client in enumerate(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert clients[0].get_parameter(Name="lock")["Parameter"]["Value"] == won[0]


def test_a_missing_parameter_is_not_found_by_code(ssm: Any, refused: Refused) -> None:
    with pytest.raises(ssm.exceptions.ParameterNotFound):
        ssm.get_parameter(Name="gone")
    with pytest.raises(ssm.exceptions.ParameterNotFound):
        ssm.delete_parameter(Name="gone")
    put(ssm, "here")
    answer = ssm.get_parameters(Names=["here", "gone"])
    assert [one["Name"] for one in answer["Parameters"]] == ["here"]
    assert answer["InvalidParameters"] == ["gone"]
    assert ssm.delete_parameters(Names=["here", "gone"])["DeletedParameters"] == ["here"]
    assert refused(lambda: ssm.get_parameter(Name="here"))[0] == "ParameterNotFound"


def test_a_path_lists_its_children_or_all_below_in_pages(ssm: Any) -> None:
    for number in range(12):
        put(ssm, f"/sm-rollout/e{number:02}")
    put(ssm, "/sm-rollout/deep/er")
    put(ssm, "/sm-rollouts/other")
    first = ssm.get_parameters_by_path(Path="/sm-rollout")
    assert len(first["Parameters"]) == 10
    paginator = ssm.get_paginator("get_parameters_by_path")
    children = [p["Name"] for page in paginator.paginate(Path="/sm-rollout/") for p in page["Parameters"]]
    assert children == [f"/sm-rollout/e{number:02}" for number in range(12)]
    below = [p["Name"] for page in paginator.paginate(Path="/sm-rollout", Recursive=True) for p in page["Parameters"]]
    assert sorted(below) == sorted([*children, "/sm-rollout/deep/er"])


@pytest.mark.parametrize(
    ("size", "tier", "stored"),
    [
        (4096, None, "Standard"),
        (4096, "Intelligent-Tiering", "Standard"),
        (4097, "Intelligent-Tiering", "Advanced"),
        (8192, "Advanced", "Advanced"),
    ],
)
def test_values_are_stored_up_to_the_limit_of_their_tier(ssm: Any, size: int, tier: str | None, stored: str) -> None:
    options = {"Tier": tier} if tier else {}
    assert put(ssm, "large", "x" * size, **options)["Tier"] == stored
    assert len(ssm.get_parameter(Name="large")["Parameter"]["Value"]) == size


@pytest.mark.parametrize(
    ("size", "tier"), [(4097, None), (4097, "Standard"), (8193, "Advanced"), (8193, "Intelligent-Tiering")]
)
def test_values_beyond_the_limit_are_refused(ssm: Any, size: int, tier: str | None, refused: Refused) -> None:
    options = {"Tier": tier} if tier else {}
    assert refused(lambda: put(ssm, "large", "x" * size, **options))[0] == "ValidationException"
    assert refused(lambda: ssm.get_parameter(Name="large"))[0] == "ParameterNotFound"


def test_an_advanced_parameter_stays_one(ssm: Any, refused: Refused) -> None:
    put(ssm, "large", Tier="Advanced")
    assert refused(lambda: put(ssm, "large", Overwrite=True, Tier="Standard"))[0] == "ValidationException"
    assert put(ssm, "large", Overwrite=True)["Tier"] == "Advanced"


@pytest.mark.parametrize("name", ["ssm-mine", "aws-mine", "/ssm/x", "a b", "no/slash/first", "/trailing/"])
def test_names_that_aws_refuses_are_refused(ssm: Any, name: str, refused: Refused) -> None:
    assert refused(lambda: put(ssm, name))[0] == "ValidationException"


def test_a_new_parameter_needs_a_type_and_an_overwritten_one_keeps_its_own(ssm: Any, refused: Refused) -> None:
    assert refused(lambda: ssm.put_parameter(Name="x", Value="1"))[0] == "ValidationException"
    put(ssm, "x", Type="StringList")
    ssm.put_parameter(Name="x", Value="2", Overwrite=True)
    assert ssm.get_parameter(Name="x")["Parameter"]["Type"] == "StringList"


def test_a_secret_is_read_by_whoever_asks_for_decryption_only(ssm: Any) -> None:
    ssm.put_parameter(Name="/secret", Value="plain text", Type="SecureString")
    assert ssm.get_parameter(Name="/secret", WithDecryption=True)["Parameter"]["Value"] == "plain text"
    assert "plain text" not in ssm.get_parameter(Name="/secret")["Parameter"]["Value"]
    [version] = ssm.get_parameter_history(Name="/secret")["Parameters"]
    assert "plain text" not in version["Value"]


def test_a_name_of_one_segment_is_one_parameter_with_and_without_its_slash(ssm: Any) -> None:
    ssm.put_parameter(Name="/one", Value="v", Type="String")
    found = [ssm.get_parameter(Name=name)["Parameter"] for name in ("one", "/one")]
    found.append(ssm.get_parameter(Name=found[0]["ARN"])["Parameter"])
    assert [parameter["Value"] for parameter in found] == ["v"] * 3
    ssm.delete_parameter(Name="one")
    assert ssm.describe_parameters()["Parameters"] == []


FILTERED = {"/a/b": "String", "/a/c/d": "SecureString", "plain": "StringList"}


@pytest.fixture
def filtered(ssm: Any) -> Callable[..., list[str]]:
    """``filtered(filters...)``: the names that DescribeParameters finds of three."""
    for name, type_ in FILTERED.items():
        ssm.put_parameter(Name=name, Value="1", Type=type_, Tags=[{"Key": "kind", "Value": type_}])

    def filtered(*filters: dict[str, Any]) -> list[str]:
        return [each["Name"] for each in ssm.describe_parameters(ParameterFilters=list(filters))["Parameters"]]

    return filtered


@pytest.mark.parametrize(
    ("wish", "names"),
    [
        ({"Key": "Path", "Values": ["/"]}, ["plain"]),
        ({"Key": "Path", "Option": "Recursive", "Values": ["/"]}, ["/a/b", "/a/c/d", "plain"]),
        ({"Key": "Path", "Option": "OneLevel", "Values": ["/a"]}, ["/a/b"]),
        ({"Key": "Name", "Values": ["/plain"]}, ["plain"]),
        ({"Key": "Name", "Option": "BeginsWith", "Values": ["a/"]}, ["/a/b", "/a/c/d"]),
        ({"Key": "Name", "Option": "Contains", "Values": ["/"]}, ["/a/b", "/a/c/d", "plain"]),
        ({"Key": "Type", "Values": ["String", "StringList"]}, ["/a/b", "plain"]),
        ({"Key": "KeyId", "Values": ["alias/aws/ssm"]}, ["/a/c/d"]),
        ({"Key": "tag:kind", "Option": "BeginsWith", "Values": ["String"]}, ["/a/b", "plain"]),
        ({"Key": "tag:other"}, []),
    ],
)
def test_each_filter_finds_what_aws_would(
    filtered: Callable[..., list[str]], wish: dict[str, Any], names: list[str]
) -> None:
    assert filtered(wish) == names


@pytest.mark.parametrize(
    ("filters", "code"),
    [
        ([{"Key": "Label", "Values": ["x"]}], "InvalidFilterKey"),
        ([{"Key": "Name"}], "InvalidFilterValue"),
        ([{"Key": "Tier", "Values": ["Gold"]}], "InvalidFilterValue"),
        ([{"Key": "Path", "Option": "Equals", "Values": ["/a"]}], "InvalidFilterOption"),
        ([{"Key": "Type", "Option": "Contains", "Values": ["String"]}], "InvalidFilterOption"),
        ([{"Key": "Path", "Values": ["a"]}], "ValidationException"),
        ([{"Key": "Path", "Values": ["/aws"]}], "ValidationException"),
        ([{"Key": "Name", "Values": ["a"]}] * 2, "InvalidFilterKey"),
    ],
)
def test_a_filter_that_aws_refuses_is_refused(
    ssm: Any, refused: Refused, filters: list[dict[str, Any]], code: str
) -> None:
    assert refused(lambda: ssm.describe_parameters(ParameterFilters=filters))[0] == code


def test_a_path_is_listed_by_type_and_key_only(ssm: Any, filtered: Callable[..., list[str]], refused: Refused) -> None:
    def by(key: str, value: str) -> list[str]:
        wish = [{"Key": key, "Values": [value]}]
        found = ssm.get_parameters_by_path(Path="/", Recursive=True, ParameterFilters=wish)
        return [each["Name"] for each in found["Parameters"]]

    assert by("Type", "SecureString") == by("KeyId", "alias/aws/ssm") == ["/a/c/d"]
    assert refused(lambda: by("Name", "plain"))[0] == "InvalidFilterKey"


def test_a_value_keeps_to_the_parameters_pattern(ssm: Any, refused: Refused) -> None:
    put(ssm, "share", Value="10", AllowedPattern="[0-9]+", Description="of green")
    assert refused(lambda: put(ssm, "share", Value="ten", Overwrite=True))[0] == "ParameterPatternMismatchException"
    put(ssm, "share", Value="20", Overwrite=True)
    [kept] = ssm.describe_parameters()["Parameters"]
    assert (kept["AllowedPattern"], kept["Description"]) == ("[0-9]+", "of green")
    assert refused(lambda: put(ssm, "other", Value="1", AllowedPattern="["))[0] == "InvalidAllowedPatternException"


def test_a_value_is_not_empty_and_policies_are_refused_by_name(ssm: Any, refused: Refused) -> None:
    assert refused(lambda: put(ssm, "empty", Value=""))[0] == "ValidationException"
    assert refused(lambda: put(ssm, "expires", Policies="[]"))[::2] == ("NotImplemented", 501)


def test_a_version_with_a_label_is_not_forgotten(ssm: Any, refused: Refused) -> None:
    for number in range(100):
        put(ssm, "often", Value=str(number), Overwrite=True)
    ssm.label_parameter_version(Name="often", ParameterVersion=1, Labels=["first"])
    assert refused(lambda: put(ssm, "often", Overwrite=True))[0] == "ParameterMaxVersionLimitExceeded"
    ssm.label_parameter_version(Name="often", ParameterVersion=2, Labels=["first"])
    assert put(ssm, "often", Overwrite=True)["Version"] == 101


def test_a_name_under_aws_is_reserved(ssm: Any, refused: Refused) -> None:
    assert refused(lambda: put(ssm, "/AWS/x"))[0] == "AccessDeniedException"


def test_an_arn_is_in_the_partition_of_its_region(session: Any) -> None:
    arns = {}
    for region in ("eu-west-1", "cn-north-1", "us-gov-west-1"):
        ssm = session.client("ssm", region_name=region)
        put(ssm, "x")
        arns[region] = ssm.get_parameter(Name="x")["Parameter"]["ARN"].partition(":ssm:")[0]
    assert arns == {"eu-west-1": "arn:aws", "cn-north-1": "arn:aws-cn", "us-gov-west-1": "arn:aws-us-gov"}
