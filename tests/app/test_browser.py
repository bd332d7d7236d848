"""What people do on the bench, done in a browser without a screen; pictures of it are kept in out/bench-screenshots."""

from __future__ import annotations

import re
import statistics
import time
from pathlib import Path
from runpy import run_path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from xrfree.documents.calibration import load_calibration
from xrfree.documents.curve_tables import load_exclusions
from xrfree.ledger.store import Ledger

running = SimpleNamespace(**run_path(str(Path(__file__).with_name("running.py"))))
made = SimpleNamespace(**run_path(str(Path(__file__).with_name("made.py"))))
ASSAY_S = 240
"""Seconds an assay of the demonstration may take: the first run on a machine compiles."""


SCRIPT = "<img src=x onerror=alert(1)>"


def uploaded(page: Any, bench: Any, chooser: str, path: Any) -> str:
    """Upload by the form of the first page; the address of the batch."""
    page.goto(bench.address)
    page.set_input_files(chooser, path)
    page.click("#upload-send")
    page.wait_for_selector("#start")
    return str(page.url)


@pytest.fixture(scope="module")
def assayed(bench: Any, browser: Any) -> str:
    """Address of a batch: the demonstration, uploaded as a folder and assayed; one specimen has a name that is HTML."""
    folder = bench.home.parent / "monday"
    folder.mkdir()
    for file in running.DEMO.iterdir():
        text = file.read_text(encoding="utf-8").replace("hematite", SCRIPT)
        (folder / file.name).write_text(text, encoding="utf-8")
    (folder / f"{SCRIPT}.csv").write_text("channel,counts\n0,many\n", encoding="utf-8")
    page = browser.new_page()
    address = uploaded(page, bench, "#upload-folder", str(folder))
    page.click("#start")
    page.wait_for_selector("#progress >> text=/working|done/")
    page.wait_for_selector("#files a", timeout=1000 * ASSAY_S)
    page.close()
    return address


def test_a_folder_is_assayed_into_a_table_of_verdicts(visitor, assayed):
    page = visitor.page
    page.goto(assayed)
    page.wait_for_selector("#results td a")
    visitor.keep("batch")
    rows = page.locator("#results tbody tr")
    names = [text.strip() for text in rows.locator("td:first-child").all_inner_texts()]
    assert names == [SCRIPT, "laterite-high", "laterite-low", "laterite-middle"]
    high = rows.nth(1)
    assert high.locator(".verdict.detected .word").all_inner_texts() == ["detected"] * 6
    assert "not detected" in rows.nth(0).inner_text()
    assert re.search(r"\d ± \d", high.inner_text())
    assert page.locator("#state").inner_text() == "done, some files refused"


def test_a_sample_shows_its_spectrum_fit_and_budget(visitor, assayed):
    page = visitor.page
    page.goto(assayed)
    page.click("text=laterite-high")
    page.wait_for_selector(".budget-picture img")
    visitor.keep("specimen")
    pictures = page.locator(".fit-picture img")
    assert pictures.count() == 3
    for picture in [*pictures.all(), page.locator(".budget-picture img")]:
        assert picture.evaluate("i => i.complete && i.naturalWidth > 600")
        assert picture.get_attribute("alt")
    assert "differences between specimens" in page.inner_text("main")
    page.click("#next")
    page.wait_for_selector("h1:has-text('laterite-low')")


def test_the_report_is_a_page_in_which_nothing_runs(visitor, bench, assayed):
    page = visitor.page
    page.goto(assayed)
    path = page.locator("#files a").first.get_attribute("href")
    status, headers, text = bench.ask("GET", path)
    assert status == 200
    assert headers["content-security-policy"].startswith("default-src 'none'")
    assert "laterite-high" in text
    page.goto(f"http://{bench.authority}{path}")
    visitor.keep("report")


