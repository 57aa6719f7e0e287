"""What stands below each command's help: examples, and what their exit codes say."""

from __future__ import annotations

EXAMPLES = {
    "plan": (
        "sm-rollout plan --steps 10,50,100 --bake 600",
        "sm-rollout plan --strategy linear --step 20 --interval 300",
    ),
    "replay": (
        "sm-rollout replay wine --days 7",
        "sm-rollout replay wine --steps 5,50,100 --bake 1800 --more-errors 0.5,1",
    ),
    "status": (
        "sm-rollout status                          # every rollout in progress, the most urgent first",
        "sm-rollout status wine",
        "sm-rollout status wine --watch && echo promoted",
        "sm-rollout status wine -o json | jq .rollout.share",
    ),
    "history": ("sm-rollout history wine", "sm-rollout history wine --days 3"),
    "report": ("sm-rollout report canary manual__2026-11-28T08:00:00+00:00 --html rollout.html",),
    "rollback": ("sm-rollout rollback wine", "sm-rollout rollback wine --on-drift restore"),
    "undo": ("sm-rollout undo wine --dry-run", 'sm-rollout undo wine --note "complaints since Monday"'),
    "pause": ('sm-rollout pause wine --note "waiting for the weekly report"',),
    "resume": ("sm-rollout resume wine",),
    "promote": ('sm-rollout promote wine --note "the fix is urgent"',),
    "abort": ('sm-rollout abort wine --note "complaints by telephone"',),
    "approve": ("AIRFLOW_TOKEN=... sm-rollout approve wine --airflow-url https://airflow.example.com",),
    "reject": ('AIRFLOW_TOKEN=... sm-rollout reject wine --note "release freeze"',),
    "guardian": (
        "sm-rollout guardian --every 15 -o json",
        "sm-rollout guardian --once --prefix wine   # for cron",
        "sm-rollout guardian --policy --prefix wine > policy.json",
        "sm-rollout guardian package && sm-rollout guardian template > guardian.json   # for AWS Lambda",
    ),
    "iam-policy": (
        "sm-rollout iam-policy wine --account 123456789012 > policy.json",
        "sm-rollout iam-policy wine --traffic endpoints --clients",
    ),
    "completion": (
        'eval "$(sm-rollout completion bash)"',
        "sm-rollout completion fish > ~/.config/fish/completions/sm-rollout.fish",
    ),
    "probe": (
        "sm-rollout probe --list",
        "sm-rollout probe --model wine-2 --body request.json --instance-type ml.t2.medium",
        "sm-rollout probe --model wine-2 --only weights-when --only stragglers --yes -o json",
    ),
    "sandbox": (
        "sm-rollout sandbox --port 4599",
        "sm-rollout sandbox --speed 60 --no-containers",
        "sm-rollout sandbox --record calls.jsonl    # and later: sm-rollout sandbox --replay calls.jsonl",
    ),
    "demo": ("sm-rollout demo", "sm-rollout demo --strategy linear --model subtle --keep"),
}

_ENDS = {
    "probe": """
exit codes:
  0, 1               AWS does as the sandbox; it differs in some fact, or some could not be asked
""",
    "sandbox": """
exit codes of --replay:
  0, 1               all calls are answered as recorded; some are not, or the file is no recording
""",
    "guardian": """
exit codes:
  1                  with --once: some rollout could not be looked at or taken back; the next look tries again
""",
    "status": """
exit codes:
  0, 1               shown once; or there is no such endpoint, or AWS does not answer
  with --watch:
  0                  green was promoted
  1                  rolled back: blue serves as before
  2                  not settled: nobody drives it any more, or somebody else has changed what serves; or there is nothing to watch
  3                  not over within the seconds of --for
""",
}


def epilog_of(name: str) -> str:
    """Below the help of a command."""
    examples = EXAMPLES.get(name, ())
    told = "examples:\n" + "\n".join(f"  {example}" for example in examples) if examples else ""
    return told + "\n" + _ENDS.get(name, "")
