"""Lambda's operations on functions and aliases. Texts are those of AWS where one is documented or commonly seen."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import random
import zipfile
from collections.abc import Mapping
from typing import Any

from airflow_sm_rollout.sandbox.errors import AwsError
from airflow_sm_rollout.sandbox.functions.function import LATEST, Alias, Function, Version, split_name
from airflow_sm_rollout.sandbox.functions.runtime import FunctionHost
from airflow_sm_rollout.sandbox.sagemaker.region import Region, timestamp
from airflow_sm_rollout.sandbox.surface import not_played

DEFAULTS: Mapping[str, Any] = {"Description": "", "Timeout": 3, "MemorySize": 128, "PackageType": "Zip"}
PAGE = 50
_SETTINGS = ("Role", "Handler", "Description", "Timeout", "MemorySize", "Runtime", "DeadLetterConfig", "KMSKeyArn")


class Functions:
    """The functions of one Region.

    :param seed: of the random routing.
    """

    def __init__(self, region: Region, seed: int) -> None:
        self._region = region
        self._host = FunctionHost()
        self._rng = random.Random(seed)
        self._functions: dict[str, Function] = {}

    def create_function(self, params: Mapping[str, Any]) -> dict[str, Any]:
        name, _ = split_name(params["FunctionName"])
        if name in self._functions:
            raise AwsError("ResourceConflictException", f"Function already exist: {name}", 409)
        code = params["Code"].get("ZipFile")
        if code is None or params.get("PackageType", "Zip") != "Zip":
            raise not_played("a function whose code is no ZipFile")
        if not params.get("Runtime") or not params.get("Handler"):
            text = "Runtime and Handler are mandatory parameters for functions created with deployment packages."
            raise AwsError("InvalidParameterValueException", text)
        latest = Version(LATEST, {**DEFAULTS, **_settings(params)}, _unzippable(code), self._region.now())
        function = self._functions[name] = Function(name, latest)
        return self._describe(function, self._publish(function, "") if params.get("Publish") else latest)

    def get_function(self, params: Mapping[str, Any]) -> dict[str, Any]:
        return {"Configuration": self.get_function_configuration(params)}

    def get_function_configuration(self, params: Mapping[str, Any]) -> dict[str, Any]:
        function, qualifier = self.named(params)
        alias = function.aliases.get(str(qualifier))
        version = function.version(alias.version if alias else qualifier)
        if version is None:
            raise self.not_found(function.name, qualifier)
        return self._describe(function, version)

    def update_function_configuration(self, params: Mapping[str, Any]) -> dict[str, Any]:
        return self._update(params, settings=_settings(params))

    def update_function_code(self, params: Mapping[str, Any]) -> dict[str, Any]:
        if "ZipFile" not in params:
            raise not_played("UpdateFunctionCode without a ZipFile")
        return self._update(params, code=_unzippable(params["ZipFile"]))

    def publish_version(self, params: Mapping[str, Any]) -> dict[str, Any]:
        function, _ = self.named(params)
        self._hold(function, params)
        return self._describe(function, self._publish(function, params.get("Description", "")))

    def list_versions_by_function(self, params: Mapping[str, Any]) -> dict[str, Any]:
        function, _ = self.named(params)
        versions = [function.latest, *function.published.values()]
        shown, more = _page(versions, params)
        return {"Versions": [self._describe(function, version) for version in shown], **more}

    def delete_function(self, params: Mapping[str, Any]) -> dict[str, Any]:
        function, number = self.named(params)
        if number is None:
            self._host.forget(self.arn(function.name))
            del self._functions[function.name]
            return {"StatusCode": 204}
        if number == LATEST:
            text = "$LATEST version cannot be deleted without deleting the function."
            raise AwsError("InvalidParameterValueException", text)
        holders = [alias.name for alias in function.aliases.values() if number in (alias.version, *alias.weights)]
        if holders:
            text = f"Version {number} is referenced by alias(es) {', '.join(holders)}; delete or change these first."
            raise AwsError("ResourceConflictException", text, 409)
        function.provisioned.pop(number, None)
        if function.published.pop(number, None):
            self._host.forget(self.arn(function.name, number))
        return {"StatusCode": 204}

    def create_alias(self, params: Mapping[str, Any]) -> dict[str, Any]:
        function, _ = self.named(params)
        if params["Name"] in function.aliases:
            arn = self.arn(function.name, params["Name"])
            raise AwsError("ResourceConflictException", f"Alias already exists: {arn}", 409)
        return self._keep(function, Alias(params["Name"], "", "", {}), params)

    def get_alias(self, params: Mapping[str, Any]) -> dict[str, Any]:
        function, _ = self.named(params)
        return self._describe_alias(function, self._alias(function, params["Name"]))

    def list_aliases(self, params: Mapping[str, Any]) -> dict[str, Any]:
        function, _ = self.named(params)
        shown, more = _page([function.aliases[name] for name in sorted(function.aliases)], params)
        return {"Aliases": [self._describe_alias(function, alias) for alias in shown], **more}

    def update_alias(self, params: Mapping[str, Any]) -> dict[str, Any]:
        function, _ = self.named(params)
        alias = self._alias(function, params["Name"])
        _compare(params, alias.revision, "RevisionId")
        return self._keep(function, alias, params)

    def delete_alias(self, params: Mapping[str, Any]) -> dict[str, Any]:
        function, _ = self.named(params)
        function.aliases.pop(params["Name"], None)
        return {}

    def invoke(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """One call. The lock is held for the draw only, the code runs outside of it."""
        if params.get("InvocationType", "RequestResponse") != "RequestResponse":
            raise not_played(f"Invoke with InvocationType {params['InvocationType']}")
        event = _event(params)
        with self._region.schedule.lock:
            function, qualifier = self.named(params)
            version = function.resolve(qualifier, self._rng)
        if version is None:
            raise self.not_found(function.name, qualifier)
        reply = self._host.invoke(self.arn(function.name, version.number), version, event)
        failed = {"FunctionError": reply.error} if reply.error else {}
        return {"StatusCode": 200, "ExecutedVersion": version.number, "Payload": reply.payload, **failed}

    def close(self) -> None:
        """End the processes of all functions."""
        self._host.close()

    def _update(self, params: Mapping[str, Any], **changed: Any) -> dict[str, Any]:
        function, _ = self.named(params)
        self._hold(function, params)
        settings = {**function.latest.settings, **changed.get("settings", {})}
        code = changed.get("code", function.latest.code)
        function.latest = Version(LATEST, settings, code, self._region.now())
        function.busy_until = self._region.now() + self._region.timings.update_function
        return self._describe(function, self._publish(function, "") if params.get("Publish") else function.latest)

    def _hold(self, function: Function, params: Mapping[str, Any]) -> None:
        """Refuse a change while another one is under way, or where the caller has seen another revision."""
        if self._region.now() < function.busy_until:
            arn = self.arn(function.name)
            text = f"The operation cannot be performed at this time. An update is in progress for resource: {arn}"
            raise AwsError("ResourceConflictException", text, 409)
        _compare(params, function.latest.revision, "Revision Id")

    def _publish(self, function: Function, description: str) -> Version:
        newest = function.published.get(str(function.last_number))
        if newest is not None and newest.is_like(function.latest):
            return newest
        function.last_number += 1
        settings = {**function.latest.settings, **({"Description": description} if description else {})}
        version = Version(str(function.last_number), settings, function.latest.code, self._region.now())
        function.published[version.number] = version
        return version

    def _keep(self, function: Function, alias: Alias, params: Mapping[str, Any]) -> dict[str, Any]:
        version = params.get("FunctionVersion", alias.version)
        routing = params.get("RoutingConfig")
        weights = alias.weights if routing is None else routing.get("AdditionalVersionWeights", {})
        for number in (version, *weights):
            if function.version(number) is None:
                raise self.not_found(function.name, number)
        refusal = function.why_not_weighted(version, weights)
        if weights and alias.name in function.provisioned:
            refusal = "Alias with weights can not be used with Provisioned Concurrency"
        if refusal:
            raise AwsError("InvalidParameterValueException", refusal)
        description = params.get("Description", alias.description)
        function.aliases[alias.name] = Alias(alias.name, version, description, dict(weights))
        return self._describe_alias(function, function.aliases[alias.name])

    def named(self, params: Mapping[str, Any]) -> tuple[Function, str | None]:
        """The function that a call is about, and its qualifier.

        :raises AwsError: ``ResourceNotFoundException`` if there is none.
        """
        name, qualifier = split_name(params["FunctionName"], params.get("Qualifier"))
        if name not in self._functions:
            raise self.not_found(name, qualifier)
        return self._functions[name], qualifier

    def _alias(self, function: Function, name: str) -> Alias:
        if name not in function.aliases:
            text = f"Cannot find alias arn: {self.arn(function.name, name)}"
            raise AwsError("ResourceNotFoundException", text, 404)
        return function.aliases[name]

    def not_found(self, name: str, qualifier: str | None) -> AwsError:
        """The refusal of what is not there."""
        return AwsError("ResourceNotFoundException", f"Function not found: {self.arn(name, qualifier)}", 404)

    def arn(self, name: str, qualifier: str | None = None) -> str:
        """A function's ARN, or that of one of its versions or aliases."""
        arn = self._region.arn_of("lambda", f"function:{name}")
        return f"{arn}:{qualifier}" if qualifier else arn

    def _describe(self, function: Function, version: Version) -> dict[str, Any]:
        is_busy = version.number == LATEST and self._region.now() < function.busy_until
        digest = base64.b64encode(hashlib.sha256(version.code).digest()).decode()
        return {
            **version.settings,
            "FunctionName": function.name,
            "FunctionArn": self.arn(function.name, version.number if version.number != LATEST else None),
            "CodeSize": len(version.code),
            "CodeSha256": digest,
            "LastModified": timestamp(version.modified).isoformat(timespec="milliseconds").replace("+00:00", "+0000"),
            "Version": version.number,
            "RevisionId": version.revision,
            "State": "Active",
            "LastUpdateStatus": "InProgress" if is_busy else "Successful",
        }

    def _describe_alias(self, function: Function, alias: Alias) -> dict[str, Any]:
        routing = {"RoutingConfig": {"AdditionalVersionWeights": dict(alias.weights)}} if alias.weights else {}
        return {
            "AliasArn": self.arn(function.name, alias.name),
            "Name": alias.name,
            "FunctionVersion": alias.version,
            "Description": alias.description,
            "RevisionId": alias.revision,
            **routing,
        }