def test_a_standard_is_left_out_for_a_reason_only(visitor, bench, tmp_path):
    page = visitor.page
    page.goto(f"{bench.address}calibrations")
    visitor.keep("calibrations")
    page.click("td a")
    page.wait_for_selector(".curve-picture img")
    visitor.keep("calibration")
    before, picture = page.inner_text("#summary"), page.locator(".curve-picture img").get_attribute("src")
    box = page.get_by_role("checkbox", name="used: S04")
    box.click()
    page.click("text=Cancel")
    page.wait_for_function("document.querySelectorAll('#standards [aria-checked=true]').length == 10")
    assert page.inner_text("#summary") == before
    box.click()
    page.wait_for_selector("#reason:focus")
    page.keyboard.type("cracked bead")
    page.keyboard.press("Enter")
    page.wait_for_selector("#standards tr.left-out")
    page.wait_for_function("p => document.querySelector('.curve-picture img').src != p", arg=picture)
    visitor.keep("calibration-without-one")
    assert "9 standards" in page.inner_text("#summary")
    assert "cracked bead" in page.inner_text("#standards tr.left-out")
    with page.expect_download() as download:
        page.click("#exclusions")
    table = tmp_path / "exclusions.csv"
    download.value.save_as(table)
    (exclusion,) = load_exclusions(table)
    assert (exclusion.material, exclusion.reason, exclusion.by) == ("S04", "cracked bead", "ann")
    page.get_by_role("checkbox", name="used: S04").click()
    page.wait_for_function(
        "s => document.getElementById('summary').innerText == s && !document.querySelector('tr.left-out')", arg=before
    )


def test_a_calibration_is_made_on_the_bench_and_made_again_without_a_standard(visitor_of, tmp_path):
    method = made.write_documents(tmp_path / "lab" / "documents")
    made.write_standards(tmp_path / "standards", method, 6)
    with running.running_bench(tmp_path / "lab", "--jobs", "1") as bench, visitor_of(bench) as visitor:
        page = visitor.page
        batch = uploaded(page, bench, "#upload-folder", str(tmp_path / "standards"))
        page.click("#choices .q-radio:has-text('Calibrate')")
        page.wait_for_selector("#choose-calibration", state="hidden")
        choose(page, "method", made.METHOD)
        page.click("#start")
        page.click("text=Look at it before anybody relies on it", timeout=1000 * ASSAY_S)
        page.wait_for_selector(".curve-picture img")
        visitor.keep("calibration-made")
        assert "with 6 standards" in page.inner_text("#summary")
        assert "draft" in page.inner_text("main")
        first, before = load_calibration(calibration_file(bench)), page.inner_text("#summary")
        assert {point.material for point in first.points} == {f"S{k}" for k in range(1, 7)}

        page.get_by_role("checkbox", name="used: S2").click()
        page.wait_for_selector("#reason:focus")
        page.keyboard.type("cracked")
        page.keyboard.press("Enter")
        page.wait_for_selector("#standards tr.left-out")
        assert page.inner_text("#summary") != before
        page.click("#anew")
        page.wait_for_url(batch)
        page.click("text=Look at it before anybody relies on it", timeout=1000 * ASSAY_S)
        page.wait_for_selector(".curve-picture img")
        visitor.keep("calibration-made-again")
        assert "with 5 standards" in page.inner_text("#summary")
        assert "S2. cracked" in page.inner_text("main")
        again = load_calibration(calibration_file(bench))
        assert {point.material for point in again.points} == {"S1", "S3", "S4", "S5", "S6"}
        assert [(e.material, e.reason, e.by) for e in again.exclusions] == [("S2", "cracked", "ann")]
        assert not np.array_equal(again.log_sensitivity, first.log_sensitivity)


def calibration_file(bench: Any) -> Path:
    (batch,) = bench.batches()
    return Path(batch) / "calibration.toml"


def test_a_control_chart_announces_what_left_its_limits(visitor, bench):
    page = visitor.page
    page.goto(f"{bench.address}charts")
    page.wait_for_selector(".chart-picture img")
    page.wait_for_selector("#chart .verdict.doubtful")
    visitor.keep("chart")
    assert "15 results" in page.inner_text("#chart")
    assert "1-3s" in page.inner_text("#chart")
    assert "rejected" in page.inner_text("#chart")
    page.get_by_label("Chart", exact=True).click()
    page.get_by_role("option", name="CUSUM").click()
    page.wait_for_selector("#chart >> text=CUSUM+")


def test_ranges_of_duplicates_are_charted_by_their_method(visitor, bench):
    page = visitor.page
    page.goto(f"{bench.address}charts")
    page.wait_for_selector(".chart-picture img")
    page.get_by_label("Chart", exact=True).click()
    page.get_by_role("option", name="Ranges of duplicates").click()
    page.wait_for_selector("#chart >> text=11 pairs of duplicates")
    visitor.keep("chart-ranges")
    assert page.get_by_label("Method", exact=True).input_value() == "Ore"
    assert "D10" in page.inner_text("#chart")
    assert "range of duplicates passed its upper limit" in page.inner_text("#chart")
    page.get_by_label("Chart", exact=True).click()
    page.get_by_role("option", name="EWMA").click()
    page.wait_for_selector("#chart >> text=15 results")
    assert page.get_by_label("Specimen", exact=True).input_value() == "monitor"


