"""What many spectra of known specimens teach together about one region: sensitivities, blanks, line ratios, background.

Definition   Standard s has areas a, line ratios θ and a shape β (smooth correction of the background, resolution). Its
             spectrum says ln L_s(a, θ, β) = g z - z M z / 2 around the fit, everything else integrated out. Further
                 a_i = T k_i S_i (w_i + b_i + c_i + e_i),  c ~ N(0, U),  e_i ~ N(0, (s_rel w_i)² + s_abs²)
                 β = m + f,  f ~ N(0, Ω)
             with live time T, modelled strength S, certified content w, whose errors c are those of the certificate
             as the lines show them: through the strengths of the whole specimen, too. The common
             x = (θ, ln k, b, m) has a Gaussian posterior once a and β of every standard are integrated out; the
             scatters s_rel, s_abs and the spread Ω of the shapes follow by expectation and maximisation.
             A. P. Dempster, N. M. Laird, D. B. Rubin, J. R. Stat. Soc. B 39 (1977) 1
             A dozen standards hardly show the scatter of one line group, but that of all groups of a region together:
             s² = r² ν/χ²_ν about a scale r of the region, which the same data find (empirical Bayes). So do the shapes
             with the size of their spread.        G. K. Smyth, Stat. Appl. Genet. Mol. Biol. 3 (2004) 3
Validation   tests/test_learning.py: what the data were drawn with is recovered within the stated uncertainties.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import linalg
from scipy.special import wrightomega

from xrfree.errors import CalibrationError
from xrfree.fit import JointPrior
from xrfree.fit.region import RegionFit
from xrfree.method import split_group

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Solver = Callable[[FloatArray], FloatArray]

RESOLUTION = {"noise": 0.02, "fano": 0.01}
"""How far noise² and Fano factor of one instrument usually differ between specimens (count rate, temperature)."""
BACKGROUND_SPREAD = 0.05
"""How far a coefficient of the smooth correction usually differs between specimens, over the scattered continuum."""
USUAL_SPECIMENS = 3.0
"""Uncorrelated shapes of one common size count as much as this many standards; the usual size of them as one."""
USUAL_RELATIVE_SCATTER, USUAL_ABSOLUTE_SCATTER = 0.003, 0.3
"""Usual scatter between specimens: relative, and at zero content in counting uncertainties."""
USUAL_FACTOR = 3.0
"""By which factor (one standard deviation) a region's scatter may well be larger or smaller than the usual one."""
ALIKE_POINTS = 2.0
"""The scatter of its region counts for a line group as much as this many standards: ν of the distribution of s²."""
FEWEST_FOR_SHAPES = 6
"""Standards below which nothing is said about a population of shapes."""
_BLANK_SIGMA = 10.0
"""Prior standard deviation of blanks in counting uncertainties."""
_FLAT = 10.0
"""Prior standard deviation of the mean shapes: none."""
_ROUNDS = 100
"""Of expectation and maximisation; the first ten do most of it."""
_STRIDE = 1.9
"""By which the logarithms of the scatters go farther than one such round, for it is slow where data say little; below 2
it comes to the same end.                  R. Salakhutdinov, S. Roweis, Proc. 20th Int. Conf. Mach. Learn. (2003) 664"""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Evidence:
    """What the spectrum of one standard says about one region, and what its certificate says.

    names : areas ("area:La L"), ratios ("ratio:La L:L2-M4,5") and shape parameters (background over its first term).
    centre, score, information : of those, in a quadratic log-likelihood; shapes (n,), (n,) and (n, n).
    exposure_s : live time times the share that pile-up leaves in the lines.
    strength : modelled strength of each line group; content : certified mass fraction of each element.
    certificate : what the independent errors of a certificate, each as large as its uncertainty, change of the contents
        as the lines show them, kg/kg, shape (n_contents, n_errors): C of U = C Cᵀ, its rows in the order of `content`.
    """

    names: tuple[str, ...]
    centre: FloatArray
    score: FloatArray
    information: FloatArray
    exposure_s: float
    strength: Mapping[str, float]
    content: Mapping[str, float]
    certificate: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Lesson:
    """What all standards teach about one region.

    groups : calibrated line groups; log_sensitivity, blank, relative_scatter, absolute_scatter : shape (n,).
    covariance : of ln k and b together, shape (2 n, 2 n).
    ratios : posterior of the line ratios.
    shapes : population of the shape parameters, predictive; None where too few standards were measured.
    by_certificate : change of ln k by the independent errors of each standard's certificate, shape (n, n_errors) each.
    """

    groups: tuple[str, ...]
    log_sensitivity: FloatArray
    blank: FloatArray
    relative_scatter: FloatArray
    absolute_scatter: FloatArray
    covariance: FloatArray
    ratios: JointPrior
    shapes: JointPrior | None
    by_certificate: tuple[FloatArray, ...]


