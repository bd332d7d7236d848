"""Composition to intensities and back; covariance; what does not determine contents."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from xrfree.errors import DomainError, NotConvergedError
from xrfree.instrument import Detector, InstrumentCondition
from xrfree.matrix.completion import Completion, Total, completion
from xrfree.matrix.intensities import GroupIntensities, group_intensities
from xrfree.matrix.inversion import Contents, invert

FloatArray = NDArray[np.float64]
OXIDES = {"Fe": "Fe2O3", "La": "La2O3", "Ce": "CeO2", "Ti": "TiO2", "Nb": "Nb2O5"}
LOSS = {"CO2": 0.05, "H2O": 0.02}
ELEMENTS = ("Fe", "La", "Ce", "Ti", "Nb", "O", "C", "H", "Si", "Li", "B")
CHANNELS = (("low", "Fe K"), ("low", "La L"), ("low", "Ce L"), ("low", "Ti K"), ("high", "Nb K"))
SCALE = 3.7e4


@pytest.fixture(scope="module")
def conditions(condition: InstrumentCondition) -> dict[str, InstrumentCondition]:
    return {"low": condition, "high": replace(condition, tube=replace(condition.tube, voltage_kv=40.0))}


@pytest.fixture(scope="module")
def intensities(conditions: dict[str, InstrumentCondition], detector: Detector) -> GroupIntensities:
    return group_intensities(conditions, detector, ELEMENTS, CHANNELS)


def rule(total: Total, flux: dict[str, float] | None = None) -> Completion:
    remainder = "SiO2" if total is Total.REMAINDER else ""
    return completion(OXIDES, total=total, remainder=remainder, loss=LOSS, flux=flux, elements=ELEMENTS)


def measured(
    content: FloatArray, made: Completion, intensities: GroupIntensities, areal_density: float = np.inf
) -> FloatArray:
    """Intensities of all channels by the forward model."""
    masses = made.masses(content)
    strength = intensities.strengths(masses / masses.sum(), areal_density)
    return np.asarray(SCALE * masses[intensities.channel_element] * strength)


def found_again(
    content: FloatArray, made: Completion, intensities: GroupIntensities, areal_density: float = np.inf
) -> Contents:
    intensity = measured(content, made, intensities, areal_density)
    variance = np.maximum(intensity, 1e-6 * intensity.max())
    return invert(intensity, np.diag(variance), intensities, made, sensitivity=SCALE, areal_density_g_cm2=areal_density)


@pytest.mark.parametrize("total", list(Total))
@settings(max_examples=8)
@given(weights=st.lists(st.floats(1e-9, 1.0), min_size=5, max_size=5), filled=st.floats(0.05, 1.0))
def test_composition_survives_the_round_trip(
    intensities: GroupIntensities, total: Total, weights: list[float], filled: float
) -> None:
    made = rule(total)
    oxides = np.array(weights) / sum(weights) * (1.0 - made.fixed.sum())
    content = oxides / made.table.sum(axis=0) * (1.0 if total is Total.NORMALISED else filled)
    back = found_again(content, made, intensities)
    assert back.content == pytest.approx(content, rel=1e-8, abs=1e-12)
    assert back.scale == pytest.approx(1.0, rel=1e-8)
    assert back.mass_fraction.sum() == pytest.approx(1.0, rel=1e-12)


@pytest.mark.parametrize("areal_density", [2e-3, 0.2])
def test_layers_and_beads_survive_the_round_trip(intensities: GroupIntensities, areal_density: float) -> None:
    made = rule(Total.REMAINDER, {"Li2B4O7": 3.5, "LiBO2": 6.5})
    content = np.array([0.35, 0.012, 0.02, 0.01, 0.002])
    back = found_again(content, made, intensities, areal_density)
    assert back.content == pytest.approx(content, rel=1e-8)


def test_unknown_scale_is_found_where_the_sum_is_known(intensities: GroupIntensities) -> None:
    made = rule(Total.NORMALISED)
    content = np.array([0.60, 0.02, 0.02, 0.01, 0.0])
    content *= (1.0 - made.fixed.sum()) / (made.table.sum(axis=0) @ content)
    intensity = 2.5 * measured(content, made, intensities)
    back = invert(intensity, np.diag(intensity + 1.0), intensities, made, sensitivity=SCALE)
    assert back.scale == pytest.approx(2.5, rel=1e-8)
    assert back.content == pytest.approx(content, rel=1e-8, abs=1e-11)


def test_more_lines_than_contents_are_weighed(conditions: dict[str, InstrumentCondition], detector: Detector) -> None:
    twice = group_intensities(conditions, detector, ELEMENTS, (*CHANNELS, ("high", "Fe K"), ("high", "La L")))
    made = rule(Total.REMAINDER)
    content = np.array([0.40, 0.02, 0.03, 0.02, 0.003])
    intensity = measured(content, made, twice)
    exact = invert(intensity, np.diag(intensity), twice, made, sensitivity=SCALE)
    assert exact.content == pytest.approx(content, rel=1e-8)
    assert exact.chi_square == pytest.approx(0.0, abs=1e-9)
    disturbed = intensity * np.array([1, 1, 1, 1, 1, 1, 1.1])
    variance = intensity.copy()
    variance[-1] *= 1e12
    ignoring = invert(disturbed, np.diag(variance), twice, made, sensitivity=SCALE)
    assert ignoring.content == pytest.approx(content, rel=1e-6)


def test_covariance_is_the_scatter_of_replicas(intensities: GroupIntensities) -> None:
    made = rule(Total.REMAINDER)
    content = np.array([0.40, 0.02, 0.03, 0.02, 0.003])
    expected = measured(content, made, intensities)
    correlated = np.eye(5)
    correlated[1, 2] = correlated[2, 1] = -0.6
    sigma = 0.01 * expected
    covariance = correlated * np.outer(sigma, sigma)
    rng = np.random.default_rng(11)
    found = np.array(
        [
            invert(draw, covariance, intensities, made, sensitivity=SCALE).content
            for draw in rng.multivariate_normal(expected, covariance, 200)
        ]
    )
    stated = invert(expected, covariance, intensities, made, sensitivity=SCALE).covariance
    pulls = (found - content) / np.sqrt(np.diag(stated))
    # 200 replicas: the width of pulls is known to 5 %, their mean to 7 %; three of each.
    assert pulls.std(axis=0) == pytest.approx(np.ones(5), abs=0.15)
    assert pulls.mean(axis=0) == pytest.approx(np.zeros(5), abs=0.22)
    ratio = np.corrcoef(found.T)[1, 2] - stated[1, 2] / np.sqrt(stated[1, 1] * stated[2, 2])
    assert abs(ratio) < 0.15


def test_tertiary_excitation_takes_part_where_it_is_asked_for(
    conditions: dict[str, InstrumentCondition], detector: Detector
) -> None:
    physics = group_intensities(conditions, detector, ELEMENTS, CHANNELS, tertiary=True)
    made = rule(Total.REMAINDER)
    content = np.array([0.40, 0.02, 0.03, 0.02, 0.01])
    assert found_again(content, made, physics).content == pytest.approx(content, rel=1e-8)


def test_negative_estimates_near_zero_are_kept(intensities: GroupIntensities) -> None:
    made = rule(Total.REMAINDER)
    intensity = measured(np.array([0.5, 0.01, 0.0, 0.02, 0.0]), made, intensities)
    intensity[2] = -1e-4 * intensity[1]
    back = invert(intensity, np.diag(np.abs(intensity) + 1.0), intensities, made, sensitivity=SCALE)
    assert -1e-5 < back.content[2] < 0.0


def test_impossible_intensities_do_not_converge(intensities: GroupIntensities) -> None:
    made = rule(Total.REMAINDER)
    intensity = 30.0 * measured(np.array([0.6, 0.01, 0.01, 0.01, 0.01]), made, intensities)
    with pytest.raises((NotConvergedError, DomainError)) as caught:
        invert(intensity, np.diag(intensity), intensities, made, sensitivity=SCALE)
    if isinstance(caught.value, NotConvergedError):
        assert len(caught.value.history) > 0


def test_thick_specimen_with_free_sum_and_one_element_is_determined_by_absolute_intensity(
    intensities: GroupIntensities,
) -> None:
    made = rule(Total.FREE)
    content = np.array([0.3, 0.01, 0.01, 0.01, 0.01])
    assert found_again(content, made, intensities).content == pytest.approx(content, rel=1e-8)


def test_impossible_input_is_refused(intensities: GroupIntensities) -> None:
    made = rule(Total.REMAINDER)
    good = measured(np.array([0.4, 0.02, 0.03, 0.02, 0.003]), made, intensities)
    with pytest.raises(DomainError, match="5 channels need 5 intensities"):
        invert(good[:3], np.eye(3), intensities, made)
    with pytest.raises(DomainError, match="all numbers"):
        invert(good * np.nan, np.eye(5), intensities, made)
    with pytest.raises(DomainError, match="not positive definite"):
        invert(good, -np.eye(5), intensities, made)
    with pytest.raises(DomainError, match="sensitivities must be numbers above 0"):
        invert(good, np.eye(5), intensities, made, sensitivity=0.0)
    fewer = completion({"Fe": "Fe2O3"}, total=Total.FREE, elements=ELEMENTS)
    with pytest.raises(DomainError, match="Ce, La, Nb, Ti: every measured element needs a line group"):
        invert(good, np.eye(5), intensities, fewer)
    with pytest.raises(DomainError, match="list the same elements in one order"):
        invert(good, np.eye(5), intensities, completion(OXIDES, total=Total.FREE))
