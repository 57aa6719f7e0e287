"""`make docs` makes a whole site: without a warning, complete, with nothing in it that the reader's browser would fetch elsewhere."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

import airflow_sm_rollout

ROOT = Path(__file__).parent.parent
PAGES = sorted(page.stem for page in (ROOT / "docs").glob("*.md"))

# One build serves all of them.
pytestmark = [pytest.mark.xdist_group("docs_site"), pytest.mark.timeout(600)]


class Page(HTMLParser):
    """Where a page links to, what it loads, and which anchors it has."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.anchors: set[str] = set()
        self.feed(path.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        of = {name: value or "" for name, value in attrs}
        self.anchors.add(of.get("id", ""))
        if tag == "a":
            self.links.append(of.get("href", ""))
        elif tag == "link" and of.get("rel") in {"stylesheet", "preload", "icon"}:
            self.loads.append(of["href"])
        elif "src" in of:
            self.loads.append(of["src"])


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site as ``make docs`` makes it, for which a warning is a failure."""
    site = tmp_path_factory.mktemp("site")
    command = ["make", "--no-print-directory", f"--directory={ROOT}", "docs", f"SITE={site}"]
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr
    return site


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Page]:
    return {path: Page(path) for path in sorted(site.rglob("*.html"))}


def test_each_page_is_on_the_site_and_can_be_reached_from_the_first_one(site: Path, pages: dict[Path, Page]) -> None:
    reached, left = set(), [site / "index.html"]
    while left:
        page = left.pop()
        if page not in reached:
            reached.add(page)
            left += [target for target, _ in inner_links(page, pages[page]) if target.suffix == ".html"]
    assert [name for name in PAGES if site / f"{name}.html" not in reached] == []


def inner_links(path: Path, page: Page) -> Iterator[tuple[Path, str]]:
    """The files of the site, and the anchors in them, that a page links to."""
    for link in page.links:
        parts = urlsplit(link)
        if not parts.scheme:
            yield (path.parent / unquote(parts.path)).resolve() if parts.path else path, unquote(parts.fragment)


def test_every_link_within_the_site_leads_to_a_page_and_to_a_place_on_it(pages: dict[Path, Page]) -> None:
    broken = []
    for path, page in pages.items():
        for target, anchor in inner_links(path, page):
            if not target.exists() or (anchor and target in pages and anchor not in pages[target].anchors):
                broken.append((path.name, target.name, anchor))
    assert broken == []
    assert sum(1 for path, page in pages.items() for _ in inner_links(path, page)) > 1000


def test_a_page_loads_nothing_from_other_hosts(site: Path, pages: dict[Path, Page]) -> None:
    assert sum(len(page.loads) for page in pages.values()) > 100
    assert [(path.name, load) for path, page in pages.items() for load in page.loads if urlsplit(load).netloc] == []
    styles = [style.read_text() for style in site.rglob("*.css")]
    assert [found for style in styles for found in re.findall(r"url\(\s*['\"]?(https?:[^)]*)\)", style)] == []


def test_every_public_name_is_in_the_reference_and_can_be_searched_for(site: Path, pages: dict[Path, Page]) -> None:
    anchors = {
        anchor.rpartition(".")[2] for path, page in pages.items() if "api" in path.parts for anchor in page.anchors
    }
    names = [name for name in airflow_sm_rollout.__all__ if name != "__version__"]
    assert [name for name in names if name not in anchors] == []
    index = json.loads(re.search(r"Search\.setIndex\((.*)\)", (site / "searchindex.js").read_text(), re.DOTALL)[1])
    assert [name for name in ("rollback", "endpoint", "alarm") if name not in index["terms"]] == []
