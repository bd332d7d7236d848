"""Synthetic standards whose contents are independent, and what they will be worth.

Definition   Latin hypercube of the components' mass fractions (M. D. McKay, R. J. Beckman, W. J. Conover, Technometrics
             21 (1979) 239): every level once per component. Levels are exchanged within a component, by simulated
             annealing, until the largest correlation between two elements is small and every mixture leaves room for
             its base. Existing standards decide the order in which the mixtures help most.
             Coefficients: covariance of a regression on the rates that theory predicts (`xrfree.regression`).
Validation   tests/curves/test_design.py.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xrfree.atomic import parse_formula
from xrfree.calibration import CurveModel
from xrfree.curves.models import Factors, terms_of
from xrfree.curves.rates import LineRates
from xrfree.curves.theory import LineTheory
from xrfree.errors import CalibrationError, DomainError
from xrfree.regression.collinearity import collinearity
from xrfree.regression.observations import Observations
from xrfree.regression.solve import Regression, fit

FloatArray = NDArray[np.float64]

_STEPS = 60_000
_RESTARTS = 4
_COOLING = 0.9997


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """A substance of the mixtures with the range of its mass fraction, kg/kg."""

    name: str
    formula: str
    low: float
    high: float

    def __post_init__(self) -> None:
        """Refuse ranges that cannot be."""
        if set(parse_formula(self.formula)) == {"O"}:
            raise DomainError(f"{self.name} is oxygen alone")
        if not 0.0 <= self.low < self.high <= 1.0:
            raise DomainError(f"{self.name}: range {self.low} to {self.high} kg/kg, expected 0 <= low < high <= 1")

    @property
    def element(self) -> str:
        """The element it is added for: the first that its formula writes, oxygen apart ("Ba" of BaSO4)."""
        symbols: list[str] = re.findall("[A-Z][a-z]?", self.formula)
        return next(symbol for symbol in symbols if symbol != "O")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Design:
    """Planned mixtures.

    components, base : substances; the base fills each mixture up to 1.
    share : mass fraction of each component, shape (n_mixtures, n_components); base_share : shape (n_mixtures,).
    elements : whose contents are to be independent; correlation : of these.
    content : mass fraction of the elements in each mixture, shape (n_mixtures, n_elements).
    """

    components: tuple[Component, ...]
    base: str
    share: FloatArray
    base_share: FloatArray
    elements: tuple[str, ...]
    content: FloatArray
    correlation: FloatArray

    @property
    def largest_correlation(self) -> float:
        """Largest |r| between two elements."""
        apart = np.abs(self.correlation - np.diag(np.diag(self.correlation)))
        return float(apart.max()) if len(self.elements) > 1 else 0.0

    def masses_g(self, mixture: int, total_g: float) -> dict[str, float]:
        """Mass of each substance of one mixture, g; what is not added is left out."""
        masses = {
            c.name: float(s) * total_g for c, s in zip(self.components, self.share[mixture], strict=True) if s > 0.0
        }
        return {**masses, self.base: float(self.base_share[mixture]) * total_g}


def design_mixtures(
    components: Sequence[Component],
    base: str,
    n_mixtures: int,
    *,
    mass_g: float,
    resolution_g: float,
    seed: int,
    largest_correlation: float = 0.03,
    least_base: float = 0.0,
) -> Design:
    """Mixtures in which the elements of the components vary independently.

    base : formula of what fills up to 1, at least `least_base` (kg/kg).
    mass_g, resolution_g : mass of a mixture, and step in which masses are planned; correlations are those of the
        planned masses.
    seed : of the search; the same seed gives the same design.

    Raises CalibrationError where no design with so small a correlation is found.
    """
    n, k = n_mixtures, len(components)
    elements = tuple(c.element for c in components)
    _check_design(components, elements, n, least_base)
    own = np.array([parse_formula(c.formula)[c.element] for c in components])
    rng = np.random.default_rng(seed)
    low, high = np.array([c.low for c in components]), np.array([c.high for c in components])
    best, best_cost = None, np.inf
    for _ in range(_RESTARTS):
        share = _annealed(_levels(low, high, n, rng, resolution_g / mass_g), least_base, rng)
        cost = _largest(_correlation(share)) + 10.0 * _overfull(share, least_base)
        if cost < best_cost:
            best, best_cost = share, cost
        if cost < largest_correlation:
            break
    if best is None or best_cost >= largest_correlation:
        raise CalibrationError(
            f"the best of {_RESTARTS} designs with {n} mixtures of {k} components has a largest correlation of "
            f"{best_cost:.3f}, not below {largest_correlation}; take more mixtures, narrower ranges, or allow more"
        )
    content = best * own
    return Design(
        components=tuple(components),
        base=base,
        share=best,
        base_share=1.0 - best.sum(axis=1),
        elements=elements,
        content=content,
        correlation=_correlation(content),
    )


def _check_design(components: Sequence[Component], elements: tuple[str, ...], n: int, least_base: float) -> None:
    twice = {e for e in elements if elements.count(e) > 1}
    if twice:
        raise DomainError(f"{', '.join(sorted(twice))} would come from two components; keep one")
    if n < len(components) + 2:
        raise CalibrationError(
            f"{n} mixtures of {len(components)} components: their contents cannot be independent; plan at least "
            f"{len(components) + 2}, better three per component"
        )
    middle = sum(0.5 * (c.low + c.high) for c in components)
    if middle > 1.0 - least_base:
        raise DomainError(f"the middles of all ranges sum to {middle:.2f} kg/kg, which leaves no room for the base")


def _levels(low: FloatArray, high: FloatArray, n: int, rng: np.random.Generator, resolution: float) -> FloatArray:
    """A Latin hypercube: n levels over each range, in random order, in steps that can be weighed."""
    ladder = (np.arange(n) + 0.5) / n
    # The lowest level of a range that starts at 0 is a blank: it shows the line's background.
    columns = []
    for a, b in zip(low, high, strict=True):
        level = a + (b - a) * ladder
        if a == 0.0:
            level[0] = 0.0
        columns.append(rng.permutation(np.round(level / resolution) * resolution))
    return np.array(columns).T


def _correlation(content: FloatArray) -> FloatArray:
    centred = content - content.mean(axis=0)
    length = np.linalg.norm(centred, axis=0)
    unit = centred / np.where(length > 0.0, length, 1.0)
    return np.asarray(unit.T @ unit)


def _largest(correlation: FloatArray) -> float:
    apart = np.abs(correlation)
    np.fill_diagonal(apart, 0.0)
    return float(apart.max())


def _overfull(share: FloatArray, least_base: float) -> float:
    """By how much mixtures exceed what leaves room for the base."""
    return float(np.maximum(share.sum(axis=1) - (1.0 - least_base), 0.0).sum())


def _annealed(share: FloatArray, least_base: float, rng: np.random.Generator) -> FloatArray:
    """Exchange of levels within columns until Σ r⁴ and the overfull mixtures are as small as they get."""
    n, k = share.shape
    centred = share - share.mean(axis=0)  # exchanging levels leaves means and lengths as they are
    centred /= np.maximum(np.linalg.norm(centred, axis=0), 1e-300)
    share = share.copy()
    r = centred.T @ centred
    totals = share.sum(axis=1)
    room = 1.0 - least_base
    temperature = 0.02
    picks_i, picks_j = rng.integers(0, n, _STEPS), rng.integers(0, n, _STEPS)
    picks_c, luck = rng.integers(0, k, _STEPS), rng.random(_STEPS)
    others = ~np.eye(k, dtype=bool)
    for i, j, c, chance in zip(picks_i, picks_j, picks_c, luck, strict=True):
        temperature *= _COOLING
        if i == j:
            continue
        shift = centred[j, c] - centred[i, c]
        row = r[c] + shift * (centred[i] - centred[j])
        step = share[j, c] - share[i, c]
        over = max(totals[i] + step - room, 0.0) + max(totals[j] - step - room, 0.0)
        over -= max(totals[i] - room, 0.0) + max(totals[j] - room, 0.0)
        change = float((row[others[c]] ** 4).sum() - (r[c][others[c]] ** 4).sum())
        gain = np.sign(change) * abs(change) ** 0.25 + 10.0 * over
        if gain > 0.0 and chance >= np.exp(-gain / max(temperature, 1e-12)):
            continue
        own_length = r[c, c]
        r[c] = r[:, c] = row
        r[c, c] = own_length
        centred[[i, j], c] = centred[[j, i], c]
        share[[i, j], c] = share[[j, i], c]
        totals[i] += step
        totals[j] -= step
    return share


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictedCoefficient:
    """Standard uncertainty that a coefficient of a curve will have.

    relative : of the slope; None for the others, whose true value may be 0.
    in_content : of all others as content of the analyte, kg/kg: the constant, or what the overlap of a typical
        (median) content of the other element adds.
    """

    analyte: str
    term: str
    relative: float | None
    in_content: float | None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DesignPrediction:
    """What the mixtures will show: rate (1/s) of each line, shape (n, n_lines), and what they determine."""

    lines: tuple[str, ...]
    rate: FloatArray
    coefficients: tuple[PredictedCoefficient, ...]
    inflation: Mapping[str, float]


def predict_design(
    contents: Sequence[Mapping[str, float]],
    models: Sequence[CurveModel],
    theory: LineTheory,
    *,
    element_of: Mapping[str, str],
    rate_scale: float,
    background_per_s: float,
    counting_time_s: float,
    relative_uncertainty: float,
) -> DesignPrediction:
    """Rates by theory, and the uncertainty of every coefficient a regression on them would have.

    contents : of the specimens (beads included) as they will be measured, existing standards first or last, kg/kg.
    element_of : element of each line; rate_scale : counts per photon of the theory's unit, 1/(s sr mA).
    background_per_s : under every line; relative_uncertainty : of every content, preparation included.
    """
    lines = tuple(element_of)
    rate = np.array([[rate_scale * theory(line, w) * w.get(element_of[line], 0.0) for line in lines] for w in contents])
    variance = (rate + 2.0 * background_per_s) / counting_time_s
    found: list[PredictedCoefficient] = []
    inflation: dict[str, float] = {}
    for model in models:
        design, response, noise = _predicted_rows(model, contents, theory, lines, rate, variance)
        spread = relative_uncertainty * np.hypot(response, SCATTER_FLOOR * response.max())
        observations = Observations.of(
            [f"{i}" for i in range(len(response))],
            model.terms,
            response,
            design,
            response_uncertainty=spread,
            design_uncertainty=noise,
            scatter_scale=0.0,
        )
        regression = fit(observations, scatter=0.0)
        found += _predicted_coefficients(model, regression)
        if len(model.terms) - model.constant > 0:
            worst = collinearity(observations)
            inflation[model.analyte] = float(worst.inflation.max())
    return DesignPrediction(lines=lines, rate=rate, coefficients=tuple(found), inflation=inflation)


SCATTER_FLOOR = 0.02
"""Share of the largest content below which the uncertainty of a content is taken as constant."""


def _predicted_rows(
    model: CurveModel,
    contents: Sequence[Mapping[str, float]],
    theory: LineTheory,
    lines: tuple[str, ...],
    rate: FloatArray,
    variance: FloatArray,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Columns of a model at the predicted rates, the contents, and the counting noise of the columns."""
    factors = Factors(theory)
    design, noise = [], []
    for i, w in enumerate(contents):
        rates = LineRates(
            specimen=f"{i}", lines=lines, rate=rate[i], covariance=np.diag(variance[i]), variance_at_zero=variance[i]
        )
        design.append(terms_of(model, rates, w, factors))
        more = rates.with_rate(rate[i] + np.sqrt(variance[i]))
        noise.append(np.abs(terms_of(model, more, w, factors) - design[-1]))
    response = np.array([w.get(model.analyte, 0.0) for w in contents])
    return np.array(design), response, np.array(noise)


