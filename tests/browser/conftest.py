"""One Airflow with five rollouts under way in it, each on an endpoint of its own, for all tests here."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from browser.approving import Browser, approving_site
from production import BAD, GOOD
from wiring.runs import Run, Site


@dataclass(frozen=True, slots=True)
class Runs:
    """What becomes of each is up to its test."""

    approved: Run
    rejected: Run
    unanswered: Run
    harmed: Run
    commanded: Run


@pytest.fixture(scope="package")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with approving_site(tmp_path_factory.mktemp("browser")) as site:
        yield site


@pytest.fixture(scope="package")
def runs(site: Site) -> Iterator[Runs]:
    wanted = {
        "approved": ("approved", GOOD),
        "rejected": ("approved", BAD),
        "unanswered": ("impatient", GOOD),
        "harmed": ("approved", GOOD),
        "commanded": ("approved", GOOD),
    }
    with ThreadPoolExecutor(5) as pool:
        started = {
            name: pool.submit(site.start, name, dag_id, artifact=artifact)
            for name, (dag_id, artifact) in wanted.items()
        }
        runs = Runs(**{name: each.result() for name, each in started.items()})
    with site.production.traffic("rejected", requests_per_second=20):
        yield runs


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """The one that all tests here share: starting one takes seconds."""
    browser = Browser()
    yield browser
    browser.close()


@pytest.fixture
def browser(site: Site, chromium: Browser) -> Browser:
    return chromium.begin(site.airflow.url)
