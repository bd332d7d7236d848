"""Draft, approved, superseded; comparison; and the document that keeps all of it."""

from dataclasses import replace

import numpy as np
import pytest

from xrfree.calibration import (
    Calibration,
    CalibrationCurve,
    CalibrationStatus,
    ContentRange,
    CurveModel,
    ExcludedStandard,
    ModelKind,
    StandardPoint,
    StatusChange,
    Validity,
    validity_of_points,
)
from xrfree.curves.lifecycle import changed_models, compare_calibrations, require_usable, with_range, with_status
from xrfree.documents.calibration import calibration_sha256, load_calibration, write_calibration
from xrfree.errors import CalibrationError, DocumentError, DomainError

WHO = {"by": "B. Chief", "at": "2025-05-02T10:00:00+00:00", "why": "control samples passed"}


def _curve(slope=2.0e-7, u=1e-10):
    return CalibrationCurve(
        model=CurveModel(
            analyte="La",
            line="La-LA1",
            kind=ModelKind.THEORETICAL_ALPHAS,
            overlaps=("Ba-LA1",),
            alphas={"Fe": 1.9, "Ca": -0.3},
        ),
        coefficients=np.array([1e-6, slope, -1e-9]),
        covariance=np.diag([1e-14, u**2, 1e-22]),
        scatter=0.002,
        scatter_floor=1e-4,
        chi_square=17.0,
        n_standards=20,
        leave_one_out_rms=3e-6,
    )


def _calibration(**changes):
    fields = {
        "name": "WD, May",
        "groups": ("low/band/La L",),
        "log_sensitivity": np.array([7.0]),
        "covariance": np.array([[1e-6]]),
        **{k: np.array([0.0]) for k in ("blank", "blank_uncertainty", "blank_correlation")},
        **{k: np.array([0.001]) for k in ("relative_scatter", "absolute_scatter")},
        "points": (),
        "tables": "t",
        "instrument_sha256": "",
        "method_sha256": "",
        "created": "2025-05-01T00:00:00+00:00",
        "software_version": "0",
        "curves": (_curve(),),
        "validity": Validity(ranges=(ContentRange(element="La", low=0.0, high=0.003),)),
        "exclusions": (ExcludedStandard(material="B07", reason="cracked", by="A", at="today", curve="La"),),
    }
    return Calibration(**{**fields, **changes})


def test_everything_survives_the_document(tmp_path):
    draft = _calibration()
    approved = with_status(draft, CalibrationStatus.APPROVED, **WHO)
    write_calibration(tmp_path / "c.toml", approved)
    again = load_calibration(tmp_path / "c.toml")
    assert again.status is CalibrationStatus.APPROVED
    assert again.history == approved.history
    assert again.exclusions == draft.exclusions
    assert again.validity == draft.validity
    assert again.curves[0].model == draft.curves[0].model
    assert np.array_equal(again.curves[0].covariance, draft.curves[0].covariance)


def test_approval_does_not_make_another_calibration_of_it():
    draft = _calibration()
    approved = with_status(draft, CalibrationStatus.APPROVED, **WHO)
    assert calibration_sha256(approved) == calibration_sha256(draft)
    assert calibration_sha256(_calibration(curves=(_curve(slope=2.1e-7),))) != calibration_sha256(draft)
    assert draft.status is CalibrationStatus.DRAFT


def test_a_life_has_an_order():
    draft = _calibration()
    approved = with_status(draft, CalibrationStatus.APPROVED, **WHO)
    superseded = with_status(approved, CalibrationStatus.SUPERSEDED, **WHO)
    with pytest.raises(CalibrationError, match="superseded cannot become approved"):
        with_status(superseded, CalibrationStatus.APPROVED, **WHO)
    with pytest.raises(CalibrationError, match="approved cannot become approved"):
        with_status(approved, CalibrationStatus.APPROVED, **WHO)
    require_usable(approved)
    require_usable(draft, drafts=True)
    with pytest.raises(CalibrationError, match="is a draft"):
        require_usable(draft)
    with pytest.raises(CalibrationError, match=r"was superseded by B\. Chief"):
        require_usable(superseded, drafts=True)


