"""The Rollout tab's own script, on a page that a small server gives: what a refusal looks like, and that nothing sticks out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

from airflow_sm_rollout.core.traces import APPROVAL, NOTE
from airflow_sm_rollout.plugin.page import render_rollouts
from answering import Answer, Asked, answering, static_file
from browser.approving import Browser
from core.test_rollout_report import QUESTION, SHIFTED, minute, report, trace

RATE = {"events": 1, "requests": 40, "rate": 0.025, "low": 0.0, "high": 0.13}
COMPARED = {
    "sentence": "Green had 40 calls, too few to tell whether it is worse than blue.",
    "evidence": 4.0,
    "needed": 16.0,
    "health": 1.0,
    "health_needed": 20.0,
    "metrics": [{"metric": "errors_5xx", "green": RATE, "blue": RATE}],
}


@dataclass
class Pages:
    """A server of one page.

    :param answer: what it answers to a wish: status, and JSON.
    """

    answer: tuple[int, str] = (200, '{"done": "fraud: paused."}')
    wishes: list[str] = field(default_factory=list)
    url: str = ""


@pytest.fixture
def pages() -> Iterator[Pages]:
    served = Pages()
    shadowed = trace("shadow", 1, **{NOTE: {"kind": "shadow", "percent": 50.0}})
    odd = trace("an_unusually_long_name_of_a_task_that_asks", 1, **{APPROVAL: {**QUESTION, "before": "?"}})
    shown = report(shadowed, SHIFTED, odd, comparison=COMPARED)
    page, later = (
        render_rollouts([replace(shown, rollout_id="0123abcd")], "", "dag", "run", may_edit=may_edit, now=minute(3))
        for may_edit in (True, False)  # after a wish there may be nothing left to wish
    )

    def answer(asked: Asked) -> Answer:
        if asked.method == "GET":
            return static_file(asked.path) or Answer(later if served.wishes else page)
        served.wishes.append(asked.text)
        status, text = served.answer
        return Answer(text, "application/json", status)

    with answering(answer) as address:
        served.url = f"{address}/page"
        yield served


@pytest.fixture
def browser(pages: Pages, chromium: Browser) -> Browser:
    chromium.begin(pages.url, width=500, scheme="dark").driver.get(pages.url)
    return chromium


def pause(browser: Browser) -> None:
    browser.button("Pause").click()
    assert "keeps its 25 %" in browser.find("dialog[open] #follows").text
    browser.button("Yes").click()


@pytest.mark.parametrize(
    ("status", "answer", "told"),
    [
        (200, '{"done": "fraud: paused by ada."}', "fraud: paused by ada."),
        (409, '{"detail": "the rollout is over."}', "Refused: the rollout is over."),
        (422, '{"detail": [{"msg": "too long", "loc": ["body"]}, {"msg": "no wish"}]}', "Refused: too long; no wish"),
        (403, '{"detail": {"reason": "forbidden"}}', 'Refused: {"reason":"forbidden"}'),
        (502, "<html>", "Refused: Bad Gateway"),
    ],
)
def test_a_wish_is_answered_in_words(status: int, answer: str, told: str, pages: Pages, browser: Browser) -> None:
    pages.answer = (status, answer)
    pause(browser)
    assert browser.wait_for(".how output", told) == told
    assert '"wish":"pause"' in pages.wishes[0]
    WebDriverWait(browser.driver, 10).until(lambda driver: not driver.find_elements(By.CSS_SELECTOR, "form.controls"))
    assert browser.text(".how output") == told


def test_nothing_sticks_out_of_a_narrow_window_and_the_dark_is_dark(pages: Pages, browser: Browser) -> None:
    width = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert browser.driver.execute_script(width) == 0
    assert browser.driver.execute_script("return getComputedStyle(document.body).backgroundColor") == "rgb(22, 25, 29)"
    [did] = [cell for cell in browser.driver.find_elements(By.CSS_SELECTOR, "td.did") if "green has 25 %" in cell.text]
    assert did.size["width"] > 300, "a column of single letters"
    told = browser.driver.find_element(By.TAG_NAME, "main").text
    for words in ("has 25 % of the requests", "Green against blue so far", "2.5 % (1 of 40"):
        assert words in told
    assert "XCom approval of task an_unusually_long_name_of_a_task_that_asks" in told
