"""Fit of one region of one spectrum: from counts to net areas with covariance and a verdict."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xrfree.areas import FitCurve, FitVerdict, NetAreas
from xrfree.errors import FitError, NotDeterminedError
from xrfree.fit.inputs import FitSettings, Templates
from xrfree.fit.model import LOWER_BOUNDS, SpectrumModel, moved_response
from xrfree.fit.pile_up import SAME_PAIRS
from xrfree.fit.residual import UnmodelledLine, structure, unmodelled_lines
from xrfree.fit.solve import JointPrior, Solution, in_words, solve, variances_without
from xrfree.instrument import Response
from xrfree.plausibility import saturation_notes
from xrfree.shown import Shown
from xrfree.spectrum import Spectrum

FloatArray = NDArray[np.float64]

FEWEST_COUNTS = 500
_LAST_RENEWAL = 6
LARGEST_SHIFT_KEV = 0.05
POOR_REDUCED_DEVIANCE = 6.0
LEAST_SURVIVAL = 0.8
"""Least share of counts that pile-up may leave in their lines: below, pulses of four photons matter."""


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

    @property
    def detected(self) -> FloatArray:
        """Photons of each line group that met the detector, shape (n_groups,).

        N_g = 1/s Σ_c a_c Σ_l S_l (1 + e p_l),  clusters c of the group as strong as fitted, s survival of pile-up
        a_c amplitude, S_l strength and p_l escape probability of the lines of c, e scale of the escape. Areas are
        counts at full energy with the model's line ratios instead: what sensitivities refer to.
        """
        model = self.model
        clusters = model.amplitudes(self.values)
        escape = moved_response(model.response, self.values).escape_scale
        lines = model.photons
        counts = np.concatenate([clusters, escape * clusters])[lines.column] * lines.strength
        owner = model.templates.cluster_group[lines.column % lines.n_clusters]
        total = np.bincount(owner, weights=counts, minlength=len(model.templates.groups))
        return np.asarray(total / model.survival, dtype=np.float64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Undetermined:
    """Parameters that the data leave open.

    parameters : full names of all that are concerned; held : of those that were held; reasons : a sentence for each.
    """

    parameters: frozenset[str] = frozenset()
    held: frozenset[str] = frozenset()
    reasons: tuple[str, ...] = ()

    def variance(self, model: SpectrumModel, own: str) -> FloatArray:
        """Square of all counts for areas that are concerned, 0 for the others, shape (n_groups,); own : as in "0/"."""
        open_areas = [f"{own}area:{group}" in self.parameters for group in model.templates.groups]
        return np.where(open_areas, float(model.spectrum.total_counts) ** 2, 0.0)

    def and_also(self, problem: NotDeterminedError) -> Undetermined:
        """These parameters, and those of another attempt; raises it again when it names nothing new."""
        if not problem.parameters or problem.parameters[0] in self.held:
            raise problem
        return Undetermined(
            parameters=self.parameters.union(problem.parameters),
            held=self.held | {problem.parameters[0]},
            reasons=(*self.reasons, str(problem)),
        )


DETERMINED = Undetermined()


def fit_spectrum(
    spectrum: Spectrum,
    templates: Templates,
    *,
    response: Response,
    crystal: str,
    settings: FitSettings,
    region: str = "",
    priors: Sequence[JointPrior] = (),
    offset: FloatArray | None = None,
    start: Mapping[str, float] | None = None,
) -> RegionFit:
    """Fit line groups and background to one region of a spectrum by Poisson maximum likelihood.

    templates : lines with expected strengths, and scattered light.
    priors : what calibrations know about parameters together: line ratios, background, resolution.
    offset : shape (n_channels,), counts of lines that were fitted elsewhere.
    start : parameters of an earlier, similar fit.

    A parameter that the data do not determine is held at its prior mean, and the verdict names it.

    Raises FitError when the region holds too few counts, or no line group at all.
    """
    if not templates.groups:
        raise FitError(f"region {region}: the tube excites none of the line groups asked for")
    model = SpectrumModel(spectrum, templates, response, crystal, settings, spectrum.energy_scale, offset)
    if model.counts.sum() < FEWEST_COUNTS:
        raise FitError(f"region {region}: {too_few(float(model.counts.sum()))}")

    if start is not None:
        model.renew_pile_up({name: start.get(name, 0.0) for name in model.names})
    first = {f"0/{name}": value for name, value in (start or {}).items()}
    solution, undetermined = solved_where_determined(
        lambda held: solve([model], priors=priors, held=held, start=first, after_step=renewing(model, start or {}))
    )
    return RegionFit(
        areas=net_areas(model, solution, 0, region, priors, undetermined=undetermined),
        values=solution.of(0),
        model=model,
    )


def solved_where_determined(attempt: Callable[[frozenset[str]], Solution]) -> tuple[Solution, Undetermined]:
    """Solution with parameters held that the data do not determine, and which they are; attempt : solves with them."""
    undetermined = DETERMINED
    while True:
        try:
            return attempt(undetermined.held), undetermined
        except NotDeterminedError as problem:
            undetermined = undetermined.and_also(problem)


def too_few(counts: float) -> str:
    """Why a spectrum is not fitted that holds next to nothing; counts : in the fitted range."""
    return (
        f"{counts:.0f} counts in the fitted range, at least {FEWEST_COUNTS} are needed. "
        "Measure longer, or check tube and shutter."
    )


def renewing(model: SpectrumModel, start: Mapping[str, float]) -> Callable[[int, Sequence[Mapping[str, float]]], bool]:
    """What renews the model's pile-up after a step, as long as it changes; `start` : what made it first."""
    paired = dict(start)

    def renew(iteration: int, values: Sequence[Mapping[str, float]]) -> bool:
        if iteration > _LAST_RENEWAL or _same_pairs(model, paired, values[0]):
            return False
        model.renew_pile_up(values[0])
        paired.update(values[0])
        return True

    return renew


