"""What a fit is told: lines with their expected strengths, scattered light, and how free each parameter is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from xrfree.errors import DomainError
from xrfree.method import Background

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

SHIFT = "shift"
"""Name of a cluster whose strength moves the leading lines of its group (`xrfree.templates.movable`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LineCluster:
    """Lines of one subshell that lie together: they keep their ratios whatever excites them.

    group : line group, e.g. "La L"; name : e.g. "L3-M4,5"; leading : True for the strongest cluster of its group.
    sigma : prior standard deviation of its relative strength; None for the `ratio_sigma` of the settings.
    """

    group: str
    name: str
    leading: bool = False
    sigma: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Light:
    """A list of photon energies (keV) with strengths (any common unit), shape (n,)."""

    energy_kev: FloatArray
    strength: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Templates:
    """What the model expects of one specimen under one condition.

    groups : line groups ("La L"); one area is fitted for each.
    clusters : all line clusters; cluster_group their index into `groups`.
    energy_kev, strength, half_width_kev, is_k, line_cluster : per line; strength as detected, per unit content; is_k
        tells K lines from the others.
    shoulder : photons of the lines that lost energy by Compton scattering in the specimen, with the cluster of each.
    continuum : scattered bremsstrahlung, in the unit of `strength`.
    tube : scattered lines of the tube, one entry per line series, each with a free amplitude.
    """

    groups: tuple[str, ...]
    clusters: tuple[LineCluster, ...]
    cluster_group: IntArray
    energy_kev: FloatArray
    strength: FloatArray
    half_width_kev: FloatArray
    is_k: NDArray[np.bool_]
    line_cluster: IntArray
    shoulder: Light
    shoulder_cluster: IntArray
    continuum: Light
    tube: tuple[Light, ...]

    @property
    def group_strength(self) -> FloatArray:
        """Sum of the strengths of each group's lines, shape (n_groups,)."""
        owner = self.cluster_group[self.line_cluster]
        return np.bincount(owner, weights=self.strength, minlength=len(self.groups)).astype(np.float64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prior:
    """A Gaussian prior of one parameter; an infinite sigma means that the data alone decide, 0 that it is fixed."""

    mean: float
    sigma: float

    def __post_init__(self) -> None:
        """Refuse what is no prior."""
        if not np.isfinite(self.mean) or not self.sigma >= 0.0:
            raise DomainError(f"a prior needs a finite mean and a sigma of 0 or more, got {self.mean}, {self.sigma}")


@dataclass(frozen=True, slots=True, kw_only=True)
class FitSettings:
    """How one region is fitted.

    ranges_kev : energy ranges that take part.
    background : what lies under the lines; backgrounds by SNIP are taken from the counts as they are, and their
        uncertainty is in no covariance.
    background_terms : number of coefficients of the smooth correction to the scattered continuum (1: scale only), or of
        the polynomial.
    floor : whether an even floor of counts lies beside the background; see `xrfree.method.Region`.
    ratio_sigma : prior standard deviation of a cluster's relative strength that no calibration knows, where the
        cluster has none of its own.
    ratios : lines ("Pr L2") whose ratios are freed, fixed or tied; see `xrfree.method.Region`.
    priors : priors of parameters by name (`fit.model.SpectrumModel`). Of the response only what is named here is free
        besides the energy scale and the resolution.
    non_negative : no area below 0; averages of such areas are biased.
    """

    ranges_kev: tuple[tuple[float, float], ...]
    background: Background = Background.SCATTERED
    background_terms: int = 3
    floor: bool = False
    ratio_sigma: float = 0.02
    ratios: Mapping[str, str] = field(default_factory=dict)
    priors: Mapping[str, Prior] = field(default_factory=dict)
    non_negative: bool = False

    def __post_init__(self) -> None:
        """Check ranges."""
        if not self.ranges_kev or any(not 0.0 < low < high for low, high in self.ranges_kev):
            raise DomainError(f"fit ranges need 0 < low < high in keV, got {self.ranges_kev}")
        if not 1 <= self.background_terms <= 16:
            raise DomainError(f"background_terms is {self.background_terms}, expected 1 to 16")
