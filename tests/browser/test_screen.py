"""The Rollout screen in a real browser, over recorded rollouts in every state: light and dark, narrow and wide, read by a machine that
knows the rules of accessibility, updated under somebody's hands.
"""

from __future__ import annotations

import re
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
from screen.made import STATES as MADE
from screen.made import minute
from screen.recorded import ALIKE, STATES, answer_of, moment_of, page_of, report_of

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

ROOT = Path(__file__).parents[2]
AXE = "axe-core@4.14.1"
SIDEWAYS = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
SHIFTS = """
    window.shifted = 0;
    new PerformanceObserver(list => { for (const each of list.getEntries()) window.shifted += each.value; })
        .observe({type: "layout-shift", buffered: arguments[0]});
"""
NOTICED = 0.05
"""A shift of less nobody notices; 0.1 is what counts as good: https://web.dev/articles/cls"""
TWO_FRAMES = (
    "const done = arguments[arguments.length - 1]; requestAnimationFrame(() => requestAnimationFrame(() => done()))"
)


class Served:
    """What the server gives: a page for each path, and how often each was asked for."""

    def __init__(self) -> None:
        self.pages: dict[str, str] = {}
        self.asked: list[str] = []
        self.is_down = False
        self.url = ""

    def put(self, state: str) -> None:
        self.pages["/page"] = page_of(state)


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


@pytest.fixture
def browser(served: Served, chromium: Browser) -> Browser:
    return chromium.begin(f"{served.url}/page")


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


def look(browser: Browser, served: Served, state: str) -> None:
    served.put(state)
    visit(browser, served)
    browser.find(".head .chip")


def visit(browser: Browser, served: Served) -> None:
    served.is_down = False
    served.asked.clear()
    window(browser, 1400, "light")
    browser.driver.get(browser.url)


def window(browser: Browser, width: int, scheme: str) -> None:
    # Narrower than 500 px no window of Chromium's is.
    metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    browser.prefer(scheme)


def assert_fits_everybody(browser: Browser, axe: str) -> None:
    """The page that is open, in each window and scheme: nothing sticks out, and the rules find nothing."""
    browser.driver.execute_cdp_cmd("Page.setBypassCSP", {"enabled": True})
    browser.driver.execute_script(axe)
    for width in (360, 1400):
        for scheme in ("light", "dark"):
            window(browser, width, scheme)
            browser.driver.execute_async_script(TWO_FRAMES)
            where = f"{width} px, {scheme}"
            assert browser.driver.execute_script(SIDEWAYS) == 0, f"{where}: it scrolls sideways"
            assert violations(browser) == [], where


def violations(browser: Browser) -> list[str]:
    found: dict[str, Any] = browser.driver.execute_async_script(
        "const done = arguments[0]; axe.run({resultTypes: ['violations']}).then(done, error => done({error: String(error)}))"
    )
    assert "error" not in found, found
    return [f"{each['id']}: {each['nodes'][0]['html'][:200]}" for each in found["violations"]]


@pytest.mark.parametrize("state", STATES)
def test_each_state_is_readable_by_everybody_in_every_window(
    state: str, browser: Browser, served: Served, axe: str
) -> None:
    look(browser, served, state)
    shown = STATES[state]
    assert browser.text(".chip") == shown.chip
    pressed = [each.text for each in browser.driver.find_elements(By.CSS_SELECTOR, ".controls button")]
    assert tuple(pressed) == shown.buttons
    for words in shown.told:
        assert words in browser.text(".why")
    assert_fits_everybody(browser, axe)


@pytest.mark.parametrize("state", STATES)
def test_figures_are_on_the_screen_within_a_second_and_stay_where_they_are(
    state: str, browser: Browser, served: Served
) -> None:
    look(browser, served, state)
    drawn = "return performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? 9e9"
    assert wait_until(lambda: browser.driver.execute_script(drawn) < 9e9)
    assert browser.driver.execute_script(drawn) < 1000
    if "report" in answer_of(state):
        assert browser.find("path.blue").get_attribute("d")
    browser.driver.execute_script(SHIFTS, True)
    browser.driver.execute_async_script(TWO_FRAMES)
    assert browser.driver.execute_script("return window.shifted") < NOTICED


