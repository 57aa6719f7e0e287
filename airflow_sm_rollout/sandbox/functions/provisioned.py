"""Provisioned concurrency of versions and aliases: it is told, and an alias that has it can't split its calls (recorded).

It makes no call faster here: a function's process starts with its first call.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_sm_rollout.sandbox.errors import AwsError
from airflow_sm_rollout.sandbox.functions.function import LATEST, Function
from airflow_sm_rollout.sandbox.functions.service import Functions
from airflow_sm_rollout.sandbox.sagemaker.region import Region, timestamp


class ProvisionedConcurrency:
    """PutProvisionedConcurrencyConfig, GetProvisionedConcurrencyConfig, DeleteProvisionedConcurrencyConfig,
    ListProvisionedConcurrencyConfigs.
    """

    def __init__(self, region: Region, functions: Functions) -> None:
        self._region = region
        self._functions = functions

    def put_provisioned_concurrency_config(self, params: Mapping[str, Any]) -> dict[str, Any]:
        function, qualifier = self._qualified(params)
        alias = function.aliases.get(qualifier)
        if alias is not None and alias.weights:
            text = "Alias with weights can not be used with Provisioned Concurrency"
            raise AwsError("InvalidParameterValueException", text)
        ready = self._region.now() + self._region.timings.provision_function
        function.provisioned[qualifier] = params["ProvisionedConcurrentExecutions"], ready
        return self._describe(function, qualifier)

    def get_provisioned_concurrency_config(self, params: Mapping[str, Any]) -> dict[str, Any]:
        function, qualifier = self._qualified(params)
        if qualifier not in function.provisioned:
            text = "No Provisioned Concurrency Config found for this function"
            raise AwsError("ProvisionedConcurrencyConfigNotFoundException", text, 404)
        return self._describe(function, qualifier)

    def delete_provisioned_concurrency_config(self, params: Mapping[str, Any]) -> dict[str, Any]:
        function, qualifier = self._qualified(params)
        function.provisioned.pop(qualifier, None)
        return {}

    def list_provisioned_concurrency_configs(self, params: Mapping[str, Any]) -> dict[str, Any]:
        function, _ = self._functions.named(params)
        return {
            "ProvisionedConcurrencyConfigs": [
                {"FunctionArn": self._functions.arn(function.name, each), **self._describe(function, each)}
                for each in sorted(function.provisioned)
            ]
        }

    def _qualified(self, params: Mapping[str, Any]) -> tuple[Function, str]:
        function, qualifier = self._functions.named(params)
        if qualifier in (None, LATEST):
            raise AwsError(
                "InvalidParameterValueException",
                "Provisioned Concurrency Configs cannot be applied to unpublished function versions.",
            )
        if qualifier not in function.aliases and function.version(qualifier) is None:
            raise self._functions.not_found(function.name, qualifier)
        return function, str(qualifier)

    def _describe(self, function: Function, qualifier: str) -> dict[str, Any]:
        count, ready = function.provisioned[qualifier]
        is_ready = self._region.now() >= ready
        there = count if is_ready else 0
        return {
            "RequestedProvisionedConcurrentExecutions": count,
            "AvailableProvisionedConcurrentExecutions": there,
            "AllocatedProvisionedConcurrentExecutions": there,
            "Status": "READY" if is_ready else "IN_PROGRESS",
            "LastModified": timestamp(ready).isoformat(timespec="milliseconds").replace("+00:00", "+0000"),
        }
