"""The page and the workbook of a calibration: complete, self-contained, and safe with names from outside."""

import datetime as dt
from dataclasses import replace

import numpy as np
import pytest

from xrfree.calibration import Calibration, CalibrationStatus, ContentRange, ExcludedStandard, StandardPoint, Validity
from xrfree.conformity import Conformity, Slot
from xrfree.curves.lifecycle import with_status
from xrfree.curves.review import review_spectra
from xrfree.reference import Assignment, Basis, ReferenceMaterial, ReferenceValue
from xrfree.report.calibration_page import calibration_html, write_calibration_report, write_calibration_workbook
from xrfree.report.calibration_plots import curve_figure

NOW = dt.datetime(2025, 5, 2, 9, 30, tzinfo=dt.UTC)
NASTY = "<script>alert(1)</script> $x$"


@pytest.fixture(scope="module")
def calibration():
    rng = np.random.default_rng(3)
    points = []
    for i, content in enumerate(np.linspace(0.0005, 0.03, 12)):
        wrong = 0.004 if i == 7 else 0.0
        points.append(
            StandardPoint(
                material=NASTY if i == 0 else f"S{i}",
                group="low/band/La L",
                certified=content,
                certified_uncertainty=0.003 * content,
                found=content * (1.0 + 0.002 * rng.normal()) + wrong,
                found_uncertainty=3e-5,
            )
        )
    points += [replace(p, group="low/band/Ce L") for p in points[:3]]
    zeros = np.zeros(2)
    return Calibration(
        name="Bench, May",
        groups=("low/band/La L", "low/band/Ce L"),
        log_sensitivity=zeros,
        covariance=np.eye(2),
        blank=zeros,
        blank_uncertainty=zeros,
        blank_correlation=zeros,
        relative_scatter=zeros,
        absolute_scatter=zeros,
        points=tuple(points),
        tables="t",
        instrument_sha256="",
        method_sha256="",
        created="2025-05-01T00:00:00+00:00",
        software_version="0",
        validity=Validity(ranges=(ContentRange(element="La", low=0.0005, high=0.03),)),
        exclusions=(ExcludedStandard(material="S99", reason="pellet broken", by="A. Lab", at="2025-05-01"),),
    )


@pytest.fixture(scope="module")
def review(calibration):
    value = ReferenceValue(
        component="La",
        mass_fraction=0.01,
        expanded_uncertainty=1e-4,
        coverage_factor=2.0,
        assigned_by=Assignment.FUSION_ICP,
        basis=Basis.DRY,
    )
    material = ReferenceMaterial(name="S3", values=(value,), certificate="GBW 3", date=dt.date(2024, 2, 29))
    return review_spectra(calibration, {"S3": material})


def test_the_page_says_what_an_auditor_asks(review):
    page = calibration_html(review, created=NOW)
    for text in (
        "Bench, May",
        "draft",
        "S7 contradicts the others.",
        "Leave-one-material-out",
        "GBW 3, certified, by fusion ICP, basis dry, 2024-02-29",
        "pellet broken",
        "Not reviewed: low/band/Ce L (3 standards, 4 are needed)",
        "of the standards",
        "slope alone",
        "nobody has approved it yet",
    ):
        assert text in page
    assert page.count("<img") == 1


def test_the_page_needs_nothing_from_outside(review):
    page = calibration_html(review, created=NOW)
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "https://" not in page
    assert "<script" not in page
    assert "default-src 'none'" in page


def test_status_and_conformity_are_shown(calibration):
    approved = with_status(
        calibration, CalibrationStatus.APPROVED, by="B. Chief", at="2025-05-03T08:00:00+00:00", why="controls passed"
    )
    standard = Conformity(standard="ISO 9516-1", scheme="beads", slots={"alphas": Slot(what="table of alphas")})
    page = calibration_html(review_spectra(approved), created=NOW, conformity=standard)
    assert "controls passed" in page
    assert "No conformity with ISO 9516-1 is claimed: 1 of 1 entries" in page


def test_the_workbook_holds_all_numbers(review, tmp_path):
    openpyxl = pytest.importorskip("openpyxl")
    write_calibration_workbook(tmp_path / "c.xlsx", review)
    book = openpyxl.load_workbook(tmp_path / "c.xlsx")
    assert book.sheetnames == [
        "summary",
        "coefficients",
        "covariance",
        "standards",
        "leave-one-out",
        "models",
        "validity",
        "exclusions",
        "history",
    ]
    rows = list(book["leave-one-out"].iter_rows(min_row=2, values_only=True))
    assert len(rows) == 12
    assert rows[0][1] == NASTY
    left = review.curves[0].left_out.rows
    assert [row[5] for row in rows] == pytest.approx([r.deleted_residual for r in left], rel=1e-12)


def test_the_page_is_written_and_a_figure_drawn(review, tmp_path):
    write_calibration_report(tmp_path / "c.html", review, created=NOW)
    assert (tmp_path / "c.html").read_text(encoding="utf-8").rstrip().endswith("</html>")
    assert len(curve_figure(review.curves[0]).axes) == 4


def test_the_material_that_contradicts_is_found(review):
    (curve,) = review.curves
    worst = max(curve.left_out.rows, key=lambda r: abs(r.deleted_residual))
    assert worst.material == "S7"
    assert curve.look.suspects == ("S7",)
    assert curve.detection_limit > 0.0


@pytest.mark.parametrize(("value", "by", "claims"), [("", "", False), ("1.2", "", False), ("1.2", "A. Lab", True)])
def test_conformity_is_not_claimed_with_anything_missing(value, by, claims):
    standard = Conformity(
        standard="GB/T", scheme="beads", slots={"range": Slot(what="range of La", value=value)}, filled_by=by
    )
    assert standard.complete is claims
    assert standard.statement().startswith("No conformity") is not claims
