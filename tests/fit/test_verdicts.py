"""Verdicts of fits: what is wrong with a spectrum, or with a method, is named."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Protocol

import numpy as np
import pytest
from numpy.typing import NDArray

from xrfree.areas import FitVerdict, NetAreas
from xrfree.errors import NotDeterminedError
from xrfree.fit import BlockFit, FitSettings, Prior, Templates, fit_spectra, fit_spectrum
from xrfree.fit.residual import LEAST_SIGNIFICANCE, structure, unmodelled_lines
from xrfree.instrument import Response
from xrfree.spectrum import Spectrum

FloatArray = NDArray[np.float64]


class Band(Protocol):
    groups: tuple[str, ...]
    templates: Templates
    response: Response
    settings: FitSettings
    areas: dict[str, float]
    expected: FloatArray

    @staticmethod
    def expected_counts(templates: Templates, areas: dict[str, float], response: Response) -> FloatArray: ...
    def templates_of(self, groups: Sequence[str], names: Sequence[str] | None = None) -> Templates: ...
    def spectrum_of(self, counts: NDArray[np.int64], live_time_s: float = 100.0) -> Spectrum: ...
    def drawn(self, seed: int, *, factor: float = 1.0, live_time_s: float = 100.0) -> Spectrum: ...


def fitted(band: Band, spectrum: Spectrum, templates: Templates | None = None, **changes: Any) -> NetAreas:
    return fit_spectrum(
        spectrum,
        templates or band.templates,
        response=changes.pop("response", band.response),
        crystal="Si",
        settings=replace(band.settings, **changes),
    ).areas


def block_fitted(band: Band, spectra: Sequence[Spectrum], templates: Templates, **changes: Any) -> BlockFit:
    return fit_spectra(
        np.array([s.counts for s in spectra]),
        templates,
        live_time_s=[s.live_time_s for s in spectra],
        energy_scale=spectra[0].energy_scale,
        response=changes.pop("response", band.response),
        crystal="Si",
        settings=replace(band.settings, **changes),
    )


# ---- what the data do not determine


@pytest.fixture(scope="module")
def twins(band: Band) -> Templates:
    return band.templates_of(("La L", "Ce L", "La L"), ("La L", "Ce L", "Ac L"))


@pytest.mark.parametrize("seed", range(4))
def test_two_identical_groups_are_named_and_know_nothing(band: Band, twins: Templates, seed: int) -> None:
    spectrum = band.drawn(seed)
    areas = fitted(band, spectrum, twins)
    assert areas.verdict is FitVerdict.NOT_DETERMINED
    assert "cannot tell the area of " in areas.reason
    assert "the area of La L" in areas.reason
    assert "the area of Ac L" in areas.reason
    total = spectrum.total_counts
    for name in ("La L", "Ac L"):
        # All counts of the spectrum might be its own.
        index = areas.groups.index(name)
        assert areas.standard_uncertainty[index] >= total
        assert areas.variance_at_zero[index] >= total**2
    # What is determined still is: Ce as without the twin, with the model that lacks Pr and Nd in both.
    alone = fitted(band, spectrum, band.templates_of(("La L", "Ce L")))
    assert areas.area[areas.groups.index("Ce L")] == pytest.approx(alone.area[1], rel=1e-6)
    assert areas.standard_uncertainty[areas.groups.index("Ce L")] == pytest.approx(
        alone.standard_uncertainty[1], rel=1e-6
    )


def test_group_without_lines_in_the_range_is_named(band: Band) -> None:
    templates = band.templates_of((*band.groups, "Si K"))
    areas = fitted(band, band.drawn(0), templates)
    assert areas.verdict is FitVerdict.NOT_DETERMINED
    assert "do not determine the area of Si K" in areas.reason
    assert areas.area[-1] == 0.0
    assert areas.area[:-1] == pytest.approx(fitted(band, band.drawn(0)).area, rel=1e-9)


def test_several_parameters_that_are_open_are_all_named(band: Band) -> None:
    areas = fitted(band, band.drawn(0), band.templates_of((*band.groups, "Si K", "Al K")))
    assert "the area of Si K" in areas.reason
    assert "the area of Al K" in areas.reason


def test_blocks_name_what_is_open_too(band: Band) -> None:
    templates = band.templates_of((*band.groups, "Si K"))
    spectra = [band.drawn(k) for k in range(3)]
    block = block_fitted(band, spectra, templates)
    assert block.verdicts == (FitVerdict.NOT_DETERMINED,) * 3
    assert all("do not determine the area of Si K" in reason for reason in block.reasons)
    one = fitted(band, spectra[1], templates)
    assert block.area[1] == pytest.approx(one.area, abs=0.01 * one.standard_uncertainty[:-1].max())
    total = sum(s.total_counts for s in spectra)
    assert block.covariance[1, -1, -1] == pytest.approx(float(total) ** 2)


def test_the_error_inside_keeps_its_parameters_between_processes() -> None:
    error = pickle.loads(pickle.dumps(NotDeterminedError("cannot tell a from b", ("a", "b"))))
    assert (str(error), error.parameters) == ("cannot tell a from b", ("a", "b"))


# ---- saturation


def test_full_channel_is_saturation(band: Band) -> None:
    spectrum = band.drawn(0)
    counts = np.minimum(12 * spectrum.counts, 2**16 - 1)
    full = band.spectrum_of(counts)
    assert counts.max() == 2**16 - 1
    areas = fitted(band, full)
    assert areas.verdict is FitVerdict.SATURATED
    assert "65535 counts" in areas.reason
    block = block_fitted(band, [full, spectrum], band.templates)
    assert block.verdicts[0] is FitVerdict.SATURATED
    assert "65535 counts" in block.reasons[0]


def test_long_dead_time_is_saturation(band: Band) -> None:
    spectrum = replace(band.drawn(0), real_time_s=250.0)
    areas = fitted(band, spectrum)
    assert areas.verdict is FitVerdict.SATURATED
    assert "the dead time is 60 %" in areas.reason


def test_too_many_pairs_are_saturation(band: Band) -> None:
    # 6e5 counts in 100 s and pairs within 50 us: 0.3 of them meet another.
    spectrum = band.drawn(0)
    rate = spectrum.total_counts / spectrum.live_time_s
    slow = replace(band.response, pulse_pair_time_s=0.3 / rate)
    areas = fitted(band, spectrum, response=slow)
    assert areas.verdict is FitVerdict.SATURATED
    assert "pile-up takes 26 % of the counts" in areas.reason
    block = block_fitted(band, [spectrum, band.drawn(1, live_time_s=1e4)], band.templates, response=slow)
    assert block.verdicts[0] is FitVerdict.SATURATED
    assert block.verdicts[1] is not FitVerdict.SATURATED


# ---- bounds


def test_parameter_that_goes_to_its_bound_is_named(band: Band) -> None:
    # A detector without escape, and a prior that lets the yield go: half of all draws would have less than nothing.
    templates = band.templates_of((*band.groups, "Fe K"))
    areas = {**band.areas, "Fe K": 400_000.0}
    expected = band.expected_counts(templates, areas, replace(band.response, escape_scale=0.0))
    fits = [
        fitted(
            band,
            band.spectrum_of(np.random.default_rng(seed).poisson(expected)),
            templates,
            priors={"escape": Prior(mean=0.0, sigma=3.0)},
        )
        for seed in range(8)
    ]
    at_bound = [fit.parameters["escape"][0] == -1.0 for fit in fits]
    assert any(at_bound)
    assert not all(at_bound)
    assert [fit.verdict for fit in fits] == [FitVerdict.AT_BOUND if at else FitVerdict.GOOD for at in at_bound]
    assert all("the escape yield went to the limit" in f.reason for f, at in zip(fits, at_bound, strict=True) if at)


def test_areas_at_zero_are_no_reason_for_a_verdict(band: Band) -> None:
    # No V in the spectrum: of several draws, half are held at 0 and none is anything but good.
    templates = band.templates_of((*band.groups, "V K"))
    areas = [fitted(band, band.drawn(seed), templates, non_negative=True) for seed in range(6)]
    held = [a.area[-1] == 0.0 for a in areas]
    assert any(held)
    assert all(a.verdict is FitVerdict.GOOD for a in areas)
    assert all(np.all(a.area >= 0.0) for a in areas)


# ---- structure


def test_missing_element_is_named_although_the_deviance_is_small(band: Band) -> None:
    centres = band.drawn(0).centres_kev
    # Sm Lα1 at 5.636 keV: 2 500 counts beside 6e5 in the band.
    line = 2500.0 * 0.02 * np.exp(-0.5 * ((centres - 5.636) / 0.058) ** 2) / (np.sqrt(2 * np.pi) * 0.058)
    spectrum = band.spectrum_of(np.random.default_rng(8).poisson(band.expected + line))
    areas = fitted(band, spectrum)
    assert areas.reduced_deviance < 2.5
    assert areas.verdict is FitVerdict.RESIDUAL_STRUCTURE
    assert "unmodelled line at 5.6" in areas.reason
    assert "probably" in areas.reason


def test_spectra_of_the_model_have_no_structure(band: Band) -> None:
    verdicts = {fitted(band, band.drawn(seed)).verdict for seed in range(100, 140)}
    assert verdicts == {FitVerdict.GOOD}


def test_misfit_without_a_name_counts_only_by_its_runs() -> None:
    energy = np.arange(3.0, 9.0, 0.02)
    expected = np.full(energy.size, 1e4)
    wave = expected * (1.0 + 0.025 * np.sin(2.0 * np.pi * energy / 1.5))
    counts = np.random.default_rng(2).poisson(wave).astype(float)
    reduced = float(np.mean((counts - expected) ** 2 / expected))
    assert reduced == pytest.approx(4.1, abs=1.0)
    text = structure((), counts, expected, 4.5)
    assert "residuals of one sign run together" in text
    assert structure((), counts, expected, 1.5) == ""
    assert structure((), np.random.default_rng(2).poisson(expected).astype(float), expected, 4.5) == ""


def test_peak_counts_if_it_stands_out_of_the_misfit() -> None:
    energy = np.arange(3.0, 12.0, 0.02)
    sigma = np.full(energy.size, 0.065)
    expected = np.full(energy.size, 2000.0)
    copper = 4000.0 * 0.02 * np.exp(-0.5 * ((energy - 8.046) / 0.065) ** 2) / (np.sqrt(2.0 * np.pi) * 0.065)
    counts = np.random.default_rng(1).poisson(expected + copper).astype(float)
    lines = unmodelled_lines(energy_kev=energy, counts=counts, expected=expected, sigma_kev=sigma)
    assert "Cu Kα" in structure(lines, counts, expected, 1.0)
    # The same peak amid a misfit: as high as 6 standard uncertainties times the root of the reduced deviance, no more.
    edge = (lines[0].significance / LEAST_SIGNIFICANCE) ** 2
    assert "Cu Kα" in structure(lines, counts, expected, 0.99 * edge)
    assert "Cu Kα" not in structure(lines, counts, expected, 1.01 * edge)
