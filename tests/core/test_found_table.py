"""The first table of docs/evidence.md is the one that the benchmark has made, and the benchmark makes it still."""

from __future__ import annotations

import json

import pytest

from benchmarks.verdict.table import (
    BAKES,
    CALLS,
    FIGURES,
    GOOD,
    GREENS,
    PAGE,
    measure_cell,
    name_of,
    render,
    with_table,
)

FOUND = json.loads(FIGURES.read_text())


def test_the_page_shows_the_figures_that_are_kept() -> None:
    page = PAGE.read_text()
    assert page == with_table(page, render(FOUND))
    assert page.index("| calls a minute |") < page.index("\n## ")


def test_there_is_a_figure_of_each_cell_and_no_other() -> None:
    assert set(FOUND) == {name_of(green, calls, minutes) for green in GREENS for calls in CALLS for minutes in BAKES}


@pytest.mark.parametrize(("green", "calls"), [("every call fails", 60), ("calls take 20 % longer", 600), (GOOD, 600)])
def test_a_cell_that_is_measured_again_is_as_it_was(green: str, calls: int) -> None:
    """With so few runs a share is off by a quarter once in 10,000 times; the same seed gives the same runs, on the same NumPy."""
    again, kept = measure_cell(green, calls, 10, runs=60), FOUND[name_of(green, calls, 10)]
    assert {name: abs(again[name] - kept[name]) < 0.25 for name in kept} == {"found": True, "proven": True}


def test_a_green_as_good_as_blue_keeps_the_level_in_the_table() -> None:
    taken_back = [FOUND[name_of(GOOD, calls, minutes)]["found"] for calls in CALLS for minutes in BAKES]
    assert sum(taken_back) / len(taken_back) <= 0.01