def test_the_ledger_is_verified_and_tells_the_story_of_a_result(visitor, bench):
    page = visitor.page
    page.goto(f"{bench.address}ledger")
    page.click("#verify")
    page.wait_for_selector("#verification .verdict")
    assert "Nothing was changed" in page.inner_text("#verification")
    page.locator("tr", has_text="monitor").last.locator("a").first.click()
    page.wait_for_selector("#story")
    visitor.keep("ledger")
    assert "monitor: record" in page.inner_text("#story")


def test_a_changed_ledger_is_found(visitor, bench):
    import sqlite3

    place = str(bench.home / "ledger.sqlite")
    with sqlite3.connect(place) as connection:
        triggers = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
        (actor,) = connection.execute("SELECT actor FROM records WHERE seq = 3").fetchone()
        for name, _ in triggers:
            connection.execute(f"DROP TRIGGER {name}")
        connection.execute("UPDATE records SET actor = 'eve' WHERE seq = 3")
    connection.close()
    try:
        page = visitor.page
        page.goto(f"{bench.address}ledger")
        page.click("#verify")
        page.wait_for_selector("#verification .verdict.doubtful")
        assert "record 3 was changed" in page.inner_text("#verification")
    finally:
        with sqlite3.connect(place) as connection:
            connection.execute("UPDATE records SET actor = ? WHERE seq = 3", (actor,))
            for _, sql in triggers:
                connection.execute(sql)
        connection.close()


def test_script_in_names_is_shown_as_text(visitor, bench, assayed):
    page = visitor.page
    page.goto(assayed)
    page.wait_for_selector("#refused td")
    assert f"{SCRIPT}.csv" in page.inner_text("#refused")
    page.get_by_role("link", name=SCRIPT).click()
    page.wait_for_selector(".budget-picture img")
    visitor.keep("script-in-names")
    assert page.inner_text("h1") == SCRIPT
    for path in (assayed.removeprefix(bench.address), "charts", "ledger"):
        page.goto(f"{bench.address}{path}")
        page.wait_for_selector("main h1")
        assert page.locator("main img[src=x]").count() == 0


def test_script_in_names_of_batches_and_lists_is_shown_as_text(visitor, bench):
    page = visitor.page
    head = "specimen,role,form,density_g_cm3,thickness_cm\n"
    files = {f"{SCRIPT}/{SCRIPT}.csv": f"{head}{SCRIPT},unknown,pressed powder,3.2,0.5\n".encode()}
    _, headers, _ = bench.upload(files)
    page.goto(f"{bench.address[:-1]}{headers['location']}")
    page.wait_for_selector("#start")
    assert page.inner_text("h1") == SCRIPT
    page.click("#choose-specimens")
    page.get_by_role("option", name=SCRIPT).click()
    page.goto(bench.address)
    page.get_by_role("link", name=SCRIPT).wait_for()
    assert page.locator("img[src=x]").count() == 0


def test_an_upload_that_is_too_large_says_so(visitor, bench, tmp_path):
    (tmp_path / "big.csv").write_bytes(b"0" * 3_000_000)
    page = visitor.page
    page.goto(bench.address)
    page.set_input_files("#upload-files", str(tmp_path / "big.csv"))
    page.click("#upload-send")
    page.wait_for_selector("text=There are more than 2.0 MB")
    visitor.keep("too-large")
    visitor.wrong[:] = [line for line in visitor.wrong if "413" not in line]  # which the console tells


def test_the_bench_speaks_chinese(visitor, bench, assayed):
    page = visitor.page
    page.goto(assayed)
    page.click("text=中文")
    page.wait_for_selector("#results td a")
    visitor.keep("batch-zh")
    assert page.evaluate("document.documentElement.lang") == "zh-CN"
    text = page.inner_text("body")
    assert "检出" in text
    assert "未检出" in text
    page.goto(f"{bench.address}charts")
    page.wait_for_selector(".chart-picture img")
    visitor.keep("chart-zh")
    assert "休哈特图" in page.inner_text("main")


VISIBLE = """() => {
    const found = [];
    const walk = (node) => {
        if (node.nodeType === Node.TEXT_NODE) { found.push(node.textContent); return; }
        if (node.nodeType !== Node.ELEMENT_NODE || node.matches('[lang=en], [aria-hidden=true], script, style')) return;
        if (!node.checkVisibility()) return;
        for (const name of ['alt', 'aria-label', 'placeholder', 'title']) found.push(node.getAttribute(name) || '');
        node.childNodes.forEach(walk);
    };
    walk(document.body);
    return found;
}"""
"""All that is shown or read aloud, but for what is marked as English."""
PROGRAMS_UNITS_STANDARDS = """xrfree calibrate exclude xraylib WebSocket csv CSV ZIP toml html json keV SHA EWMA CUSUM
    Westgard Cook UTC MB"""
