"""Many spectra in one call: the numbers of the single fit, whatever their areas, energy scales and resolutions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

import numpy as np
import pytest
from numpy.typing import NDArray

from xrfree.areas import FitVerdict
from xrfree.errors import DomainError, FitError
from xrfree.fit import FitSettings, Prior, Templates, fit_spectra, fit_spectrum
from xrfree.fit.model import SpectrumModel
from xrfree.instrument import Response
from xrfree.kernels import block as kernels
from xrfree.spectrum import Spectrum

FloatArray = NDArray[np.float64]


class Band(Protocol):
    groups: tuple[str, ...]
    areas: Mapping[str, float]
    continuum: float
    response: Response
    settings: FitSettings
    templates: Templates
    expected: FloatArray

    def spectrum_of(self, counts: NDArray[np.int64], live_time_s: float = 100.0) -> Spectrum: ...
    def templates_of(self, groups: Sequence[str], names: Sequence[str] | None = None) -> Templates: ...


def drawn(band: Band, settings: FitSettings, changes: Sequence[Mapping[str, float]], response: Response) -> FloatArray:
    """Poisson counts of the band with parameters changed, one row each; scale : of all areas."""
    spectrum = band.spectrum_of(np.random.default_rng(1).poisson(band.expected))
    wide = replace(settings, ranges_kev=((0.1, 7.9),))
    model = SpectrumModel(spectrum, band.templates, response, "Si", wide, spectrum.energy_scale)
    rng = np.random.default_rng(2)
    counts = np.zeros((len(changes), spectrum.n_channels), dtype=np.int64)
    for row, change in zip(counts, changes, strict=True):
        values = dict.fromkeys(model.names, 0.0)
        factor = change.get("scale", 1.0)
        values |= {f"area:{g}": factor * a for g, a in band.areas.items()} | {"continuum:0": factor * band.continuum}
        values |= {name: value for name, value in change.items() if name != "scale"}
        row[model.window] = rng.poisson(np.maximum(model.evaluate(values).expected, 0.0))
    return counts


CHANGES: tuple[Mapping[str, float], ...] = (
    {},
    {"scale": 3.0},
    {"scale": 0.3, "zero": 0.002},
    {"zero": 0.012, "gain": -0.0005},
    {"zero": -0.008, "noise": 0.2},
    {"fano": -0.05, "area:Pr L": 0.0},
    {"area:La L": 90_000.0, "area:Ce L": 1000.0, "noise": -0.1},
    {"ratio:Ce L:L2": 0.05, "zero": 0.004},
)


def compared(
    band: Band, counts: FloatArray, settings: FitSettings, response: Response
) -> tuple[FloatArray, FloatArray]:
    """Largest difference from the single fits in standard uncertainties, and ratios of the uncertainties."""
    scale = band.spectrum_of(counts[0]).energy_scale
    block = fit_spectra(
        counts,
        band.templates,
        live_time_s=100.0,
        energy_scale=scale,
        response=response,
        crystal="Si",
        settings=settings,
    )
    off, ratio = [], []
    for k, row in enumerate(counts):
        one = fit_spectrum(band.spectrum_of(row), band.templates, response=response, crystal="Si", settings=settings)
        sigma = np.array([one.areas.parameters[name][1] for name in block.names])
        free = sigma > 0.0
        values = np.array([one.values[name] for name in block.names])
        off.append(np.abs((block.values[k] - values)[free] / sigma[free]).max())
        ratio.append(block.standard_uncertainty[k, free] / sigma[free])
        assert block.verdicts[k] is one.areas.verdict
        assert block.reduced_deviance[k] == pytest.approx(one.areas.reduced_deviance, rel=1e-3)
        assert np.sqrt(np.diag(block.covariance[k])) == pytest.approx(
            block.standard_uncertainty[k, : len(block.groups)], rel=1e-9
        )
        unit = np.sqrt(np.diag(one.areas.covariance))
        for part in ("counting_covariance", "response_covariance"):
            found, expected = (
                part_of / np.outer(unit, unit) for part_of in (getattr(block, part)[k], getattr(one.areas, part))
            )
            # Shares of the variance, as exact as the uncertainties themselves; an area held at 0 counts as known here.
            assert settings.non_negative or found == pytest.approx(expected, abs=5e-3)
    return np.array(off), np.concatenate(ratio)


@pytest.mark.parametrize("escape", [False, True])
def test_block_gives_the_numbers_of_the_single_fit(band: Band, escape: bool) -> None:
    priors = {"escape": Prior(mean=0.0, sigma=0.1)} if escape else {}
    settings = replace(band.settings, priors=priors)
    off, ratio = compared(band, drawn(band, settings, CHANGES, band.response), settings, band.response)
    # Both end a small part of a standard uncertainty before the minimum: the single fit 2e-3, the block 0.05 of the
    # step before, of which a hundredth remains; the series leaves out as much for spectra that are not corrected.
    assert np.all(off < 0.01), off
    assert ratio == pytest.approx(np.ones(ratio.size), rel=5e-3)


def test_pile_up_of_a_block_is_that_of_the_single_fit(band: Band) -> None:
    settings = replace(band.settings, priors={"pile_up": Prior(mean=0.0, sigma=0.3)})
    response = replace(band.response, pulse_pair_time_s=3e-7)
    off, ratio = compared(band, drawn(band, settings, CHANGES[:5], response), settings, response)
    # Pile-up is made with lines that moved by less than 0.3 % of all counts since.
    assert np.all(off < 0.05), off
    assert ratio == pytest.approx(np.ones(ratio.size), rel=5e-3)


def test_linear_block_gives_the_numbers_of_the_single_fit(band: Band) -> None:
    fixed = {name: Prior(mean=0.0, sigma=0.0) for name in ("zero", "gain", "noise", "fano")}
    settings = replace(band.settings, priors=fixed, ratio_sigma=0.0)
    changes = ({}, {"scale": 4.0}, {"scale": 0.2, "area:Pr L": 0.0}, {"area:La L": 90_000.0, "area:Ce L": 1000.0})
    off, ratio = compared(band, drawn(band, settings, changes, band.response), settings, band.response)
    assert np.all(off < 0.01), off
    assert ratio == pytest.approx(np.ones(ratio.size), rel=1e-3)


def test_no_area_of_a_block_is_negative_where_that_is_asked_for(band: Band) -> None:
    settings = replace(band.settings, non_negative=True)
    counts = drawn(band, settings, ({"area:Pr L": -3000.0}, {}), band.response)
    off, _ = compared(band, counts, settings, band.response)
    assert np.all(off < 0.01), off


def test_results_do_not_depend_on_the_block(band: Band) -> None:
    counts = drawn(band, band.settings, CHANGES[:3] * 13, band.response)
    common: dict[str, Any] = {
        "live_time_s": np.full(39, 100.0),
        "energy_scale": band.spectrum_of(counts[0]).energy_scale,
        "response": band.response,
        "crystal": "Si",
        "settings": band.settings,
    }
    whole = fit_spectra(counts, band.templates, **common)
    turned = fit_spectra(counts[::-1], band.templates, **common)
    # The sum of all spectra is the same; only sums of floating-point numbers in another order differ.
    assert turned.values[::-1] == pytest.approx(whole.values, rel=1e-6, abs=1e-6)


def test_stated_uncertainties_are_the_scatter_of_replicas(band: Band) -> None:
    n = 300
    counts = drawn(band, band.settings, ({},) * n, band.response)
    fixed = replace(band.settings, ratio_sigma=0.0)
    block = fit_spectra(
        counts,
        band.templates,
        live_time_s=100.0,
        energy_scale=band.spectrum_of(counts[0]).energy_scale,
        response=band.response,
        crystal="Si",
        settings=fixed,
    )
    pull = (block.area - np.array(list(band.areas.values()))) / block.standard_uncertainty[:, : len(block.groups)]
    # 1/√n and 1/√(2n), four of them; the usual priors of scale and width are wide.
    assert pull.mean(axis=0) == pytest.approx(np.zeros(4), abs=4.0 / np.sqrt(n))
    assert pull.std(axis=0) == pytest.approx(np.ones(4), abs=4.0 / np.sqrt(2 * n))


def test_dead_spectrum_among_others_gets_a_verdict_and_no_harm_is_done(band: Band) -> None:
    counts = drawn(band, band.settings, ({}, {}), band.response)
    counts[1] = 0
    block = fit_spectra(
        counts,
        band.templates,
        live_time_s=100.0,
        energy_scale=band.spectrum_of(counts[0]).energy_scale,
        response=band.response,
        crystal="Si",
        settings=band.settings,
    )
    assert block.verdicts[0] is FitVerdict.GOOD
    assert block.verdicts[1] is FitVerdict.TOO_FEW_COUNTS
    assert "counts in the fitted range" in block.reasons[1]


def test_what_a_block_cannot_do_is_refused(band: Band) -> None:
    counts = drawn(band, band.settings, ({},), band.response)
    common: dict[str, Any] = {
        "live_time_s": 100.0,
        "energy_scale": band.spectrum_of(counts[0]).energy_scale,
        "response": band.response,
        "crystal": "Si",
    }
    with pytest.raises(DomainError, match="two dimensions"):
        fit_spectra(counts[0], band.templates, settings=band.settings, **common)
    tails = replace(band.settings, priors={"tail_share": Prior(mean=0.0, sigma=1.0)})
    with pytest.raises(DomainError, match="tail_share: spectra in blocks share a calibrated response"):
        fit_spectra(counts, band.templates, settings=tails, **common)
    with pytest.raises(FitError, match="all spectra together hold 0 counts"):
        fit_spectra(0 * counts, band.templates, settings=band.settings, **common)


# ---- kernels


def python(kernel: Any) -> Any:
    return getattr(kernel, "py_func", kernel)


@pytest.mark.parametrize("form", ["compiled", "python"])
@pytest.mark.parametrize("n", [1, 2, 5, 24])
def test_factors_solutions_and_inverses_of_many(form: str, n: int) -> None:
    rng = np.random.default_rng(n)
    root = rng.standard_normal((3, n, 3 * n))
    matrices, right = root @ root.transpose(0, 2, 1), rng.standard_normal((3, n))
    pick = (lambda f: f) if form == "compiled" else python
    factor, solution = matrices.transpose(1, 2, 0).copy("C"), right.T.copy("C")
    inverse, failed = np.zeros((n, n, 3)), np.zeros(3, dtype=bool)
    pick(kernels.factorise)(factor, failed)
    pick(kernels.solve_factored)(factor, solution)
    factors = factor.copy()
    pick(kernels.inverse_of)(factor, inverse)
    assert not failed.any()
    # Condition numbers below 1e3.
    for k, matrix in enumerate(matrices):
        assert np.tril(factors[:, :, k]) == pytest.approx(np.linalg.cholesky(matrix), rel=1e-10, abs=1e-10)
        assert solution[:, k] == pytest.approx(np.linalg.solve(matrix, right[k]), rel=1e-9, abs=1e-12)
        assert np.tril(factor[:, :, k]) @ np.tril(factors[:, :, k]) == pytest.approx(np.eye(n), abs=1e-10)
        expected = np.tril(np.linalg.inv(matrix))
        assert np.tril(inverse[:, :, k]) == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_matrices_that_are_not_positive_definite_are_found_among_others() -> None:
    matrices = np.array([[[1.0, 2.0], [2.0, 1.0]], [[np.nan, 0.0], [0.0, 1.0]], [[2.0, 1.0], [1.0, 2.0]]])
    failed = np.zeros(3, dtype=bool)
    kernels.factorise(np.ascontiguousarray(matrices.transpose(1, 2, 0)), failed)
    assert failed.tolist() == [True, True, False]


@pytest.mark.parametrize("form", ["compiled", "python"])
@pytest.mark.parametrize("n", [1, 2, 7, 12])
def test_normal_matrix_is_the_product_of_rows(form: str, n: int) -> None:
    rng = np.random.default_rng(n)
    rows = rng.standard_normal((n, 60))
    low = rng.integers(0, 40, n)
    high = low + rng.integers(1, 20, n)
    for row, first, last in zip(rows, low, high, strict=True):
        row[:first] = row[last:] = 0.0
    matrix = np.zeros((n, n, 2))
    (kernels.normal_matrix if form == "compiled" else python(kernels.normal_matrix))(matrix, 1, rows, low, high)
    assert np.tril(matrix[:, :, 1]) == pytest.approx(np.tril(rows @ rows.T), rel=1e-12, abs=1e-12)
    assert not matrix[:, :, 0].any()


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_no_number_reaches_the_normal_matrix(value: float) -> None:
    rows = np.ones((3, 40))
    rows[1, 17] = value
    matrix = np.zeros((3, 3, 1))
    kernels.normal_matrix(matrix, 0, rows, np.zeros(3, dtype=np.int64), np.full(3, 40))
    assert not np.isfinite(matrix[[1, 1, 2], [0, 1, 1], 0]).any()
    assert matrix[[0, 2, 2], [0, 0, 2], 0].tolist() == [40.0, 40.0, 40.0]
