from __future__ import annotations

import datetime as dt
import re
from html.parser import HTMLParser

from xrfree.report import page
from xrfree.report.page import MOST_PLOTTED, report_html, write_fit_report
from xrfree.report.refused import Refusal

NOON = dt.datetime(2026, 5, 4, 12, 0, tzinfo=dt.timezone(dt.timedelta(hours=8)))
HOSTILE = "<script>alert('x')</script> & \"Ω\""


class _Tags(HTMLParser):
    """Counts elements and complains about those that are not closed in order."""

    void = frozenset({"meta", "img", "link", "br"})

    def __init__(self) -> None:
        super().__init__()
        self.opened: list[str] = []
        self.seen: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.seen.append(tag)
        if tag not in self.void:
            self.opened.append(tag)

    def handle_endtag(self, tag):
        assert self.opened.pop() == tag


def _tags(html: str) -> _Tags:
    tags = _Tags()
    tags.feed(html)
    assert tags.opened == []
    return tags


def test_page_states_results_with_unit_uncertainty_and_verdict(make_assay):
    html = report_html([make_assay()], [], created=NOON)
    _tags(html)
    assert '1.235 <span class="pm">± 0.027</span>' in html
    assert "not detected" in html
    assert "poor fit: something is there" in html
    assert "k = 2" in html
    assert "2026-05-04 12:00:00 UTC+08:00" in html
    for digest in ("cc" * 32, "dd" * 32, "ee" * 32):
        assert digest in html
    assert "La₂O₃" in html
    assert "1.1728" in html  # oxide over element
    assert "no claim of conformity with any standard" in html
    assert html.rstrip().endswith("</html>")
    assert "End of report" in html


def test_what_all_analytes_are_told_of_the_matrix_stands_once(make_assay):
    sentence = "matrix outside the calibration: Fe is 0.62 kg/kg, above the range of the standards (0.23 to 0.49)"
    reasons = (f"at or below the decision limit; {sentence}", *(sentence,) * 5, "poor fit")
    html = report_html([make_assay(reasons=reasons)], [], created=NOON)
    _tags(html)
    assert html.count(sentence) == 1
    assert "at or below the decision limit</span>" in html
    assert "poor fit</span>" in html


def test_hostile_names_are_shown_not_run(make_assay):
    recipe_changed = make_assay(HOSTILE, reasons=(HOSTILE,) * 7)
    refusal = Refusal(path=HOSTILE, specimen=HOSTILE, reason=HOSTILE)
    html = report_html([recipe_changed], [refusal], created=NOON, title=HOSTILE)
    assert "script" not in _tags(html).seen
    assert "&lt;script&gt;" in html


def test_page_needs_nothing_from_elsewhere(make_assay):
    html = report_html([make_assay()], [], created=NOON)
    assert all(source.startswith("data:image/png;base64,") for source in re.findall(r'src="([^"]*)"', html))
    assert "http" not in re.sub(r'http-equiv="[^"]*"', "", html)


def test_only_the_first_specimens_are_drawn(make_assay, monkeypatch):
    monkeypatch.setattr(page, "data_address", lambda *_: "data:image/png;base64,AA==")
    many = [make_assay(f"P{i}") for i in range(MOST_PLOTTED + 3)]
    html = report_html(many, [], created=NOON)
    assert html.count("<img") == MOST_PLOTTED
    assert f"first {MOST_PLOTTED} of {MOST_PLOTTED + 3} specimens" in html


def test_page_of_refusals_alone(make_assay):
    html = report_html([], [Refusal(path="x.csv", specimen="", reason="the file is empty")], created=NOON)
    _tags(html)
    assert "No specimen was assayed" in html
    assert "the file is empty" in html


def test_fit_report_shows_labels_and_facts(tmp_path, make_assay):
    areas = make_assay().areas[0]
    write_fit_report(
        tmp_path / "fits.html",
        [("Fe2O3 low band", areas)],
        created=NOON,
        title="Instrument calibration",
        facts=[("Instrument", "<Bench>")],
    )
    html = (tmp_path / "fits.html").read_text(encoding="utf-8")
    _tags(html)
    assert "Fe2O3 low band" in html
    assert "&lt;Bench&gt;" in html
