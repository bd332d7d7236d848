"""What all pages share: the bench they belong to, head and navigation, tables, words in colour."""

from __future__ import annotations

import html
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass
from importlib.resources import files
from typing import Any
from urllib.parse import quote

from fastapi import Request
from nicegui import ui

from xrfree.app.commands import Commands
from xrfree.app.results import Results
from xrfree.app.settings import Settings
from xrfree.app.shelf import Shelf, read_shelf
from xrfree.app.texts import DEFAULT, LANGUAGES, Texts, texts_for
from xrfree.app.workspace import Workspace

LANGUAGE_COOKIE = "xrfree_language"
PATIENCE_S = 120.0
"""How long a page may take to be made."""
_SECTIONS = (("batches", "/"), ("calibrations", "/calibrations"), ("charts", "/charts"), ("ledger", "/ledger"))
_CELL = r"""
<q-td :props="props">
  <a v-if="props.value && props.value.href" :href="props.value.href">{{ props.value.t }}</a>
  <span v-else-if="props.value && props.value.s" :class="'verdict ' + props.value.s">
    <span class="mark" aria-hidden="true">{{ props.value.m }}</span>
    <span>{{ props.value.t }}</span><span v-if="props.value.v" class="word">{{ props.value.v }}</span>
  </span>
  <span v-else-if="props.value && props.value.lang" :lang="props.value.lang">{{ props.value.t }}</span>
  <template v-else>{{ props.value?.t ?? props.value }}</template>
</q-td>
"""
"""A cell with a link, with a verdict, or with text; the browser shows all of them as text, never as HTML."""
_HEAD = r"""
<q-th :props="props" scope="col" tabindex="0" @keydown.enter="props.sort(props.col.name)">{{ props.col.label }}</q-th>
"""
"""A heading that sorts by click or Enter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """What pages work with."""

    settings: Settings
    workspace: Workspace
    commands: Commands
    results: Results

    def shelf(self) -> Shelf:
        """All documents, as they are now. Blocking; for a thread."""
        return read_shelf(self.workspace.document_files())


def texts_of(request: Request) -> Texts:
    """The language of whoever asks."""
    return texts_for(
        chosen=request.cookies.get(LANGUAGE_COOKIE, ""), accepted=request.headers.get("accept-language", "")
    )


@contextmanager
def frame(request: Request, section: str, heading: str, *, back: tuple[str, str] | None = None) -> Iterator[Texts]:
    """A page: navigation above, a heading, and what is made within.

    section : that the page belongs to. back : text and address of the page above it.
    """
    say = texts_of(request)
    ui.page_title(f"{heading} – {say('site.title')}")
    client = ui.context.client
    client.page = copy(client.page)  # that of this visitor alone
    client.page.language = LANGUAGES[say.language]
    ui.add_css(files("xrfree.app").joinpath("bench.css").read_text(encoding="utf-8"))
    ui.colors(primary="#0b5394")
    with ui.header().classes("bench-header"):
        link(say("site.skip"), "#content").classes("skip")
        ui.label(say("site.title")).classes("bench-name")
        with ui.element("nav").classes("bench-nav"):
            for name, address in _SECTIONS:
                item = link(say(f"site.{name}"), address)
                if name == section:
                    item.props('aria-current="page"')
        other = next(language for language in LANGUAGES if language != say.language)
        link(say("site.other"), f"/language/{other}?back={quote(request.url.path)}").props(f'lang="{other}"')
    with ui.element("main").classes("bench-main").props('id="content" tabindex="-1"'):
        if back is not None:
            link(f"← {back[0]}", back[1]).classes("no-print")
        title(heading, level=1)
        yield say


def link(text: str, address: str) -> ui.link:
    """A link to another page or file of the bench."""
    return ui.link(text, address)


def title(text: str, *, level: int = 2) -> ui.html:
    """A heading; the text is escaped."""
    return ui.html(html.escape(text), tag=f"h{level}", sanitize=False)


def text(words: str) -> ui.html:
    """A paragraph; the text is escaped."""
    return ui.html(html.escape(words), tag="p", sanitize=False)


def literal(words: str) -> ui.html:
    """What a program said, as it said it, in English."""
    return ui.html(html.escape(words), tag="pre", sanitize=False).props('lang="en"')


def sentence_cell(say: Texts, words: str) -> dict[str, str]:
    """A cell with what xrfree says, in the language of the page; where it is not known in it, it is told as English."""
    told = say.sentence(words)
    return {"t": told, "lang": DEFAULT if told == words else say.language}


def sentence(say: Texts, words: str) -> ui.html:
    """A paragraph with what xrfree says."""
    cell = sentence_cell(say, words)
    return text(cell["t"]).props(f'lang="{cell["lang"]}"')


def verdict(words: str, style: str, mark: str) -> ui.element:
    """A word in colour with its mark."""
    with ui.element("span").classes(f"verdict {style}") as whole:
        ui.html(html.escape(mark), tag="span", sanitize=False).classes("mark").props('aria-hidden="true"')
        ui.html(html.escape(words), tag="span", sanitize=False)
    return whole


def picture(address: str, *, alternative: str) -> ui.element:
    """A drawn figure with words for who cannot see it."""
    return ui.html(
        f'<img class="figure" src="{html.escape(address)}" alt="{html.escape(alternative)}">', sanitize=False
    )


def table(
    columns: Sequence[tuple[str, str]], rows: Iterable[dict[str, Any]], *, key: str, page: int = 0, name: str = ""
) -> ui.table:
    """A table that can be sorted; columns : name and heading, page : rows at a time, 0 for all."""
    made = ui.table(
        columns=[_column(*column) for column in columns], rows=list(rows), row_key=key, pagination=page or None
    )
    made.add_slot("body-cell", _CELL)
    made.add_slot("header-cell", _HEAD)
    made.classes("bench-table").props("flat bordered dense")
    if name:
        made.props["aria-label"] = name
    return made


def _column(name: str, heading: str) -> dict[str, Any]:
    by_number = "(a, b) => (a?.n ?? a?.t ?? a) > (b?.n ?? b?.t ?? b) ? 1 : -1"
    return {"name": name, "label": heading, "field": name, "align": "left", "sortable": True, ":sort": by_number}


def set_columns(made: ui.table, columns: Sequence[tuple[str, str]]) -> None:
    """Other columns for a table."""
    made.columns = [_column(*column) for column in columns]


def missing(request: Request) -> None:
    """The page of an address where nothing is."""
    ui.context.client.status_code = 404
    with frame(request, "", texts_of(request)("site.not_found")):
        pass
