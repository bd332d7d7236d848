"""Links of readme, documentation and notebooks lead to files and headings that exist; nothing is fetched."""

from __future__ import annotations

import json
import re
from pathlib import Path
from runpy import run_path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
GENERATED = run_path(str(ROOT / "tools" / "docs_pages.py"))["generated_pages"]
LINK = re.compile(r"(?<!`)!?\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)


def links(text: str) -> list[str]:
    """Targets of the links of a page, code left out."""
    return LINK.findall(FENCE.sub("", text))


def anchors(text: str) -> set[str]:
    """Names of the headings, as Markdown makes them."""
    heads = re.findall(r"^#+ (.+)$", FENCE.sub("", text), re.MULTILINE)
    return {re.sub(r"[\s]+", "-", re.sub(r"[^\w\s-]", "", h.lower())).strip("-") for h in heads}


def broken(page: Path, text: str) -> list[str]:
    found = []
    for link in links(text):
        target, _, anchor = link.partition("#")
        if "://" in target or target.startswith("mailto:"):
            continue
        path = (page.parent / target).resolve() if target else page
        if path.is_relative_to(ROOT / "docs") and path.relative_to(ROOT / "docs").as_posix() in GENERATED():
            continue
        if not path.exists() or (anchor and anchor not in anchors(path.read_text(encoding="utf-8"))):
            found.append(link)
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page):
    assert broken(page, page.read_text(encoding="utf-8")) == []


def test_broken_links_are_found(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# One two\n[a](#one-two) [b](#three) [c](nowhere.md) `[d](e)` [f](page.md#one-two)\n")
    assert broken(page, page.read_text()) == ["#three", "nowhere.md"]


def test_notebooks_name_commands_that_exist():
    commands = GENERATED()["reference/commands.md"]
    text = "\n".join(
        "".join(cell["source"])
        for path in sorted((ROOT / "notebooks").glob("*.ipynb"))
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]
        if cell["cell_type"] == "markdown"
    )
    named = set(re.findall(r"^    xrfree ([a-z-]+)", text, re.MULTILINE))
    assert named
    assert all(f"## xrfree {name}\n" in commands for name in named)


def test_commands_in_the_documentation_exist():
    commands = GENERATED()["reference/commands.md"]
    text = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    named = set(re.findall(r"(?:^|`|^ {4})xrfree ([a-z][a-z-]+)", text, re.MULTILINE))
    unknown = {name for name in named if f"## xrfree {name}\n" not in commands}
    assert unknown == set()
