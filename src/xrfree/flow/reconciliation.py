"""Balances that close: measured masses, moistures and contents adjusted as little as their uncertainties allow.

minimise (y - v)ᵀ V⁻¹ (y - v)  subject to  f(v) = 0        Kuehn & Davidson, Chem. Eng. Prog. 57 (1961) 44

For every process step f holds the balance of the dry mass, Σ ± m (1 - h), and of each component, Σ ± m (1 - h) x; it is
bilinear in m (1 - h) and x. Linearised at the last v, with A = ∂f/∂v:

S = A V Aᵀ,  λ = S⁻¹ [f + A (y - v)],  v' = y - V Aᵀ λ,  repeated until v stands still

Quantities that nobody measured get a large variance around their last value; at the end they have moved freely (in the
manner of Kelly, Ind. Eng. Chem. Res. 37 (1998) 2960). All matrices are sparse.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.sparse.linalg import SuperLU, splu
from scipy.stats import chi2, norm

from xrfree.errors import DomainError, NotConvergedError
from xrfree.flow.sheet import OUTSIDE, FlowSheet, Measured, Stream

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]

MOST_ITERATIONS = 100
TOLERANCE = 1e-9
"""Of the last step, relative to the size of each quantity; what it leaves of the balances is its square."""
ROUNDING = 1e-6
"""Steps below this that do not become smaller are rounding of quantities that the balances hardly determine."""
FREEDOM = 100.0
"""Standard deviation of an unmeasured quantity in one iteration, in units of its size."""
UNDETERMINED = 0.5
"""Share of its freedom that the balances leave to a quantity that they do not determine."""
_MASS, _MOISTURE = "mass", "moisture"
_COLUMNS_AT_ONCE = 512

Variable = tuple[str, str]
"""Stream and "mass", "moisture" or a component."""


@dataclass(frozen=True, slots=True, eq=False)
class _Layout:
    """Where the quantities of a flow sheet stand in the vector v.

    mass, moisture : index per stream, -1 for no moisture. content : index per stream and component.
    """

    variables: tuple[Variable, ...]
    mass: IntArray
    moisture: IntArray
    content: IntArray
    measured: NDArray[np.bool_]
    start: FloatArray
    size: FloatArray
    covariance: sp.csc_array


@dataclass(eq=False)
class Balance:
    """Reconciled quantities of a flow sheet, with their covariance as far as it is asked for.

    values : of all variables; adjusted : measured value minus reconciled one, 0 where nothing was measured.
    objective : the minimum, distributed as χ² with `freedom` degrees if all uncertainties are true.
    """

    sheet: FlowSheet
    variables: tuple[Variable, ...]
    measured: NDArray[np.bool_]
    values: FloatArray
    adjusted: FloatArray
    objective: float
    iterations: int
    imbalance: float
    _layout: _Layout = field(repr=False)
    _jacobian: sp.csr_array = field(repr=False)
    _covariance: sp.csc_array = field(repr=False)
    _multipliers: FloatArray = field(repr=False)
    _factor: _Factor = field(repr=False)

    @cached_property
    def _free_share(self) -> FloatArray:
        """Share of its freedom that is left to each unmeasured quantity, in the order of the variables."""
        free = np.flatnonzero(~self.measured)
        columns = sp.eye_array(len(self.values), format="csc")[:, free]
        return np.asarray(self.variance_of(columns) / self._covariance.diagonal()[free])

    @property
    def freedom(self) -> int:
        """Degrees of freedom: balances less the unmeasured quantities that they determine."""
        determined = int(np.sum(self._free_share < UNDETERMINED))
        return int(self._jacobian.shape[0]) - determined

    @property
    def undetermined(self) -> tuple[Variable, ...]:
        """Quantities that were neither measured nor follow from the balances."""
        free = np.flatnonzero(~self.measured)
        return tuple(self.variables[i] for i, s in zip(free, self._free_share, strict=True) if s >= UNDETERMINED)

    @property
    def probability(self) -> float:
        """Global test: how probable so large an objective is if nothing is wrong; 1 without redundancy."""
        return float(chi2.sf(self.objective, self.freedom)) if self.freedom > 0 else 1.0

    def index(self, stream: str, what: str) -> int:
        """Place of a quantity: what is "mass", "moisture" or a component.

        Raises DomainError for a quantity that the balance does not have.
        """
        try:
            return self.variables.index((stream, what))
        except ValueError:
            raise DomainError(f"the balance has no {what} of {stream!r}") from None

    def variance_of(self, columns: sp.csc_array) -> FloatArray:
        """Variances of linear combinations of the reconciled values: gᵀ (V - V Aᵀ S⁻¹ A V) g for each column g.

        columns : shape (n_variables, n); the variances have the shape (n,).
        """
        found = []
        for start in range(0, columns.shape[1], _COLUMNS_AT_ONCE):
            block = columns[:, start : start + _COLUMNS_AT_ONCE]
            spread = self._covariance @ block
            reduced = np.asarray((self._jacobian @ spread).todense())
            before = np.asarray(block.multiply(spread).sum(axis=0)).ravel()
            after = before - np.sum(reduced * self._factor.solve(reduced), axis=0)
            found.append(np.maximum(after, 0.0))
        return np.concatenate(found) if found else np.empty(0)

    def covariance_of(self, gradients: FloatArray) -> FloatArray:
        """Covariance of functions of the reconciled values; gradients : shape (n_variables, n_functions)."""
        spread = self._covariance @ gradients
        reduced = self._jacobian @ spread
        return np.asarray(gradients.T @ spread - reduced.T @ self._factor.solve(reduced))

    @cached_property
    def standard_uncertainty(self) -> FloatArray:
        """Of all reconciled values, shape (n_variables,); infinite where nothing determines them."""
        u = np.sqrt(self.variance_of(sp.eye_array(len(self.values), format="csc")))
        free = np.flatnonzero(~self.measured)
        u[free[self._free_share >= UNDETERMINED]] = np.inf
        return np.asarray(u)

    @cached_property
    def _test_variance(self) -> FloatArray:
        """Variance of d = V⁻¹ (y - v) of each measured quantity, diag(Aᵀ S⁻¹ A); 0 where the balances cannot tell."""
        jacobian = self._jacobian.tocsc()
        variance = np.zeros(jacobian.shape[1])
        for start in range(0, len(variance), _COLUMNS_AT_ONCE):
            block = np.asarray(jacobian[:, start : start + _COLUMNS_AT_ONCE].todense())
            variance[start : start + block.shape[1]] = np.sum(block * self._factor.solve(block), axis=0)
        # What only unmeasured quantities could contradict has no variance left but rounding.
        own = self._covariance.diagonal()
        telling = self.measured & (own > 0.0) & (variance * own > 1e-6)
        return np.asarray(np.where(telling, variance, 0.0))

    @cached_property
    def test_statistics(self) -> FloatArray:
        """Measurement test of maximum power, |z| of each measured quantity; 0 where the balances cannot tell.

        Of all variables, shape (n_variables,).

        d = V⁻¹ (y - v) = Aᵀ λ,  z = d / √diag(Aᵀ S⁻¹ A)      Mah & Tamhane, AIChE J. 28 (1982) 828
        """
        d, variance = self._jacobian.T @ self._multipliers, self._test_variance
        telling = variance > 0.0
        z = np.zeros(len(d))
        z[telling] = np.abs(d[telling]) / np.sqrt(variance[telling])
        return z

    def detectable(self, *, critical: float, power: float = 0.95) -> FloatArray:
        """Gross error of each quantity that its test finds with this power; infinite where the balances cannot tell.

        Of all variables, shape (n_variables,).

        critical : |z| beyond which a measurement is suspected.
        """
        with np.errstate(divide="ignore"):
            return np.asarray((critical - norm.isf(power)) / np.sqrt(self._test_variance))

    def dry_mass(self, stream: str) -> Measured:
        """Dry mass of a stream, kg."""
        value, gradient = self._dry(self._position(stream))
        return Measured(value=value, standard_uncertainty=self._uncertainty(gradient))

    def content(self, stream: str, component: str) -> Measured:
        """Grade of a stream, kg/kg of dry mass, with what all contents of the component share."""
        i = self.index(stream, component)
        value = float(self.values[i])
        gradient = np.zeros(len(self.values))
        gradient[i] = 1.0
        common = self.sheet.common_relative.get(component, 0.0) * value
        return Measured(value=value, standard_uncertainty=float(np.hypot(self._uncertainty(gradient), common)))

    def metal(self, stream: str, component: str) -> Measured:
        """Mass of a component in a stream, kg."""
        value, gradient = self._metal(self._position(stream), component)
        common = self.sheet.common_relative.get(component, 0.0) * value
        return Measured(value=value, standard_uncertainty=float(np.hypot(self._uncertainty(gradient), common)))

    def recovery(self, component: str, stream: str, *, feeds: Sequence[str] = ()) -> Measured:
        """Share of a component of the feeds that goes into a stream; feeds : all that enter the plant if empty.

        Raises DomainError where nothing of the component enters.
        """
        names = list(feeds) or [feed.name for feed in self.sheet.feeds]
        top, top_gradient = self._metal(self._position(stream), component)
        parts = [self._metal(self._position(name), component) for name in names]
        bottom = sum(part for part, _ in parts)
        if bottom <= 0.0:
            raise DomainError(f"no {component} enters with {', '.join(names)}: there is no recovery")
        bottom_gradient = np.sum([gradient for _, gradient in parts], axis=0)
        gradient = top_gradient / bottom - top * bottom_gradient / bottom**2
        return Measured(value=top / bottom, standard_uncertainty=self._uncertainty(gradient))

    def _position(self, stream: str) -> int:
        return self.sheet.streams.index(self.sheet.stream(stream))

    def _dry(self, s: int) -> tuple[float, FloatArray]:
        gradient = np.zeros(len(self.values))
        m, h = int(self._layout.mass[s]), int(self._layout.moisture[s])
        mass, dry_share = float(self.values[m]), 1.0 if h < 0 else 1.0 - float(self.values[h])
        gradient[m] = dry_share
        if h >= 0:
            gradient[h] = -mass
        return mass * dry_share, gradient

    def _metal(self, s: int, component: str) -> tuple[float, FloatArray]:
        dry, gradient = self._dry(s)
        i = self.index(self.sheet.streams[s].name, component)
        x = float(self.values[i])
        gradient *= x
        gradient[i] += dry
        return dry * x, gradient

    def _uncertainty(self, gradient: FloatArray) -> float:
        """Standard uncertainty of a function; infinite if it hangs on something that nothing determines."""
        for stream, what in self.undetermined:
            if gradient[self.index(stream, what)] != 0.0:
                return float("inf")
        return float(np.sqrt(max(0.0, float(self.covariance_of(gradient[:, None])[0, 0]))))


class _Factor:
    """S = A V Aᵀ, scaled to a diagonal of ones and factorised."""

    def __init__(self, matrix: sp.csc_array) -> None:
        diagonal = matrix.diagonal()
        if np.any(diagonal <= 0.0):
            raise DomainError("a balance has no uncertain quantity at all; give uncertainties to what was measured")
        self._scale = 1.0 / np.sqrt(diagonal)
        scaled = sp.csc_array(matrix.multiply(self._scale[:, None]).multiply(self._scale[None, :]))
        try:
            self._lu: SuperLU = splu(
                scaled, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True}
            )
        except RuntimeError as error:
            raise DomainError(
                f"the balances repeat one another ({error}); look for steps without a stream from outside"
            ) from error

    def solve(self, right: FloatArray) -> FloatArray:
        """S⁻¹ times columns."""
        scale = self._scale if right.ndim == 1 else self._scale[:, None]
        return np.asarray(scale * self._lu.solve(np.ascontiguousarray(scale * right)))


def reconcile(
    sheet: FlowSheet,
    *,
    unmeasured: Sequence[Variable] = (),
    extra_covariance: Mapping[tuple[Variable, Variable], float] | None = None,
) -> Balance:
    """Reconcile a flow sheet.

    unmeasured : measured quantities that are to be treated as if they had not been measured.
    extra_covariance : between quantities of different streams.

    Raises DomainError for a flow sheet whose balances cannot be closed, NotConvergedError if they do not.
    """
    layout = _layout(sheet, set(unmeasured), extra_covariance or {})
    equations = _Equations(sheet, layout)
    y, v = layout.start.copy(), layout.start.copy()
    history: list[float] = []
    for iteration in range(1, MOST_ITERATIONS + 1):
        y[~layout.measured] = v[~layout.measured]
        residual, jacobian = equations.at(v)
        half = jacobian @ layout.covariance
        factor = _Factor(sp.csc_array(half @ jacobian.T))
        multipliers = factor.solve(residual + jacobian @ (y - v))
        moved = y - half.T @ multipliers
        history.append(float(np.max(np.abs(moved - v) / layout.size)))
        v = moved
        if history[-1] < TOLERANCE or (history[-1] < ROUNDING and history[-1] > 0.5 * history[-2]):
            return Balance(
                sheet=sheet,
                variables=layout.variables,
                measured=layout.measured,
                values=v,
                adjusted=np.where(layout.measured, layout.start - v, 0.0),
                objective=float(multipliers @ (half @ (jacobian.T @ multipliers))),
                iterations=iteration,
                imbalance=equations.imbalance(v),
                _layout=layout,
                _jacobian=jacobian,
                _covariance=layout.covariance,
                _multipliers=multipliers,
                _factor=factor,
            )
    raise NotConvergedError(
        f"flow sheet {sheet.name}: the balances did not close after {MOST_ITERATIONS} iterations; the last one still "
        f"moved a quantity by {history[-1]:.1e} of its size. Look for masses or contents that are wrong by factors",
        tuple(history),
    )


def _layout(sheet: FlowSheet, unmeasured: set[Variable], extra: Mapping[tuple[Variable, Variable], float]) -> _Layout:
    variables: list[Variable] = []
    blocks: list[tuple[int, FloatArray]] = []
    start: list[float] = []
    measured: list[bool] = []
    mass, moisture = np.zeros(len(sheet.streams), dtype=np.intp), np.full(len(sheet.streams), -1, dtype=np.intp)
    content = np.zeros((len(sheet.streams), len(sheet.components)), dtype=np.intp)
    typical_mass, typical_content = _typical(sheet)

    def add(stream: Stream, what: str, found: Measured | None, guess: float) -> int:
        known = found is not None and np.isfinite(found.standard_uncertainty)
        known = bool(known) and (stream.name, what) not in unmeasured
        variables.append((stream.name, what))
        measured.append(known)
        start.append(found.value if found is not None else guess)
        if known and found is not None:
            blocks.append((len(variables) - 1, np.array([[found.standard_uncertainty**2]])))
        return len(variables) - 1

    for s, stream in enumerate(sheet.streams):
        mass[s] = add(stream, _MASS, stream.wet_mass, typical_mass)
        if stream.moisture is not None and stream.wet_mass is not None:
            moisture[s] = add(stream, _MOISTURE, stream.moisture, 0.0)
        first, n_blocks = len(variables), len(blocks)
        given = {c: k for k, c in enumerate(stream.contents.components)}
        for c, component in enumerate(sheet.components):
            k = given.get(component)
            u = 0.0 if k is None else float(np.sqrt(stream.contents.covariance[k, k]))
            w = None if k is None else Measured(value=float(stream.contents.mass_fraction[k]), standard_uncertainty=u)
            content[s, c] = add(stream, component, w, typical_content[component])
        blocks[n_blocks:] = [(first, _contents_block(sheet, stream, measured[first:]))]
    known = np.array(measured)
    size = _sizes(variables, np.array(start), typical_mass, typical_content)
    free = np.where(known, 0.0, (FREEDOM * size) ** 2)
    covariance = _assembled(blocks, len(variables)) + sp.diags_array(free, format="csc")
    if extra:
        place = {variable: i for i, variable in enumerate(variables)}
        pairs = [(place[a], place[b], value) for (a, b), value in extra.items() if known[place[a]] and known[place[b]]]
        rows, columns = (np.array([pair[k] for pair in pairs], dtype=np.intp) for k in (0, 1))
        off = sp.coo_array((np.array([pair[2] for pair in pairs]), (rows, columns)), shape=(len(variables),) * 2)
        covariance = covariance + off + off.T
    return _Layout(
        variables=tuple(variables),
        mass=mass,
        moisture=moisture,
        content=content,
        measured=known,
        start=np.array(start),
        size=size,
        covariance=sp.csc_array(covariance),
    )


def _assembled(blocks: Sequence[tuple[int, FloatArray]], n: int) -> sp.csc_array:
    """Square blocks on the diagonal of an empty matrix, each from its first index on."""
    rows = [np.repeat(np.arange(len(block)), len(block)) + first for first, block in blocks]
    columns = [np.tile(np.arange(len(block)), len(block)) + first for first, block in blocks]
    values = [block.ravel() for _, block in blocks]
    places = (np.concatenate(rows), np.concatenate(columns))
    return sp.csc_array(sp.coo_array((np.concatenate(values), places), shape=(n, n)))


def _contents_block(sheet: FlowSheet, stream: Stream, known: Sequence[bool]) -> FloatArray:
    """Covariance of all contents of a stream; unmeasured ones get their variance later."""
    n = len(sheet.components)
    block = np.zeros((n, n))
    own = [sheet.components.index(component) for component in stream.contents.components]
    block[np.ix_(own, own)] = stream.contents.covariance
    free = [c for c in range(n) if not known[c]]
    block[free, :] = block[:, free] = 0.0
    return block


def _typical(sheet: FlowSheet) -> tuple[float, dict[str, float]]:
    """A mass and contents to start from where nothing was measured."""
    masses = [stream.wet_mass.value for stream in sheet.streams if stream.wet_mass is not None]
    if not masses or max(masses) <= 0.0:
        raise DomainError(f"flow sheet {sheet.name}: no stream was weighed; at least one mass is needed")
    contents: dict[str, list[float]] = {component: [] for component in sheet.components}
    for stream in sheet.streams:
        for component, w in zip(stream.contents.components, stream.contents.mass_fraction.tolist(), strict=True):
            contents[component].append(abs(w))
    return float(np.mean(masses)), {c: float(np.mean(w)) if any(w) else 1e-3 for c, w in contents.items()}


def _sizes(
    variables: Sequence[Variable], start: FloatArray, typical_mass: float, typical_content: Mapping[str, float]
) -> FloatArray:
    typical = {_MASS: typical_mass, _MOISTURE: 1.0, **typical_content}
    return np.maximum(np.abs(start), [1e-3 * typical[what] if what != _MOISTURE else 1.0 for _, what in variables])


class _Equations:
    """The balances of a flow sheet and their derivatives."""

    def __init__(self, sheet: FlowSheet, layout: _Layout) -> None:
        self._layout = layout
        steps = {step: i for i, step in enumerate(sheet.steps)}
        ends = [
            (s, place, sign)
            for s, stream in enumerate(sheet.streams)
            for place, sign in ((stream.target, 1.0), (stream.source, -1.0))
            if place != OUTSIDE
        ]
        self._stream = np.array([s for s, _, _ in ends], dtype=np.intp)
        self._step = np.array([steps[place] for _, place, _ in ends], dtype=np.intp)
        self._sign = np.array([sign for _, _, sign in ends])
        self._components = len(sheet.components)
        kept = [step not in sheet.changes_mass for step in sheet.steps]
        self._mass_rows = np.cumsum(kept) - 1
        self._with_mass = np.array(kept)[self._step]
        self._first_content = int(np.sum(kept))
        self._rows = self._first_content + len(steps) * self._components

    def at(self, v: FloatArray) -> tuple[FloatArray, sp.csr_array]:
        """Imbalances f (kg) and their derivatives."""
        layout, s = self._layout, self._stream
        wet = v[layout.mass]
        share = np.where(layout.moisture >= 0, 1.0 - v[layout.moisture], 1.0)
        x = v[layout.content]
        moist = layout.moisture[s] >= 0
        rows, columns, values = [], [], []

        def put(row: IntArray, column: IntArray, value: FloatArray) -> None:
            rows.append(row)
            columns.append(column)
            values.append(value)

        residual = np.zeros(self._rows)
        own = self._with_mass
        mass_row = self._mass_rows[self._step]
        np.add.at(residual, mass_row[own], (self._sign * wet[s] * share[s])[own])
        put(mass_row[own], layout.mass[s][own], (self._sign * share[s])[own])
        damp = own & moist
        put(mass_row[damp], layout.moisture[s][damp], (-self._sign * wet[s])[damp])
        for c in range(self._components):
            row = self._first_content + self._step * self._components + c
            np.add.at(residual, row, self._sign * wet[s] * share[s] * x[s, c])
            put(row, layout.mass[s], self._sign * share[s] * x[s, c])
            put(row[moist], layout.moisture[s][moist], (-self._sign * wet[s] * x[s, c])[moist])
            put(row, layout.content[s, c], self._sign * wet[s] * share[s])
        shape = (self._rows, len(v))
        places = (np.concatenate(rows), np.concatenate(columns))
        return residual, sp.csr_array(sp.coo_array((np.concatenate(values), places), shape=shape))

    def imbalance(self, v: FloatArray) -> float:
        """Largest imbalance, relative to what goes through the step."""
        residual, jacobian = self.at(v)
        through = abs(jacobian[:, self._layout.mass]) @ np.abs(v[self._layout.mass])
        return float(np.max(np.abs(residual) / np.maximum(through, 1e-300)))
