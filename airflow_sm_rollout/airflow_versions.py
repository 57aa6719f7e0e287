"""What differs between the versions of Airflow, each difference with the version that it goes with."""

from __future__ import annotations

import importlib
import os
from functools import cache
from importlib.util import find_spec
from types import ModuleType
from typing import TYPE_CHECKING, Any

from packaging.version import Version

if TYPE_CHECKING:
    from airflow.sdk import DAG

OLDEST = Version("3.1")
NEXT_MAJOR = Version("4")
_NEWER = "airflow.dag_processing.dagbag"  # since Airflow 3.2


def require_supported(version: str) -> None:
    """Refuse an Airflow that this package can't work on, before its imports fail one by one.

    :param version: Airflow's version, such as ``3.3.2``.
    :raises ImportError: with the versions that can.
    """
    if not OLDEST <= Version(Version(version).base_version) < NEXT_MAJOR:
        raise ImportError(f"airflow_sm_rollout works with Airflow {OLDEST} and later 3.x; this is Airflow {version}")


def read_dags(folder: str, bundle: str) -> Any:
    """Airflow's ``DagBag`` of a DAG file or folder.

    :param bundle: the DAG bundle that the DAGs are said to come from.
    """
    module = _dag_bag_module()
    # Airflow 3.1 asks for no bundle: it has one class for DAGs with a bundle, and one for DAGs without.
    options = {"bundle_name": bundle} if module.__name__ == _NEWER else {}
    return module.DagBag(dag_folder=folder, **options)


def store_dag(dag: DAG, bundle: str) -> None:
    """Make a DAG that is in no file known to Airflow's database, as the DAG processor does.

    :param bundle: as for :func:`read_dags`.
    """
    bag = read_dags(os.devnull, bundle)
    bag.bag_dag(dag)
    _dag_bag_module().sync_bag_to_db(bag, bundle, None)


def run_in_process(dag: DAG, conf: Any = None) -> Any:
    """Run a DAG that is stored in this process, to its end.

    :param conf: values of its trigger form.
    """
    supervisor = importlib.import_module("airflow.sdk.execution_time.supervisor")
    make = supervisor.in_process_api_server
    # Before Airflow 3.3 each task made an API server of its own, which takes seconds.
    if not hasattr(make, "cache_clear"):
        supervisor.in_process_api_server = cache(make)  # type: ignore[attr-defined]
    return dag.test(run_conf=conf or None)


def as_stored(dag: DAG) -> Any:
    """A DAG as the scheduler has it: written to the database and read again."""
    module = importlib.import_module("airflow.serialization.serialized_objects")
    serialization = getattr(module, "DagSerialization", None) or module.SerializedDAG  # before Airflow 3.2
    return serialization.deserialize_dag(serialization.serialize_dag(dag))


def _dag_bag_module() -> ModuleType:
    return importlib.import_module(_NEWER if find_spec(_NEWER) else "airflow.models.dagbag")