def shape_names(background_terms: int) -> tuple[str, ...]:
    """Parameters whose population is learned: background beyond its first term, and resolution."""
    return (*(f"continuum:{k}" for k in range(1, background_terms)), *RESOLUTION)


def evidence(
    fit: RegionFit,
    *,
    strength: Mapping[str, float],
    content: Mapping[str, float],
    certificate: FloatArray,
    shapes: Sequence[str],
) -> Evidence:
    """Quadratic log-likelihood of one fit in its areas, line ratios and shapes; all else integrated over its prior.

    M = I_kk - I_ko (I_oo + P_o)⁻¹ I_ok,  g = s_k - I_ko (I_oo + P_o)⁻¹ (s_o - P_o (p_o - m_o))
    """
    model = fit.model
    evaluation = model.evaluate(fit.values)
    names = np.array(model.names)
    values = np.array([fit.values[name] for name in model.names])
    jacobian = evaluation.jacobian.copy()
    _over_first_term(jacobian, values, list(model.names), shapes)
    expected = np.maximum(evaluation.expected, 1e-2)
    information = (jacobian / expected) @ jacobian.T
    score = jacobian @ ((model.counts - expected) / expected)
    kept = np.array([n.startswith(("area:", "ratio:")) or n in shapes for n in names])
    priors = [model.prior(name) for name in names]
    fixed = np.array([prior.sigma == 0.0 for prior in priors])
    sigma = np.array([prior.sigma for prior in priors])
    precision = np.where(kept | fixed, 0.0, 1.0 / np.maximum(sigma, 1e-300) ** 2)
    score -= precision * (values - np.array([prior.mean for prior in priors]))
    information[np.diag_indices(names.size)] += precision
    own, other = np.flatnonzero(kept & ~fixed), np.flatnonzero(~kept & ~fixed)
    solve = _solver(information[np.ix_(other, other)])
    across = information[np.ix_(other, own)]
    return Evidence(
        names=tuple(names[own].tolist()),
        centre=values[own],
        score=score[own] - across.T @ solve(score[other]),
        information=information[np.ix_(own, own)] - across.T @ solve(across),
        exposure_s=fit.areas.live_time_s * fit.areas.survival,
        strength=dict(strength),
        content=dict(content),
        certificate=certificate,
    )


def _over_first_term(jacobian: FloatArray, values: FloatArray, names: list[str], shapes: Sequence[str]) -> None:
    """From counts of each background term to ratios over the first, in place; clipped backgrounds have no terms."""
    if "continuum:0" not in names:
        return
    first = names.index("continuum:0")
    terms = [names.index(n) for n in shapes if n.startswith("continuum:") and n in names]
    jacobian[first] += (values[terms] / values[first]) @ jacobian[terms]
    jacobian[terms] *= values[first]
    values[terms] /= values[first]


