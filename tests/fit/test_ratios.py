"""Single subshells freed, fixed and tied: what is freed is found, what is fixed stays, what is tied agrees."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np
import pytest
from numpy.typing import NDArray

from xrfree.errors import FitError
from xrfree.fit import FitSettings, JointPrior, RegionFit, Templates, fit_spectra, fit_spectrum
from xrfree.fit.ratios import ratio_plan
from xrfree.fit.response import escape_probability
from xrfree.instrument import Response
from xrfree.spectrum import Spectrum

FloatArray = NDArray[np.float64]


class Band(Protocol):
    templates: Templates
    response: Response
    settings: FitSettings
    areas: dict[str, float]

    def templates_of(self, groups: Sequence[str], names: Sequence[str] | None = None) -> Templates: ...
    def spectrum_of(self, counts: NDArray[np.int64], live_time_s: float = 100.0) -> Spectrum: ...
    def expected_counts(
        self, templates: Templates, areas: dict[str, float], response: Response, *, continuum: float
    ) -> FloatArray: ...


OFF = {("Ce L", "L2"): 1.10, ("Nd L", "L2"): 1.10}


def spectrum_with(band: Band, off: dict[tuple[str, str], float], areas: dict[str, float] | None = None) -> Spectrum:
    """The band without noise, with some subshells stronger than the templates say; areas of all lines together."""
    factor = np.array([off.get((c.group, c.name), 1.0) for c in band.templates.clusters])
    nature = replace(band.templates, strength=band.templates.strength * factor[band.templates.line_cluster])
    counts = band.expected_counts(nature, {**band.areas, **(areas or {})}, band.response, continuum=400_000.0)
    return band.spectrum_of(np.rint(100.0 * counts).astype(np.int64))


def fitted(band: Band, spectrum: Spectrum, ratios: dict[str, str], prior: JointPrior | None = None) -> RegionFit:
    return fit_spectrum(
        spectrum,
        band.templates,
        response=band.response,
        crystal="Si",
        settings=replace(band.settings, ratios=ratios, ratio_sigma=1e-3),
        priors=() if prior is None else [prior],
    )


@pytest.fixture(scope="module")
def off_spectrum(band: Band) -> Spectrum:
    return spectrum_with(band, OFF)


def test_freed_subshell_is_found_where_the_prior_would_hold_it(band: Band, off_spectrum: Spectrum) -> None:
    held = fitted(band, off_spectrum, {}).areas.parameters["ratio:Ce L:L2"]
    free = fitted(band, off_spectrum, {"Ce L2": "free", "Nd L2": "free"}).areas.parameters
    # The prior of 0.1 % against 10 %.
    assert held[0] < 0.05
    for group in ("Ce L", "Nd L"):
        value, u = free[f"ratio:{group}:L2"]
        # No noise but rounding; 1.5e8 counts.
        assert value == pytest.approx(0.10, abs=0.2 * u)


def test_detected_photons_are_those_of_nature_whatever_the_templates_say(band: Band, off_spectrum: Spectrum) -> None:
    fit = fitted(band, off_spectrum, {"Ce L2": "free", "Nd L2": "free"})
    escape = 1.0 + escape_probability(band.templates.energy_kev, "Si")
    for k, group in enumerate(band.templates.groups):
        mine = np.array([c.group == group for c in band.templates.clusters])[band.templates.line_cluster]
        factor = np.array([OFF.get((c.group, c.name), 1.0) for c in band.templates.clusters])
        strength = (band.templates.strength * factor[band.templates.line_cluster])[mine]
        true = 100.0 * band.areas[group] * np.average(escape[mine], weights=strength)
        # No noise but rounding; the area itself, without the tenth of L2 and the escape, is many u away.
        assert fit.detected[k] == pytest.approx(true, abs=0.3 * fit.areas.standard_uncertainty[k])
        if group in ("Ce L", "Nd L"):
            assert fit.areas.area[k] < true - 5.0 * fit.areas.standard_uncertainty[k]


def test_freed_subshell_takes_nothing_from_a_joint_prior(band: Band, off_spectrum: Spectrum) -> None:
    prior = JointPrior(
        names=("ratio:Ce L:L2", "ratio:Nd L:L2"), mean=np.array([-0.3, 0.1]), covariance=1e-8 * np.eye(2)
    )
    found = fitted(band, off_spectrum, {"Ce L2": "free"}, prior).areas.parameters
    value, u = found["ratio:Ce L:L2"]
    assert value == pytest.approx(0.10, abs=0.2 * u)
    assert found["ratio:Nd L:L2"][0] == pytest.approx(0.1, abs=1e-3)


def test_fixed_subshell_stays_where_the_calibration_says(band: Band, off_spectrum: Spectrum) -> None:
    prior = JointPrior(names=("ratio:Ce L:L2",), mean=np.array([0.10]), covariance=np.array([[0.04]]))
    found = fitted(band, off_spectrum, {"Ce L2": "fixed", "Nd L2": "free", "Pr L2": "fixed"}, prior)
    assert found.areas.parameters["ratio:Ce L:L2"] == (0.10, 0.0)
    assert found.areas.parameters["ratio:Pr L:L2"] == (0.0, 0.0)


def test_tied_subshells_share_one_factor(band: Band, off_spectrum: Spectrum) -> None:
    found = fitted(band, off_spectrum, {"Ce L2": "free", "Nd L2": "Ce L2"})
    assert "ratio:Nd L:L2" not in found.areas.parameters
    value, u = found.areas.parameters["ratio:Ce L:L2"]
    assert value == pytest.approx(0.10, abs=0.2 * u)
    alone = fitted(band, off_spectrum, {"Ce L2": "free", "Nd L2": "free"})
    # Two elements know the common factor better than one.
    assert u < alone.areas.parameters["ratio:Ce L:L2"][1]
    assert found.areas.area == pytest.approx(alone.areas.area, rel=1e-3)


def test_uncertainty_without_a_tied_group_is_that_of_the_fit_without_it(band: Band) -> None:
    # Without Nd, its tie tells nothing of Ce: the variance at zero is that of a spectrum that has no Nd.
    ratios = {"Ce L2": "free", "Nd L2": "Ce L2"}
    index = band.templates.groups.index("Nd L")
    here = fitted(band, spectrum_with(band, {}), ratios).areas.variance_at_zero[index]
    absent = spectrum_with(band, {}, {"Nd L": 0.0})
    there = fitted(band, absent, ratios).areas.covariance[index, index]
    assert here == pytest.approx(there, rel=2e-3)


def test_blocks_tie_and_free_as_single_fits_do(band: Band, off_spectrum: Spectrum) -> None:
    settings = replace(band.settings, ratios={"Ce L2": "free", "Nd L2": "Ce L2", "Pr L1": "fixed"})
    common = {"response": band.response, "crystal": "Si", "settings": settings}
    counts = np.random.default_rng(4).poisson(off_spectrum.counts / 100, (3, off_spectrum.n_channels))
    block = fit_spectra(counts, band.templates, live_time_s=100.0, energy_scale=off_spectrum.energy_scale, **common)
    for k in range(3):
        one = fit_spectrum(band.spectrum_of(counts[k]), band.templates, **common)
        # A hundredth of a standard uncertainty, as everywhere in blocks.
        u = one.areas.standard_uncertainty
        assert np.abs((block.area[k] - one.areas.area) / u).max() < 0.01
        # Variances to two thousandths, and correlations, some of which are nearly nothing, by as much.
        assert block.covariance[k] / np.outer(u, u) == pytest.approx(one.areas.covariance / np.outer(u, u), abs=2e-3)


def test_tied_lines_of_a_subshell_have_one_factor_and_the_leading_lines_none(band: Band) -> None:
    clusters = tuple(
        replace(c, name={"L3": "L3-M4,5", "L2": "L2-M4,5", "L1": "L2-N4,5"}[c.name]) for c in band.templates.clusters
    )
    templates = replace(band.templates, clusters=clusters)
    by_name = {(c.group, c.name): k for k, c in enumerate(clusters)}
    plan = ratio_plan(templates, {"La L2": "tied", "Ce L3": "tied", "Pr L2": "free"})
    assert plan.parameter[by_name["La L", "L2-N4,5"]] == plan.parameter[by_name["La L", "L2-M4,5"]]
    assert plan.parameter[by_name["La L", "L3-M4,5"]] is None
    assert plan.parameter[by_name["Ce L", "L2-N4,5"]] == "ratio:Ce L:L2-N4,5"
    assert plan.free == {"ratio:Pr L:L2-M4,5"}


def test_lines_that_are_no_cluster_are_refused_by_name(band: Band) -> None:
    with pytest.raises(FitError, match=r"Ce L has no line cluster 'L2-M4,5', but 'L1', 'L2', 'L3'"):
        ratio_plan(band.templates, {"Ce L2-M4,5": "free"})
    with pytest.raises(FitError, match="Ce L2 is tied to Sm L2, which is not among the fitted lines"):
        ratio_plan(band.templates, {"Ce L2": "Sm L2"})
    assert ratio_plan(band.templates, {"Sm L2": "free"}) == ratio_plan(band.templates, {})
