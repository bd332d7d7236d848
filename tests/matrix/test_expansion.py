"""Strengths near one composition: the full model where the expansion is used, and exact where it must be."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from xrfree.instrument import Detector, InstrumentCondition
from xrfree.matrix.expansion import StrengthExpansion, expanded_strengths
from xrfree.matrix.intensities import GroupIntensities, group_intensities

FloatArray = NDArray[np.float64]
ELEMENTS = ("Fe", "La", "Ce", "Ti", "Ca", "O")
CHANNELS = [("low", "Fe K"), ("low", "La L"), ("low", "Ce L"), ("low", "Ti K")]
ORE = np.array([0.45, 0.02, 0.03, 0.02, 0.03, 0.45])
AREAL_DENSITY = 0.3


@pytest.fixture(scope="module")
def intensities(condition: InstrumentCondition, detector: Detector) -> GroupIntensities:
    return group_intensities({"low": condition}, detector, ELEMENTS, CHANNELS)


@pytest.fixture(scope="module")
def expansion(intensities: GroupIntensities) -> StrengthExpansion:
    return expanded_strengths(intensities, ORE, AREAL_DENSITY, shaping=[0, 3, 4, 5])


@pytest.mark.parametrize(("spread", "largest"), [(0.05, 6e-5), (0.1, 4e-4)])
def test_near_the_origin_it_is_the_full_model(
    intensities: GroupIntensities, expansion: StrengthExpansion, spread: float, largest: float
) -> None:
    """What is left is of third order, and far below the 0.3 % to which the best lines are counted."""
    rng = np.random.default_rng(1)
    near = ORE * np.exp(spread * rng.standard_normal((12, ORE.size)))
    near /= near.sum(axis=1)[:, None]
    exact = np.array([intensities.strengths(whole, AREAL_DENSITY) for whole in near])
    assert np.abs(expansion.strengths(near) / exact - 1.0).max() < largest


def test_at_the_origin_it_is_exact(intensities: GroupIntensities, expansion: StrengthExpansion) -> None:
    exact = intensities.strengths(ORE, AREAL_DENSITY)
    assert expansion.strengths(ORE[None, :])[0] == pytest.approx(exact, rel=1e-12)


def test_second_derivatives_are_symmetric(expansion: StrengthExpansion) -> None:
    bend = expansion.bend.transpose(1, 0, 2)
    assert np.allclose(bend, bend.transpose(0, 2, 1), rtol=1e-12, atol=1e-12 * np.abs(bend).max())
    # Elements that do not shape the matrix bend nothing among themselves.
    assert not bend[:, 1:3, 1:3].any()