def _solver(matrix: FloatArray) -> Solver:
    """Return x ↦ matrix⁻¹ x of a positive definite matrix, its diagonal brought to 1 first."""
    size = 1.0 / np.sqrt(np.diag(matrix))
    try:
        factor = linalg.cho_factor(matrix * size * size[:, None] + 1e-12 * np.eye(size.size))
    except linalg.LinAlgError:
        raise CalibrationError(
            "the standards do not determine what is to be learned from them; measure longer, or fit less"
        ) from None

    def solve(right: FloatArray) -> FloatArray:
        scale = size if right.ndim == 1 else size[:, None]
        return np.asarray(scale * linalg.cho_solve(factor, scale * right))

    return solve


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _State:
    """Current values of everything that is learned; common : (θ, ln k, b, m)."""

    common: FloatArray
    spread: FloatArray
    relative: FloatArray
    absolute: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Layout:
    """Where everything stands in the common vector, and what is known of it beforehand."""

    ratios: tuple[str, ...]
    groups: tuple[str, ...]
    shapes: tuple[str, ...]
    typical: FloatArray
    mean: FloatArray
    precision: FloatArray

    @property
    def log_k(self) -> slice:
        """Sensitivities."""
        return slice(len(self.ratios), len(self.ratios) + len(self.groups))

    @property
    def blank(self) -> slice:
        """Blanks."""
        return slice(self.log_k.stop, self.log_k.stop + len(self.groups))

    @property
    def shape(self) -> slice:
        """Means of the shapes."""
        return slice(self.blank.stop, self.blank.stop + len(self.shapes))

    @property
    def usual_spread(self) -> FloatArray:
        """Covariance of the shapes between specimens before any was measured."""
        return np.diag([RESOLUTION.get(name, BACKGROUND_SPREAD) ** 2 for name in self.shapes])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Standard:
    """Evidence of one standard, its own areas and shapes z apart from the ratios θ it has in common with the others.

    own, common : positions of z and θ in the evidence; place : of θ in the common vector.
    groups, group : positions in z and numbers of the calibrated line groups with a certified content; shapes, shape :
        the same of the shapes.
    content, certificate : of these groups, and what errors change of it; rate : counts per ln k = 0 and mass fraction.
    """

    evidence: Evidence
    own: IntArray
    common: IntArray
    place: IntArray
    groups: IntArray
    group: IntArray
    shapes: IntArray
    shape: IntArray
    content: FloatArray
    certificate: FloatArray
    rate: FloatArray

    def information(self, rows: IntArray, columns: IntArray) -> FloatArray:
        """Part of the evidence's information."""
        return self.evidence.information[np.ix_(rows, columns)]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Expectation:
    """z of one standard before its spectrum is seen: N(mean + slope δx, precision⁻¹); unit : counts per content."""

    mean: FloatArray
    slope: FloatArray
    precision: FloatArray
    unit: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Posterior:
    """z of one standard after it: centre + constant + slope δx, with covariance for given x."""

    constant: FloatArray
    slope: FloatArray
    covariance: FloatArray


def learn(
    evidences: Sequence[Evidence],
    *,
    groups: Sequence[str],
    ratios: JointPrior,
    shapes: Sequence[str],
    log_sensitivity: FloatArray,
    log_sensitivity_sigma: FloatArray,
) -> Lesson:
    """Joint posterior of line ratios, sensitivities, blanks and background shapes from all standards of one region.

    groups : line groups to calibrate; ratios : prior of every line ratio that occurs in the evidence.
    shapes : shape parameters; nothing is said about them with fewer than FEWEST_FOR_SHAPES standards.
    log_sensitivity, log_sensitivity_sigma : prior of ln k of each group, shape (n_groups,).

    Raises CalibrationError when the standards do not determine the parameters.
    """
    population = tuple(shapes) if len(evidences) >= FEWEST_FOR_SHAPES else ()
    layout = _layout(evidences, tuple(groups), ratios, population, log_sensitivity, log_sensitivity_sigma)
    standards = [_standard(e, layout) for e in evidences]
    state = _State(
        common=layout.mean,
        spread=layout.usual_spread,
        relative=np.full(len(groups), USUAL_RELATIVE_SCATTER),
        absolute=USUAL_ABSOLUTE_SCATTER * layout.typical,
    )
    covariance = np.zeros_like(layout.precision)
    for _ in range(_ROUNDS):
        expectations = [_expectation(s, layout, state) for s in standards]
        posteriors = [_posterior(s, e, state) for s, e in zip(standards, expectations, strict=True)]
        step, covariance = _step(standards, expectations, posteriors, layout, state)
        state = replace(state, common=state.common + step)
        state = _with_scatters(standards, expectations, posteriors, layout, state, step, covariance)
    expectations = [_expectation(s, layout, state) for s in standards]
    posteriors = [_posterior(s, e, state) for s, e in zip(standards, expectations, strict=True)]
    return _lesson(layout, state, covariance, list(zip(standards, expectations, posteriors, strict=True)))


