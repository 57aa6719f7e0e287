"""The rules by which a rollout goes on. One module for each goal, in which those of all ways to split traffic are read side by side: what a
decision needs to know, the rules, and for each way the order in which they are asked; the first that has an answer decides. What several
goals share stands beside them, and :mod:`~airflow_sm_rollout.core.rules.table` puts all together.

Traffic by variants: blue and green are two production variants of one endpoint, and weights split the requests.

What to know before reading the rules:

* An endpoint that is Updating refuses every other change, a rollback included. So rules that only need to know come first, then the rule
  that waits, then those that change something.
* ``InService`` proves nothing: after an update that AWS rolled back the endpoint is InService too, on its old config. Config names are
  compared, and the endpoint's last change is compared with the creation of the config it should be on: a config is created right before
  the update that uses it, so an endpoint that changed later and is not on it has been put back.
* A rollback moves weights first and tidies later, so that users are safe within one weight change.

Traffic by endpoints: blue and green are two endpoints, and a live pointer says which one clients call.

The user's ``endpoint_name`` is then a logical name. The pointer is an SSM parameter beside the rollout's record; where there is none, the
logical name is the endpoint's own, so that a client can be changed before the first rollout of this kind. What to know before reading the
rules:

* The switch, and the way back, are one PutParameter each. It is atomic but compares nothing, so every pointer that a rollout writes says
  which version it was meant to become: SSM's own count shows whether somebody else wrote in between.
* Clients hold a name for some seconds and a request for up to a minute. So an endpoint that the pointer has left is kept for the plan's
  ``drain`` before it is deleted.
* A rollback moves the pointer before it reads anything else. Blue's endpoint is not asked first: it has served until now.

Traffic by guardrails: SageMaker itself shifts traffic, by an UpdateEndpoint with a DeploymentConfig.

What to know before reading the rules:

* Blue and green have the same variant name, since SageMaker demands it; only the endpoint config's name tells them apart.
* Once begun it can't be interrupted, paused or hurried. SageMaker ends it, on green's config or on blue's.
* A rollback by SageMaker ends InService like a success does, and its FailureReason may be empty or that of an earlier update. So the
  verdict is the config that the endpoint is on, and the alarm is read from CloudWatch.
* SageMaker looks at alarms while it bakes and only then, and takes an alarm without data for a quiet one. So they are looked at once more
  before green counts as promoted.

Traffic by CodeDeploy: behind a Lambda function, but a deployment shifts its alias; see :mod:`~airflow_sm_rollout.core.rules.deployed`.
"""
