"""What is kept of an endpoint's last promoted rollout: an SSM parameter beside the record, which the next promotion overwrites."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from botocore.exceptions import ClientError

from airflow_sm_rollout.aws.answers import told
from airflow_sm_rollout.aws.causes import Meaning
from airflow_sm_rollout.aws.errors import describe, meaning_of
from airflow_sm_rollout.aws.parameters import read_parameters, text_of
from airflow_sm_rollout.core.errors import RolloutError
from airflow_sm_rollout.core.names import previous_name
from airflow_sm_rollout.core.record import to_json
from airflow_sm_rollout.core.rollout import Rollout
from airflow_sm_rollout.core.undo import Kept, Undone, previous_from_json, undone_to_json

_log = logging.getLogger(__name__)


def keep_previous(ssm: Any, rollout: Rollout) -> None:
    """Keep the record of a promoted rollout. That a role may not write it must not keep a promotion from its end."""
    _put(ssm, rollout, to_json(rollout), f"Promoted; sm-rollout undo {rollout.endpoint_name} goes back")


def note_undone(ssm: Any, rollout: Rollout) -> None:
    """Say that it was undone, which can be done once."""
    _put(ssm, rollout, undone_to_json(rollout), "Promoted and undone")


def _put(ssm: Any, rollout: Rollout, text: str, description: str) -> None:
    name = rollout.names.previous
    try:
        ssm.put_parameter(
            Name=name, Value=text, Type="String", Tier="Intelligent-Tiering", Overwrite=True, Description=description
        )
    except ClientError as error:
        if meaning_of(error) not in (Meaning.REFUSED, Meaning.DENIED):
            raise
        _log.warning("SSM parameter %s can't be written, so an undo is not possible: %s", name, describe(error))


def read_previous(ssm: Any, endpoint_name: str) -> Kept | Undone | None:
    """What there is of the rollout that was promoted last; ``None``: nothing.

    :raises RolloutError: if it is nothing that this version can read.
    """
    name = previous_name(endpoint_name)
    found = read_parameters(ssm, [name])
    if not found:
        return None
    return previous_of(found[name], name)


def read_promoted(ssm: Any, endpoint_name: str) -> dict[str, Kept | Undone]:
    """What became of the rollouts that were promoted, by their ids: SSM keeps what a promotion or an undo has overwritten, for the last
    hundred of them.
    """
    name = previous_name(endpoint_name)
    pages = ssm.get_paginator("get_parameter_history").paginate(Name=name)
    try:
        versions = [version for page in pages for version in page.get("Parameters", ())]
    except ClientError as error:
        if meaning_of(error) is Meaning.GONE:
            return {}
        raise
    return {each.rollout_id: each for each in _readable(versions, name)}


def _readable(versions: Iterable[Mapping[str, Any]], name: str) -> Iterator[Kept | Undone]:
    """Those that are no other version's of this package, the newest last."""
    for version in sorted(versions, key=lambda each: int(each["Version"])):
        try:
            yield previous_of(version, name)
        except RolloutError as error:
            _log.debug("%s can't be read: %s", name, error)


def previous_of(parameter: Mapping[str, Any], name: str) -> Kept | Undone:
    """A parameter as what was kept.

    :raises RolloutError: as for :func:`read_previous`.
    """
    written_at = told(parameter, "LastModifiedDate", f"SSM parameter {name}")
    return previous_from_json(text_of(parameter, name), written_at)
