"""What a calibration curve is fitted to: one row per measured specimen of a reference material."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xrfree.errors import CalibrationError, DomainError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

CONSTANT = "constant"
"""Name of the term that is 1 everywhere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exclusion:
    """A material that does not take part, and why: the reason is kept for good."""

    material: str
    reason: str
    decided_by: str = ""
    decided: str = ""

    def __post_init__(self) -> None:
        """Refuse an exclusion without a reason."""
        if not self.reason.strip():
            raise DomainError(f"{self.material} is to be excluded without a reason; say what is wrong with it")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Observations:
    """Rows of response = Σ_j β_j term_j, every entry of which may carry an error.

    materials : reference material of each row, length n; rows of one material are left out together.
    terms : names of the columns, length p.
    response : shape (n,), for a calibration the reference content, kg/kg.
    design : shape (n, p).
    covariance : shape (n, 1 + p, 1 + p), covariance of (response, terms) within each row.
    shared : shape (m, n, 1 + p), effect of each of m independent errors of unit variance that rows have in common: a
        certificate measured on two specimens, a reagent weighed into several mixtures.
    scatter_scale : shape (n,), what the extra scatter of the fit is multiplied by: 1 for an absolute one, the response
        for a relative one.
    """

    materials: tuple[str, ...]
    terms: tuple[str, ...]
    response: FloatArray
    design: FloatArray
    covariance: FloatArray
    shared: FloatArray
    scatter_scale: FloatArray
    exclusions: tuple[Exclusion, ...] = field(default=())

    def __post_init__(self) -> None:
        """Check shapes and numbers, and freeze."""
        n, p = len(self.materials), len(self.terms)
        if len(set(self.terms)) != p or p == 0:
            raise DomainError(f"a curve needs each term once, got {', '.join(self.terms) or 'none'}")
        m = np.asarray(self.shared).shape[0] if np.asarray(self.shared).ndim == 3 else 0
        shapes = {
            "response": (n,),
            "design": (n, p),
            "covariance": (n, 1 + p, 1 + p),
            "shared": (m, n, 1 + p),
            "scatter_scale": (n,),
        }
        for name, shape in shapes.items():
            array = np.array(getattr(self, name), dtype=np.float64)
            if array.shape != shape or not np.isfinite(array).all():
                raise DomainError(
                    f"{n} rows of {p} terms need a finite {name} of shape {shape}; it has {array.shape} "
                    f"and {int(np.sum(~np.isfinite(array)))} entries that are no numbers"
                )
            array.setflags(write=False)
            object.__setattr__(self, name, array)
        diagonal = np.einsum("ijj->ij", self.covariance)
        if np.any(diagonal < 0.0) or np.any(self.scatter_scale < 0.0):
            raise DomainError("variances and scatter scales of observations cannot be below 0")

    @classmethod
    def of(
        cls,
        materials: Sequence[str],
        terms: Sequence[str],
        response: Any,
        design: Any,
        *,
        response_uncertainty: Any = 0.0,
        design_uncertainty: Any = 0.0,
        scatter_scale: Any = 1.0,
    ) -> Observations:
        """Observations whose errors are all independent, from standard uncertainties instead of covariances."""
        y, x = np.asarray(response, dtype=np.float64), np.asarray(design, dtype=np.float64)
        n, p = x.shape
        u = np.concatenate(
            [np.broadcast_to(response_uncertainty, (n,))[:, None], np.broadcast_to(design_uncertainty, (n, p))], axis=1
        )
        return cls(
            materials=tuple(materials),
            terms=tuple(terms),
            response=y,
            design=x,
            covariance=np.einsum("ij,jk->ijk", u**2, np.eye(1 + p)),
            shared=np.zeros((0, n, 1 + p)),
            scatter_scale=np.broadcast_to(scatter_scale, (n,)),
        )

    @property
    def distinct_materials(self) -> tuple[str, ...]:
        """Materials in the order of their first row."""
        return tuple(dict.fromkeys(self.materials))

    def rows_of(self, materials: Collection[str]) -> IntArray:
        """Indices of the rows of some materials."""
        return np.flatnonzero([m in materials for m in self.materials])

    def taking(self, rows: IntArray) -> Observations:
        """The same curve with some of the rows only."""
        return replace(
            self,
            materials=tuple(self.materials[i] for i in rows),
            response=self.response[rows],
            design=self.design[rows],
            covariance=self.covariance[rows],
            shared=self.shared[:, rows],
            scatter_scale=self.scatter_scale[rows],
        )

    def without(self, exclusions: Sequence[Exclusion]) -> Observations:
        """The same curve without some materials; the reasons are kept.

        Raises CalibrationError for a material that is not there.
        """
        gone = {exclusion.material for exclusion in exclusions}
        absent = gone - set(self.materials)
        if absent:
            known = ", ".join(self.distinct_materials)
            raise CalibrationError(f"{', '.join(sorted(absent))} cannot be excluded; the curve has {known}")
        kept = np.flatnonzero([m not in gone for m in self.materials])
        return replace(self.taking(kept), exclusions=(*self.exclusions, *exclusions))

    def with_terms(self, terms: Sequence[str]) -> Observations:
        """The same rows with some of the terms only."""
        columns = [self.terms.index(term) for term in terms]
        both = np.array([0, *(1 + c for c in columns)])
        return replace(
            self,
            terms=tuple(terms),
            design=self.design[:, columns],
            covariance=self.covariance[:, both][:, :, both],
            shared=self.shared[:, :, both],
        )
