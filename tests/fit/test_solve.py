"""Likelihood fits: what comes out of spectra whose areas are known, and what is refused.

The spectra are made with the same shapes that fit them. Pulls therefore show that estimates and stated uncertainties
belong together; they say nothing about whether shapes and line strengths are those of nature.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import optimize, stats

from xrfree.areas import FitVerdict
from xrfree.errors import DomainError, FitError
from xrfree.fit import FitSettings, JointPrior, Light, Prior, Templates, fit_spectrum
from xrfree.fit.model import RESPONSE_PARAMETERS, SpectrumModel
from xrfree.fit.solve import poisson_deviance, solve
from xrfree.instrument import Response
from xrfree.spectrum import Spectrum

FloatArray = NDArray[np.float64]

REPLICAS = 200
FREE_SCALE = {"zero": Prior(mean=0.0, sigma=np.inf), "gain": Prior(mean=0.0, sigma=np.inf)}
FIXED_WIDTH = {"noise": Prior(mean=0.0, sigma=0.0), "fano": Prior(mean=0.0, sigma=0.0)}


class Band(Protocol):
    groups: tuple[str, ...]
    areas: Mapping[str, float]
    continuum: float
    response: Response
    settings: FitSettings
    templates: Templates
    expected: FloatArray

    def drawn(self, seed: int, *, factor: float = 1.0, live_time_s: float = 100.0) -> Spectrum: ...
    def templates_of(self, groups: Sequence[str], names: Sequence[str] | None = None) -> Templates: ...
    def spectrum_of(self, counts: NDArray[np.int64], live_time_s: float = 100.0) -> Spectrum: ...
    def expected_counts(
        self,
        templates: Templates,
        areas: Mapping[str, float],
        response: Response,
        *,
        continuum: float = 0.0,
        rise_kev: float = 0.0,
    ) -> FloatArray: ...


def model_of(band: Band, spectrum: Spectrum, settings: FitSettings | None = None) -> SpectrumModel:
    scale = spectrum.energy_scale
    return SpectrumModel(spectrum, band.templates, band.response, "Si", settings or band.settings, scale)


def true_values(band: Band, model: SpectrumModel) -> dict[str, float]:
    """What a fit of the band's expected counts should find."""
    truth = dict.fromkeys(model.names, 0.0)
    truth |= {f"area:{group}": area for group, area in band.areas.items()}
    return truth | {"continuum:0": band.continuum}


# ---- pulls


def test_pulls_of_replicas_have_mean_zero_and_width_one(band: Band) -> None:
    """Line ratios, energy scale and resolution are drawn from their priors for each replica, then counts are drawn."""
    rng = np.random.default_rng(3)
    everywhere = replace(band.settings, ranges_kev=((0.2, 7.9),))
    source = model_of(band, band.drawn(0), everywhere)
    truth = true_values(band, source)
    pulls = []
    for _ in range(REPLICAS):
        drawn = dict(truth)
        for name in source.names:
            if name.startswith("ratio:") or name in ("zero", "gain", "noise", "fano"):
                drawn[name] += rng.normal(0.0, source.prior(name).sigma)
        counts = np.zeros(source.spectrum.n_channels, dtype=np.int64)
        counts[source.window] = rng.poisson(source.evaluate(drawn).expected)
        solution = solve([model_of(band, band.spectrum_of(counts))])
        assert solution.converged
        index = [solution.names.index(f"0/area:{group}") for group in band.groups]
        sigma = np.sqrt(np.diag(solution.covariance)[index])
        pulls.append((solution.values[index] - [drawn[f"area:{group}"] for group in band.groups]) / sigma)
    mean, width = np.mean(pulls, axis=0), np.std(pulls, axis=0, ddof=1)
    # Mean of n standard normal numbers: 1/√n, four of them; their width: 1/√(2n) = 0.05, three of them.
    assert np.all(np.abs(mean) < 4.0 / np.sqrt(REPLICAS)), mean
    assert np.all(np.abs(width - 1.0) < 0.15), width