NAMES_GIVEN_BY_PEOPLE = """monday specimens list truth img src onerror alert laterite high low middle band heavy light
    monitor ann iron ore example edxrf Example EDXRF bench Iron demonstration Rare earths and niobium in documents
    lab"""
SAME_IN_ALL_LANGUAGES = frozenset(f"{PROGRAMS_UNITS_STANDARDS} {NAMES_GIVEN_BY_PEOPLE}".split())


def all_pages(page: Any, bench: Any, batch: str) -> dict[str, str]:
    """Addresses of one page of each kind, by a name for its picture."""
    page.goto(batch)
    page.wait_for_selector("#results td a")
    specimen = page.locator("#results td a").nth(1).get_attribute("href").removeprefix("/")
    page.goto(f"{bench.address}calibrations")
    calibration = page.locator("td a").first.get_attribute("href").removeprefix("/")
    return {
        "batches": "", "batch": batch.removeprefix(bench.address), "specimen": specimen, "calibrations": "calibrations",
        "calibration": calibration, "charts": "charts", "ledger": "ledger?record=1", "nowhere": "nowhere",
        "no-batch": "batches/x",
    }  # fmt: skip


@pytest.mark.parametrize("language", ["en", "zh"])
def test_pages_fit_a_narrow_window(visitor, bench, assayed, language):
    """390 pixels are those of a telephone; wide tables scroll by themselves."""
    page = visitor.page
    page.goto(f"{bench.address}language/{language}")
    places = all_pages(page, bench, assayed)
    page.set_viewport_size({"width": 390, "height": 844})
    too_wide = {}
    for name, path in places.items():
        page.goto(f"{bench.address}{path}")
        page.wait_for_load_state("networkidle")
        visitor.keep(f"narrow-{language}-{name}")
        width = page.evaluate("document.documentElement.scrollWidth")
        if width > 390:
            too_wide[name] = width
    visitor.wrong[:] = [line for line in visitor.wrong if "404" not in line]  # which the console tells
    assert too_wide == {}


def test_chinese_pages_show_no_english_words(visitor, bench, assayed):
    page = visitor.page
    page.goto(bench.address)
    page.click("text=中文")
    found = {}
    for name, path in all_pages(page, bench, assayed).items():
        page.goto(f"{bench.address}{path}")
        page.wait_for_selector("body")
        page.wait_for_load_state("networkidle")
        text = re.sub(r"/\S+|assays\.\w+|refused\.csv|\b[A-Z][a-z]?[₀-₉]*O[₀-₉]*", "", " ".join(page.evaluate(VISIBLE)))
        words = set(re.findall(r"[A-Za-z]{3,}", text))  # paths, names of files and formulas apart
        found[path] = {word for word in words - SAME_IN_ALL_LANGUAGES if not re.fullmatch("[0-9a-f]+", word)}
        visitor.keep(f"zh-{name}")
    visitor.wrong[:] = [line for line in visitor.wrong if "404" not in line]  # which the console tells
    told = "\n".join(f"{path or '/'}: {' '.join(sorted(words))}" for path, words in found.items() if words)
    assert not told, told


def test_the_bench_is_worked_with_the_keyboard_alone(visitor, bench, assayed):
    page = visitor.page

    def tab_until(what: str, *, most: int = 40, key: str = "Tab") -> None:
        for _ in range(most):
            page.keyboard.press(key)
            if what in page.evaluate("document.activeElement.outerHTML.slice(0, 400)"):
                return
        pytest.fail(f"the keyboard does not reach {what}")

    def tab_back_until(what: str) -> None:
        tab_until(what, key="Shift+Tab")

    page.goto(bench.address)
    tab_until("skip", most=1)
    for what in ("/calibrations", "/charts", "/ledger", "upload-files", "upload-folder", "upload-send", "/batches/"):
        tab_until(what)
    page.goto(assayed)
    page.wait_for_selector("#results td a")
    tab_until(">laterite-low<")
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineWidth")
    tab_back_until("Nb, %")
    page.keyboard.press("Enter")
    page.wait_for_selector("#results tbody tr:last-child:has-text('laterite-high')")
    names = [text.strip() for text in page.locator("#results tbody td:first-child").all_inner_texts()]
    assert names == [SCRIPT, "laterite-low", "laterite-middle", "laterite-high"]  # by content of Nb
    tab_until(">laterite-low<")
    assert float(outline.removesuffix("px")) >= 2
    page.keyboard.press("Enter")
    page.wait_for_selector(".budget-picture img")
    page.goto(f"{bench.address}ledger")
    tab_until('id="verify"')
    page.keyboard.press("Enter")
    page.wait_for_selector("#verification .verdict.detected")


