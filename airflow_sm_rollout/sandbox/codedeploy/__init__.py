"""AWS CodeDeploy, as far as it shifts the alias of a Lambda function: applications, groups, configs and deployments.

A deployment moves the sandbox's own alias step by step on the sandbox's clock, obeys the alarms of its group, runs its hooks as functions
that report back, and goes back by a deployment of its own where it is asked to. Deployments to servers and to ECS are refused by name.
"""

from airflow_sm_rollout.sandbox.codedeploy.service import CodeDeploy as CodeDeploy
