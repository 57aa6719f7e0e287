"""One real Airflow (scheduler with workers, triggerer, API server, DAG processor) and one sandbox for all runs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from airflow_sm_rollout.demo.airflow_processes import AirflowProcesses
from production import Production
from wiring.runs import FAST, OTHERS_FILE, SPEED, Site


@pytest.fixture(scope="package")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("wiring")
    (folder / "dags").mkdir()
    production = Production(SPEED)
    environment = {**production.environment, **FAST}
    with AirflowProcesses(folder / "home", folder / "dags", environment) as airflow:
        site = Site(production, airflow, folder / "dags")
        site.write_dags("canary", "[25, 100]")
        site.write_dags("edited", "[25, 100]")
        (site.dags / "others.py").write_text(OTHERS_FILE)
        yield site
    production.close()
