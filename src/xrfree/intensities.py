"""What a wavelength-dispersive spectrometer recorded: the intensities of line groups of one specimen."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from xrfree.errors import DomainError
from xrfree.shown import Shown
from xrfree.spectrum import ExcitationCondition, SourceFile

_LARGEST_TWO_THETA_RAD = math.pi
# h c, exact in the SI of 2019: 12.398 419 843 keV Å.
_HC_KEV_CM = 12.398419843320026e-8


class IntensityKind(StrEnum):
    """What has been taken off an intensity already."""

    GROSS = "gross"
    NET = "net"
    NOT_STATED = "not stated"


@dataclass(frozen=True, slots=True, kw_only=True)
class CountedPosition:
    """One position of the goniometer, or one fixed channel, where X-rays were counted.

    name : as its file writes it, e.g. "CeBG1".
    rate_per_s : counts per second.
    counting_time_s : None where the file does not say.
    two_theta_rad : None where the file does not say.
    """

    name: str
    rate_per_s: float
    counting_time_s: float | None = None
    two_theta_rad: float | None = None

    def __post_init__(self) -> None:
        """Refuse a position without a name, and numbers without a meaning."""
        if not self.name.strip():
            raise DomainError("a counted position needs a name")
        if not (math.isfinite(self.rate_per_s) and self.rate_per_s >= 0):
            raise DomainError(f"{self.name}: the rate is {self.rate_per_s} counts/s, expected a number >= 0")
        _check_time_and_angle(self.name, self.counting_time_s, self.two_theta_rad)

    @property
    def rate_uncertainty_per_s(self) -> float | None:
        """Standard uncertainty of the rate by counting, √(rate / time), 1/s; None without a counting time."""
        return None if self.counting_time_s is None else math.sqrt(self.rate_per_s / self.counting_time_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class LineIntensity:
    """Intensity of one line group, with what belongs to its correction.

    line : as the file writes it, e.g. "Ce-LA1"; element : its element.
    group : line group in the words of xrfree ("Ce L"); None where the file names an element only.
    kind : whether the background is contained in the rate.
    rate_per_s : counts per second; a net intensity may be negative.
    counting_time_s : on the peak; None where the file does not say.
    background : positions counted beside the peak; overlaps : lines counted to correct an overlap.
    flag : what the spectrometer marks the value with, e.g. "H"; empty for none.
    """

    line: str
    element: str
    kind: IntensityKind
    rate_per_s: float
    counting_time_s: float | None = None
    group: str | None = None
    two_theta_rad: float | None = None
    background: tuple[CountedPosition, ...] = ()
    overlaps: tuple[CountedPosition, ...] = ()
    flag: str = ""

    def __post_init__(self) -> None:
        """Refuse a line without a name, and numbers without a meaning."""
        if not self.line.strip() or not self.element.strip():
            raise DomainError("a line intensity needs the names of its line and of its element")
        if not math.isfinite(self.rate_per_s) or (self.kind is IntensityKind.GROSS and self.rate_per_s < 0):
            expected = "a number >= 0" if self.kind is IntensityKind.GROSS else "a number"
            raise DomainError(f"{self.line}: the intensity is {self.rate_per_s} counts/s, expected {expected}")
        _check_time_and_angle(self.line, self.counting_time_s, self.two_theta_rad)
        if self.group is not None and self.group.split(" ")[0] != self.element:
            raise DomainError(f"{self.line}: line group {self.group!r} is not one of the element {self.element}")
        object.__setattr__(self, "background", tuple(self.background))
        object.__setattr__(self, "overlaps", tuple(self.overlaps))


def _check_time_and_angle(name: str, time_s: float | None, two_theta_rad: float | None) -> None:
    if time_s is not None and not (math.isfinite(time_s) and time_s > 0):
        raise DomainError(f"{name}: the counting time is {time_s} s, expected seconds > 0")
    if two_theta_rad is not None and not 0 < two_theta_rad < _LARGEST_TWO_THETA_RAD:
        raise DomainError(f"{name}: 2-theta is {two_theta_rad} rad, expected an angle between 0 and π")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LineIntensities(Shown):
    """All line intensities of one specimen.

    lines : name of the line as its file writes it -> LineIntensity.
    condition : how the specimen was excited, as far as the file says; None where it says nothing.
    metadata : everything else the file says, under the vendor's own names.
    sources : the files they came from.
    """

    specimen: str
    lines: Mapping[str, LineIntensity]
    condition: ExcitationCondition | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    sources: tuple[SourceFile, ...] = ()

    def __post_init__(self) -> None:
        """Refuse an anonymous or empty set; freeze."""
        if not self.specimen.strip():
            raise DomainError("line intensities need the name of their specimen")
        if not self.lines:
            raise DomainError(f"{self.specimen}: no line intensities")
        for name, line in self.lines.items():
            if name != line.line:
                raise DomainError(f"{self.specimen}: the line {line.line!r} is listed under {name!r}")
        object.__setattr__(self, "lines", MappingProxyType(dict(self.lines)))
        object.__setattr__(self, "metadata", MappingProxyType(dict(self.metadata)))

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        """Travel between processes (a mapping proxy does not)."""
        return (
            _rebuild,
            (self.specimen, dict(self.lines), self.condition, dict(self.metadata), self.sources),
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TwoThetaScan:
    """A scan over the angle of the goniometer.

    two_theta_rad : shape (n,), rising; rate_per_s : shape (n,), counts per second at each angle.
    counting_time_s : shape (n,), at each angle; None where the file does not say.
    crystal_2d_cm : twice the spacing of the crystal's planes; None where the file does not say.
    """

    specimen: str
    two_theta_rad: NDArray[np.float64]
    rate_per_s: NDArray[np.float64]
    counting_time_s: NDArray[np.float64] | None = None
    crystal_2d_cm: float | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    sources: tuple[SourceFile, ...] = ()

    def __post_init__(self) -> None:
        """Refuse angles that do not rise, rates that count backwards, times of no length; freeze."""
        angles, rates = (np.array(a, dtype=np.float64) for a in (self.two_theta_rad, self.rate_per_s))
        if angles.ndim != 1 or angles.size == 0 or angles.shape != rates.shape:
            raise DomainError(f"{self.specimen}: a scan needs as many rates as angles, got {rates.size}, {angles.size}")
        if not (np.isfinite(angles).all() and (np.diff(angles) > 0).all() and 0 < angles[0] <= angles[-1] < math.pi):
            raise DomainError(f"{self.specimen}: the angles of a scan must rise, between 0 and π")
        if not (np.isfinite(rates).all() and (rates >= 0).all()):
            raise DomainError(f"{self.specimen}: a rate of the scan is negative or no number")
        if self.crystal_2d_cm is not None and not 0 < self.crystal_2d_cm < math.inf:
            raise DomainError(f"{self.specimen}: the crystal's 2d is {self.crystal_2d_cm} cm, expected a number > 0")
        frozen = {"two_theta_rad": angles, "rate_per_s": rates}
        if self.counting_time_s is not None:
            frozen["counting_time_s"] = np.array(self.counting_time_s, dtype=np.float64)
            if frozen["counting_time_s"].shape != angles.shape or not (frozen["counting_time_s"] > 0).all():
                raise DomainError(f"{self.specimen}: a scan needs a counting time > 0 for each angle, or none at all")
        for name, array in frozen.items():
            array.setflags(write=False)
            object.__setattr__(self, name, array)
        object.__setattr__(self, "metadata", MappingProxyType(dict(self.metadata)))

    @property
    def energy_kev(self) -> NDArray[np.float64] | None:
        """Photon energy at each angle in first order, E = h c / (2d sin θ), keV, shape (n,); None without 2d."""
        if self.crystal_2d_cm is None:
            return None
        return np.asarray(_HC_KEV_CM / (self.crystal_2d_cm * np.sin(0.5 * self.two_theta_rad)))


def _rebuild(
    specimen: str,
    lines: dict[str, LineIntensity],
    condition: ExcitationCondition | None,
    metadata: dict[str, str],
    sources: tuple[SourceFile, ...],
) -> LineIntensities:
    return LineIntensities(specimen=specimen, lines=lines, condition=condition, metadata=metadata, sources=sources)
