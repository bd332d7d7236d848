"""What a calibration's ranges say of results."""

import pytest

from xrfree.assay import Verdict
from xrfree.calibration import ContentRange, Validity
from xrfree.quality.validity import MATRIX_ALLOWANCE, judged_in_range

VALIDITY = Validity(
    ranges=(
        ContentRange(element="La", low=0.001, high=0.02),
        ContentRange(element="Ce", low=0.001, high=0.03),
        ContentRange(element="Fe", low=0.3, high=0.5),
    )
)
DETECTED, NOT_DETECTED, DOUBTFUL = Verdict.DETECTED, Verdict.NOT_DETECTED, Verdict.DOUBTFUL


def judged(la, ce, fe, verdicts=(DETECTED, DETECTED, DETECTED), reasons=("", "", ""), **more):
    contents = {"La": la, "Ce": ce, "Fe": fe}
    return judged_in_range(verdicts, reasons, contents=contents, analytes=("La", "Ce"), validity=VALIDITY, **more)


def test_within_its_ranges_nothing_is_said():
    assert judged(0.01, 0.02, 0.4) == ((DETECTED, DETECTED, DETECTED), ("", "", ""))


def test_an_analyte_outside_is_doubtful_and_the_others_are_not():
    verdicts, reasons = judged(0.05, 0.02, 0.4)
    assert verdicts == (DOUBTFUL, DETECTED, DETECTED)
    assert reasons == ("La is 0.05 kg/kg, above the range of the standards (0.001 to 0.02)", "", "")


def test_a_matrix_element_far_outside_warns_the_analytes():
    verdicts, reasons = judged(0.01, 0.02, 0.6)
    assert verdicts == (DETECTED, DETECTED, DOUBTFUL)
    assert reasons[0] == reasons[1] == f"matrix outside the calibration: {reasons[2]}"
    # Outside by less than the fundamental parameters would notice: its own row alone.
    slack = 0.05 * (0.5 - 0.3)
    near = judged(0.01, 0.02, 0.5 + slack + 1e-6)
    assert near[0][2] is DOUBTFUL
    narrow = Validity(ranges=(ContentRange(element="Fe", low=0.4, high=0.41),))
    found = judged_in_range(
        (DETECTED,) * 2,
        ("", ""),
        contents={"La": 0.01, "Fe": 0.41 + 0.9 * MATRIX_ALLOWANCE},
        analytes=("La",),
        validity=narrow,
    )
    assert found[0] == (DETECTED, DOUBTFUL)
    assert found[1][0] == ""


def test_what_is_not_detected_is_not_below_a_range():
    verdicts, reasons = judged(
        0.0, 0.02, 0.4, (NOT_DETECTED, DETECTED, DETECTED), ("at or below the decision limit", "", "")
    )
    assert verdicts[0] is NOT_DETECTED
    assert reasons[0] == "at or below the decision limit"
    assert judged(0.0005 - 1e-4, 0.02, 0.4)[0][0] is DETECTED  # within a twentieth of the range's width
    assert judged(-0.0005, 0.02, 0.4)[0][0] is DOUBTFUL


def test_an_earlier_doubt_keeps_its_reason():
    verdicts, reasons = judged(0.05, 0.02, 0.6, (DOUBTFUL, DETECTED, DETECTED), ("poor fit", "", ""))
    assert verdicts[0] is DOUBTFUL
    assert [part[:10] for part in reasons[0].split("; ")] == ["poor fit", "La is 0.05", "matrix out"]


def test_sentences_speak_of_the_sample_not_of_its_bead():
    _, reasons = judged(0.05, 0.02, 0.4, dilution=10.0)
    assert reasons[0] == "La is 0.5 kg/kg, above the range of the standards (0.01 to 0.2)"


def test_who_set_a_range_is_asked_for():
    with pytest.raises(ValueError, match="say all three"):
        ContentRange(element="La", low=0.0, high=0.1, by="B. Chief")