def _same_pairs(model: SpectrumModel, before: Mapping[str, float], now: Mapping[str, float]) -> bool:
    """Whether pile-up made with the parameters `before` holds for `now`."""
    return all(
        abs(now[name] - before.get(name, 0.0)) < least for name, least in SAME_PAIRS.items() if name in model.names
    )


def net_areas(
    model: SpectrumModel,
    solution: Solution,
    spectrum: int,
    region: str,
    priors: Sequence[JointPrior],
    undetermined: Undetermined = DETERMINED,
) -> NetAreas:
    """Net areas of one of the spectra of a solution."""
    groups = model.templates.groups
    places = solution.own[spectrum]
    index = [places[f"area:{g}"] for g in groups]
    values = solution.of(spectrum)
    sigma = np.sqrt(np.maximum(np.diag(solution.covariance), 0.0))
    reduced = solution.deviance[spectrum] / max(model.counts.size - len(index), 1)
    evaluation = solution.evaluations[spectrum]
    curve = curve_of(model, values, solution.expected[spectrum], evaluation.lines)
    verdict, reason = verdict_of(
        values,
        model,
        reduced,
        converged=solution.converged,
        saturation=saturation_of(model),
        undetermined=undetermined,
    )
    if verdict in (FitVerdict.POOR, FitVerdict.RESOLUTION_OFF, FitVerdict.NOT_CONVERGED):
        reason = "; ".join([reason, *(line.explain() for line in _missing(model, curve)[:3])])
    elif verdict is FitVerdict.GOOD:
        reason = structure(_missing(model, curve), curve.counts, curve.expected, reduced)
        verdict = FitVerdict.RESIDUAL_STRUCTURE if reason else verdict
    unknown = undetermined.variance(model, f"{spectrum}/")
    without = variances_without(model, evaluation, values, priors, undetermined.held)
    return NetAreas(
        condition=model.spectrum.condition.name,
        region=region,
        groups=groups,
        area=solution.values[index],
        covariance=solution.covariance[np.ix_(index, index)] + np.diag(unknown),
        counting_covariance=solution.counting_part(index),
        response_covariance=solution.prior_part(index),
        variance_at_zero=without + unknown,
        live_time_s=model.spectrum.live_time_s,
        survival=model.survival,
        reduced_deviance=reduced,
        verdict=verdict,
        reason=reason,
        parameters={name: (float(solution.values[place]), float(sigma[place])) for name, place in places.items()},
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


def curve_of(model: SpectrumModel, values: Mapping[str, float], expected: FloatArray, lines: FloatArray) -> FitCurve:
    """The fitted spectrum for people to look at.

    values : parameters by name. expected, lines : counts in the fitted channels, shape (n_fitted,).
    """
    centre = 0.5 * (model.edges(values)[1:] + model.edges(values)[:-1])
    return FitCurve(
        energy_kev=centre[model.inside], counts=model.counts, expected=expected, background=expected - lines
    )


def saturation_of(model: SpectrumModel) -> str:
    """Why counts are missing in a spectrum; empty where none are."""
    notes = saturation_notes(model.spectrum)
    if model.survival < LEAST_SURVIVAL:
        notes.append(too_fast(model.survival))
    return "; ".join(notes)


def too_fast(survival: float) -> str:
    """What is wrong with a spectrum of which pile-up leaves only so much in its lines; survival : 0 to 1."""
    return (
        f"pile-up takes {100.0 * (1.0 - survival):.0f} % of the counts out of their lines, more than can be corrected; "
        "lower the tube current"
    )


def verdict_of(
    values: Mapping[str, float],
    model: SpectrumModel,
    reduced_deviance: float,
    *,
    converged: bool,
    saturation: str = "",
    undetermined: Undetermined = DETERMINED,
) -> tuple[FitVerdict, str]:
    """First of the reasons that applies: the verdict, and a sentence for a technician.

    values : parameters by name. reduced_deviance : deviance per degree of freedom. saturation : why counts are missing.
    """
    if undetermined.parameters:
        return FitVerdict.NOT_DETERMINED, "; ".join(undetermined.reasons)
    if saturation:
        return FitVerdict.SATURATED, saturation
    if not converged:
        return FitVerdict.NOT_CONVERGED, "the fit did not settle; the spectrum is not what the method expects"
    ends = [end for ends in model.settings.ranges_kev for end in ends]
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
    bound = [name for name, lowest in LOWER_BOUNDS.items() if values.get(name, 0.0) <= lowest]
    if bound:
        return (
            FitVerdict.AT_BOUND,
            f"{' and '.join(map(in_words, bound))} went to the limit of what has a meaning; the detector, or the "
            "method's lines, are not those of this spectrum",
        )
    return FitVerdict.GOOD, ""
