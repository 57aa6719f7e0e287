"""People look at rollouts in a real browser, and decide about them; whoever may not, can't."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from urllib.parse import quote, urlsplit

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from airflow_sm_rollout.cli import main
from browser.approving import Airflow, Browser, wait_for_question
from browser.conftest import Runs
from production import alarm_of, wait_until
from wiring.runs import Run, Site

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

SCRIPT = "<script>document.title = 'broken into'</script>"
REASON = "Threshold Crossed: 1 datapoint [37.0] was greater than the threshold (5.0)."


Command = Callable[..., int]


@pytest.fixture
def command(site: Site, monkeypatch: pytest.MonkeyPatch) -> Command:
    """``command(user, *arguments)``: the command line, as somebody who has an account in Airflow, or as nobody."""
    for name, value in {**site.production.environment, "AIRFLOW_URL": site.airflow.url}.items():
        monkeypatch.setenv(name, value)

    def run(user: str, *arguments: str) -> int:
        monkeypatch.setenv("AIRFLOW_TOKEN", airflow_of(site).token_of(user) if user else "")
        return main(arguments)

    return run


def page_of(run: Run) -> str:
    return f"/sm-rollout/dags/{run.dag_id}/runs/{quote(run.run_id, safe='')}"


def airflow_of(site: Site) -> Airflow:
    assert isinstance(site.airflow, Airflow)
    return site.airflow


def answer(browser: Browser, run: Run, option: str, note: str) -> None:
    browser.open_question(run)
    browser.find("#element_note").send_keys(note)
    browser.button(option).click()


def test_the_chart_moves_and_buttons_hold_the_rollout_until_a_user_approves_and_it_is_promoted(
    site: Site, runs: Runs, browser: Browser
) -> None:
    run = runs.approved
    browser.login("alice")
    browser.open_tab(run)
    drawn = browser.find("path.real").get_attribute("d")
    browser.wait_for(".outcome", "has 25 % of the requests")
    assert browser.find("path.real").get_attribute("d") != drawn

    for button, told in (("Pause", "paused by alice"), ("Resume", "resumed by alice")):
        browser.button(button).click()
        browser.button("Yes").click()
        assert told in browser.wait_for(".how output", told)

    wait_for_question(run)
    browser.open_question(run)
    picture = browser.find("img[src*='chart.svg']")
    wait_until(lambda: browser.driver.execute_script("return arguments[0].naturalWidth", picture) == 640)
    answer(browser, run, "Approve", "as good as the old one")
    run.wait_for_end()
    run.assert_promoted()

    browser.open_tab(run)
    assert "Promoted" in browser.wait_for(".outcome", "Promoted")
    assert "alice approved 100 %" in browser.text("dl")
    assert "as good as the old one" in browser.text("dl")
    assert browser.hosts() == {urlsplit(browser.url).netloc}


def test_a_reject_restores_everything_and_the_tab_alone_answers_what_a_newcomer_asks(
    site: Site, runs: Runs, browser: Browser, command: Command
) -> None:
    run = runs.rejected
    wait_for_question(run)
    assert command("bob", "reject", run.endpoint, "--note", SCRIPT) == 0
    run.wait_for_end()
    browser.login("bob")
    run.assert_rolled_back()
    assert "in canary.approve_100: bob rejected 100 %" in run.reason()

    browser.open_tab(run)
    browser.wait_for("dl", "of green's")
    facts = dict(
        zip(
            [found.text for found in browser.driver.find_elements(By.TAG_NAME, "dt")],
            [found.text for found in browser.driver.find_elements(By.TAG_NAME, "dd")],
            strict=True,
        )
    )
    handle = site.airflow.xcom(run.dag_id, run.run_id, "canary.snapshot")
    assert handle["green_model"] in facts["Which model"]
    assert "UTC to " in facts["When"]
    assert facts["How much traffic it had"].startswith("25 % from ")
    failed, _, requests = facts["How many requests failed"].partition(" ")[0:3]
    assert int(failed.replace(",", "")) > 0, facts
    assert "(100 %)" in requests
    assert "bob rejected 100 %" in facts["What proved it"]
    assert facts["Who decided"].startswith("bob rejected 100 %")
    assert SCRIPT in facts["Who decided"]
    assert facts["What serves now"].startswith("blue, rejected-v1 on config rejected-config")
    assert browser.driver.execute_script("return document.title") != "broken into"
    assert browser.hosts() == {urlsplit(browser.url).netloc}


def test_a_question_is_answered_from_a_terminal_by_whoever_airflow_lets(
    runs: Runs, command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    run = runs.commanded
    wait_for_question(run)
    assert command("vic", "approve", run.endpoint) == 1
    assert re.search(
        r"Airflow refused \(403 Forbidden\).*AIRFLOW_TOKEN holds the token of who asks", capsys.readouterr().err
    )
    assert command("", "approve", run.endpoint) == 1
    assert "Airflow refused (401" in capsys.readouterr().err
    assert command("alice", "approve", run.endpoint, "--note", "as good as the old one") == 0
    assert capsys.readouterr().out.endswith("approved, in task canary.approve_100\n")
    assert command("alice", "approve", run.endpoint) == 1, "it is answered"
    assert "one question must be open" in capsys.readouterr().err
    run.wait_for_end()
    run.assert_promoted()


def test_a_promoted_rollout_is_undone_by_a_button_with_a_note_that_is_kept(
    site: Site, runs: Runs, browser: Browser, command: Command
) -> None:
    run, airflow = runs.commanded, airflow_of(site)
    if run.task("promote") != "success":
        wait_for_question(run)
        assert command("alice", "approve", run.endpoint) == 0
    run.wait_for_end()
    rollout_id = site.airflow.xcom(run.dag_id, run.run_id, "canary.snapshot")["rollout_id"]
    wish = {"rollout_id": rollout_id, "wish": "undo"}
    assert airflow.ask("POST", f"{page_of(run)}/wishes", "vic", wish)[0] == 403
    assert airflow.ask("POST", f"{page_of(run)}/wishes", None, wish)[0] == 401
    run.assert_promoted()
    browser.login("vic")
    browser.open_tab(run)
    browser.wait_for(".chip", "Promoted")
    assert browser.driver.find_elements(By.CSS_SELECTOR, "form.controls, dialog") == []

    browser.login("alice")
    browser.open_tab(run)
    browser.wait_for("form.controls", "Undo")
    browser.button("Undo").click()
    assert "All requests return to commanded-v1" in browser.find("dialog[open] #follows").text
    browser.find("dialog[open] input").send_keys("complaints since Monday")
    browser.button("Yes").click()
    assert "undo begun by alice" in browser.wait_for(".how output", "undo begun")
    browser.wait_for(".chip", "Undone")
    assert "was undone by alice" in browser.wait_for(".outcome", "complaints since Monday")
    run.assert_undone()
    assert browser.driver.find_elements(By.CSS_SELECTOR, "form.controls") == []


def test_silence_rolls_back_when_the_time_is_over(runs: Runs) -> None:
    run = runs.unanswered
    run.wait_for_end()
    run.assert_rolled_back()
    assert "in canary.approve_100: nobody answered until " in run.reason()


def test_a_viewer_has_no_buttons_and_is_refused_behind_them_and_a_stranger_gets_nothing(
    site: Site, runs: Runs, browser: Browser
) -> None:
    run, airflow = runs.harmed, airflow_of(site)
    wait_for_question(run)
    browser.login("vic")
    browser.open_tab(run)
    browser.wait_for(".outcome", "In progress")
    assert browser.driver.find_elements(By.CSS_SELECTOR, "form.controls, dialog") == []

    rollout_id = site.airflow.xcom(run.dag_id, run.run_id, "canary.snapshot")["rollout_id"]
    wish = {"rollout_id": rollout_id, "wish": "abort"}
    assert airflow.ask("POST", f"{page_of(run)}/wishes", "vic", wish)[0] == 403
    assert airflow.ask("POST", f"{page_of(run)}/wishes", None, wish)[0] == 401
    pages = (page_of(run), f"{page_of(run)}/report.json", f"{page_of(run)}/chart.svg", "/sm-rollout/")
    for page in (*pages, "/sm-rollout/static/page.js"):
        status, text = airflow.ask("GET", page, None)
        assert status == 401, page
        assert "harmed" not in text
        assert airflow.ask("GET", page, "vic")[0] == 200, page
    assert run.task("approve_100") == "deferred", "nobody has aborted it"


def test_the_tab_works_by_keyboard_in_a_narrow_window_and_in_the_dark(runs: Runs, browser: Browser) -> None:
    run = runs.harmed
    browser.login("alice")
    browser.driver.set_window_size(400, 800)
    browser.prefer("dark")
    browser.driver.get(f"{browser.url}{page_of(run)}")
    browser.wait_for(".outcome", "In progress")
    script = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert browser.driver.execute_script(script) == 0, "it scrolls sideways"
    colour = browser.driver.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert colour == "rgb(22, 25, 29)"

    button = browser.button("Abort")
    for _ in range(40):
        browser.driver.switch_to.active_element.send_keys(Keys.TAB)
        if browser.driver.switch_to.active_element == button:
            break
    browser.driver.switch_to.active_element.send_keys(Keys.ENTER)
    assert browser.find("dialog[open] #question").text == "Abort the rollout of harmed?"
    browser.driver.switch_to.active_element.send_keys(Keys.ESCAPE)
    assert browser.driver.find_elements(By.CSS_SELECTOR, "dialog[open]") == []


def test_a_fact_is_on_the_screen_within_three_seconds_and_harm_while_the_question_is_open_withdraws_it(
    site: Site, runs: Runs, browser: Browser, command: Command
) -> None:
    run = runs.harmed
    wait_for_question(run)
    browser.login("alice")
    browser.driver.get(f"{browser.url}{page_of(run)}")
    browser.wait_for(".age", "figures")

    def seconds_until(fact: Callable[[], object], selector: str, text: str) -> float:
        fact()
        began = time.monotonic()
        browser.wait_for(selector, text)
        return time.monotonic() - began

    facts = [
        seconds_until(lambda: command("", "pause", run.endpoint, "--note", "lunch"), ".control", "lunch"),
        seconds_until(lambda: command("", "resume", run.endpoint, "--note", "full"), ".control", "full"),
        seconds_until(lambda: site.production.set_alarm(alarm_of("harmed"), "ALARM", REASON), ".lane .word", "ALARM"),
    ]
    # The machine may be busy with Airflow's own processes just then; it is not in each of three moments.
    assert sorted(facts)[1] < 3, facts
    run.wait_for_end()
    run.assert_rolled_back()
    assert f"in canary.approve_100: alarm {alarm_of('harmed')} is in ALARM" in run.reason()
    path = f"/api/v2/dags/{run.dag_id}/dagRuns/{quote(run.run_id)}/taskInstances/canary.approve_100/-1/hitlDetails"
    late = airflow_of(site).ask("PATCH", path, "alice", {"chosen_options": ["Approve"], "params_input": {}})
    assert late[0] == 409, late


def test_a_task_has_links_to_the_tab_and_to_the_console_of_its_region(site: Site, runs: Runs) -> None:
    run = runs.unanswered
    path = f"/dags/{run.dag_id}/dagRuns/{quote(run.run_id)}/taskInstances/canary.shift_25/links"
    links = site.airflow.api("GET", path)["extra_links"]
    assert links["Rollout"].endswith("/plugin/rollout")
    assert links["SageMaker endpoint"].startswith("https://us-east-1.console.aws.amazon.com/sagemaker/home")
    assert set(links) == {"Rollout", "SageMaker endpoint", "CloudWatch alarms", "CloudWatch metrics"}


def test_the_list_shows_every_rollout_and_leads_to_each(runs: Runs, browser: Browser) -> None:
    browser.login("vic")
    browser.driver.get(f"{browser.url}/plugin/rollouts")
    browser.driver.switch_to.frame(browser.find("iframe[src*=sm-rollout]"))
    browser.wait_for("table", "unanswered")
    rows = {row.text for row in browser.driver.find_elements(By.CSS_SELECTOR, "tbody tr")}
    assert len(rows) == 5
    assert sum("rolled back" in row for row in rows) >= 1
    browser.driver.find_element(By.LINK_TEXT, "unanswered").click()
    assert "nobody answered" in browser.wait_for(".outcome", "Rolled back")