@pytest.mark.parametrize("missing", ["by", "at", "why"])
def test_somebody_answers_for_a_change(missing):
    with pytest.raises(DomainError, match=missing):
        StatusChange(status=CalibrationStatus.APPROVED, **{**WHO, missing: " "})


def test_two_calibrations_are_compared_by_what_they_share():
    old = _calibration()
    new = _calibration(log_sensitivity=np.array([7.02]), curves=(_curve(slope=2.0002e-7),))
    group, curve = compare_calibrations(old, new)
    assert group.relative == pytest.approx(np.expm1(0.02))
    assert group.standard_uncertainty == pytest.approx(np.sqrt(2e-6))
    assert group.significant
    assert curve.name == "La by La-LA1"
    assert curve.relative == pytest.approx(1e-4)
    assert not curve.significant
    other = replace(_curve(), model=CurveModel(analyte="La", line="La-LA1", kind=ModelKind.FUNDAMENTAL,
                                               overlaps=("Ba-LA1",)))  # fmt: skip
    another = _calibration(groups=("high/x/Nb K",), curves=(other,))
    assert compare_calibrations(old, another) == ()  # slopes of different models have nothing in common
    assert [(a.model.kind, b.model.kind) for a, b in changed_models(old, another)] == [
        (ModelKind.THEORETICAL_ALPHAS, ModelKind.FUNDAMENTAL)
    ]
    assert changed_models(old, new) == ()
    with pytest.raises(CalibrationError, match="have no line group"):
        compare_calibrations(old, _calibration(groups=("high/x/Nb K",), curves=()))


def test_a_document_changed_after_approval_is_refused(tmp_path):
    path = tmp_path / "c.toml"
    write_calibration(path, _calibration())
    approved = with_status(load_calibration(path), CalibrationStatus.APPROVED, **WHO)
    write_calibration(path, approved)
    assert load_calibration(path).sha256 == approved.history[-1].sha256
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("high = 0.003", "high = 0.3"), encoding="utf-8")
    with pytest.raises(DocumentError, match=r"approved by B\. Chief .* was changed since"):
        load_calibration(path)


def test_a_range_is_set_by_somebody_and_makes_a_draft(tmp_path):
    approved = with_status(_calibration(), CalibrationStatus.APPROVED, **WHO)
    span = ContentRange(element="La", low=0.0, high=0.01, **WHO)
    draft = with_range(approved, span)
    assert draft.status is CalibrationStatus.DRAFT
    assert approved.status is CalibrationStatus.APPROVED
    write_calibration(tmp_path / "c.toml", draft)
    assert load_calibration(tmp_path / "c.toml").validity.ranges == (span,)
    assert "set for the calibration" in draft.validity.outside({"La": 0.02})["La"]
    with pytest.raises(CalibrationError, match="say who and why"):
        with_range(approved, ContentRange(element="La", low=0.0, high=0.01))


def test_a_superseded_calibration_can_be_named_on_purpose():
    superseded = with_status(_calibration(), CalibrationStatus.SUPERSEDED, **WHO)
    with pytest.raises(CalibrationError, match="--superseded"):
        require_usable(superseded, drafts=True)
    require_usable(superseded, superseded=True)


def test_a_range_upside_down_and_a_silent_exclusion_are_refused():
    with pytest.raises(DomainError, match="upside down"):
        ContentRange(element="La", low=0.1, high=0.0)
    with pytest.raises(DomainError, match="without a reason"):
        ExcludedStandard(material="B07", reason="")


def test_ranges_of_a_calibration_of_spectra_are_those_of_its_standards():
    points = [
        StandardPoint(
            material=f"S{i}",
            group=group,
            certified=content,
            certified_uncertainty=1e-5,
            found=content,
            found_uncertainty=1e-5,
        )
        for group in ("low/band/La L", "high/heavy/Nb K")
        for i, content in enumerate((0.001, 0.02))
    ]
    validity = validity_of_points(points)
    assert [(r.element, r.low, r.high) for r in validity.ranges] == [("La", 0.001, 0.02), ("Nb", 0.001, 0.02)]
    assert list(validity.outside({"La": 0.03, "Nb": 0.01, "Fe": 0.6})) == ["La"]