def _layout(
    evidences: Sequence[Evidence],
    groups: tuple[str, ...],
    ratios: JointPrior,
    shapes: tuple[str, ...],
    log_k: FloatArray,
    log_k_sigma: FloatArray,
) -> _Layout:
    typical = np.array([_typical(evidences, group, k) for group, k in zip(groups, log_k, strict=True)])
    known = np.concatenate([log_k_sigma**-2, (_BLANK_SIGMA * typical) ** -2, np.full(len(shapes), _FLAT**-2)])
    return _Layout(
        ratios=ratios.names,
        groups=groups,
        shapes=shapes,
        typical=typical,
        mean=np.concatenate([ratios.mean, log_k, np.zeros(len(groups) + len(shapes))]),
        precision=linalg.block_diag(linalg.pinvh(ratios.covariance), np.diag(known)),
    )


def _typical(evidences: Sequence[Evidence], group: str, log_k: float) -> float:
    """Usual counting uncertainty of a group's mass fraction in the standards, all other areas known."""
    found = []
    for e in evidences:
        at = e.names.index(f"area:{group}")
        found.append(e.information[at, at] ** -0.5 / (e.exposure_s * np.exp(log_k) * e.strength[group]))
    return float(np.median(found))


def _standard(e: Evidence, layout: _Layout) -> _Standard:
    is_ratio = np.array([name.startswith("ratio:") for name in e.names])
    own, common = np.flatnonzero(~is_ratio), np.flatnonzero(is_ratio)
    names = [e.names[k] for k in own]
    found = [
        (q, layout.groups.index(name[5:]))
        for q, name in enumerate(names)
        if name[5:] in layout.groups and split_group(name[5:])[0] in e.content
    ]
    shaped = [(q, layout.shapes.index(name)) for q, name in enumerate(names) if name in layout.shapes]
    certified = [list(e.content).index(split_group(layout.groups[j])[0]) for _, j in found]
    return _Standard(
        evidence=e,
        own=own,
        common=common,
        place=np.array([layout.ratios.index(e.names[k]) for k in common], dtype=np.int64),
        groups=np.array([q for q, _ in found], dtype=np.int64),
        group=np.array([j for _, j in found], dtype=np.int64),
        shapes=np.array([q for q, _ in shaped], dtype=np.int64),
        shape=np.array([j for _, j in shaped], dtype=np.int64),
        content=np.array(list(e.content.values()))[certified],
        certificate=e.certificate[certified],
        rate=np.array([e.exposure_s * e.strength[layout.groups[j]] for _, j in found]),
    )


def _expectation(s: _Standard, layout: _Layout, state: _State) -> _Expectation:
    """Areas as the certificate and shapes as the population say; areas without a certificate are free."""
    mean = s.evidence.centre[s.own].copy()
    slope = np.zeros((mean.size, layout.mean.size))
    precision = np.zeros((mean.size, mean.size))
    unit = s.rate * np.exp(state.common[layout.log_k][s.group])
    mean[s.groups] = unit * (s.content + state.common[layout.blank][s.group])
    precision[np.ix_(s.groups, s.groups)] = np.linalg.inv(_covariance(s, state)) / np.outer(unit, unit)
    slope[s.groups, layout.log_k.start + s.group] = mean[s.groups]
    slope[s.groups, layout.blank.start + s.group] = unit
    mean[s.shapes] = state.common[layout.shape][s.shape]
    slope[s.shapes, layout.shape.start + s.shape] = 1.0
    if s.shapes.size:
        precision[np.ix_(s.shapes, s.shapes)] = linalg.pinvh(state.spread[np.ix_(s.shape, s.shape)])
    return _Expectation(mean=mean, slope=slope, precision=precision, unit=unit)


