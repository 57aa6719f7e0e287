"""Each sample DAG starts from its form in a real browser, as a newcomer does it: untouched, and with each field filled in."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

from airflow_sm_rollout.demo.airflow_processes import AirflowProcesses
from browser.approving import PATIENCE_SECONDS, Browser
from production import AWS_ENVIRONMENT, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

DAGS = Path(__file__).parents[2] / "dags"
FORMS = ("approved_canary", "blue_green", "canary", "linear", "rollout_wine", "train_wine")
TRIES = 5
FILLED: dict[str, Any] = {
    "alarms": "wine-orders, wine-payments",
    "bake": "300",
    "C": 0.5,
    "codedeploy_role": "arn:aws:iam::210987654321:role/codedeploy",
    "drain": "70",
    "drop_column": "proline",
    "endpoint_name": "wine-red",
    "execution_role_arn": "arn:aws:iam::210987654321:role/red",
    "fail_percent": 1.5,
    "function": "wine-front",
    "image": "210987654321.dkr.ecr.eu-west-1.amazonaws.com/red:2",
    "interval": "600",
    "model_data_url": "s3://wine-models/red/model.tar.gz",
    "output_path": "s3://wine-models/red",
    "random_state": 7,
    "slow_milliseconds": 15,
    "step": "50",
    "steps": "20,100",
}


@pytest.fixture(scope="module")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AirflowProcesses]:
    """An Airflow with the sample DAGs, where no run gets to a task: new DAGs are paused."""
    folder = tmp_path_factory.mktemp("forms")
    shutil.copytree(DAGS, folder / "dags", ignore=shutil.ignore_patterns("__pycache__"))
    environment = {**AWS_ENVIRONMENT, "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "True"}
    with AirflowProcesses(folder / "home", folder / "dags", environment) as airflow:
        wait_until(lambda: set(FORMS) <= {dag["dag_id"] for dag in airflow.api("GET", "/dags")["dags"]}, 120, pause=1)
        yield airflow


class Form:
    """A DAG's trigger form, opened."""

    def __init__(self, browser: Browser, dag_id: str) -> None:
        self.browser = browser
        browser.driver.get(f"{browser.url}/dags/{dag_id}")
        browser.button("Trigger").click()
        self.start = self._wait(lambda _: self._shown("//*[@role='dialog']//button[contains(., 'Trigger')]"))
        self._uncheck_unpause()

    def _wait(self, found: Any) -> Any:
        return WebDriverWait(self.browser.driver, PATIENCE_SECONDS).until(found)

    def _shown(self, path: str) -> WebElement | None:
        shown = [each for each in self.browser.driver.find_elements(By.XPATH, path) if each.is_displayed()]
        return shown[-1] if shown else None

    def _uncheck_unpause(self) -> None:
        boxes = "//*[@role='dialog']//label[contains(., 'npause')]"
        if box := self._shown(boxes):
            box.click()

    def fill(self, name: str, value: object) -> None:
        field = self.browser.find(f"input#element_{name}, input[name='element_{name}']")
        self.browser.driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", field)
        # On a busy machine the form may redraw a number between two keys, and lose what stood there.
        for _ in range(TRIES):
            field.send_keys(Keys.CONTROL, "a")
            field.send_keys(Keys.DELETE)
            field.send_keys(str(value), Keys.TAB)
            if field.get_attribute("value") == str(value):
                break

    def trigger(self) -> None:
        self._wait(lambda _: self.start.is_enabled())
        self.browser.driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", self.start)
        self.start.click()


@pytest.fixture
def browser(airflow: AirflowProcesses, chromium: Browser) -> Browser:
    return chromium.begin(airflow.url)


def fields_of(airflow: AirflowProcesses, dag_id: str) -> dict[str, Any]:
    """A form's fields and what stands in them."""
    params = airflow.api("GET", f"/dags/{dag_id}/details")["params"]
    return {name: param["value"] for name, param in params.items()}


def started(airflow: AirflowProcesses, dag_id: str, count: int) -> dict[str, Any]:
    """What the newest of so many runs was given."""
    path = f"/dags/{dag_id}/dagRuns?order_by=-run_after"

    def runs() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = airflow.api("GET", path)["dag_runs"]
        return found

    wait_until(lambda: len(runs()) == count, PATIENCE_SECONDS, pause=0.5)
    return dict(runs()[0]["conf"])


@pytest.mark.parametrize("dag_id", FORMS)
def test_a_sample_starts_from_its_form_untouched_and_with_each_field_filled_in(
    dag_id: str, airflow: AirflowProcesses, browser: Browser
) -> None:
    fields = fields_of(airflow, dag_id)
    Form(browser, dag_id).trigger()
    untouched = started(airflow, dag_id, 1)
    assert {name: untouched.get(name, value) for name, value in fields.items()} == fields

    form = Form(browser, dag_id)
    filled = {name: value for name, value in FILLED.items() if name in fields}
    for name, value in filled.items():
        form.fill(name, value)
    form.trigger()
    assert started(airflow, dag_id, 2) == {**fields, **filled}
    assert fields.keys() - filled.keys() <= {"traffic"}, "a choice among few, whose default stands"
