"""The Rollout screen in a real browser, over rollouts in every state: light and dark, narrow and wide, read by a machine that knows the
rules of accessibility, updated under somebody's hands.
"""

from __future__ import annotations

import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from airflow_sm_rollout.plugin.page import POLICY, render_file, render_list, render_rollouts
from airflow_sm_rollout.plugin.reads import Row
from answering import Answer, Asked, answering, static_file
from browser.approving import Browser
from production import wait_until
from screen.recorded import STATES, Recorded, minute

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

AXE = "axe-core@4.14.1"
SIDEWAYS = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
SHIFTS = """
    window.shifted = 0;
    new PerformanceObserver(list => { for (const each of list.getEntries()) window.shifted += each.value; })
        .observe({type: "layout-shift", buffered: false});
"""


class Served:
    """What the server gives: a page for each path, and how often each was asked for."""

    def __init__(self) -> None:
        self.pages: dict[str, str] = {}
        self.asked: list[str] = []
        self.is_down = False
        self.url = ""

    def put(self, shown: Recorded) -> None:
        self.pages["/page"] = render_rollouts(
            [shown.report], "", "canary", "run", may_edit=True, now=shown.now, run_url="/run"
        )


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    served = Served()

    def answer(asked: Asked) -> Answer:
        served.asked.append(asked.path)
        policy = {"Content-Security-Policy": POLICY} if asked.path == "/page" else {}
        given = static_file(asked.path) or Answer(served.pages.get(asked.path, ""), headers=policy)
        return replace(given, status=503 if served.is_down else 200)

    with answering(answer) as served.url:
        yield served


@pytest.fixture(scope="module")
def browser(served: Served) -> Iterator[Browser]:
    browser = Browser(f"{served.url}/page")
    yield browser
    browser.close()


@pytest.fixture(scope="module")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The rules' script."""
    npm = shutil.which("npm")
    assert npm, "npm is not installed: apt-get install npm"
    folder = tmp_path_factory.mktemp("axe")
    packed = subprocess.run([npm, "pack", "--silent", AXE], cwd=folder, check=True, capture_output=True, text=True)
    with tarfile.open(folder / packed.stdout.strip()) as archive:
        script = archive.extractfile("package/axe.min.js")
        assert script is not None
        return script.read().decode()


def look(browser: Browser, served: Served, shown: Recorded, width: int = 1400, scheme: str = "light") -> None:
    served.is_down = False
    served.put(shown)
    window(browser, width, scheme)
    browser.driver.get(browser.url)
    browser.find(".head .chip")


def window(browser: Browser, width: int, scheme: str) -> None:
    # Narrower than 500 px no window of Chromium's is.
    metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    browser.prefer(scheme)


def violations(browser: Browser, axe: str) -> list[str]:
    browser.driver.execute_cdp_cmd("Page.setBypassCSP", {"enabled": True})
    browser.driver.execute_script(axe)
    found: dict[str, Any] = browser.driver.execute_async_script(
        "const done = arguments[0]; axe.run({resultTypes: ['violations']}).then(done, error => done({error: String(error)}))"
    )
    assert "error" not in found, found
    return [f"{each['id']}: {each['nodes'][0]['html'][:200]}" for each in found["violations"]]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1400])
@pytest.mark.parametrize("state", STATES)
def test_each_state_is_readable_by_everybody_in_every_window(
    state: str, width: int, scheme: str, browser: Browser, served: Served, axe: str
) -> None:
    shown = STATES[state]()
    look(browser, served, shown, width, scheme)
    assert browser.text(".chip") == shown.chip
    assert browser.driver.execute_script(SIDEWAYS) == 0, "it scrolls sideways"
    pressed = [each.text for each in browser.driver.find_elements(By.CSS_SELECTOR, ".controls button")]
    assert tuple(pressed) == shown.buttons
    for words in shown.told:
        assert words in browser.text(".why")
    assert violations(browser, axe) == []