def test_repeated_counting_scatters_by_the_part_of_the_counts(band: Band) -> None:
    """One specimen, one detector: line ratios and scale are what they are, and only the counts are drawn again."""
    truth = np.array(list(band.areas.values()))
    pulls, shares = [], []
    for seed in range(REPLICAS):
        areas = fit_spectrum(
            band.drawn(seed), band.templates, response=band.response, crystal="Si", settings=band.settings
        ).areas
        by_counts = np.diag(areas.covariance - areas.response_covariance)
        rest = areas.covariance - areas.response_covariance - areas.counting_covariance
        assert np.linalg.eigvalsh(rest).min() > -1e-6 * np.diag(areas.covariance).min()
        pulls.append((areas.area - truth) / np.sqrt(by_counts))
        shares.append(by_counts / np.diag(areas.covariance))
    width = np.std(pulls, axis=0, ddof=1)
    # As in the test before; what the priors add must be more than that for the test to see it.
    assert np.all(np.abs(width - 1.0) < 0.15), width
    assert np.mean(shares, axis=0).min() < 0.7


def test_four_times_the_time_halves_the_counting_part_and_less_of_the_others(band: Band) -> None:
    expected = np.round(band.expected).astype(np.int64)
    once, longer = (
        fit_spectrum(s, band.templates, response=band.response, crystal="Si", settings=band.settings).areas
        for s in (band.spectrum_of(expected, 100.0), band.spectrum_of(4 * expected, 400.0))
    )
    # The same spectrum but for the rounding of its counts, and fits that end within 2e-3 of an uncertainty.
    assert longer.counting_covariance == pytest.approx(4.0 * once.counting_covariance, rel=5e-3)
    all_in_counts = [np.diag(a.covariance - a.response_covariance) / a.live_time_s**2 for a in (once, longer)]
    assert np.all(all_in_counts[0] < 4.0 * all_in_counts[1])
    assert np.all(all_in_counts[0] > all_in_counts[1])


def test_without_priors_nothing_is_left_to_the_response(band: Band) -> None:
    settings = replace(band.settings, ratio_sigma=0.0, priors={**FREE_SCALE, **FIXED_WIDTH}, background_terms=1)
    free = fit_spectrum(band.drawn(3), band.templates, response=band.response, crystal="Si", settings=settings).areas
    assert free.response_covariance == pytest.approx(np.zeros((4, 4)), abs=1e-9 * free.covariance.max())
    fixed = replace(settings, priors={**settings.priors, **dict.fromkeys(FREE_SCALE, Prior(mean=0.0, sigma=0.0))})
    known = fit_spectrum(band.drawn(3), band.templates, response=band.response, crystal="Si", settings=fixed).areas
    assert np.all(np.diag(known.counting_covariance) < np.diag(known.covariance))


def test_correlations_between_neighbours_are_those_of_replicas(band: Band) -> None:
    settings = replace(band.settings, ratio_sigma=0.0, priors={**FREE_SCALE, **FIXED_WIDTH})
    found, stated = [], np.zeros((4, 4))
    for seed in range(80):
        solution = solve([model_of(band, band.drawn(seed), settings)])
        index = [solution.names.index(f"0/area:{group}") for group in band.groups]
        found.append(solution.values[index])
        stated += solution.covariance[np.ix_(index, index)] / 80
    sigma = np.sqrt(np.diag(stated))
    correlation = np.corrcoef(np.array(found).T)
    # Standard error of a correlation from 80 replicas: at most 0.11; three of them.
    assert correlation == pytest.approx(stated / np.outer(sigma, sigma), abs=0.34)
    assert stated[0, 2] < 0.0, "La and Pr share La Lβ1: what one gains the other loses"


def test_deviance_of_replicas_is_that_of_poisson_counts(band: Band) -> None:
    reduced = [
        fit_spectrum(
            band.drawn(seed), band.templates, response=band.response, crystal="Si", settings=band.settings
        ).areas.reduced_deviance
        for seed in range(6)
    ]
    # 150 channels: standard deviation of one 0.12, of the mean of six 0.05; three of them.
    assert np.mean(reduced) == pytest.approx(1.0, abs=0.15)


# ---- the minimum


def simple(band: Band) -> tuple[Templates, Response]:
    """Lines without natural width, tail, shelf and escape peak: Gaussians."""
    sharp = replace(band.templates, half_width_kev=np.zeros_like(band.templates.half_width_kev))
    return sharp, Response(noise_kev=0.032, fano=0.117, escape_scale=0.0)


