"""AWS Lambda, as far as a function stands in front of an endpoint: versions, aliases that split calls by weight, and real calls.

A function's code runs in processes of this machine, with the variables of the version that was drawn (see :mod:`.runtime`). What is
not played is refused by name: code by image, layers, event sources and URLs among them.
"""

from airflow_sm_rollout.sandbox.functions.provisioned import ProvisionedConcurrency as ProvisionedConcurrency
from airflow_sm_rollout.sandbox.functions.service import Functions as Functions
