"""Command lines as people mistype them: an exit code of 0, 1 or 2, and one sentence where it failed. Never a traceback."""

from __future__ import annotations

import pytest

from airflow_sm_rollout import cli
from test_rough_command_lines import lab, offline

__all__ = ["lab", "offline"]

LINES = """
plan --steps 33.3,66.6,100
plan --strategy linear --step 33.33333333333333
plan --bake 10m
plan --bake 10,20
plan --steps=
plan --steps [10,50,100]
plan --bake nan
plan --bake inf
plan --bake 1e300
plan --bake=-0
plan --strategy linear --step nan
plan --strategy linear --interval 60,60
plan --traffic guardrails --steps 10,100
plan --strategy blue_green --bake 60,60
status FRAUD
status weiß
status arn:aws:sagemaker:us-east-1:123456789012:endpoint/fraud
status nosuch
status fraud
rollback nosuch
rollback fraud --timeout 0
rollback fraud --timeout nan
pause fraud
iam-policy bad_name
iam-policy fraud --account 12
iam-policy *
iam-policy fraud --with validate --with validate
replay fraud --days 0
replay fraud --days 99
replay fraud --days nan
replay fraud --tolerances {
replay fraud --tolerances {"nosuch":1}
replay fraud --more-errors a
replay nosuch
sandbox --port 99999
sandbox --speed 0
"""
ODD = [
    ["status", ""],
    ["status", "fraud "],
    ["abort", "fraud", "--note", "x" * 9000],
    ["abort", "fraud", "--note", "é\n\t\x00"],
]


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize(
    "line", [*(each.split() for each in LINES.strip().splitlines()), *ODD], ids=lambda line: " ".join(line)[:50]
)
def test_it_ends_in_a_result_or_in_a_sentence(line: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    try:
        code = cli.main(line)
    except SystemExit as left:
        code = int(str(left.code))
    said = capsys.readouterr().err
    assert code in (0, 1, 2)
    assert code == 0 or said.strip()
    assert "Traceback" not in said
    assert len(said) < 3000