def other_pages() -> dict[str, str]:
    """Pages on which there is no rollout to show, and the list."""
    around: Any = {
        "base": "",
        "dag_id": "canary",
        "run_id": "run",
        "may_edit": True,
        "now": minute(5),
        "run_url": "/run",
    }
    why = "canary was to roll out to wine. alarm wine-orders does not exist (deleted?), so nothing watches green. Nothing was changed"
    outcomes = ("not_settled", "running", "promoted", "rolled_back", "refused")
    rows = [
        Row(
            "canary",
            f"run{number}",
            "an-endpoint-with-a-long-name",
            "wine-0123abcd",
            "canary",
            minute(number),
            outcome,
            10.0,
            why,
        )
        for number, outcome in enumerate(outcomes)
    ]
    return {
        "empty": render_rollouts([], **around),
        "refused": render_rollouts([], refused=[why], **around),
        "unread": render_rollouts([], unread=["the rollout that task canary.snapshot has planned"], **around),
        "list": render_list(rows, "", "wine", "running", minute(9)),
        "empty list": render_list([], "", "", "", minute(9)),
    }


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1400])
@pytest.mark.parametrize("name", other_pages())
def test_where_there_is_nothing_to_show_it_says_so_to_everybody(
    name: str, width: int, scheme: str, browser: Browser, served: Served, axe: str
) -> None:
    served.is_down = False
    served.pages["/page"] = other_pages()[name]
    window(browser, width, scheme)
    browser.driver.get(browser.url)
    words = {"empty": "No rollout has been planned", "refused": "Nothing was changed", "unread": "Not shown:"}
    assert words.get(name, "Rollouts") in browser.text("main")
    assert browser.driver.execute_script(SIDEWAYS) == 0, "it scrolls sideways"
    assert violations(browser, axe) == []
    if width == 1400 and name == "list":
        rows = browser.driver.find_elements(By.CSS_SELECTOR, "tbody tr")
        assert max(row.size["height"] for row in rows) < 50, "more than one line"


def test_the_buttons_stay_in_sight_however_far_one_scrolls(browser: Browser, served: Served) -> None:
    look(browser, served, STATES["waiting for a person"]())
    browser.driver.execute_script("window.scrollTo(0, document.body.scrollHeight)")
    wait_until(lambda: browser.driver.execute_script("return window.scrollY") > 500)
    top = "return document.querySelector('button[data-wish=abort]').getBoundingClientRect().top"
    assert 0 <= browser.driver.execute_script(top) < 120


def asked_for_page(served: Served) -> int:
    return served.asked.count("/page")


def test_an_update_is_one_call_and_leaves_alone_what_a_person_holds(browser: Browser, served: Served) -> None:
    look(browser, served, STATES["baking"]())
    driver = browser.driver
    driver.execute_script(
        """
        document.querySelector("details[id^=v-]").open = true;
        document.querySelector("details[id^=v-] summary").focus();
        const text = document.querySelector(".lane b").firstChild;
        getSelection().setBaseAndExtent(text, 0, text, text.length);
        window.kept = document.querySelector(".lane b");
        """
    )
    driver.execute_async_script(
        f"const done = arguments[0]; requestAnimationFrame(() => setTimeout(() => {{ {SHIFTS}; done() }}))"
    )
    served.asked.clear()
    served.put(STATES["paused"]())
    assert browser.wait_for(".chip", "Paused") == "Paused at 10 %"
    assert set(served.asked) == {"/page"}
    wait_until(lambda: asked_for_page(served) >= 2)
    held = driver.execute_script(
        """
        return [document.querySelector("details[id^=v-]").open, document.activeElement.tagName, String(getSelection()),
                window.kept.isConnected, window.shifted];
        """
    )
    assert held[:4] == [True, "SUMMARY", "wine-orders", True]
    assert held[4] < 0.05


def test_a_fact_is_on_the_screen_within_three_seconds(browser: Browser, served: Served) -> None:
    look(browser, served, STATES["baking"]())
    served.put(STATES["rolling back"]())
    since = browser.driver.execute_script("return performance.now()")
    browser.wait_for(".chip", "Rolling back")
    assert browser.driver.execute_script("return performance.now()") - since < 3500
    assert browser.driver.find_elements(By.CSS_SELECTOR, ".controls button") == []