class Objective:
    """Deviance and priors around a solution, the free parameters in units in which the stated covariance is 1."""

    def __init__(self, model: SpectrumModel) -> None:
        self.model = model
        self.solution = solve([model], tolerance=1e-6)
        self.names = [name for name in model.names if model.prior(name).sigma > 0.0]
        place = [self.solution.names.index(f"0/{name}") for name in self.names]
        self.found = self.solution.values[place]
        self.root = np.linalg.cholesky(self.solution.covariance[np.ix_(place, place)])

    def __call__(self, step: FloatArray) -> float:
        moved = dict(zip(self.names, (self.found + self.root @ step).tolist(), strict=True))
        expected = self.model.evaluate({**self.solution.of(0), **moved}).expected
        priors = [(moved[name], self.model.prior(name)) for name in self.names]
        away = sum(((value - prior.mean) / prior.sigma) ** 2 for value, prior in priors)
        return float(poisson_deviance(self.model.counts, expected) + away)


def objective_of(band: Band, templates: Templates, response: Response, settings: FitSettings) -> Objective:
    expected = band.expected_counts(templates, band.areas, response, continuum=band.continuum)
    spectrum = band.spectrum_of(np.random.default_rng(1).poisson(20.0 * expected))
    return Objective(SpectrumModel(spectrum, templates, response, "Si", settings, spectrum.energy_scale))


@pytest.mark.parametrize("shape", ["gaussian", "real"])
def test_solution_is_the_minimum_that_scipy_finds(band: Band, shape: str) -> None:
    templates, response = simple(band) if shape == "gaussian" else (band.templates, band.response)
    settings = replace(band.settings, background_terms=1, ratio_sigma=0.05)
    objective = objective_of(band, templates, response, settings)
    start = 0.5 * np.random.default_rng(2).standard_normal(len(objective.names))
    best = optimize.minimize(objective, start, method="L-BFGS-B", options={"maxiter": 60})
    # scipy goes by finite differences; the objective rises by 1 for one standard uncertainty, by 1e-4 for a hundredth.
    assert objective(np.zeros(len(objective.names))) <= best.fun + 1e-4
    assert best.x == pytest.approx(np.zeros(len(objective.names)), abs=0.02)


@pytest.mark.parametrize("shape", ["gaussian", "real"])
def test_covariance_is_the_inverse_curvature_of_the_objective(band: Band, shape: str) -> None:
    templates, response = simple(band) if shape == "gaussian" else (band.templates, band.response)
    settings = replace(band.settings, background_terms=1, ratio_sigma=0.0, priors=FIXED_WIDTH)
    objective = objective_of(band, templates, response, settings)
    here = objective(np.zeros(len(objective.names)))
    for unit in np.eye(len(objective.names)):
        rise = 0.5 * (objective(0.5 * unit) + objective(-0.5 * unit)) - here
        # Half a standard uncertainty raises the objective by a quarter. Expected and observed information differ as
        # counts do from their expectation: some 1e-3 with three million counts.
        assert rise == pytest.approx(0.25, rel=0.02)


def test_derivatives_of_the_model_are_finite_differences(band: Band) -> None:
    priors = {
        "escape": Prior(mean=0.0, sigma=0.1),
        "pile_up": Prior(mean=0.0, sigma=0.5),
        **{name: Prior(mean=0.0, sigma=0.3) for name in RESPONSE_PARAMETERS if name != "width_k"},
    }
    response = replace(band.response, pulse_pair_time_s=5e-7)
    spectrum = band.drawn(4)
    settings = replace(band.settings, priors=priors)
    model = SpectrumModel(spectrum, band.templates, response, "Si", settings, spectrum.energy_scale)
    values = true_values(band, model) | {"continuum:1": 2000.0, "ratio:Ce L:L2": 0.01, "zero": 0.002}
    jacobian = model.evaluate(values).jacobian
    steps = {"zero": 1e-4, "gain": 1e-5, "noise": 0.01, "fano": 0.01}
    for k, name in enumerate(model.names):
        step = steps.get(name, max(1e-3 * abs(values[name]), 0.01))
        above, below = (model.evaluate({**values, name: values[name] + s}).expected for s in (step, -step))
        numerical = (above - below) / (2.0 * step)
        size = np.abs(numerical).max()
        assert size > 0.0, name
        # Central differences: (0.1 eV / σ)² for the offset, 1e-4 for the relative steps of 0.01; the wings of the
        # natural width end 1.2 keV from a line with a jump of 2e-4 of the strongest slope.
        assert np.abs(jacobian[k] - numerical).max() < 3e-4 * size, name
        if name.startswith(("area:", "continuum:", "ratio:", "escape", "pile_up")):
            # These are linear: rounding.
            assert jacobian[k] == pytest.approx(numerical, abs=1e-6 * size), name


