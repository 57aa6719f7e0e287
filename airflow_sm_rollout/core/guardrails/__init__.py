"""Traffic by guardrails: SageMaker itself shifts traffic, by an UpdateEndpoint with a DeploymentConfig.

What to know before reading the rules:

* Blue and green have the same variant name, since SageMaker demands it; only the endpoint config's name tells them apart.
* Once begun it can't be interrupted, paused or hurried. SageMaker ends it, on green's config or on blue's.
* A rollback by SageMaker ends InService like a success does, and its FailureReason may be empty or that of an earlier update. So the
  verdict is the config that the endpoint is on, and the alarm is read from CloudWatch.
* SageMaker looks at alarms while it bakes and only then, and takes an alarm without data for a quiet one. So they are looked at once more
  before green counts as promoted.
"""