def _covariance(s: _Standard, state: _State) -> FloatArray:
    """U + diag((s_rel w)² + s_abs²) of the contents of one standard, shape (n_groups, n_groups)."""
    relative, absolute = state.relative[s.group] * s.content, state.absolute[s.group]
    return np.asarray(s.certificate @ s.certificate.T + np.diag(relative**2 + absolute**2))


def _posterior(s: _Standard, e: _Expectation, state: _State) -> _Posterior:
    solve = _solver(s.information(s.own, s.own) + e.precision)
    across = s.information(s.own, s.common)
    moved = state.common[s.place] - s.evidence.centre[s.common]
    pull = e.precision @ (e.mean - s.evidence.centre[s.own])
    slope = e.precision @ e.slope
    slope[:, s.place] -= across
    return _Posterior(
        constant=solve(s.evidence.score[s.own] - across @ moved + pull),
        slope=solve(slope),
        covariance=solve(np.eye(s.own.size)),
    )


def _step(
    standards: Sequence[_Standard],
    expectations: Sequence[_Expectation],
    posteriors: Sequence[_Posterior],
    layout: _Layout,
    state: _State,
) -> tuple[FloatArray, FloatArray]:
    """Step of the common parameters to the optimum, all z integrated out, and their covariance there."""
    information = layout.precision.copy()
    gradient = layout.precision @ (layout.mean - state.common)
    for s, e, p in zip(standards, expectations, posteriors, strict=True):
        across, ratios = s.information(s.common, s.own), s.information(s.common, s.common)
        moved = state.common[s.place] - s.evidence.centre[s.common]
        gradient[s.place] += s.evidence.score[s.common] - ratios @ moved - across @ p.constant
        gradient += e.slope.T @ e.precision @ (p.constant - (e.mean - s.evidence.centre[s.own]))
        information[np.ix_(s.place, s.place)] += ratios
        information[s.place] += across @ p.slope
        information += e.slope.T @ e.precision @ (e.slope - p.slope)
    solve = _solver(0.5 * (information + information.T))
    return solve(gradient), solve(np.eye(gradient.size))


def _with_scatters(
    standards: Sequence[_Standard],
    expectations: Sequence[_Expectation],
    posteriors: Sequence[_Posterior],
    layout: _Layout,
    state: _State,
    step: FloatArray,
    covariance: FloatArray,
) -> _State:
    """Spread of the shapes and scatters between specimens that the expected deviations ask for."""
    spread = np.zeros_like(state.spread)
    relative, absolute = np.zeros((len(layout.groups), 2)), np.zeros((len(layout.groups), 2))
    for s, e, p in zip(standards, expectations, posteriors, strict=True):
        away = s.evidence.centre[s.own] + p.constant - e.mean + (p.slope - e.slope) @ step
        second = np.outer(away, away) + p.covariance + (p.slope - e.slope) @ covariance @ (p.slope - e.slope).T
        spread[np.ix_(s.shape, s.shape)] += second[np.ix_(s.shapes, s.shapes)]
        known = np.linalg.inv(_covariance(s, state))
        found = second[np.ix_(s.groups, s.groups)] / np.outer(e.unit, e.unit)
        excess = np.diag(known @ found @ known - known)
        for k, j in enumerate(s.group):
            if s.content[k] > 0.0:
                part = _share(state.relative[j] ** 2 * s.content[k] ** 2, excess[k])
                relative[j] += 1.0, part / s.content[k] ** 2
            absolute[j] += 1.0, _share(state.absolute[j] ** 2, excess[k]) / layout.typical[j] ** 2
    return replace(
        state,
        spread=_shrunk_spread(spread, len(standards), layout.usual_spread),
        relative=_shrunk_scatter(state.relative, relative, USUAL_RELATIVE_SCATTER),
        absolute=layout.typical * _shrunk_scatter(state.absolute / layout.typical, absolute, USUAL_ABSOLUTE_SCATTER),
    )


