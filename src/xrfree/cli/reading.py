"""`xrfree docs`: the documentation in the terminal."""

from __future__ import annotations

from rich.markdown import Markdown

from xrfree.cli import OK, console
from xrfree.documents.pages import page_names, page_text

_MOST_COLUMNS = 110


def run(page: str) -> int:
    """Show a page, or the names of all pages."""
    if page:
        terminal = console.results()
        terminal.width = min(terminal.width, _MOST_COLUMNS)
        terminal.print(Markdown(page_text(page)))
    else:
        console.say("\n".join(page_names()))
    return OK