def choose(page: Any, name: str, wanted: str) -> None:
    """Choose an entry of one of the lists of a page."""
    page.click(f"#choose-{name}")
    page.get_by_role("option", name=wanted).click()


def test_a_batch_of_five_hundred_files_keeps_the_pages_quick_to_its_end(visitor_of, tmp_path):
    """Half a second is immediate enough for people; the slowest answer may take six times that.

    On a machine where an idle bench takes more than 0.1 s for a page, others are at work: both may take longer then.
    The batch is stopped once, goes on, and is held at its end by a gate that misses a blank.
    """
    method = made.write_documents(tmp_path / "lab" / "documents")
    made.write_core(tmp_path / "core", method, 500)
    with running.running_bench(tmp_path / "lab", "--jobs", "0") as bench, visitor_of(bench) as visitor:
        page = visitor.page
        uploaded(page, bench, "#upload-folder", str(tmp_path / "core"))
        assert "501 files" in page.inner_text("main")
        choose(page, "method", made.METHOD)
        pages = ("/", "/calibrations", "/ledger", page.url.removeprefix(bench.address[:-1]))
        idle = [answer_s(bench, path) for path in pages * 2]
        page.click("#start")
        # Not at the first results: all 500 may be recorded together, and the batch be at its end.
        page.wait_for_selector("#progress:has-text('of 500')", timeout=1000 * ASSAY_S)
        page.click("#stop")
        page.wait_for_selector("#again")
        assert "What was assayed is recorded" in page.inner_text("#progress")
        page.click("#again")
        page.wait_for_selector("#state:has-text('working')")
        page.click("#choices .q-item")
        page.evaluate(HEARTBEAT)
        answers, clicks = [], []
        while page.inner_text("#state") == "working":
            answers.append(answer_s(bench, pages[len(answers) % len(pages)]))
            clicks.append(click_s(page))
            page.wait_for_timeout(250)
        visitor.keep("five-hundred")
        assert page.inner_text("#state") == "held by a gate"
        assert "1-50 of 500" in page.inner_text("#results")
        assert "blank" in page.locator("#gates tbody tr").first.inner_text()
        gaps = page.evaluate("window.gaps")
        assert page.locator("#refused td").count() == 0
        with Ledger(bench.home / "ledger.sqlite") as ledger:
            subjects = ledger.subjects("result")
        assert (len(subjects), set(subjects.values())) == (500, {1})
    told = (
        f"idle: median {statistics.median(idle):.3f} s; busy: median {statistics.median(answers):.3f} s, "
        f"slowest {max(answers):.3f} s; {len(clicks)} clicks: median {statistics.median(clicks):.3f} s, "
        f"slowest {max(clicks):.3f} s; the page itself never stood still for more than {max(gaps):.3f} s"
    )
    print(told)  # noqa: T201  shown with -rP, and when the test fails
    slow_machine = max(1.0, statistics.median(idle) / 0.1)
    assert len(clicks) > 5, told
    assert max(statistics.median(answers), statistics.median(clicks)) < 0.5 * slow_machine, told
    assert max(*answers, *clicks, *gaps) < 3.0 * slow_machine, told


HEARTBEAT = """() => {
    window.gaps = [];
    let last = performance.now();
    setInterval(() => { const now = performance.now(); window.gaps.push((now - last) / 1000); last = now; }, 50);
}"""
"""Keeps how long the page took from one beat to the next, in seconds; a beat is due after 0.05."""


def click_s(page: Any) -> float:
    """Seconds from a click until the bench, far from the browser, has answered it: a choice that hides another."""
    shown = page.is_visible("#choose-calibration")
    start = time.monotonic()
    page.click(f"#choices .q-radio:has-text('{'Calibrate' if shown else 'Assay'}')")
    page.wait_for_selector("#choose-calibration", state="hidden" if shown else "visible")
    return time.monotonic() - start


def answer_s(bench: Any, path: str) -> float:
    """Seconds that a page takes to be answered."""
    start = time.monotonic()
    assert bench.ask("GET", path)[0] == 200
    return time.monotonic() - start