def _shrunk_spread(total: FloatArray, n: int, usual: FloatArray) -> FloatArray:
    """Ω of n standards whose expected outer products add to `total`, towards uncorrelated shapes U of one size h.

    Ω = (ν h² U + total)/(ν + n),  h² = (1 + tr(U⁻¹ total)/p)/(1 + n) for p shapes
    """
    if not total.size:
        return total
    size = (1.0 + float(np.mean(np.diag(total) / np.diag(usual)))) / (1.0 + n)
    return np.asarray((USUAL_SPECIMENS * size * usual + total) / (USUAL_SPECIMENS + n))


def _shrunk_scatter(present: FloatArray, sums: FloatArray, usual: float) -> FloatArray:
    """Scatter of each line group, towards the one scale r of the region: s² = (ν r² + Σ e²)/(ν + n).

    present : s as they are, shape (n_groups,); sums : n and Σ e² of each, shape (n_groups, 2).
    """
    n, total = sums.T
    found = np.sqrt((ALIKE_POINTS * _scale(present, usual) ** 2 + total) / (ALIKE_POINTS + n))
    return np.asarray(present * (found / present) ** _STRIDE)


def _scale(scatters: FloatArray, usual: float) -> float:
    """Most probable r of scatters s² = r² ν/χ²_ν, ln r being ln(usual) within τ beforehand.

    J ν - ν r² Σ 1/s² = ln(r/usual)/τ²: a few large scatters leave it where it is. Solved by Wright's ω, ω + ln ω = z.
    """
    pull = ALIKE_POINTS * np.log(USUAL_FACTOR) ** 2
    most = np.log(usual) + pull * scatters.size
    return float(np.exp(most - 0.5 * wrightomega(2.0 * most + np.log(2.0 * pull * np.sum(scatters**-2.0)))))


def _share(part: float, excess: float) -> float:
    """Expected square of an error of variance `part` in one of several sums of errors: p + p² (V⁻¹ D V⁻¹ - V⁻¹)_kk.

    V : covariance of the sums; D : their expected products; excess : the diagonal element.
    """
    return float(part + part**2 * excess)


def _by_certificate(s: _Standard, e: _Expectation, p: _Posterior, covariance: FloatArray) -> FloatArray:
    """Change of the common parameters by the errors of one certificate, shape (n_parameters, n_errors).

    dx = V (slope_z - slope)ᵀ P dμ,  dμ = k S T C  of what is expected of the areas, V : covariance
    """
    moved = np.zeros((s.own.size, s.certificate.shape[1]))
    moved[s.groups] = e.unit[:, None] * s.certificate
    return np.asarray(covariance @ (p.slope - e.slope).T @ e.precision @ moved)


def _lesson(
    layout: _Layout,
    state: _State,
    covariance: FloatArray,
    learned: Sequence[tuple[_Standard, _Expectation, _Posterior]],
) -> Lesson:
    both = np.r_[layout.log_k, layout.blank]
    ratios = slice(0, len(layout.ratios))
    shapes = JointPrior(
        names=layout.shapes,
        mean=state.common[layout.shape],
        covariance=state.spread + covariance[layout.shape, layout.shape],
    )
    return Lesson(
        groups=layout.groups,
        log_sensitivity=state.common[layout.log_k],
        blank=state.common[layout.blank],
        relative_scatter=state.relative,
        absolute_scatter=state.absolute,
        covariance=covariance[np.ix_(both, both)],
        ratios=JointPrior(names=layout.ratios, mean=state.common[ratios], covariance=covariance[ratios, ratios]),
        shapes=shapes if layout.shapes else None,
        by_certificate=tuple(_by_certificate(s, e, p, covariance)[layout.log_k] for s, e, p in learned),
    )