def test_start_does_not_decide_where_the_fit_ends(band: Band) -> None:
    model = model_of(band, band.drawn(7))
    cold = solve([model], tolerance=1e-4)
    start = {f"0/{name}": 1.3 * value for name, value in true_values(band, model).items()}
    warm = solve([model], tolerance=1e-4, start={**start, "0/zero": 0.01})
    sigma = np.sqrt(np.diag(cold.covariance))
    # Ten times the tolerance, in standard uncertainties.
    assert (warm.values - cold.values) / sigma == pytest.approx(np.zeros(sigma.size), abs=1e-3)


# ---- laws


def test_doubling_live_time_and_counts_doubles_areas(band: Band) -> None:
    settings = replace(band.settings, ratio_sigma=0.0, priors={**FREE_SCALE, **FIXED_WIDTH})
    once = band.drawn(5)
    twice = band.spectrum_of(2 * once.counts, 200.0)
    fits = [
        fit_spectrum(s, band.templates, response=band.response, crystal="Si", settings=settings).areas
        for s in (once, twice)
    ]
    # The iteration ends within 2e-3 of a standard uncertainty, which is 0.3 to 5 % of an area.
    assert fits[1].area == pytest.approx(2.0 * fits[0].area, rel=2e-4)
    assert fits[1].covariance == pytest.approx(2.0 * fits[0].covariance, rel=1e-3)
    assert fits[1].variance_at_zero == pytest.approx(2.0 * fits[0].variance_at_zero, rel=1e-3)
    assert fits[1].live_time_s == 2.0 * fits[0].live_time_s


def test_absent_element_is_found_absent_with_the_variance_stated_at_zero(band: Band) -> None:
    without = {**band.areas, "Pr L": 0.0}
    expected = band.expected_counts(band.templates, without, band.response, continuum=band.continuum)
    counts = np.random.default_rng(8).poisson(expected)
    common = {"response": band.response, "crystal": "Si", "settings": band.settings}
    absent = fit_spectrum(band.spectrum_of(counts), band.templates, **common).areas  # type: ignore[arg-type]
    present = fit_spectrum(band.drawn(8), band.templates, **common).areas  # type: ignore[arg-type]
    praseodymium = band.groups.index("Pr L")
    assert abs(absent.area[praseodymium]) < 4.0 * absent.standard_uncertainty[praseodymium]
    # The same continuum and neighbours but for the scatter of the counts.
    assert present.variance_at_zero[praseodymium] == pytest.approx(
        absent.covariance[praseodymium, praseodymium], rel=0.05
    )
    assert present.variance_at_zero[praseodymium] < present.covariance[praseodymium, praseodymium]


def test_no_area_is_negative_where_that_is_asked_for(band: Band) -> None:
    without = {**band.areas, "Pr L": -2000.0}
    expected = band.expected_counts(band.templates, without, band.response, continuum=band.continuum)
    spectrum = band.spectrum_of(np.random.default_rng(8).poisson(np.maximum(expected, 0.0)))
    settings = replace(band.settings, non_negative=True)
    free, held = (
        fit_spectrum(spectrum, band.templates, response=band.response, crystal="Si", settings=s)
        for s in (band.settings, settings)
    )
    praseodymium = band.groups.index("Pr L")
    assert free.areas.area[praseodymium] < -4.0 * free.areas.standard_uncertainty[praseodymium]
    assert held.areas.area[praseodymium] == 0.0
    # What Pr may not take away, La and Nd must give: the minimum on the boundary is that without Pr.
    others = replace(band.templates_of(("La L", "Ce L", "Nd L")))
    alone = fit_spectrum(spectrum, others, response=band.response, crystal="Si", settings=band.settings).areas
    assert np.delete(held.areas.area, praseodymium) == pytest.approx(alone.area, rel=1e-4)
    assert np.all(held.areas.standard_uncertainty > 0.0)


def test_resolution_far_better_than_possible_is_found_at_the_bound_or_not_at_all(band: Band) -> None:
    better = replace(band.response, noise_kev=0.001)
    expected = band.expected_counts(band.templates, band.areas, better, continuum=band.continuum)
    spectrum = band.spectrum_of(np.random.default_rng(6).poisson(expected))
    solution = solve([model_of(band, spectrum)])
    assert solution.converged
    assert solution.of(0)["noise"] >= -0.98


