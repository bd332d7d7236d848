"""Lots of material and their custody: where each came from, who held it, and whether its pattern fits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2, f

from xrfree.errors import DomainError
from xrfree.flow.sheet import NO_CONTENTS, Contents, Measured, Stage

FloatArray = NDArray[np.float64]

DOUBTFUL = 0.01
"""Probability below which a lot is flagged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """So much wet mass (kg) of another lot went into this one; by a split, a blend or a process step."""

    lot: str
    wet_mass_kg: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Custody:
    """A business that had a lot in its hands, from a time on, at a place."""

    party: str
    location: str
    since: str
    event: str = ""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Lot:
    """An identified quantity of material.

    made_of : the lots it was split from or made of; empty for one that comes from outside.
    step : the process between them; empty for splits and blends, which change no composition.
    declared_source : name of the reference pattern it should have.
    specimens : assays that belong to it, by name of the specimen.
    """

    name: str
    stage: Stage
    wet_mass: Measured
    moisture: Measured | None = None
    contents: Contents = NO_CONTENTS
    made_of: tuple[Part, ...] = ()
    step: str = ""
    custody: tuple[Custody, ...] = ()
    declared_source: str = ""
    specimens: tuple[str, ...] = ()

    @property
    def dry_mass_kg(self) -> float:
        """Mass without water."""
        return self.wet_mass.value * (1.0 - (self.moisture.value if self.moisture is not None else 0.0))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SourcePattern:
    """Rare-earth pattern of a source, from the assays of lots that are known to come from it.

    mean : of the log ratios, shape (n - 1,); covariance : between lots, shape (n - 1, n - 1); n_lots : how many.
    """

    name: str
    components: tuple[str, ...]
    mean: FloatArray
    covariance: FloatArray
    n_lots: int

    @classmethod
    def of(cls, name: str, lots: Sequence[Contents], components: Sequence[str]) -> SourcePattern:
        """The pattern that known lots have in common; more lots than components are needed."""
        p = len(components) - 1
        if p < 1 or len(lots) < p + 2:
            raise DomainError(
                f"source {name}: a pattern of {len(components)} components needs at least {p + 2} known lots, "
                f"got {len(lots)}; give more lots, or fewer components"
            )
        ratios = np.array([log_ratios(contents, components)[0] for contents in lots])
        return cls(
            name=name,
            components=tuple(components),
            mean=ratios.mean(axis=0),
            covariance=np.atleast_2d(np.cov(ratios, rowvar=False)),
            n_lots=len(lots),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Plausibility:
    """How probable so large a difference is if the lot is what it is said to be.

    question : what was compared; worst : the component that differs most, relative to its uncertainty.
    """

    lot: str
    question: str
    statistic: float
    probability: float
    worst: str

    @property
    def doubtful(self) -> bool:
        """Whether the lot is flagged."""
        return self.probability < DOUBTFUL


def log_ratios(contents: Contents, components: Sequence[str]) -> tuple[FloatArray, FloatArray]:
    """Logarithms of contents relative to the last of the components, and their covariance.

    Ratios do not change when a material is diluted, dried or concentrated without separation of the rare earths.
    """
    missing = [c for c in components if c not in contents.components]
    if missing:
        raise DomainError(f"the pattern needs {', '.join(missing)}, which was not measured")
    own = [contents.components.index(c) for c in components]
    w = contents.mass_fraction[own]
    if np.any(w <= 0.0):
        low = ", ".join(c for c, x in zip(components, w, strict=True) if x <= 0.0)
        raise DomainError(f"the pattern needs contents above 0, and {low} has none; leave it out of the pattern")
    n = len(w)
    jacobian = np.zeros((n - 1, n))
    jacobian[:, : n - 1] = np.diag(1.0 / w[:-1])
    jacobian[:, -1] = -1.0 / w[-1]
    return np.log(w[:-1] / w[-1]), jacobian @ contents.covariance[np.ix_(own, own)] @ jacobian.T


def fits_source(lot: Lot, pattern: SourcePattern) -> Plausibility:
    """Whether a lot has the pattern of its declared source.

    T² = dᵀ [S (1 + 1/n) + U]⁻¹ d of the log ratios, d = lot - mean, S between the n known lots, U of the assay;
    (n - p) T² / (p (n - 1)) ~ F(p, n - p) where S dominates            Hotelling, Ann. Math. Statist. 2 (1931) 360
    """
    try:
        found, own = log_ratios(lot.contents, pattern.components)
    except DomainError as error:
        raise DomainError(f"lot {lot.name}, declared source {pattern.name}: {error}") from error
    d = found - pattern.mean
    total = pattern.covariance * (1.0 + 1.0 / pattern.n_lots) + own
    t2 = _distance(d, total, lot)
    p, n = len(d), pattern.n_lots
    probability = float(f.sf(t2 * (n - p) / (p * (n - 1)), p, n - p))
    return Plausibility(
        lot=lot.name,
        question=f"pattern of {pattern.name}",
        statistic=t2,
        probability=probability,
        worst=pattern.components[int(np.argmax(np.abs(d) / np.sqrt(np.diag(total))))],
    )


def fits_parts(lot: Lot, lots: Mapping[str, Lot]) -> Plausibility | None:
    """Whether the contents of a split or blend are those of its parts; None where a step changed them, or nobody knows.

    χ² = dᵀ (U + Σ s_k² U_k)⁻¹ d,  d = x - Σ s_k x_k,  s_k share of part k in the dry mass
    """
    if not lot.made_of or lot.step:
        return None
    parts = [(part, lots[part.lot]) for part in lot.made_of if part.lot in lots]
    components = [c for c in lot.contents.components if all(c in parent.contents.components for _, parent in parts)]
    if len(parts) != len(lot.made_of) or not components:
        return None
    dry = np.array([part.wet_mass_kg * parent.dry_mass_kg / parent.wet_mass.value for part, parent in parts])
    shares = dry / dry.sum()
    x, total = _chosen(lot.contents, components)
    for share, (_, parent) in zip(shares, parts, strict=True):
        w, covariance = _chosen(parent.contents, components)
        x, total = x - share * w, total + share**2 * covariance
    statistic = _distance(x, total, lot)
    return Plausibility(
        lot=lot.name,
        question=f"blend of {', '.join(part.lot for part in lot.made_of)}",
        statistic=statistic,
        probability=float(chi2.sf(statistic, len(components))),
        worst=components[int(np.argmax(np.abs(x) / np.sqrt(np.diag(total))))],
    )


def _distance(difference: FloatArray, covariance: FloatArray, lot: Lot) -> float:
    """dᵀ V⁻¹ d."""
    try:
        return float(difference @ np.linalg.solve(covariance, difference))
    except np.linalg.LinAlgError as error:
        raise DomainError(
            f"lot {lot.name}: its contents cannot be compared, because some are stated without uncertainty; give "
            "contents_uncertainty above 0"
        ) from error


def _chosen(contents: Contents, components: Sequence[str]) -> tuple[FloatArray, FloatArray]:
    own = [contents.components.index(c) for c in components]
    return contents.mass_fraction[own], contents.covariance[np.ix_(own, own)]


def check_lots(lots: Iterable[Lot]) -> dict[str, Lot]:
    """Lots by name, after a look at their masses and ways.

    Raises DomainError for lots that are their own ancestors, are made of unknown lots, or give away more than they are.
    """
    by_name: dict[str, Lot] = {}
    for lot in lots:
        if lot.name in by_name:
            raise DomainError(f"two lots are called {lot.name!r}; give each a name of its own")
        by_name[lot.name] = lot
    given: dict[str, float] = {}
    for lot in by_name.values():
        for part in lot.made_of:
            if part.lot not in by_name:
                raise DomainError(f"lot {lot.name} is made of {part.lot!r}, which is not in the list")
            given[part.lot] = given.get(part.lot, 0.0) + part.wet_mass_kg
    for name, mass in given.items():
        own = by_name[name].wet_mass
        if mass > own.value + 3.0 * own.standard_uncertainty + 1e-9 * own.value:
            raise DomainError(f"lot {name} gave away {mass:.6g} kg, but was only {own.value:.6g} kg; check the masses")
    for name in by_name:
        ancestors(name, by_name)
    return by_name


def ancestors(name: str, lots: Mapping[str, Lot]) -> tuple[str, ...]:
    """All lots that a lot comes from, nearest first."""
    found: dict[str, None] = {}
    waiting = [part.lot for part in lots[name].made_of]
    while waiting:
        ancestor = waiting.pop(0)
        if ancestor == name:
            raise DomainError(f"lot {name} is made of itself; check what it is made of")
        if ancestor not in found:
            found[ancestor] = None
            waiting += [part.lot for part in lots[ancestor].made_of]
    return tuple(found)
