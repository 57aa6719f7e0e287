"""A real Airflow with a login, rollouts that ask, and a real Chromium to look at them."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

from airflow_sm_rollout.demo.airflow_processes import AirflowProcesses
from production import Production, wait_until
from wiring.runs import Run, Site

USERS = {"ada": "admin", "alice": "user", "bob": "user", "vic": "viewer"}
PATIENCE_SECONDS = 60
DAG_FILE = """\
from airflow.sdk import DAG, task
from airflow_sm_rollout import canary_rollout


@task
def announce():
    return "the new model serves"


for dag_id, timeout in {"approved": 600, "impatient": 7}.items():
    with DAG(dag_id, schedule=None, params={"endpoint": "none", "artifact": "none"}):
        canary_rollout(
            endpoint_name="{{ params.endpoint }}",
            image="registry/green:2",
            model_data_url="{{ params.artifact }}",
            steps=[25, 100],
            bake=3,
            alarms="{{ params.endpoint }}-refused",
            default_alarms=None,
            tolerances=None,
            poke_interval=1,
            approval={"timeout": timeout, "assigned_users": ["alice", "bob"]},
        ) >> announce()
"""


class Airflow(AirflowProcesses):
    """An Airflow that lets nobody in without a password, which is the user's name."""

    def token_of(self, user: str) -> str:
        """A user's bearer token."""
        answer = self._pool.request("POST", f"{self.url}/auth/token", json={"username": user, "password": user})
        return str(answer.json()["access_token"])

    @cached_property
    def _token(self) -> str:
        return self.token_of("ada")

    def ask(self, method: str, path: str, user: str | None, json: Any = None) -> tuple[int, str]:
        """One request to any page, as a user or as nobody: status and text."""
        headers = {"Authorization": f"Bearer {self.token_of(user)}"} if user else {}
        headers["X-SM-Rollout"] = "wish"
        answer = self._pool.request(method, f"{self.url}{path}", json=json, headers=headers, retries=False)
        return answer.status, answer.data.decode(errors="replace")


@contextmanager
def approving_site(folder: Path, dag_file: str = DAG_FILE) -> Iterator[Site]:
    """Airflow with a file of DAGs and :data:`USERS`, and a sandbox."""
    (folder / "dags").mkdir()
    (folder / "dags" / "approved.py").write_text(dag_file)
    (folder / "passwords.json").write_text(json.dumps({user: user for user in USERS}))
    production = Production(speed=30)
    environment = {
        **production.environment,
        "AIRFLOW__CORE__PARALLELISM": "6",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "False",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": ",".join(f"{user}:{role}" for user, role in USERS.items()),
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(folder / "passwords.json"),
    }
    with Airflow(folder / "home", folder / "dags", environment) as airflow:
        yield Site(production, airflow, folder / "dags")
    production.close()


def wait_for_question(run: Run, task: str = "approve_100") -> None:
    """Until a person may answer.

    An answer that comes before the scheduler has heard that the task is waiting makes Airflow fail the task (which rolls back): it takes
    the one report for the other. People are slower than that, tests are not.
    """
    run.wait_for(task, "deferred")
    log = run.site.airflow.home / "scheduler.log"
    heard = re.compile(
        rf"TaskInstance Finished: .*task_id=canary\.{task}, run_id={re.escape(run.run_id)}, .*state=deferred, executor="
    )
    wait_until(lambda: heard.search(log.read_text(errors="replace")), PATIENCE_SECONDS, pause=0.5)


def program(name: str) -> str:
    """Path of a program of Debian's packages chromium and chromium-driver; a test without a browser has not passed."""
    found = shutil.which(name)
    assert found, f"{name} is not installed: apt-get install chromium chromium-driver"
    return found


class Browser:
    """A headless Chromium, in which a user may have logged in to Airflow.

    :ivar url: of the pages that are looked at, such as Airflow's.
    """

    def __init__(self) -> None:
        options = webdriver.ChromeOptions()
        options.binary_location = program("chromium")
        for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
            options.add_argument(argument)
        # What the browser itself would ask its maker's servers for is not the pages' doing.
        for argument in ("--disable-background-networking", "--disable-component-update", "--no-first-run"):
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"performance": "ALL"})
        self.url = "about:blank"
        self.driver = webdriver.Chrome(options=options, service=Service(program("chromedriver")))

    def close(self) -> None:
        self.driver.quit()

    def begin(self, url: str, *, width: int = 1280, scheme: str = "light") -> Browser:
        """It as new, for the pages at an address: nobody is logged in, and nothing of the last page runs on."""
        self.url = url
        self.driver.switch_to.default_content()
        self.driver.get("about:blank")
        self.driver.execute_cdp_cmd("Network.clearBrowserCookies", {})
        self.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        self.driver.execute_cdp_cmd("Page.setBypassCSP", {"enabled": False})
        self.driver.set_window_size(width, 900)
        self.prefer(scheme)
        self.driver.get_log("performance")  # what was asked for so far
        return self

    def prefer(self, scheme: str) -> None:
        """``dark`` or ``light``."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})

    def login(self, user: str) -> None:
        """By the form that Airflow shows."""
        self.driver.delete_all_cookies()
        self.driver.get(self.url)
        self.find("input[name=username]").send_keys(user)
        self.find("input[name=password]").send_keys(user)
        self.find("button[type=submit]").click()
        WebDriverWait(self.driver, PATIENCE_SECONDS).until(lambda driver: driver.get_cookie("_token"))

    def find(self, selector: str) -> WebElement:
        """The element, once it is there."""
        return WebDriverWait(self.driver, PATIENCE_SECONDS).until(
            lambda driver: driver.find_element(By.CSS_SELECTOR, selector)
        )

    def button(self, text: str) -> WebElement:
        """A button by its text, once it can be clicked."""
        path = f"//button[normalize-space()='{text}']"
        found = WebDriverWait(self.driver, PATIENCE_SECONDS).until(lambda driver: driver.find_element(By.XPATH, path))
        WebDriverWait(self.driver, PATIENCE_SECONDS).until(lambda _: found.is_enabled() and found.is_displayed())
        return found

    def open_tab(self, run: Run) -> None:
        """The Rollout tab of a run, and step into its frame."""
        self.driver.get(f"{self.url}/dags/{run.dag_id}/runs/{quote(run.run_id, safe='')}/plugin/rollout")
        self.driver.switch_to.frame(self.find("iframe[src*=sm-rollout]"))
        self.find("#live")

    def open_question(self, run: Run, task: str = "canary.approve_100") -> None:
        """The page of Airflow's own on which a question is answered."""
        self.driver.switch_to.default_content()
        path = f"/dags/{run.dag_id}/runs/{quote(run.run_id, safe='')}/tasks/{task}/required_actions"
        self.driver.get(f"{self.url}{path}")

    def wait_for(self, selector: str, text: str) -> str:
        """The text of an element, once it has this in it."""

        def found(driver: object) -> bool:
            return text in self.text(selector)

        WebDriverWait(self.driver, 4 * PATIENCE_SECONDS, poll_frequency=0.3).until(found)
        return self.text(selector)

    def text(self, selector: str) -> str:
        return str(self.driver.execute_script(f"return document.querySelector({selector!r})?.textContent ?? ''"))

    def hosts(self) -> set[str]:
        """All hosts that were asked for anything."""
        events = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        urls = [each["params"]["request"]["url"] for each in events if each["method"] == "Network.requestWillBeSent"]
        return {urlsplit(url).netloc for url in urls if url.startswith(("http", "ws"))}
