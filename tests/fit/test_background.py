"""Backgrounds by name: polynomials and clipped peaks where they do, and a refusal where they do not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from xrfree.errors import DomainError, FitError
from xrfree.fit import FitSettings, Light, Templates, fit_spectra, fit_spectrum
from xrfree.fit.background import clipped
from xrfree.fit.response import spread_lines
from xrfree.instrument import Response
from xrfree.method import Background, Region
from xrfree.spectrum import EnergyScale, ExcitationCondition, Spectrum

SCALE = EnergyScale(zero_kev=0.0, gain_kev=0.02)
N_CHANNELS = 500
RESPONSE = Response(noise_kev=0.035, fano=0.115)
CENTRES = SCALE.centres_kev(N_CHANNELS)
HILL = 400.0 * np.exp(-0.5 * ((CENTRES - 5.0) / 2.5) ** 2) + 100.0
"""A background that no tube model knows: counts per channel."""
AREAS = {"Ti K": 60_000.0, "Mn K": 20_000.0, "Zn K": 40_000.0}


@pytest.fixture(scope="module")
def metals(band: Any) -> Templates:
    templates: Templates = band.templates_of(tuple(AREAS))
    return templates


def spectrum(templates: Templates, areas: dict[str, float], seed: int | None = None) -> Spectrum:
    shapes = spread_lines(templates, SCALE.edges_kev(N_CHANNELS), RESPONSE, "Si").peaks
    amplitude = np.array([areas[g] for g in templates.groups]) / templates.group_strength
    expected = HILL + amplitude[templates.cluster_group] @ shapes
    counts = np.rint(expected) if seed is None else np.random.default_rng(seed).poisson(expected)
    return Spectrum(
        counts=counts.astype(np.int64),
        live_time_s=100.0,
        real_time_s=100.0,
        energy_scale=SCALE,
        condition=ExcitationCondition(name="any"),
    )


def settings(background: Background, **changes: Any) -> FitSettings:
    return FitSettings(ranges_kev=((3.5, 9.6),), background=background, **changes)


def test_clipping_leaves_a_smooth_background_as_it_is() -> None:
    sigma = RESPONSE.sigma_kev(CENTRES, "Si") / SCALE.gain_kev
    inside = (CENTRES > 1.0) & (CENTRES < 9.0)
    # Each window of p channels lowers the top of a hill of width s by (p / s)² / 2 of it at the most: 0.9 % for the
    # widest, 0.33 keV, and all smaller ones follow; 2.8 % in all.
    assert clipped(HILL, sigma)[inside] == pytest.approx(HILL[inside], rel=0.035)


def test_clipping_takes_single_peaks_away(metals: Templates) -> None:
    sigma = RESPONSE.sigma_kev(CENTRES, "Si") / SCALE.gain_kev
    found = clipped(spectrum(metals, AREAS).counts.astype(float), sigma)
    inside = (CENTRES > 3.5) & (CENTRES < 9.0)
    # Peaks of up to 25 times the background leave less than a twentieth of it.
    assert found[inside] == pytest.approx(HILL[inside], rel=0.07)


@pytest.mark.parametrize(("background", "terms"), [(Background.POLYNOMIAL, 5), (Background.SNIP, 3)])
def test_areas_of_single_peaks_are_found_on_any_background(
    metals: Templates, background: Background, terms: int
) -> None:
    found = fit_spectrum(
        spectrum(metals, AREAS, seed=3),
        metals,
        response=RESPONSE,
        crystal="Si",
        settings=settings(background, background_terms=terms),
    ).areas
    # Clipped backgrounds are off by up to 5 % of what lies under a peak: some 200 counts of 4 000.
    slack = 300.0 if background is Background.SNIP else 0.0
    for area, u, true in zip(found.area, found.standard_uncertainty, AREAS.values(), strict=True):
        assert abs(area - true) < 3.5 * u + slack
    assert any(name.startswith("continuum:") for name in found.parameters) is (background is Background.POLYNOMIAL)


def test_floor_is_found_where_there_is_no_continuum(metals: Templates) -> None:
    # Five counts per channel and no light at all: without a floor the weakest group takes them.
    dark = replace(
        metals, continuum=Light(energy_kev=np.linspace(8.0, 11.0, 301), strength=np.linspace(0.0, 1.0, 301) ** 2)
    )
    shapes = spread_lines(metals, SCALE.edges_kev(N_CHANNELS), RESPONSE, "Si").peaks
    amplitude = np.array([60_000.0, 400.0, 40_000.0]) / metals.group_strength
    expected = 5.0 + amplitude[metals.cluster_group] @ shapes
    one = Spectrum(
        counts=np.random.default_rng(6).poisson(expected),
        live_time_s=100.0,
        real_time_s=100.0,
        energy_scale=SCALE,
        condition=ExcitationCondition(name="any"),
    )
    with_floor, without = (
        fit_spectrum(
            one,
            dark,
            response=RESPONSE,
            crystal="Si",
            settings=FitSettings(ranges_kev=((3.5, 9.6),), background_terms=2, floor=floor),
        ).areas
        for floor in (True, False)
    )
    value, u = with_floor.parameters["continuum:floor"]
    assert value / u > 10.0
    assert np.all(np.abs(with_floor.area - [60_000.0, 400.0, 40_000.0]) < 3.5 * with_floor.standard_uncertainty)
    assert without.area[1] - 400.0 > 2.0 * without.standard_uncertainty[1]


def test_clipping_is_refused_in_a_band_of_overlapping_lines(band: Any) -> None:
    with pytest.raises(FitError, match=r"lines of La L, .*Ce L.* overlap from 4\.6\d to .*snip.*scattered"):
        fit_spectrum(
            band.drawn(1),
            band.templates,
            response=band.response,
            crystal="Si",
            settings=FitSettings(ranges_kev=((4.2, 7.2),), background=Background.SNIP),
        )


@pytest.mark.parametrize("quantified", [("La L", "Ce L"), ("Fe K", "Pr L", "Nd L"), ("Ba L", "La L")])
def test_method_with_clipping_in_such_a_band_is_refused(quantified: tuple[str, ...]) -> None:
    with pytest.raises(DomainError, match=r"region band: the lines of .* overlap from .*peak clipping"):
        Region(
            name="band", condition="low", ranges_kev=((4.4, 7.0),), quantified=quantified, background=Background.SNIP
        )


@pytest.mark.parametrize(
    "quantified", [("La L",), ("Cr K", "Mn K", "Fe K", "Ni K"), ("Fe K", "Zn K"), ("Sr K", "Y K", "Zr K", "Nb K")]
)
def test_method_may_clip_where_the_spectrum_comes_down_between_peaks(quantified: tuple[str, ...]) -> None:
    region: Callable[..., Region] = Region
    made = region(
        name="band", condition="low", ranges_kev=((4.4, 19.0),), quantified=quantified, background=Background.SNIP
    )
    assert made.background is Background.SNIP


def test_blocks_do_not_clip(metals: Templates) -> None:
    with pytest.raises(DomainError, match="fit these with fit_spectrum"):
        fit_spectra(
            np.ones((2, N_CHANNELS), dtype=np.int64),
            metals,
            live_time_s=1.0,
            energy_scale=SCALE,
            response=RESPONSE,
            crystal="Si",
            settings=settings(Background.SNIP),
        )