def test_figures_are_on_the_screen_within_a_second(browser: Browser, served: Served) -> None:
    look(browser, served, STATES["waiting for a person"]())
    drawn = "return performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? 9e9"
    assert wait_until(lambda: browser.driver.execute_script(drawn) < 9e9)
    assert browser.driver.execute_script(drawn) < 1000
    assert browser.find("path.green").get_attribute("d")


def test_a_server_that_answers_no_more_is_said_and_so_is_that_it_is_back(browser: Browser, served: Served) -> None:
    look(browser, served, STATES["baking"]())
    served.is_down = True
    told = browser.wait_for("#link", "Not updated for")
    assert "Airflow answered 503" in told
    served.is_down = False
    wait_until(lambda: browser.text("#link") == "")


def test_one_cursor_tells_every_picture_of_a_moment_by_mouse_and_by_keyboard(browser: Browser, served: Served) -> None:
    look(browser, served, STATES["waiting for a person"]())
    slider = browser.find("input.cursor")
    slider.send_keys(Keys.HOME)
    for _ in range(3):
        slider.send_keys(Keys.PAGE_UP)
    values = [each.text for each in browser.driver.find_elements(By.CSS_SELECTOR, ".panel .value")]
    assert len(values) > 12
    assert browser.text(".value.at").startswith("08:")
    assert slider.get_attribute("aria-valuetext") == browser.text(".value.at")
    at_first = browser.text(".value.at")
    browser.driver.execute_script(
        """
        const plot = document.querySelectorAll(".plot")[1];
        const box = plot.getBoundingClientRect();
        const at = {bubbles: true, clientX: box.left + box.width * 0.8, clientY: box.top + 5};
        plot.dispatchEvent(new PointerEvent("pointermove", at));
        """
    )
    assert browser.text(".value.at") > at_first


def test_the_countdown_runs(browser: Browser, served: Served) -> None:
    look(browser, served, STATES["baking"]())
    before = browser.text("[data-until]")
    assert before.startswith("in 3:")
    wait_until(lambda: browser.text("[data-until]") != before)


def test_airflows_theme_counts_for_more_than_the_systems_and_its_links_lead_out(
    browser: Browser, served: Served
) -> None:
    look(browser, served, STATES["rolled back by an alarm"]())
    served.pages["/around"] = (
        "<!doctype html><html lang=en class=dark><title>Airflow</title><body style='background: rgb(10, 20, 30)'>"
        "<iframe src=/page sandbox='allow-scripts allow-same-origin allow-forms allow-downloads' width=900 height=700></iframe>"
    )
    browser.driver.get(f"{served.url}/around")
    browser.driver.switch_to.frame(browser.find("iframe"))
    browser.find(".chip")
    colour = "return getComputedStyle(document.body).backgroundColor"
    assert wait_until(lambda: browser.driver.execute_script(colour) == "rgb(10, 20, 30)")
    assert browser.driver.execute_script("return document.documentElement.dataset.theme") == "dark"
    browser.driver.find_element(By.LINK_TEXT, "Log of bake_10").click()
    browser.driver.switch_to.default_content()
    wait_until(lambda: browser.driver.current_url == f"{served.url}/run/tasks/canary.bake_10")


def test_what_happened_can_be_copied_for_a_ticket(browser: Browser, served: Served) -> None:
    look(browser, served, STATES["rolled back by a person"]())
    browser.driver.execute_script("document.querySelector('details[id^=m-]').open = true")
    browser.button("Copy").click()
    selected = "return document.activeElement.value.substring(0, document.activeElement.selectionEnd)"
    copied = str(browser.driver.execute_script(selected))
    assert copied.startswith("## Rollout 0123abcd of wine")
    assert "| bob | rejected 100 % (release freeze) |" in copied


def test_the_saved_file_works_from_a_disk(browser: Browser, tmp_path: Path, axe: str) -> None:
    shown = STATES["promoted"]()
    file = tmp_path / "report.html"
    file.write_text(render_file([shown.report], "run", now=shown.now))
    browser.driver.get(file.as_uri())
    assert browser.text(".chip") == "Promoted"
    browser.find("input.cursor").send_keys(Keys.HOME)
    assert browser.text(".value.at").startswith("08:")
    assert violations(browser, axe) == []
