"""Fit of one region of one spectrum: from counts to net areas with covariance and a verdict."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xrfree.areas import FitCurve, FitVerdict, NetAreas
from xrfree.errors import FitError
from xrfree.fit.inputs import FitSettings, Templates
from xrfree.fit.model import SpectrumModel
from xrfree.fit.residual import UnmodelledLine, unmodelled_lines
from xrfree.fit.solve import JointPrior, Solution, solve, variances_without
from xrfree.instrument import Response
from xrfree.shown import Shown
from xrfree.spectrum import Spectrum

FloatArray = NDArray[np.float64]

FEWEST_COUNTS = 500
SAME_PAIRS = 0.003
"""Change of line areas, over all counts of the spectrum, that leaves the pile-up as it is."""
_LAST_RENEWAL = 6
LARGEST_SHIFT_KEV = 0.05
POOR_REDUCED_DEVIANCE = 6.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionFit(Shown):
    """Net areas with what a next, similar fit and other regions can use.

    values : all parameters by name; model : what they are parameters of.
    """

    areas: NetAreas
    values: Mapping[str, float]
    model: SpectrumModel

    @property
    def lines(self) -> FloatArray:
        """Expected counts of each line group with its escape peaks, shape (n_groups, n_channels)."""
        return self.model.lines_everywhere(self.values)


def fit_spectrum(
    spectrum: Spectrum,
    templates: Templates,
    *,
    response: Response,
    crystal: str,
    settings: FitSettings,
    region: str = "",
    ratio_prior: JointPrior | None = None,
    offset: FloatArray | None = None,
    start: Mapping[str, float] | None = None,
) -> RegionFit:
    """Fit line groups and background to one region of a spectrum by Poisson maximum likelihood.

    templates : lines with expected strengths, and scattered light.
    ratio_prior : what the instrument's calibration knows about line ratios.
    offset : shape (n_channels,), counts of lines that were fitted elsewhere.
    start : parameters of an earlier, similar fit.

    Raises FitError when a parameter is not determined, or when the region holds too few counts.
    """
    if not templates.groups:
        raise FitError(f"region {region}: the tube excites none of the line groups asked for")
    model = SpectrumModel(spectrum, templates, response, crystal, settings, spectrum.energy_scale, offset)
    if model.counts.sum() < FEWEST_COUNTS:
        raise FitError(f"region {region}: {too_few(float(model.counts.sum()))}")

    if start is not None:
        model.sharpened({name: start.get(name, 0.0) for name in model.names})
    priors = [] if ratio_prior is None else [ratio_prior]
    first = {f"0/{name}": value for name, value in (start or {}).items()}
    solution = solve([model], priors=priors, start=first, after_step=renewing(model, start or {}))
    values = solution.of(0)
    return RegionFit(
        areas=net_areas(model, solution, 0, region, priors),
        values=values,
        model=model,
    )


def too_few(counts: float) -> str:
    """Why a spectrum is not fitted that holds next to nothing."""
    return (
        f"{counts:.0f} counts in the fitted range, at least {FEWEST_COUNTS} are needed. "
        "Measure longer, or check tube and shutter."
    )


def renewing(model: SpectrumModel, start: Mapping[str, float]) -> Callable[[int, Sequence[Mapping[str, float]]], bool]:
    """What renews the model's pile-up after a step, as long as the lines still change; `start` : what made it first."""
    paired = dict(start)

    def renew(iteration: int, values: Sequence[Mapping[str, float]]) -> bool:
        if iteration > _LAST_RENEWAL or _same_pairs(model, paired, values[0]):
            return False
        model.sharpened(values[0])
        paired.update(values[0])
        return True

    return renew


def _same_pairs(model: SpectrumModel, before: Mapping[str, float], now: Mapping[str, float]) -> bool:
    """Whether pile-up made with the lines of `before` holds for those of `now`: their areas."""
    moved = sum(abs(now[name] - before.get(name, np.inf)) for name in model.names if name.startswith("area:"))
    return bool(moved < SAME_PAIRS * model.spectrum.total_counts)


def net_areas(
    model: SpectrumModel,
    solution: Solution,
    spectrum: int,
    region: str,
    priors: Sequence[JointPrior],
    shared: frozenset[str] = frozenset(),
) -> NetAreas:
    """Net areas of one of the spectra of a solution."""
    groups = model.templates.groups
    own = f"{spectrum}/"
    index = [solution.names.index(f"{own}area:{g}") for g in groups]
    values = solution.of(spectrum, shared)
    sigma = np.sqrt(np.maximum(np.diag(solution.covariance), 0.0))
    reduced = solution.deviance[spectrum] / max(model.counts.size - len(index), 1)
    evaluation = solution.evaluations[spectrum]
    verdict, reason = verdict_of(values, model.settings, reduced, converged=solution.converged)
    curve = _curve(model, values, solution.expected[spectrum], evaluation.lines)
    if verdict in (FitVerdict.POOR, FitVerdict.RESOLUTION_OFF, FitVerdict.NOT_CONVERGED):
        missing = _missing(model, curve)
        reason = "; ".join([reason, *(line.explain() for line in missing[:3])])
    return NetAreas(
        condition=model.spectrum.condition.name,
        region=region,
        groups=groups,
        area=solution.values[index],
        covariance=solution.covariance[np.ix_(index, index)],
        variance_at_zero=variances_without(model, evaluation, values, priors),
        live_time_s=model.spectrum.live_time_s,
        survival=model.survival,
        reduced_deviance=reduced,
        verdict=verdict,
        reason=reason,
        parameters={
            name.removeprefix(own): (float(value), float(u))
            for name, value, u in zip(solution.names, solution.values, sigma, strict=True)
            if name.startswith(own) or name in shared
        },
        curve=curve,
    )


def _missing(model: SpectrumModel, curve: FitCurve) -> tuple[UnmodelledLine, ...]:
    """Peaks of the residual."""
    return unmodelled_lines(
        energy_kev=curve.energy_kev,
        counts=curve.counts,
        expected=curve.expected,
        sigma_kev=model.response.sigma_kev(curve.energy_kev, model.crystal),
        known=model.templates.groups,
    )


def _curve(model: SpectrumModel, values: Mapping[str, float], expected: FloatArray, lines: FloatArray) -> FitCurve:
    centre = 0.5 * (model.edges(values)[1:] + model.edges(values)[:-1])
    return FitCurve(
        energy_kev=centre[model.inside], counts=model.counts, expected=expected, background=expected - lines
    )


def verdict_of(
    values: Mapping[str, float], settings: FitSettings, reduced_deviance: float, *, converged: bool
) -> tuple[FitVerdict, str]:
    """First of the reasons that applies."""
    if not converged:
        return FitVerdict.NOT_CONVERGED, "the fit did not settle; the spectrum is not what the method expects"
    ends = [end for ends in settings.ranges_kev for end in ends]
    shift = values["zero"] + values["gain"] * sum(ends) / len(ends)
    if abs(shift) > LARGEST_SHIFT_KEV:
        return (
            FitVerdict.ENERGY_SCALE_OFF,
            f"lines lie {1e3 * shift:+.0f} eV from the stated energy scale; recalibrate the spectrometer's energy",
        )
    if abs(values["fano"]) > 0.35 or abs(values["noise"]) > 0.95:
        return FitVerdict.RESOLUTION_OFF, "the resolution is not that of the calibrated detector"
    if reduced_deviance > POOR_REDUCED_DEVIANCE:
        return (
            FitVerdict.POOR,
            f"reduced deviance {reduced_deviance:.1f}: something in the spectrum is not in the method",
        )
    return FitVerdict.GOOD, ""
