from __future__ import annotations

import math

import numpy as np
import pytest

from xrfree.documents.certificates import load_certificates
from xrfree.documents.shipped import shipped_path
from xrfree.errors import DomainError
from xrfree.quality.pattern import CHONDRITE_MG_KG, neighbours_expectation, plausibility

RARE_EARTHS = ("La", "Ce", "Pr", "Nd", "Sm")
# Shares of the rare-earth oxides' elements in Bayan Obo ore, rounded.
BAYAN_OBO = {"La": 27.0, "Ce": 50.0, "Pr": 5.0, "Nd": 15.0, "Sm": 1.2}


def certified_patterns() -> dict[str, dict[str, float]]:
    found = {}
    for material in load_certificates(shipped_path("certificates")):
        contents = {e: v.mass_fraction for e, v in material.element_values().items() if e in RARE_EARTHS}
        if len(contents) == len(RARE_EARTHS):
            found[material.name] = contents
    return found


def test_chondrite_itself_is_smooth():
    for element in ("Ce", "Pr", "Sm"):
        assert neighbours_expectation(CHONDRITE_MG_KG, element) == pytest.approx(CHONDRITE_MG_KG[element])


def test_certified_materials_are_plausible():
    patterns = certified_patterns()
    assert len(patterns) >= 10
    for name, contents in patterns.items():
        exact = np.zeros((5, 5))
        assert plausibility(contents, exact, "Pr").is_plausible(0.12), name
        assert plausibility(contents, exact, "Sm").is_plausible(1.0), name


def test_bayan_obo_is_plausible():
    assert plausibility(BAYAN_OBO, np.zeros((5, 5)), "Pr").ratio == pytest.approx(1.08, abs=0.01)
    assert plausibility(BAYAN_OBO, np.zeros((5, 5)), "Sm").is_plausible(1.0)


@pytest.mark.parametrize("factor", [0.7, 1.4])
def test_an_overlap_in_praseodymium_is_seen(factor):
    for contents in certified_patterns().values():
        wrong = {**contents, "Pr": contents["Pr"] * factor}
        assert not plausibility(wrong, np.zeros((5, 5)), "Pr").is_plausible(0.12)


def test_uncertainty_counts():
    contents = {**BAYAN_OBO, "Pr": 3.5}
    covariance = np.zeros((5, 5))
    covariance[2, 2] = (0.2 * 3.5) ** 2
    found = plausibility(contents, covariance, "Pr")
    assert found.u_log == pytest.approx(0.2)
    assert found.is_plausible(0.12)
    # Errors that all contents share, such as of a dilution, do not show in a ratio.
    w = np.array(list(contents.values()))
    assert plausibility(contents, 0.01 * np.outer(w, w), "Pr").u_log == pytest.approx(0.0, abs=1e-9)


def test_expectation_scales_with_the_contents():
    doubled = {e: 2.0 * w for e, w in BAYAN_OBO.items()}
    assert neighbours_expectation(doubled, "Sm") == pytest.approx(2.0 * neighbours_expectation(BAYAN_OBO, "Sm"))
    assert math.isclose(plausibility(doubled, np.zeros((5, 5)), "Pr").ratio, 1.08, abs_tol=0.01)


def test_rubbish_is_refused():
    with pytest.raises(DomainError, match="says nothing about La"):
        plausibility(BAYAN_OBO, np.zeros((5, 5)), "La")
    with pytest.raises(DomainError, match="above 0"):
        plausibility({**BAYAN_OBO, "Nd": 0.0}, np.zeros((5, 5)), "Pr")