def _predicted_coefficients(model: CurveModel, regression: Regression) -> list[PredictedCoefficient]:
    u, design = regression.standard_uncertainty, np.abs(regression.observations.design)
    slope = int(model.constant)
    found = []
    for i, term in enumerate(model.terms):
        relative = float(u[i] / abs(regression.coefficients[i])) if i == slope else None
        in_content = None if i == slope else float(u[i] * np.median(design[:, i]))
        found.append(PredictedCoefficient(analyte=model.analyte, term=term, relative=relative, in_content=in_content))
    return found


def inflation_with(design: Design, order: Sequence[int], existing: Sequence[Mapping[str, float]]) -> tuple[float, ...]:
    """Largest variance inflation among the elements, of the existing standards and the first 0, 1, 2 ... mixtures.

    Infinite while there are too few specimens, or an element is the same in all of them.
    """
    there = np.array([[w.get(e, 0.0) for e in design.elements] for w in existing]).reshape(-1, len(design.elements))
    found = []
    for count in range(len(order) + 1):
        content = np.vstack([there, design.content[list(order[:count])]])
        correlation = _correlation(content)
        if len(content) <= len(design.elements) + 1 or np.any(np.diag(correlation) < 0.5):
            found.append(float("inf"))
            continue
        singular = np.linalg.svd(correlation, compute_uv=False)
        regular = singular[-1] > 1e-12 * singular[0]
        found.append(float(np.diag(np.linalg.inv(correlation)).max()) if regular else float("inf"))
    return tuple(found)


def most_helpful(design: Design, existing: Sequence[Mapping[str, float]]) -> tuple[int, ...]:
    """Mixtures in the order in which each lowers the largest variance most, given the existing standards."""
    there = np.array([[w.get(e, 0.0) for e in design.elements] for w in existing]).reshape(-1, len(design.elements))
    scale = np.maximum(np.abs(np.vstack([design.content, there])).max(axis=0), 1e-300)
    rows = np.column_stack([np.ones(len(design.content)), design.content / scale])
    known = np.column_stack([np.ones(len(there)), there / scale])
    information = known.T @ known + 1e-6 * np.eye(rows.shape[1])
    left, order = list(range(len(rows))), []
    while left:
        worst = {i: float(np.max(np.diag(np.linalg.inv(information + np.outer(rows[i], rows[i]))))) for i in left}
        best = min(left, key=lambda i: worst[i])
        order.append(best)
        left.remove(best)
        information = information + np.outer(rows[best], rows[best])
    return tuple(order)
