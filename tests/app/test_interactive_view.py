"""The interactive view of a fit, saved as a page and used in a browser: zoom, scale, components, marks of lines."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("plotly", reason='the interactive view needs plotly: pip install "xrfree[jupyter]"')

import xrfree
from xrfree import plot
from xrfree.documents.shipped import shipped_path
from xrfree.quantification import common_solution, prepare
from xrfree.spectrum import Measurement

STATE = """() => {
    const view = document.querySelector('.js-plotly-plot');
    return {
        scale: view._fullLayout.yaxis.type,
        span: view._fullLayout.xaxis.range[1] - view._fullLayout.xaxis.range[0],
        shown: view._fullData.filter(trace => trace.visible === true).map(trace => trace.name),
        drawn: document.querySelectorAll('.scatterlayer .trace').length,
    };
}"""


@pytest.fixture(scope="module")
def page_of_a_fit(tmp_path_factory: pytest.TempPathFactory) -> str:
    method = xrfree.load_method(shipped_path("methods", "iron-ore-scanner-edxrf.toml"))
    instrument = xrfree.load_instrument(shipped_path("fitted", "example-edxrf.toml"))
    spectrum = xrfree.read_measurement(shipped_path("spectra", "demo", "laterite-high.low.csv")).spectra["low"]
    measurement = Measurement(specimen="ore", spectra={"low": spectrum})
    fit = common_solution(measurement, prepare(method, instrument), method.specimen).fits[0]
    path = tmp_path_factory.mktemp("view") / "view.html"
    plot.interactive(fit).write_html(path, include_plotlyjs=True)
    return path.as_uri()


@pytest.fixture
def view(browser: Any, page_of_a_fit: str) -> Any:
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    page = context.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(page_of_a_fit)
    page.wait_for_selector(".scatterlayer .trace")
    yield page
    outside = [url for url in asked if not url.startswith(("file:", "data:", "blob:"))]
    context.close()
    assert outside == []


def click_legend(page: Any, name: str) -> None:
    """A click on a name; the library waits for a second one before it acts."""
    page.locator("g.traces", has=page.get_by_text(name, exact=True)).locator("rect").click()
    page.wait_for_timeout(600)


def test_counts_are_shown_logarithmic_or_linear(view):
    assert view.evaluate(STATE)["scale"] == "log"
    view.locator(".updatemenu-button", has_text="linear").click()
    assert view.evaluate(STATE)["scale"] == "linear"
    view.locator(".updatemenu-button", has_text="log").click()
    assert view.evaluate(STATE)["scale"] == "log"


def test_a_component_goes_and_comes_back(view):
    before = view.evaluate(STATE)
    assert {"measured", "fit", "background", "La L", "Ce L"} <= set(before["shown"])
    click_legend(view, "La L")
    without = view.evaluate(STATE)
    assert set(before["shown"]) - set(without["shown"]) == {"La L"}
    assert without["drawn"] == before["drawn"] - 1
    click_legend(view, "La L")
    assert view.evaluate(STATE) == before


def test_lines_of_an_element_are_marked_on_demand(view):
    before = view.evaluate(STATE)
    assert not any(name.startswith("lines of") for name in before["shown"])
    click_legend(view, "lines of Pr")
    marked = view.evaluate(STATE)
    assert set(marked["shown"]) - set(before["shown"]) == {"lines of Pr"}
    assert marked["drawn"] == before["drawn"] + 1


def test_dragging_zooms_and_a_double_click_shows_everything_again(view):
    whole = view.evaluate(STATE)["span"]
    box = view.locator(".nsewdrag").first.bounding_box()
    y = box["y"] + box["height"] / 2
    view.mouse.move(box["x"] + 0.4 * box["width"], y)
    view.mouse.down()
    view.mouse.move(box["x"] + 0.6 * box["width"], y, steps=5)
    view.mouse.up()
    view.wait_for_timeout(300)
    assert view.evaluate(STATE)["span"] == pytest.approx(0.2 * whole, rel=0.05)  # a twentieth: pixels of the mouse
    # On a busy machine two clicks may come too far apart to be one double click, as with people: they click again.
    for _ in range(4):
        view.mouse.dblclick(box["x"] + 0.5 * box["width"], y)
        view.wait_for_timeout(600)
        if view.evaluate(STATE)["span"] > 0.5 * whole:
            break
    assert view.evaluate(STATE)["span"] == pytest.approx(whole)