def _settings(params: Mapping[str, Any]) -> dict[str, Any]:
    settings = {name: params[name] for name in _SETTINGS if name in params}
    if "Environment" in params:
        settings["Environment"] = {"Variables": dict(params["Environment"].get("Variables", {}))}
    return settings


def _unzippable(code: bytes | str) -> bytes:
    content = code.encode() if isinstance(code, str) else bytes(code)
    if not zipfile.is_zipfile(io.BytesIO(content)):
        text = "Could not unzip uploaded file. Please check your file, then try to upload again."
        raise AwsError("InvalidParameterValueException", text)
    return content


def _event(params: Mapping[str, Any]) -> Any:
    try:
        return json.loads(params.get("Payload") or b"{}")
    except ValueError as error:
        text = f"Could not parse request body into json: {error}"
        raise AwsError("InvalidRequestContentException", text) from None


def _compare(params: Mapping[str, Any], revision: str, what: str) -> None:
    if params.get("RevisionId", revision) != revision:
        text = f"The {what} provided does not match the latest {what}. Call the GetFunction/GetAlias API to retrieve the latest {what}"
        raise AwsError("PreconditionFailedException", text, 412)


def _page(items: list[Any], params: Mapping[str, Any]) -> tuple[list[Any], dict[str, Any]]:
    marker, size = str(params.get("Marker") or 0), min(params.get("MaxItems", PAGE), PAGE)
    if not (marker.isascii() and marker.isdigit()):
        raise AwsError("InvalidParameterValueException", "Invalid Marker")
    start = int(marker)
    more = {"NextMarker": str(start + size)} if start + size < len(items) else {}
    return items[start : start + size], more
