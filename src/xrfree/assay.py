"""The result: mass fractions of one specimen with everything that is needed to defend them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from xrfree.areas import NetAreas
from xrfree.composition import Composition
from xrfree.errors import DomainError
from xrfree.shown import Shown

FloatArray = NDArray[np.float64]


class Verdict(StrEnum):
    """What a mass fraction may be used for."""

    DETECTED = "detected"
    NOT_DETECTED = "not detected"
    DOUBTFUL = "doubtful"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """What the result was made with: digests of all documents and files, software and tables.

    calibration_status : "draft", "approved" or "superseded" at the time; empty without a calibration.
    block : the similar spectra that it was fitted together with; empty for one that was fitted alone.
    """

    source_sha256: tuple[str, ...]
    sources: tuple[str, ...]
    method: str
    method_sha256: str
    instrument: str
    instrument_sha256: str
    calibration: str
    calibration_sha256: str
    tables: str
    software_version: str
    block: str = ""
    calibration_status: str = ""

    @property
    def calibration_caveat(self) -> str:
        """What every report of the result says beside the calibration's name; empty for an approved one, or none."""
        return _CAVEATS.get(self.calibration_status, "")


_CAVEATS = {"draft": "draft: nobody has approved this calibration", "superseded": "this calibration is superseded"}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Assay(Shown):
    """Mass fractions (kg/kg) of the sample, with covariance, budget, limits and verdicts.

    components : element symbols, analytes first.
    covariance : shape (n, n), of everything together; budget : standard uncertainty of each contribution, shape (n,).
    decision_limit, detection_limit : shape (n,), kg/kg, from the uncertainty at zero content (Currie).
    quantification_limit : shape (n,), kg/kg, content with a relative standard uncertainty of 10 %; infinite where no
        content is known as well.
    composition : the whole specimen as the matrix model took it.
    basis : "specimen as measured" or "dry sample before fusion".
    """

    specimen: str
    basis: str
    components: tuple[str, ...]
    analytes: tuple[str, ...]
    mass_fraction: FloatArray
    covariance: FloatArray
    budget: Mapping[str, FloatArray]
    coverage_factor: float
    decision_limit: FloatArray
    detection_limit: FloatArray
    quantification_limit: FloatArray
    verdicts: tuple[Verdict, ...]
    reasons: tuple[str, ...]
    composition: Composition
    areas: tuple[NetAreas, ...]
    iterations: int
    recipe: Recipe

    def __post_init__(self) -> None:
        """Check shapes and freeze."""
        n = len(self.components)
        shapes = {"mass_fraction": (n,), "covariance": (n, n), "decision_limit": (n,), "detection_limit": (n,)}
        for name, shape in shapes.items():
            array = np.array(getattr(self, name), dtype=np.float64)
            if array.shape != shape or not np.isfinite(array).all():
                raise DomainError(f"an assay of {n} components needs finite {name} of shape {shape}, got {array.shape}")
            array.setflags(write=False)
            object.__setattr__(self, name, array)
        quantified = np.array(self.quantification_limit, dtype=np.float64)
        if quantified.shape != (n,) or not np.all(quantified > 0.0):
            raise DomainError(f"an assay of {n} components needs as many quantification limits above 0")
        quantified.setflags(write=False)
        object.__setattr__(self, "quantification_limit", quantified)
        if len(self.verdicts) != n or len(self.reasons) != n:
            raise DomainError("an assay needs one verdict and one reason for each component")

    @property
    def standard_uncertainty(self) -> FloatArray:
        """Square roots of the covariance's diagonal, kg/kg, shape (n,)."""
        return np.sqrt(np.maximum(np.diag(self.covariance), 0.0))

    @property
    def expanded_uncertainty(self) -> FloatArray:
        """U = k u, kg/kg, shape (n,)."""
        return self.coverage_factor * self.standard_uncertainty