def test_counts_fitted_elsewhere_are_not_counted_again(band: Band) -> None:
    iron = band.expected_counts(band.templates_of(("Fe K",)), {"Fe K": 50_000.0}, band.response, continuum=0.0)
    spectrum = band.spectrum_of(np.random.default_rng(9).poisson(band.expected + iron))
    found = fit_spectrum(
        spectrum, band.templates, response=band.response, crystal="Si", settings=band.settings, offset=iron
    ).areas
    pull = (found.area - np.array(list(band.areas.values()))) / found.standard_uncertainty
    # Four numbers beyond four standard uncertainties: 2e-4.
    assert np.all(np.abs(pull) < 4.0)


def test_line_ratio_known_jointly_acts_as_that_prior(band: Band) -> None:
    names = ("ratio:Ce L:L2", "ratio:La L:L2")
    tight = JointPrior(names=names, mean=np.array([0.05, 0.0]), covariance=np.diag([1e-10, 1e-10]))
    fitted = fit_spectrum(
        band.drawn(3),
        band.templates,
        response=band.response,
        crystal="Si",
        settings=band.settings,
        priors=[tight],
    )
    # σ = 1e-5 against the data's 0.01.
    assert fitted.values["ratio:Ce L:L2"] == pytest.approx(0.05, abs=1e-4)
    assert fitted.values["ratio:La L:L2"] == pytest.approx(0.0, abs=1e-4)


def test_spectra_that_share_a_parameter_agree_on_it(band: Band) -> None:
    models = [model_of(band, band.drawn(seed)) for seed in (21, 22)]
    shared = frozenset({"ratio:Ce L:L2", "fano"})
    together = solve(models, shared=shared)
    assert "ratio:Ce L:L2" in together.names
    assert "0/ratio:Ce L:L2" not in together.names
    assert together.of(0)["fano"] == together.of(1)["fano"]
    alone = solve(models[:1])
    own = alone.covariance[alone.names.index("0/ratio:Ce L:L2"), alone.names.index("0/ratio:Ce L:L2")]
    both = together.covariance[together.names.index("ratio:Ce L:L2"), together.names.index("ratio:Ce L:L2")]
    assert both < own


def test_lines_and_background_of_the_curve_add_up(band: Band) -> None:
    fitted = fit_spectrum(band.drawn(2), band.templates, response=band.response, crystal="Si", settings=band.settings)
    curve = fitted.areas.curve
    inside = (band.drawn(2).centres_kev >= 4.2) & (band.drawn(2).centres_kev < 7.2)
    # Two evaluations of the same sum.
    assert curve.background + fitted.lines.sum(axis=0)[inside] == pytest.approx(curve.expected, rel=1e-9)
    assert np.array_equal(curve.counts, band.drawn(2).counts[inside])


# ---- verdicts and refusals


@pytest.mark.parametrize("rise_kev", [0.08, -0.08])
def test_energy_scale_that_is_off_gives_that_verdict(band: Band, rise_kev: float) -> None:
    expected = band.expected_counts(
        band.templates, band.areas, band.response, continuum=band.continuum, rise_kev=rise_kev
    )
    spectrum = band.spectrum_of(np.random.default_rng(6).poisson(expected))
    areas = fit_spectrum(spectrum, band.templates, response=band.response, crystal="Si", settings=band.settings).areas
    assert areas.verdict is FitVerdict.ENERGY_SCALE_OFF
    assert "recalibrate" in areas.reason
    stated = float(areas.reason.split("lie ")[1].split(" eV")[0])
    # Priors of zero and gain hold back a little.
    assert stated == pytest.approx(-1e3 * rise_kev, abs=8.0)


def test_good_spectrum_gets_the_verdict_good(band: Band) -> None:
    areas = fit_spectrum(
        band.drawn(10), band.templates, response=band.response, crystal="Si", settings=band.settings
    ).areas
    assert areas.verdict is FitVerdict.GOOD
    assert areas.reason == ""


@pytest.mark.parametrize("area", [6_000.0, 20_000.0])
def test_element_that_nobody_asked_for_gives_a_poor_fit_and_is_named(band: Band, area: float) -> None:
    iron = band.expected_counts(band.templates_of(("Fe K",)), {"Fe K": area}, band.response, continuum=0.0)
    spectrum = band.spectrum_of(np.random.default_rng(9).poisson(band.expected + iron))
    areas = fit_spectrum(spectrum, band.templates, response=band.response, crystal="Si", settings=band.settings).areas
    assert areas.verdict is FitVerdict.POOR
    assert re.search(r"unmodelled line at 6\.(39|40|41) keV, probably Fe Kα", areas.reason)