QUESTIONS = {
    "What is going on?": ("rolled back by an alarm", ".chip", "^Rolled back$"),
    "Why?": (
        "rolled back by an alarm",
        ".why .outcome",
        "Green failed too many calls: over 5 % more than 3 times blue's",
    ),
    "What do I do?": (
        "rolled back by an alarm",
        ".why",
        "What to do: .*nothing is urgent.*mend the model and roll out anew",
    ),
    "Is blue serving everything?": (
        "rolled back by an alarm",
        ".why .outcome",
        "beer-v1 serves all requests as before",
    ),
    "Since when?": ("rolled back by an alarm", ".way .stopped", r"10 % stopped at \d\d:\d\d:\d\d UTC"),
    "How bad was it?": (
        "rolled back by an alarm",
        ".why .outcome",
        r"green failed \d+ of \d+ \(100 %\).*; blue failed 0 of",
    ),
    "Who decided?": ("rolled back by a person", ".glance", "Decided by: bob rejected 100 % at .*release freeze"),
    "What comes next, and when?": ("baking", ".next", r"Green gets 50 % in 0:\d\d, unless something does harm"),
    "Is it sure, or is it noise?": ("baking", ".glance", r"Evidence: that green is worse [\d.]+ of 100.*\(1 is none\)"),
    "Can I trust these figures?": (
        "offline",
        ".age",
        "AWS can't be reached, last at .* UTC: this is what Airflow knows",
    ),
}
"""What somebody on call asks, in which state, and where the answer stands: docs/screen.md tells the same."""


@pytest.mark.parametrize("question", QUESTIONS)
def test_what_somebody_on_call_asks_is_answered_in_the_first_view(
    question: str, browser: Browser, served: Served
) -> None:
    state, place, answer = QUESTIONS[question]
    look(browser, served, state)
    browser.find(place)
    told, bottom = browser.driver.execute_script(
        "const found = document.querySelector(arguments[0]); return [found.innerText, found.getBoundingClientRect().bottom]",
        place,
    )
    assert re.search(answer, " ".join(told.split())), told
    assert bottom <= 900
    assert f"| {question} |" in (ROOT / "docs" / "screen.md").read_text()


@pytest.mark.parametrize(("before", "after"), ALIKE)
def test_newer_figures_of_the_same_state_move_nothing(
    before: str, after: str, browser: Browser, served: Served
) -> None:
    look(browser, served, before)
    browser.driver.execute_async_script(TWO_FRAMES)
    browser.driver.execute_script(SHIFTS, False)
    served.put(after)
    browser.driver.execute_async_script("refresh().then(arguments[0])")
    browser.driver.execute_async_script(TWO_FRAMES)
    assert browser.find("#live").get_attribute("data-now") == moment_of(after).isoformat()
    assert browser.driver.execute_script("return window.shifted") < 0.001


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
        "loading": render_rollouts([MADE["loading"]().report], **around),
        "unread": render_rollouts([], unread=["the rollout that task canary.snapshot has planned"], **around),
        "list": render_list(rows, "", "wine", "running", minute(9)),
        "empty list": render_list([], "", "", "", minute(9)),
    }


@pytest.mark.parametrize("name", other_pages())
def test_where_there_is_nothing_to_show_it_says_so_to_everybody(
    name: str, browser: Browser, served: Served, axe: str
) -> None:
    served.pages["/page"] = other_pages()[name]
    visit(browser, served)
    words = {"empty": "No rollout has been planned", "loading": "AWS is being asked", "unread": "Not shown:"}
    assert words.get(name, "Rollouts") in browser.text("main")
    if name == "list":
        rows = browser.driver.find_elements(By.CSS_SELECTOR, "tbody tr")
        assert max(row.size["height"] for row in rows) < 50, "more than one line"
    assert_fits_everybody(browser, axe)


