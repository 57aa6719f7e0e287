"""A page is understood at first reading: sentences and paragraphs have a length that allows it.

That says nothing about their sense. It catches what most often makes one read twice: a second and a third thought in a sentence.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = [
    *sorted((ROOT / "docs").glob("*.md")),
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")),
]
# The method's derivation and its figures, for those who check them.
PAPER = {"evidence.md": "## The method"}
WORDS_OF_A_SENTENCE = 25
WORDS_OF_A_PARAGRAPH = 80


def paragraphs(text: str) -> list[str]:
    """Paragraphs and items of lists; no code, headings, tables or pictures."""
    text = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    text = re.sub(r"^    .*$", "", text, flags=re.MULTILINE)
    blocks = [block for block in re.split(r"\n\s*\n", text) if not block.lstrip().startswith(("#", "|", "!["))]
    items = [item for block in blocks for item in re.split(r"^(?:[-*]|\d+\.) ", block, flags=re.MULTILINE)]
    return [" ".join(item.split()) for item in items if item.strip()]


def sentences(paragraph: str) -> list[str]:
    """Its sentences, and the links of a row of links; a name in code counts as one word, and a link's address as none."""
    paragraph = re.sub(r"`[^`]*`", "code", re.sub(r"\]\([^)]*\)", "]", paragraph))
    return re.split(r"(?<=[.!?:;·])\*{0,2}\s+(?=\S)", paragraph)


def prose_of(page: Path) -> list[str]:
    text = page.read_text()
    return paragraphs(text.partition(PAPER[page.name])[0] if page.name in PAPER else text)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_sentence_is_short(page: Path) -> None:
    found = [each for paragraph in prose_of(page) for each in sentences(paragraph)]
    assert found
    assert [each for each in found if len(each.split()) > WORDS_OF_A_SENTENCE] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_paragraph_is_short(page: Path) -> None:
    assert [each for each in prose_of(page) if len(each.split()) > WORDS_OF_A_PARAGRAPH] == []


def test_sentences_are_told_apart() -> None:
    text = "# Title\n\nOne thought. Another one: `a.b c` is [code](x.md#y).\n\n* An item\n  of two lines.\n* More.\n\n| a | table |\n"
    assert paragraphs(text) == [
        "One thought. Another one: `a.b c` is [code](x.md#y).",
        "An item of two lines.",
        "More.",
    ]
    assert sentences(paragraphs(text)[0]) == ["One thought.", "Another one:", "code is [code]."]
