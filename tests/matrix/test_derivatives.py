"""Derivatives of line strengths: the complex step, differences, and what they must obey."""

from __future__ import annotations

from pathlib import Path
from runpy import run_path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from xrfree.instrument import Detector, InstrumentCondition
from xrfree.matrix.derivatives import strength_derivatives
from xrfree.matrix.fundamental import Excitation, excitation, line_strengths

FloatArray = NDArray[np.float64]
plain_half_space = run_path(str(Path(__file__).with_name("plain.py")))["plain_half_space"]
ELEMENTS = ("Fe", "La", "Ce", "Ti", "Ca", "O")
ORE = np.array([0.45, 0.02, 0.03, 0.02, 0.03, 0.45])
TINY = 1e-30


@pytest.fixture(scope="module")
def ore(condition: InstrumentCondition, detector: Detector) -> Excitation:
    return excitation(condition, detector, ELEMENTS)


@settings(max_examples=8)
@given(mass_fraction=st.lists(st.floats(1e-9, 1.0), min_size=6, max_size=6))
def test_derivatives_of_a_thick_specimen_are_those_of_the_complex_step(
    ore: Excitation, mass_fraction: list[float]
) -> None:
    weights = np.array(mass_fraction) / sum(mass_fraction)
    found = strength_derivatives(ore, weights, np.inf)
    for k in range(len(ELEMENTS)):
        step = {
            name: part.imag / TINY for name, part in plain_half_space(ore, weights + 1j * TINY * np.eye(6)[k]).items()
        }
        expected = step["primary"] + step["secondary"] + step["scattered"]
        # Sums of terms of both signs: rounding relative to the strength itself.
        size = 1e-10 * (np.abs(expected) + found.strengths.total)
        assert np.all(np.abs(found.total[:, k] - expected) <= size)
        assert np.all(np.abs(found.shoulder[:, k] - step["shoulder"]) <= size)


@pytest.mark.parametrize("areal_density", [1e-3, 0.02, 0.3])
def test_derivatives_of_a_layer_are_those_of_differences(ore: Excitation, areal_density: float) -> None:
    found = strength_derivatives(ore, ORE, areal_density)
    for k in range(len(ELEMENTS)):
        step = 1e-4 * np.eye(6)[k] * ORE[k]
        up, down = (line_strengths(ore, ORE + sign * step, areal_density) for sign in (1.0, -1.0))
        for name in ("total", "shoulder"):
            expected = (getattr(up, name) - getattr(down, name)) / (2.0 * step[k])
            # A step of 1e-4 leaves 1e-8 of curvature and 1e-11 of rounding.
            size = 1e-6 * (np.abs(expected) + found.strengths.total)
            assert np.all(np.abs(getattr(found, name)[:, k] - expected) <= size)


def test_values_are_those_of_the_strengths(ore: Excitation) -> None:
    assert np.array_equal(strength_derivatives(ore, ORE, 0.1).strengths.total, line_strengths(ore, ORE, 0.1).total)


def test_scaling_all_contents_of_a_thick_specimen_changes_no_photon(ore: Excitation) -> None:
    found = strength_derivatives(ore, ORE, np.inf)
    # Strength per unit content goes with 1/scale: Σ_k w_k ∂S/∂w_k = -S (Euler).
    assert found.total @ ORE == pytest.approx(-found.strengths.total, rel=1e-10)


def test_iron_enhances_titanium_and_calcium_absorbs_iron(ore: Excitation) -> None:
    found = strength_derivatives(ore, ORE, np.inf)
    lines = {(line.element, line.transition): k for k, line in enumerate(ore.lines)}
    iron, oxygen = ELEMENTS.index("Fe"), ELEMENTS.index("O")
    titanium, own = lines["Ti", "K-L3"], lines["Fe", "K-L3"]
    change = found.total[:, iron] - found.total[:, oxygen]
    assert change[own] < 0.0
    relative = change / found.strengths.total
    # Iron in the place of oxygen takes less from titanium, which it excites, than from cerium's L1 lines, which it
    # cannot excite.
    assert relative[titanium] > relative[lines["Ce", "L1-M3"]]


def test_contents_below_zero_change_nothing(ore: Excitation) -> None:
    below = strength_derivatives(ore, np.array([0.5, 0.0, -0.01, 0.0, 0.0, 0.5]), np.inf)
    assert np.all(below.total[:, 2] == 0.0)
    assert np.all(below.total[:, 1] != 0.0)
