"""A bench that runs, and a browser without a screen."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from runpy import run_path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import pytest

pytest.importorskip("nicegui", reason='the bench needs nicegui: pip install "xrfree[app]"')

running = SimpleNamespace(**run_path(str(Path(__file__).with_name("running.py"))))
SCREENSHOTS = running.REPOSITORY / "out" / "bench-screenshots"


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A bench whose ledger holds a monitor that drifts away, and whose uploads are limited to 12 files and 2 MB."""
    home = tmp_path_factory.mktemp("bench") / "lab"
    home.mkdir()
    running.fill_ledger(home / "ledger.sqlite")
    with running.running_bench(home, "--jobs", "1", "--most-files", "12", "--most-mb", "2") as started:
        yield started


@pytest.fixture(scope="module")  # while it is there, no other event loop can run
def browser() -> Iterator[Any]:
    """Chromium of the system, driven by Playwright, which brings none of its own."""
    playwright = pytest.importorskip("playwright.sync_api", reason="the browser is driven by playwright")
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        pytest.skip("no Chromium on this machine: apt-get install chromium")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=found, args=["--no-sandbox", "--disable-dev-shm-usage"])
        yield browser
        browser.close()


@pytest.fixture
def visitor_of(browser: Any) -> Callable[[Any], AbstractContextManager[Any]]:
    """Makes a page for a bench; its console must stay without errors, and nothing may come from elsewhere."""

    @contextmanager
    def visit(bench: Any) -> Iterator[Any]:
        context = browser.new_context(viewport={"width": 1280, "height": 900}, locale="en-GB", accept_downloads=True)
        context.set_default_timeout(30_000)
        page = context.new_page()
        wrong: list[str] = []
        page.on("console", lambda m: wrong.append(f"{m.type}: {m.text}") if m.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("dialog", lambda dialog: (wrong.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        page.on("request", lambda r: wrong.append(f"asked for {r.url}") if _elsewhere(r.url, bench) else None)

        def keep(name: str) -> None:
            """Keep a picture of the whole page, to be looked at."""
            SCREENSHOTS.mkdir(parents=True, exist_ok=True)
            page.evaluate("window.scrollTo(0, 0)")
            page.screenshot(path=str(SCREENSHOTS / f"{name}.png"), full_page=True)

        yield SimpleNamespace(page=page, keep=keep, wrong=wrong)
        context.close()
        assert wrong == []

    return visit


@pytest.fixture
def visitor(bench: Any, visitor_of: Callable[[Any], AbstractContextManager[Any]]) -> Iterator[Any]:
    """A page for the bench of the module."""
    with visitor_of(bench) as visiting:
        yield visiting


def _elsewhere(address: str, bench: Any) -> bool:
    parts = urlsplit(address)
    return parts.scheme not in ("data", "blob", "about") and parts.netloc != bench.authority