def test_wrong_resolution_gives_that_verdict(band: Band) -> None:
    worse = replace(band.response, noise_kev=0.075, fano=0.17)
    expected = band.expected_counts(band.templates, band.areas, worse, continuum=band.continuum)
    areas = fit_spectrum(
        band.spectrum_of(np.random.default_rng(6).poisson(expected)),
        band.templates,
        response=band.response,
        crystal="Si",
        settings=band.settings,
    ).areas
    assert areas.verdict is FitVerdict.RESOLUTION_OFF


@pytest.mark.parametrize("factor", [0.0, 1e-4])
def test_few_counts_are_refused_with_their_number(band: Band, factor: float) -> None:
    with pytest.raises(FitError, match=r"region band: \d+ counts in the fitted range, at least 500"):
        fit_spectrum(
            band.drawn(0, factor=factor),
            band.templates,
            response=band.response,
            crystal="Si",
            settings=band.settings,
            region="band",
        )


def test_nothing_to_fit_is_refused(band: Band) -> None:
    nothing = replace(
        band.templates,
        groups=(),
        clusters=(),
        cluster_group=np.zeros(0, dtype=np.int64),
        energy_kev=np.zeros(0),
        strength=np.zeros(0),
        half_width_kev=np.zeros(0),
        is_k=np.zeros(0, dtype=bool),
        line_cluster=np.zeros(0, dtype=np.int64),
    )
    with pytest.raises(FitError, match="region band: the tube excites none of the line groups"):
        fit_spectrum(
            band.drawn(0),
            nothing,
            response=band.response,
            crystal="Si",
            settings=band.settings,
            region="band",
        )


@pytest.mark.parametrize("ranges", [(), ((0.0, 1.0),), ((5.0, 4.0),), ((5.0, 5.0),), ((4.0, 5.0), (-1.0, 2.0))])
def test_impossible_ranges_are_refused(ranges: tuple[tuple[float, float], ...]) -> None:
    with pytest.raises(DomainError, match="fit ranges need 0 < low < high in keV"):
        FitSettings(ranges_kev=ranges)


@pytest.mark.parametrize("terms", [0, 17, -1])
def test_impossible_background_is_refused(terms: int) -> None:
    with pytest.raises(DomainError, match=f"background_terms is {terms}, expected 1 to 16"):
        FitSettings(ranges_kev=((4.0, 7.0),), background_terms=terms)


@pytest.mark.parametrize(("mean", "sigma"), [(np.nan, 1.0), (np.inf, 1.0), (0.0, -1.0), (0.0, np.nan)])
def test_impossible_prior_is_refused(mean: float, sigma: float) -> None:
    with pytest.raises(DomainError, match="a prior needs a finite mean and a sigma of 0 or more"):
        Prior(mean=mean, sigma=sigma)


def test_range_beyond_the_spectrum_is_refused(band: Band) -> None:
    settings = FitSettings(ranges_kev=((20.0, 30.0),))
    with pytest.raises(FitError, match=r"range 20 to 30 keV: the spectrum covers 0\.00 to 7\.98 keV"):
        fit_spectrum(band.drawn(0), band.templates, response=band.response, crystal="Si", settings=settings)


# ---- deviance


def test_deviance_is_twice_the_log_likelihood_ratio() -> None:
    counts, expected = np.array([0.0, 3.0, 10.0]), np.array([0.5, 4.0, 9.0])
    ratio = stats.poisson.logpmf(counts, np.maximum(counts, 1e-300)) - stats.poisson.logpmf(counts, expected)
    assert poisson_deviance(counts, expected) == pytest.approx(2.0 * ratio.sum(), rel=1e-12)
    assert poisson_deviance(counts[1:], counts[1:]) == 0.0


def test_light_that_never_reaches_the_range_is_left_out(band: Band) -> None:
    tube = (
        Light(energy_kev=np.array([20.1, 20.2]), strength=np.array([1.0, 2.0])),
        Light(energy_kev=np.array([5.0, 20.2]), strength=np.array([1.0, 2.0])),
    )
    spectrum = band.drawn(0)
    templates = replace(band.templates, tube=tube)
    model = SpectrumModel(spectrum, templates, band.response, "Si", band.settings, spectrum.energy_scale)
    assert [name for name in model.names if name.startswith("tube:")] == ["tube:1"]