def test_the_buttons_stay_in_sight_however_far_one_scrolls(browser: Browser, served: Served) -> None:
    look(browser, served, "waiting for a person")
    browser.driver.execute_script("window.scrollTo(0, document.body.scrollHeight)")
    wait_until(lambda: browser.driver.execute_script("return window.scrollY") > 500)
    top = "return document.querySelector('button[data-wish=abort]').getBoundingClientRect().top"
    assert 0 <= browser.driver.execute_script(top) < 120


def asked_for_page(served: Served) -> int:
    return served.asked.count("/page")


def test_an_update_is_one_call_and_leaves_alone_what_a_person_holds(browser: Browser, served: Served) -> None:
    look(browser, served, "baking")
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
    driver.execute_async_script(TWO_FRAMES)
    driver.execute_script(SHIFTS, False)
    served.asked.clear()
    served.put("paused")
    assert browser.wait_for(".chip", "Paused") == "Paused at 10 %"
    assert set(served.asked) == {"/page"}
    wait_until(lambda: asked_for_page(served) >= 2)
    held = driver.execute_script(
        """
        return [document.querySelector("details[id^=v-]").open, document.activeElement.tagName, String(getSelection()),
                window.kept.isConnected, window.shifted];
        """
    )
    assert held[:4] == [True, "SUMMARY", "wine-refused", True]
    assert held[4] < NOTICED


def test_a_fact_is_on_the_screen_within_three_seconds(browser: Browser, served: Served) -> None:
    look(browser, served, "baking")
    served.put("rolling back")
    since = browser.driver.execute_script("return performance.now()")
    browser.wait_for(".chip", "Rolling back")
    assert browser.driver.execute_script("return performance.now()") - since < 3000
    assert browser.driver.find_elements(By.CSS_SELECTOR, ".controls button") == []


def test_a_server_that_answers_no_more_is_said_and_so_is_that_it_is_back(browser: Browser, served: Served) -> None:
    look(browser, served, "baking")
    served.is_down = True
    told = browser.wait_for("#link", "Not updated for")
    assert "Airflow answered 503" in told
    served.is_down = False
    wait_until(lambda: browser.text("#link") == "")


def test_one_cursor_tells_every_picture_of_a_moment_by_mouse_and_by_keyboard(browser: Browser, served: Served) -> None:
    look(browser, served, "waiting for a person")
    slider = browser.find("input.cursor")
    slider.send_keys(Keys.HOME)
    for _ in range(3):
        slider.send_keys(Keys.PAGE_UP)
    values = [each.text for each in browser.driver.find_elements(By.CSS_SELECTOR, ".panel .value")]
    assert len(values) > 12
    assert re.fullmatch(r"\d\d:\d\d:\d\d", browser.text(".value.at"))
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
    look(browser, served, "baking")
    before = browser.text("[data-until]")
    assert re.fullmatch(r"in 0:\d\d", before)
    wait_until(lambda: browser.text("[data-until]") != before)


def test_airflows_theme_counts_for_more_than_the_systems_and_its_links_lead_out(
    browser: Browser, served: Served
) -> None:
    look(browser, served, "rolled back by an alarm")
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
    look(browser, served, "rolled back by a person")
    browser.driver.execute_script("document.querySelector('details[id^=m-]').open = true")
    browser.button("Copy").click()
    selected = "return document.activeElement.value.substring(0, document.activeElement.selectionEnd)"
    copied = str(browser.driver.execute_script(selected))
    assert re.match(r"## Rollout [0-9a-f]{8} of mead\n", copied)
    assert "| bob | rejected 100 % (release freeze) |" in copied


def test_the_saved_file_works_from_a_disk(browser: Browser, tmp_path: Path, axe: str) -> None:
    file = tmp_path / "report.html"
    file.write_text(render_file([report_of("promoted")], "run", now=moment_of("promoted")))
    browser.driver.get(file.as_uri())
    assert browser.text(".chip") == "Promoted"
    browser.find("input.cursor").send_keys(Keys.HOME)
    assert re.fullmatch(r"\d\d:\d\d:\d\d", browser.text(".value.at"))
    assert_fits_everybody(browser, axe)
