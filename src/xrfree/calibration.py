"""Sensitivities of one instrument and method, found with reference materials."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from xrfree.errors import DomainError

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class StandardPoint:
    """One reference material in the regression of one line group.

    certified, found : mass fraction in the specimen (kg/kg); standard uncertainties beside them.
    """

    material: str
    group: str
    certified: float
    certified_uncertainty: float
    found: float
    found_uncertainty: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Calibration:
    """Sensitivity and blank of every calibrated line group: r = k S (w + b).

    r net rate, S modelled strength per unit mass fraction, w mass fraction in the specimen.

    groups : "condition/region/La L" keys.
    log_sensitivity : ln k, shape (n,); covariance : of these, shape (n, n).
    blank : b, kg/kg in the specimen, what the line group shows where there is none of it, shape (n,).
    blank_uncertainty : standard uncertainty of b; blank_correlation : its correlation with ln k.
    relative_scatter : scatter between specimens beyond all stated uncertainties, shape (n,).
    absolute_scatter : its part that does not vanish at zero content, kg/kg in the specimen, shape (n,).
    tables, instrument_sha256, method_sha256 : what the calibration belongs to.
    """

    name: str
    groups: tuple[str, ...]
    log_sensitivity: FloatArray
    covariance: FloatArray
    blank: FloatArray
    blank_uncertainty: FloatArray
    blank_correlation: FloatArray
    relative_scatter: FloatArray
    absolute_scatter: FloatArray
    points: tuple[StandardPoint, ...]
    tables: str
    instrument_sha256: str
    method_sha256: str
    created: str
    software_version: str
    sha256: str = field(default="")

    def __post_init__(self) -> None:
        """Check shapes and freeze."""
        n = len(self.groups)
        shapes = {
            "log_sensitivity": (n,),
            "covariance": (n, n),
            "blank": (n,),
            "blank_uncertainty": (n,),
            "blank_correlation": (n,),
            "relative_scatter": (n,),
            "absolute_scatter": (n,),
        }
        for name, shape in shapes.items():
            array = np.array(getattr(self, name), dtype=np.float64)
            if array.shape != shape or not np.isfinite(array).all():
                raise DomainError(
                    f"a calibration of {n} groups needs finite {name} of shape {shape}, got {array.shape}"
                )
            array.setflags(write=False)
            object.__setattr__(self, name, array)
