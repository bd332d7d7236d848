"""What fits of similar spectra share: held ratios lose no photon, and areas answer to the templates as refits say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Protocol

import numpy as np
import pytest
from numpy.typing import NDArray

from xrfree.fit import FitSettings, Templates, fit_spectra, fit_spectrum
from xrfree.fit.reference import BlockReference, block_reference, with_held_ratios
from xrfree.instrument import Response
from xrfree.spectrum import Spectrum

N = 12


class Band(Protocol):
    response: Response
    settings: FitSettings
    templates: Templates
    expected: NDArray[np.float64]
    areas: Mapping[str, float]

    def spectrum_of(self, counts: NDArray[np.int64], live_time_s: float = 100.0) -> Spectrum: ...


def strengthened(templates: Templates, step: float) -> Templates:
    """Templates in which lines of higher energy are stronger, as behind an absorber."""
    return replace(templates, strength=templates.strength * (1.0 + step * (templates.energy_kev - 5.0)))


@pytest.fixture(scope="module")
def counts(band: Band) -> NDArray[np.int64]:
    rng = np.random.default_rng(5)
    return np.array([rng.poisson(band.expected) for _ in range(N)])


@pytest.fixture(scope="module")
def reference(band: Band, counts: NDArray[np.int64]) -> BlockReference:
    total = fit_spectrum(
        band.spectrum_of(counts.sum(axis=0), N * 100.0),
        band.templates,
        response=band.response,
        crystal="Si",
        settings=band.settings,
    )
    moved = [(0.01, strengthened(band.templates, 0.01))]
    return block_reference(total, band.templates, moved, settings=band.settings, priors=(), n_spectra=N)


def fitted(band: Band, counts: NDArray[np.int64], templates: Templates) -> Any:
    return fit_spectra(
        counts,
        templates,
        live_time_s=100.0,
        energy_scale=band.spectrum_of(counts[0]).energy_scale,
        response=band.response,
        crystal="Si",
        settings=band.settings,
    )


def test_held_ratios_lose_no_photon(band: Band) -> None:
    names = [(c.group, c.name) for c in band.templates.clusters if not c.leading]
    held = with_held_ratios(band.templates, dict.fromkeys(names, 0.0))
    assert len(held.clusters) == len(held.groups)
    assert held.strength.sum() == pytest.approx(band.templates.strength.sum(), rel=1e-12)
    assert held.group_strength == pytest.approx(band.templates.group_strength, rel=1e-12)
    raised = with_held_ratios(band.templates, {names[0]: 0.1})
    assert raised.strength.sum() > band.templates.strength.sum()


def test_ratios_that_one_spectrum_cannot_tell_are_held(
    band: Band, counts: NDArray[np.int64], reference: BlockReference
) -> None:
    whole = fitted(band, counts, band.templates)
    fewer = fitted(band, counts, reference.templates)
    assert len(fewer.names) < len(whole.names)
    sigma = np.sqrt(np.einsum("nii->ni", whole.covariance))
    # Each held ratio moves an area by less than a hundredth of its prior's share; some add up.
    assert np.abs(fewer.area * reference.unit - whole.area).max() < 0.05 * sigma.max()
    assert np.all(np.abs(fewer.area * reference.unit - whole.area) < 0.05 * sigma)


def test_areas_change_as_a_fit_with_the_other_templates_says(
    band: Band, counts: NDArray[np.int64], reference: BlockReference
) -> None:
    before = fitted(band, counts, reference.templates)
    after = fitted(band, counts, strengthened(reference.templates, 0.02))
    predicted = reference.changes(before.values, np.full((N, 1), 0.02))
    sigma = np.sqrt(np.einsum("nii->ni", before.covariance))
    change = (after.area - before.area) * reference.unit
    assert np.abs(change).max() > 0.0
    # First order, with the weights of the mean spectrum: a tenth of the change, and the fits' own tolerance.
    assert np.all(np.abs(predicted - change) < 0.15 * np.abs(change).max(axis=0) + 0.01 * sigma)


def test_variance_falls_towards_absence(band: Band, counts: NDArray[np.int64], reference: BlockReference) -> None:
    areas = np.array([list(band.areas.values())]) / reference.unit
    shares = reference.variance_shares(areas * np.linspace(0.0, 1.0, 5)[:, None])
    assert shares[0] == pytest.approx(np.ones(shares.shape[1]), rel=1e-12)
    assert np.all(np.diff(shares, axis=0) < 0.0)
    single = fit_spectrum(
        band.spectrum_of(counts[0]), band.templates, response=band.response, crystal="Si", settings=band.settings
    ).areas
    # One spectrum's noise against the mean of all.
    assert shares[-1] == pytest.approx(single.variance_at_zero / np.diag(single.covariance), rel=0.1)


def test_expected_counts_are_those_of_each_fit(
    band: Band, counts: NDArray[np.int64], reference: BlockReference
) -> None:
    fits = fitted(band, counts, reference.templates)
    scale = counts.sum(axis=1) / counts.sum(axis=1).mean()
    expected = reference.expected_counts(fits.values, scale, scale**2)
    deviance = ((counts[:, reference.window] - expected) ** 2 / expected).mean(axis=1)
    # Pearson's sum of 12 spectra: the fits' own deviance.
    assert deviance == pytest.approx(fits.reduced_deviance, rel=0.05)
    peaks = reference.largest_peaks(counts[:, reference.window].astype(float), expected)
    assert peaks.max() < 5.0
    planted = counts.copy()
    middle = int(np.flatnonzero(reference.window)[reference.expected.argmin()])
    planted[:, middle - 2 : middle + 3] += 8 * int(np.sqrt(reference.expected.min()) + 1)
    assert reference.largest_peaks(planted[:, reference.window].astype(float), expected).min() > 5.0
