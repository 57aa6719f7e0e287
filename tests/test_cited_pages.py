"""Every page of the documentation that code, tests or pages cite exists, and so does the section that is cited."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FOLDERS = ("airflow_sm_rollout", "benchmarks", "dags", "docker", "docs", "tests")
KINDS = {".md", ".py", ".toml", ".yaml", ".yml"}
CITED = re.compile(r"\bdocs/([\w-]+\.md)(?:#([\w-]+))?")
LINK = re.compile(r"\]\(((?!https?:|mailto:)[^)\s]+)\)")


def files() -> Iterator[Path]:
    """All that is written by hand."""
    yield from (path for path in ROOT.iterdir() if path.suffix in KINDS)
    for folder in FOLDERS:
        yield from (path for path in sorted((ROOT / folder).rglob("*")) if path.suffix in KINDS)


def sections(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub and the docs site make them."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def cites() -> Iterator[tuple[Path, Path, str]]:
    """Who cites which page, and which section of it."""
    for path in files():
        text = path.read_text()
        for name, section in CITED.findall(text):
            yield path, ROOT / "docs" / name, section
        if path.suffix == ".md":
            for link in LINK.findall(text):
                target, _, section = link.partition("#")
                yield path, (path.parent / target).resolve() if target else path, section


CITES = [pytest.param(*each, id=f"{each[0].name}:{each[1].name}:{each[2]}") for each in sorted(set(cites()))]


def test_the_facts_are_cited_by_the_code() -> None:
    """So that the tests below are known to find something."""
    pages = [page.name for by, page, _ in cites() if by.suffix == ".py"]
    assert pages.count("facts-aws.md") >= 5
    assert pages.count("facts-airflow.md") >= 5


@pytest.mark.parametrize(("by", "page", "section"), CITES)
def test_what_is_cited_exists(by: Path, page: Path, section: str) -> None:
    assert page.exists(), by
    if section:
        assert section in sections(page), f"{by} cites #{section}"


def test_no_note_is_cited_that_only_some_can_read() -> None:
    notes = re.compile(r"\b[A-Z]+_FACTS\.md|\b(?:CASES|DESIGN|REVIEW|STYLE|SANDBOX|VERDICT|UX)\.md")
    assert [(path.name, notes.findall(path.read_text())) for path in files() if notes.search(path.read_text())] == []
