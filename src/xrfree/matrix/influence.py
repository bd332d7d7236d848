"""Influence coefficients: theoretical ones from the full model, and the equations that use any coefficients.

Every model is a case of one equation for the content C_i of an analyte with relative intensity R_i,

    C_i = R_i e_i {1 + Σ_j [α_ij + β_ij C_m / (1 + γ_ij (1 - C_m)) + ε_ij / (1 + C_i)] C_j + Σ_j<k κ_ijk C_j C_k},
    C_m = 1 - C_i

Lachance-Traill     α                G. R. Lachance, R. J. Traill, Can. Spectrosc. 11 (1966) 43
COLA                α β γ κ          G. R. Lachance, F. Claisse, Adv. X-Ray Anal. 23 (1980) 87
de Jongh            e α, one column 0      W. K. de Jongh, X-Ray Spectrom. 2 (1973) 151
Rasberry-Heinrich   α ε (empirical)  S. D. Rasberry, K. F. J. Heinrich, Anal. Chem. 46 (1974) 81
Lucas-Tooth-Price   intensities instead of contents  H. J. Lucas-Tooth, B. J. Price, Metallurgia 64 (1961) 149

Coefficients have signs: a component that absorbs more than the analyte's own compound has a positive one, a component
that absorbs less or enhances a negative one.

Validation   tests/matrix/test_influence.py: textbook examples; the full model over the stated range.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xrfree.atomic import parse_formula
from xrfree.errors import DomainError, NotConvergedError
from xrfree.instrument import Detector, InstrumentCondition
from xrfree.kernels import influence as kernels
from xrfree.matrix.intensities import GroupIntensities, group_intensities

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

MOST_STEPS = 30
TOLERANCE = 1e-12
_NEXT_TO_NOTHING = 1e-4
"""Matrix content of the binaries that give COLA's first coefficient."""
_TERNARY = (0.30, 0.35, 0.35)
"""Analyte and two matrix components in the ternaries of COLA's cross coefficients (Lachance & Claisse 1980)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FluxRecipe:
    """How a bead is made of a sample.

    flux : formulas and masses, in any unit of mass; flux_per_sample : mass of flux per mass of sample.
    lost : component of the sample that leaves during fusion ("LOI"); "" if none does. A gain is a negative content.
    """

    flux: Mapping[str, float]
    flux_per_sample: float
    lost: str = ""

    def __post_init__(self) -> None:
        """Check masses."""
        masses = [*self.flux.values(), self.flux_per_sample]
        if not self.flux or not all(np.isfinite(m) and m > 0.0 for m in masses):
            raise DomainError(
                f"a flux needs formulas and masses above 0, got {dict(self.flux)}, {self.flux_per_sample}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class ComponentSystem:
    """Specimens made of given components, and the lines by which some of them are measured.

    components : names, the order of every content vector; contents are kg/kg of the sample and sum to 1.
    analytes : those that are measured, each by the channel of the same place in `intensities`.
    own : index of each analyte among the components; own_fraction : of its element in it.
    elements : shape (n_elements, n_components), mass fractions of elements in each component.
    flux : mass of each element of the flux per mass of sample, shape (n_elements,); 0 for a powder.
    kept : 1 for components that stay in the specimen, 0 for what fusion drives out.
    """

    components: tuple[str, ...]
    analytes: tuple[str, ...]
    intensities: GroupIntensities
    own: IntArray
    own_fraction: FloatArray
    elements: FloatArray
    flux: FloatArray
    kept: FloatArray

    def specimen(self, content: FloatArray) -> FloatArray:
        """Mass fractions of the elements in the measured specimen, shape (n_elements,)."""
        mass = self.kept @ content + self.flux.sum()
        return np.asarray((self.elements @ (self.kept * content) + self.flux) / mass)

    def sensitivities(self, content: FloatArray) -> FloatArray:
        """Intensity per content of each analyte in the sample, shape (n,)."""
        mass = self.kept @ content + self.flux.sum()
        return np.asarray(self.intensities.strengths(self.specimen(content)) * self.own_fraction / mass)

    def matrix_factors(self, content: FloatArray) -> FloatArray:
        """M_i = C_i / R_i of the full model, R relative to the pure component; (n,)."""
        return np.asarray(self._pure() / self.sensitivities(content))

    def relative_intensities(self, content: ArrayLike) -> FloatArray:
        """R_i of specimens by the full model, shape (n_specimens, n); content : shape (n_specimens, n_components)."""
        pure = self._pure()
        rows = np.atleast_2d(np.asarray(content, dtype=np.float64))
        return np.array([row[self.own] * self.sensitivities(row) / pure for row in rows])

    def _pure(self) -> FloatArray:
        unit = np.eye(len(self.components))
        return np.array([self.sensitivities(unit[c])[i] for i, c in enumerate(self.own)])

    def log_sensitivity_derivatives(self, content: FloatArray) -> FloatArray:
        """∂ ln K_i / ∂C_j, shape (n, n_components)."""
        mass = self.kept @ content + self.flux.sum()
        whole = self.specimen(content)
        strengths, by_element = self.intensities.strengths_and_derivatives(whole)
        towards = (self.elements - whole[:, None]) * self.kept / mass
        return np.asarray(by_element @ towards / strengths[:, None] - self.kept / mass)


def component_system(
    conditions: Mapping[str, InstrumentCondition],
    detector: Detector,
    components: Mapping[str, str | Mapping[str, float]],
    channels: Mapping[str, tuple[str, str]],
    *,
    fusion: FluxRecipe | None = None,
) -> ComponentSystem:
    """Prepare a system of components.

    components : name to formula ("Fe2O3"), or to formulas and their mass shares ({"CO2": 0.7, "H2O": 0.3}).
    channels : analyte component to (condition, line group), e.g. {"Fe2O3": ("low", "Fe K")}.
    fusion : for beads; contents then are those of the sample before fusion.

    Raises DomainError for an analyte that is no component, whose element it does not contain or that another component
    contains as well.
    """
    parts = {name: _element_fractions(name, made_of) for name, made_of in components.items()}
    flux = {} if fusion is None else _element_fractions("flux", fusion.flux)
    elements = tuple(dict.fromkeys(e for part in (*parts.values(), flux) for e in part))
    if fusion is not None and fusion.lost and fusion.lost not in parts:
        raise DomainError(f"fusion drives out '{fusion.lost}', which is not among {', '.join(parts)}")
    for analyte, (_, group) in channels.items():
        _check_analyte(analyte, group.split(" ")[0], parts)
    names = tuple(parts)
    table = np.array([[part.get(e, 0.0) for part in parts.values()] for e in elements])
    lost = "" if fusion is None else fusion.lost
    return ComponentSystem(
        components=names,
        analytes=tuple(channels),
        intensities=group_intensities(conditions, detector, elements, list(channels.values())),
        own=np.array([names.index(a) for a in channels], dtype=np.int64),
        own_fraction=np.array([parts[a][group.split(" ")[0]] for a, (_, group) in channels.items()]),
        elements=table,
        flux=np.array([flux.get(e, 0.0) * (fusion.flux_per_sample if fusion else 0.0) for e in elements]),
        kept=np.array([float(name != lost) for name in names]),
    )


def _element_fractions(name: str, made_of: str | Mapping[str, float]) -> dict[str, float]:
    shares = {made_of: 1.0} if isinstance(made_of, str) else dict(made_of)
    mass = sum(shares.values())
    if not shares or not all(np.isfinite(s) and s > 0.0 for s in shares.values()):
        raise DomainError(f"component {name} needs formulas with shares above 0, got {shares}")
    found: dict[str, float] = {}
    for formula, share in shares.items():
        for element, fraction in parse_formula(formula).items():
            found[element] = found.get(element, 0.0) + fraction * share / mass
    return found


def _check_analyte(analyte: str, element: str, parts: Mapping[str, Mapping[str, float]]) -> None:
    if analyte not in parts:
        raise DomainError(f"analyte {analyte} is not among the components {', '.join(parts)}")
    holders = [name for name, part in parts.items() if element in part]
    if holders != [analyte]:
        raise DomainError(
            f"{element} measures {analyte}, but is found in {', '.join(holders) or 'no component'}; "
            "influence coefficients need each measured element in one component"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class InfluenceCoefficients:
    """Coefficients of the equation at the head of this module.

    model : "Lachance-Traill", "COLA", "de Jongh" or "Rasberry-Heinrich".
    analytes, components : names; every analyte is a component.
    scale : e_i, shape (n,).
    alpha, hyperbola, curvature, enhancement : α, β, γ, ε, shape (n, n_components).
    cross : κ, shape (n, n_components, n_components), filled above its diagonal.
    """

    model: str
    analytes: tuple[str, ...]
    components: tuple[str, ...]
    scale: FloatArray
    alpha: FloatArray
    hyperbola: FloatArray
    curvature: FloatArray
    enhancement: FloatArray
    cross: FloatArray

    def __post_init__(self) -> None:
        """Check names, shapes and numbers; freeze the arrays."""
        absent = [a for a in self.analytes if a not in self.components]
        if absent or len(set(self.components)) != len(self.components):
            raise DomainError(
                f"analytes {', '.join(self.analytes)} are not once each among {', '.join(self.components)}"
            )
        n, m = len(self.analytes), len(self.components)
        shapes = {"scale": (n,), "cross": (n, m, m)} | dict.fromkeys(
            ("alpha", "hyperbola", "curvature", "enhancement"), (n, m)
        )
        for name, shape in shapes.items():
            array = np.array(getattr(self, name), dtype=np.float64)
            if array.shape != shape or not np.isfinite(array).all():
                raise DomainError(f"{name} of {n} analytes and {m} components must be numbers of shape {shape}")
            array.setflags(write=False)
            object.__setattr__(self, name, array)

    @property
    def own(self) -> IntArray:
        """Index of each analyte among the components."""
        return np.array([self.components.index(a) for a in self.analytes], dtype=np.int64)

    def matrix_factors(self, content: ArrayLike) -> FloatArray:
        """M_i = C_i / R_i of specimens, shape (n_specimens, n); content : shape (n_specimens, n_components)."""
        rows = np.atleast_2d(np.asarray(content, dtype=np.float64))
        factor = np.zeros((rows.shape[0], len(self.analytes)))
        slope = np.zeros(self.alpha.shape)
        for row, out in zip(rows, factor, strict=True):
            kernels.matrix_factors(out, slope, row, self.own, *self._arrays())
        return factor

    def _arrays(self) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray, FloatArray, FloatArray]:
        cross = self.cross if self.cross.any() else self.cross[:, :0, :0]
        return self.scale, self.alpha, self.hyperbola, self.curvature, self.enhancement, np.ascontiguousarray(cross)

    def contents(
        self, relative: ArrayLike, *, known: Mapping[str, ArrayLike] | None = None, balance: str = ""
    ) -> FloatArray:
        """Contents of all components that reproduce relative intensities, shape (n_specimens, n_components).

        relative : R, shape (n_specimens, n).
        known : contents of components that are not measured (loss on ignition), numbers or shape (n_specimens,).
        balance : component that makes the sum 1; components neither measured nor known nor this one are absent.

        Raises NotConvergedError with the history of the worst specimen, DomainError for impossible input.
        """
        measured = np.atleast_2d(np.asarray(relative, dtype=np.float64))
        if measured.shape[1] != len(self.analytes) or not np.isfinite(measured).all():
            raise DomainError(f"{len(self.analytes)} finite relative intensities per specimen are needed")
        fixed, sums = self._closure(measured.shape[0], known or {}, balance)
        analyte = np.zeros(measured.shape)
        steps = np.zeros((measured.shape[0], MOST_STEPS))
        kernels.solve_contents(analyte, steps, measured, fixed, sums, self.own, *self._arrays(), TOLERANCE, MOST_STEPS)
        self._check_steps(steps)
        return np.asarray(analyte @ sums.T + fixed)

    def _closure(self, n_specimens: int, known: Mapping[str, ArrayLike], balance: str) -> tuple[FloatArray, FloatArray]:
        """Contents x = sums @ y + fixed of all components from those of the analytes."""
        for name in (*known, *([balance] if balance else [])):
            if name not in self.components or name in self.analytes:
                what = "is measured" if name in self.analytes else f"is not among {', '.join(self.components)}"
                raise DomainError(f"the content of {name} is given, but {name} {what}")
        fixed = np.zeros((n_specimens, len(self.components)))
        sums = np.zeros((len(self.components), len(self.analytes)))
        sums[self.own, np.arange(len(self.analytes))] = 1.0
        for name, content in known.items():
            fixed[:, self.components.index(name)] = np.asarray(content, dtype=np.float64)
        if balance:
            sums[self.components.index(balance)] = -1.0
            fixed[:, self.components.index(balance)] = 1.0 - fixed.sum(axis=1)
        return fixed, sums

    def _check_steps(self, steps: FloatArray) -> None:
        last = np.array([row[np.flatnonzero(row)[-1]] if row.any() else 0.0 for row in steps])
        bad = np.flatnonzero(~(last <= TOLERANCE))
        if bad.size:
            row = steps[bad[0]]
            raise NotConvergedError(
                f"specimen {bad[0] + 1}: contents by {self.model} coefficients still moved by {last[bad[0]]:.1e}; the "
                "intensities are outside what the coefficients describe. Use the full model, or other coefficients",
                tuple(row[row != 0.0].tolist()),
            )

    def for_beads(self, *, flux_per_sample: float, flux: str, lost: str = "") -> InfluenceCoefficients:
        """Lachance-Traill coefficients of bead compositions, rewritten for contents of the sample.

        With F grams of flux per gram of sample and the share L of the sample lost,
        C_i (1 + F - L) = R_i [1 + F - L + Σ_j α_ij C_j + α_if F] becomes, R relative to a bead of the pure component,
        C_i = R_i {1 + Σ_j α_ij C_j / D_i - C_L / D_i},  D_i = 1 + F (1 + α_if)

        flux : component that stands for the flux; lost : name of the new component of what ignition drives out.
        """
        if self.model != "Lachance-Traill":
            raise DomainError(
                f"{self.model} coefficients cannot be rewritten for beads; derive them with a flux recipe instead"
            )
        place = self.components.index(flux)
        divisor = 1.0 + flux_per_sample * (1.0 + self.alpha[:, place])
        kept = [j for j in range(len(self.components)) if j != place]
        alpha = self.alpha[:, kept] / divisor[:, None]
        names = tuple(self.components[j] for j in kept)
        if lost:
            alpha, names = np.hstack([alpha, -1.0 / divisor[:, None]]), (*names, lost)
        return coefficients("Lachance-Traill", self.analytes, names, alpha=alpha)


def coefficients(
    model: str, analytes: Sequence[str], components: Sequence[str], **given: FloatArray
) -> InfluenceCoefficients:
    """Coefficients with those not given at their neutral values (e = 1, all others 0)."""
    n, m = len(analytes), len(components)
    neutral = {"scale": np.ones(n), "cross": np.zeros((n, m, m))} | {
        name: np.zeros((n, m)) for name in ("alpha", "hyperbola", "curvature", "enhancement")
    }
    unknown = set(given) - set(neutral)
    if unknown:
        raise DomainError(f"there are no coefficients called {', '.join(sorted(unknown))}; known: {', '.join(neutral)}")
    return InfluenceCoefficients(
        model=model, analytes=tuple(analytes), components=tuple(components), **{**neutral, **given}
    )


def lachance_traill(system: ComponentSystem, *, analyte_content: float = 0.5) -> InfluenceCoefficients:
    """α_ij = (M_i - 1) / C_j in binaries of analyte i and component j.

    analyte_content : C_i of the binaries; the coefficients hold near it.
    """
    if not 0.0 <= analyte_content < 1.0:
        raise DomainError(f"content of the analyte in binaries is {analyte_content}, expected 0 or more and below 1")
    return coefficients("Lachance-Traill", system.analytes, system.components, alpha=_binary(system, analyte_content))


def _binary(system: ComponentSystem, analyte_content: float) -> FloatArray:
    """(M_i - 1) / C_j in the binary of analyte i (of the given content) and component j, shape (n, n_components)."""
    table = np.zeros((len(system.analytes), len(system.components)))
    for i, own in enumerate(system.own):
        for j in range(len(system.components)):
            if j != own:
                content = np.zeros(len(system.components))
                content[own], content[j] = analyte_content, 1.0 - analyte_content
                table[i, j] = (system.matrix_factors(content)[i] - 1.0) / content[j]
    return table


def cola(system: ComponentSystem) -> InfluenceCoefficients:
    """Three coefficients for each binary and one for each ternary.

    α_1 = α(C_m -> 0), α_2 = α(C_m -> 1) - α_1, α_3 from α(C_m = 0.5) = α_1 + α_2 0.5 / (1 + 0.5 α_3);
    κ_ijk = (M_i - 1 - α_ij C_j - α_ik C_k) / (C_j C_k) at C = (0.30, 0.35, 0.35)
    """
    first = _binary(system, 1.0 - _NEXT_TO_NOTHING)
    second = _binary(system, 0.0) - first
    middle = _binary(system, 0.5) - first
    straight = np.abs(second) < 1e-9
    third = np.where(straight, 0.0, second / np.where(straight | (middle == 0.0), 1.0, middle) - 2.0)
    third = np.where(third <= -0.999, 0.0, third)
    pairs = coefficients("COLA", system.analytes, system.components, alpha=first, hyperbola=second, curvature=third)
    return replace(pairs, cross=_ternary(system, pairs))


def _ternary(system: ComponentSystem, pairs: InfluenceCoefficients) -> FloatArray:
    size = len(system.components)
    cross = np.zeros((len(system.analytes), size, size))
    for i, own in enumerate(system.own):
        for j in range(size):
            for k in range(j + 1, size):
                if own in (j, k):
                    continue
                content = np.zeros(size)
                content[[own, j, k]] = _TERNARY
                missing = system.matrix_factors(content)[i] - pairs.matrix_factors(content)[0, i]
                cross[i, j, k] = missing / (content[j] * content[k])
    return cross


def de_jongh(system: ComponentSystem, base: ArrayLike, *, eliminated: str) -> InfluenceCoefficients:
    """First-order expansion of C_i / R_i around a base composition, one component expressed by the others.

    C_i = e_i R_i [1 + Σ_j≠e α_ij C_j],  δ_ij = ∂M_i/∂C_j - ∂M_i/∂C_e,  e_i = M_i - Σ_j δ_ij C_j,  α_ij = δ_ij / e_i

    base : contents of all components, sum 1; eliminated : any component, measured or not; often the loss on ignition.
    """
    content = np.asarray(base, dtype=np.float64)
    if content.shape != (len(system.components),) or abs(content.sum() - 1.0) > 1e-6 or np.any(content < 0.0):
        raise DomainError(
            f"the base composition needs {len(system.components)} contents of 0 or more with the sum 1, got "
            f"{content.tolist()}"
        )
    if eliminated not in system.components:
        raise DomainError(f"'{eliminated}' cannot be eliminated; components: {', '.join(system.components)}")
    factor = system.matrix_factors(content)
    change = -factor[:, None] * system.log_sensitivity_derivatives(content)
    change -= change[:, [system.components.index(eliminated)]]
    scale = factor - change @ content
    if np.any(np.abs(scale) < 1e-6):
        raise DomainError(f"the expansion has no constant term when {eliminated} is eliminated; eliminate another one")
    return coefficients("de Jongh", system.analytes, system.components, scale=scale, alpha=change / scale[:, None])


def largest_deviation(found: InfluenceCoefficients, system: ComponentSystem, content: ArrayLike) -> FloatArray:
    """Largest relative deviation of each analyte's content from the truth, shape (n,).

    Intensities of the compositions `content`, shape (n_specimens, n_components), by the full model; contents by the
    coefficients, all components that are not measured being known. Contents below 1e-4 are left out.
    """
    rows = np.atleast_2d(np.asarray(content, dtype=np.float64))
    known = {name: rows[:, j] for j, name in enumerate(system.components) if name not in system.analytes}
    solved = found.contents(system.relative_intensities(rows), known=known)[:, system.own]
    truth = rows[:, system.own]
    return np.asarray(np.max(np.abs(solved - truth) / np.maximum(truth, 1e-4) * (truth >= 1e-4), axis=0))


def rasberry_heinrich_design(
    content: ArrayLike, relative: ArrayLike, analyte: int, *, enhancing: Sequence[int]
) -> tuple[FloatArray, FloatArray]:
    """Linear equations for empirical coefficients of one analyte: design matrix and right-hand side.

    C_i / R_i - 1 = Σ_j A_ij C_j + Σ_k B_ik C_k / (1 + C_i),  k the components in `enhancing`, j all others but i

    content : shape (n_standards, n_components), the analyte in column `analyte`; relative : shape (n_standards,).
    """
    rows = np.atleast_2d(np.asarray(content, dtype=np.float64))
    own = rows[:, analyte]
    columns = [
        np.zeros_like(own) if j == analyte else rows[:, j] / (1.0 + own) if j in enhancing else rows[:, j]
        for j in range(rows.shape[1])
    ]
    keep = [j for j in range(rows.shape[1]) if j != analyte]
    return np.stack(columns, axis=1)[:, keep], own / np.asarray(relative, dtype=np.float64) - 1.0


def lucas_tooth_price_design(intensity: ArrayLike, analyte: int) -> FloatArray:
    """Design matrix of C_i = c_0 + I_i (k_0 + Σ_j k_j I_j), columns 1, I_i, I_i I_j; (n_standards, 2 + n_channels).

    intensity : shape (n_standards, n_channels), the analyte's in column `analyte` (whose own k_j is among the k).
    """
    rows = np.atleast_2d(np.asarray(intensity, dtype=np.float64))
    own = rows[:, [analyte]]
    return np.hstack([np.ones_like(own), own, own * rows])


def compton_ratio(net_rate: ArrayLike, compton_rate: ArrayLike) -> FloatArray:
    """I_i / I_Compton: proportional to the content where one attenuation governs both lines.

    That is so where no absorption edge of a main element lies between the two.
    G. Andermann, J. W. Kemp, Anal. Chem. 30 (1958) 1306.  Raises DomainError for a Compton rate that is not above 0.
    """
    scattered = np.asarray(compton_rate, dtype=np.float64)
    if not np.all(np.isfinite(scattered) & (scattered > 0.0)):
        raise DomainError("the Compton peak has no counts; choose a condition whose tube lines show it")
    return np.asarray(np.asarray(net_rate, dtype=np.float64) / scattered)
