"""Net areas of the line groups in one region of a spectrum, and how good the fit is that gave them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from xrfree.errors import DomainError
from xrfree.shown import Shown

FloatArray = NDArray[np.float64]


class FitVerdict(StrEnum):
    """What a fit is worth.

    NOT_DETERMINED : the data leave a parameter open; it was held at its prior mean, and the uncertainty of an area that
        is concerned is all counts of the spectrum.
    """

    GOOD = "good"
    NOT_DETERMINED = "not determined"
    SATURATED = "saturated"
    POOR = "poor fit"
    AT_BOUND = "parameter at bound"
    RESIDUAL_STRUCTURE = "residual structure"
    ENERGY_SCALE_OFF = "energy scale off"
    RESOLUTION_OFF = "resolution off"
    NOT_CONVERGED = "not converged"
    TOO_FEW_COUNTS = "too few counts"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FitCurve:
    """The fitted spectrum, for people to look at: shape (n_channels_in_fit,) each."""

    energy_kev: FloatArray
    counts: FloatArray
    expected: FloatArray
    background: FloatArray


NO_CURVE = FitCurve(energy_kev=np.empty(0), counts=np.empty(0), expected=np.empty(0), background=np.empty(0))
"""The curve of a fit that nobody will look at."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NetAreas(Shown):
    """Areas (counts) of line groups with their full covariance.

    groups : line groups ("La L"), each with one area.
    area : shape (n,), counts at full energy, tail and shelf included, that a group would have with the model's line
        ratios and the strength of its strongest lines; covariance : shape (n, n), counts².
    counting_covariance, response_covariance : shape (n, n), parts of `covariance`: what it would be if all but the
        areas were known, and what the priors of line ratios, escape, pile-up and background leave open. The rest
        comes from finding these in the same counts; without the second part, it is what repeated counting scatters by.
    variance_at_zero : shape (n,), variance each area would have if its true value were 0.
    live_time_s : of the spectrum.
    survival : share of counts that pile-up leaves in its line.
    parameters : other fitted quantities, value and standard uncertainty by name.
    """

    condition: str
    region: str
    groups: tuple[str, ...]
    area: FloatArray
    covariance: FloatArray
    counting_covariance: FloatArray
    response_covariance: FloatArray
    variance_at_zero: FloatArray
    live_time_s: float
    survival: float
    reduced_deviance: float
    verdict: FitVerdict
    reason: str
    parameters: Mapping[str, tuple[float, float]]
    curve: FitCurve

    def __post_init__(self) -> None:
        """Check shapes and freeze."""
        n = len(self.groups)
        squares = ("covariance", "counting_covariance", "response_covariance")
        shapes = {"area": (n,), **dict.fromkeys(squares, (n, n)), "variance_at_zero": (n,)}
        for name, shape in shapes.items():
            array = np.array(getattr(self, name), dtype=np.float64)
            if array.shape != shape or not np.isfinite(array).all():
                raise DomainError(
                    f"NetAreas of {n} line groups needs finite {name} of shape {shape}, got {array.shape}"
                )
            array.setflags(write=False)
            object.__setattr__(self, name, array)

    @property
    def standard_uncertainty(self) -> FloatArray:
        """Square roots of the covariance's diagonal, counts, shape (n,)."""
        return np.sqrt(np.maximum(np.diag(self.covariance), 0.0))
