"""What is shown in place of a page that is not there, or that cannot be made."""

from __future__ import annotations

import jinja2
import nicegui
from fastapi import Request
from fastapi.responses import HTMLResponse
from nicegui import ui

from xrfree.app.pages import frame
from xrfree.app.texts import LANGUAGES, Texts
from xrfree.errors import XrfreeError


def register() -> None:
    """Say it in the language of whoever asks; the library would say it in English."""
    nicegui.app.on_page_exception(_fault)
    nicegui.app.add_exception_handler(404, _not_found)


def _fault(error: Exception) -> None:
    request = ui.context.client.request
    with frame.frame(request, "", frame.texts_of(request)("site.problem")) as say:
        if isinstance(error, XrfreeError):
            frame.sentence(say, str(error))
        else:
            frame.text(say("site.fault"))


async def _not_found(request: Request, error: Exception) -> HTMLResponse:
    say = frame.texts_of(request)
    return HTMLResponse(notice(say, say("site.not_found")), 404)


def notice(say: Texts, heading: str, reason: str = "") -> str:
    """HTML of a page of its own that says one thing; everything is escaped."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("xrfree.app", ""), autoescape=True, undefined=jinja2.StrictUndefined
    )
    return environment.get_template("notice.html.j2").render(
        language=LANGUAGES[say.language], heading=heading, reason=reason, back=say("site.back")
    )
