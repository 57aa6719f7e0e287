"""AWS clients by an Airflow connection, made once in a process.

A set of clients costs about half a second of processor time and tens of MiB, most of it for the descriptions of AWS's services. So all that
a process does over one connection shares one set: boto3's clients are safe to share between threads (its sessions are not, and none leaves
this module). They refresh credentials that expire by themselves. What else may change is noticed: the connection is looked up in Airflow
again after :data:`LOOK_UP_AGAIN` seconds, and after :data:`KEPT_FOR` seconds the clients are made anew in any case, for credentials that
boto3 reads only once, such as those in a file.
"""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from airflow_sm_rollout.aws.clients import Clients
from airflow_sm_rollout.hooks.outside import OUTSIDE

LOOK_UP_AGAIN = 60.0
KEPT_FOR = 900.0
_MOST_KEPT = 16  # connections and Regions of one process; the one that was needed longest ago goes first

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class AwsConnection:
    """Which connection, as the amazon provider's operators take it; travels with a deferral.

    :param aws_conn_id: Airflow connection; ``None``: boto3's own way to find credentials.
    :param region_name: by default the connection's.
    :param verify: TLS verification, see boto3's ``Session.client``.
    :param botocore_config: members of ``botocore.config.Config``.
    """

    aws_conn_id: str | None = "aws_default"
    region_name: str | None = None
    verify: bool | str | None = None
    botocore_config: dict[str, Any] | None = None

    def clients(self) -> Clients:
        """The clients that this process shares, made if there are none.

        It may ask Airflow for the connection. In a trigger call it by ``sync_to_async`` only: from any other thread such a question can
        break the triggerer's line to Airflow, and with it all triggers there (Airflow 3.1 to 3.2.1; apache/airflow #64620).
        """
        return _SHARED.get(self)

    def clients_at_hand(self) -> Clients | None:
        """The shared clients, where nothing has to be asked or made for them: waits for nothing."""
        return _SHARED.at_hand(self)

    def client(self, service_name: str) -> Any:
        """A boto3 client of its own; an endpoint URL in the connection or in ``AWS_ENDPOINT_URL`` is honoured."""
        return _Session(self.hook()).client(service_name)

    def region(self) -> str:
        """The region, as the connection or the environment has it; empty: nobody has said it."""
        return self.region_name or self.clients().sagemaker.meta.region_name or ""

    def is_found(self) -> bool:
        """Whether Airflow knows it, or need not: where a connection is missing, the amazon provider goes on with the environment's
        credentials, which is what the default one is for.
        """
        return self.aws_conn_id in (None, "", "aws_default") or bool(self.hook().conn_config)

    def own_config(self) -> dict[str, Any]:
        """Members of ``botocore.config.Config`` that the Airflow connection itself has; the provider reads them only if none are given."""
        return dict(self.hook().conn_config.extra_config.get("config_kwargs") or {})

    def hook(self) -> Any:
        """The amazon provider's hook of this connection."""
        # Imported here: a DAG file that only names operators need not load boto3 (docs/facts-airflow.md#import-times).
        from airflow.providers.amazon.aws.hooks.base_aws import AwsBaseHook

        return AwsBaseHook(
            aws_conn_id=self.aws_conn_id,
            region_name=self.region_name,
            verify=self.verify,
            config=self.botocore_config,
        )

    def as_dict(self) -> dict[str, Any]:
        """For a trigger's ``serialize``."""
        return asdict(self)


class _Session:
    """One session of a hook for the clients of several services: one role is assumed, and AWS's descriptions are read once."""

    def __init__(self, hook: Any) -> None:
        self._hook = hook
        self._session = hook.get_session(region_name=hook.region_name)

    def client(self, service_name: str) -> Any:
        hook = self._hook
        url = hook.conn_config.get_service_endpoint_url(service_name)
        return self._session.client(service_name, endpoint_url=url, config=hook.config, verify=hook.verify)


@dataclass(slots=True)
class _Kept:
    clients: Clients
    made_at: float
    said: list[Any]
    """What the connection said when it was last looked up."""
    looked_up_at: float

    def is_fresh(self, now: float) -> bool:
        return now - self.looked_up_at < LOOK_UP_AGAIN and now - self.made_at < KEPT_FOR


class SharedClients:
    """The process's clients, by connection.

    :param clock: seconds, which never go back.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._lock = threading.Lock()

    def at_hand(self, connection: AwsConnection) -> Clients | None:
        """See :meth:`AwsConnection.clients_at_hand`."""
        kept = self._kept.get(_key(connection))
        return kept.clients if kept is not None and kept.is_fresh(self._clock()) else None

    def get(self, connection: AwsConnection) -> Clients:
        """See :meth:`AwsConnection.clients`."""
        key = _key(connection)
        with self._lock:
            kept = self._kept.get(key)
            if kept is None or not kept.is_fresh(self._clock()):
                kept = self._kept[key] = _renew(connection, kept, self._clock())
            self._kept.move_to_end(key)
            if len(self._kept) > _MOST_KEPT:
                self._kept.popitem(last=False)
            return kept.clients


def _renew(connection: AwsConnection, before: _Kept | None, now: float) -> _Kept:
    hook = connection.hook()
    try:
        said = _said(hook)
        if before is not None and said == before.said and now - before.made_at < KEPT_FOR:
            return replace(before, looked_up_at=now)
        return _Kept(Clients.of(_Session(hook), OUTSIDE), now, said, now)
    except Exception as error:  # whatever Airflow or AWS's STS may answer, the clients at hand still work
        if before is None:
            raise
        _log.warning("Connection %s could not be looked up again: %s", connection.aws_conn_id, error)
        return replace(before, looked_up_at=now)


def _said(hook: Any) -> list[Any]:
    # Two equal Configs of botocore are not equal to Python; what is in this one is in the hook's arguments, or else in the extras.
    members = (member.name for member in fields(hook.conn_config) if member.name != "botocore_config")
    return [getattr(hook.conn_config, name) for name in members]


def _key(connection: AwsConnection) -> str:
    """What the clients depend on, as far as this process knows it without asking: not what is stored in Airflow."""
    stored = f"AIRFLOW_CONN_{(connection.aws_conn_id or '').upper()}"
    said = {name: value for name, value in os.environ.items() if name.startswith("AWS_") or name == stored}
    return json.dumps([os.getpid(), connection.as_dict(), said], sort_keys=True, default=repr)


_SHARED = SharedClients()
