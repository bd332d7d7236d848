"""What a spectrometer recorded: energy scale, excitation condition, spectrum, measurement."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isfinite
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xrfree.errors import DomainError
from xrfree.shown import Shown

MAX_CHANNELS = 1_048_576
# Whole numbers beyond this are not exact in a float.
_MOST_COUNTS = 2**53


@dataclass(frozen=True, slots=True, kw_only=True)
class EnergyScale:
    """Energy of the centre of channel i.

    E(i) = zero_kev + gain_kev i + quadratic_kev i²
    """

    zero_kev: float
    gain_kev: float
    quadratic_kev: float = 0.0

    def __post_init__(self) -> None:
        """Refuse a scale that does not rise."""
        if not all(map(isfinite, (self.zero_kev, self.gain_kev, self.quadratic_kev))) or self.gain_kev <= 0:
            raise DomainError(
                f"energy scale: zero {self.zero_kev} keV, gain {self.gain_kev} keV per channel; "
                "the gain must be a positive number"
            )

    def energy_kev(self, channel: ArrayLike) -> NDArray[np.float64]:
        """Energy (keV) at any channel number, fractions included; same shape as `channel`."""
        i = np.asarray(channel, dtype=np.float64)
        return self.zero_kev + self.gain_kev * i + self.quadratic_kev * i * i

    def centres_kev(self, n_channels: int) -> NDArray[np.float64]:
        """Channel centres (keV), shape (n_channels,)."""
        return self.energy_kev(np.arange(n_channels))

    def edges_kev(self, n_channels: int) -> NDArray[np.float64]:
        """Channel edges (keV), shape (n_channels + 1,)."""
        return self.energy_kev(np.arange(n_channels + 1) - 0.5)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExcitationCondition:
    """How a spectrum was excited, as far as its file says; None where it does not say.

    filter : as written, e.g. "Ag 100"; "none" when the file says that there was none.
    """

    name: str
    anode: str | None = None
    tube_voltage_kv: float | None = None
    tube_current_ua: float | None = None
    filter: str | None = None
    atmosphere: str | None = None


def _checked_counts(counts: ArrayLike) -> NDArray[np.int64]:
    raw = np.asarray(counts)
    if raw.ndim != 1 or raw.size == 0:
        raise DomainError(f"counts need one dimension and at least one channel, got shape {raw.shape}")
    if raw.dtype.kind not in "iuf":
        raise DomainError(f"counts are of type {raw.dtype}, expected numbers")
    if _is_whole(raw):
        return _frozen(raw)
    values = raw.astype(np.float64)
    bad = np.flatnonzero(~np.isfinite(values) | (values < 0) | (values != np.rint(values)) | (values > _MOST_COUNTS))
    if bad.size:
        raise DomainError(
            f"channel {bad[0]} holds {raw[bad[0]]} counts, expected a whole number of events, zero or more"
        )
    return _frozen(raw)


def _is_whole(raw: NDArray[Any]) -> bool:
    """Whether every value is one of the whole numbers that a count can be; False where that has to be looked up."""
    if raw.dtype.kind == "u" and raw.dtype.itemsize <= 4:
        return True
    return raw.dtype.kind in "iu" and bool(raw.min() >= 0 and raw.max() <= _MOST_COUNTS)


def _frozen(raw: NDArray[Any]) -> NDArray[np.int64]:
    if raw.dtype == np.int64 and raw.flags.owndata and not raw.flags.writeable:
        return raw  # the counts of another spectrum, which nobody changes
    checked = np.array(raw, dtype=np.int64)
    checked.setflags(write=False)
    return checked


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Spectrum(Shown):
    """Counts per channel with the times and the energy scale that give them a meaning.

    counts : shape (n_channels,), whole numbers of detector events, read-only int64.
    live_time_s : time in which the detector could register a photon; > 0.
    real_time_s : time by the clock; at least the live time (0.1 % rounding allowed).
    metadata : everything else the file says, under the vendor's own names.
    """

    counts: NDArray[np.int64]
    live_time_s: float
    real_time_s: float
    energy_scale: EnergyScale
    condition: ExcitationCondition
    metadata: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check times against each other and freeze the counts."""
        object.__setattr__(self, "counts", _checked_counts(self.counts))
        object.__setattr__(self, "metadata", MappingProxyType(dict(self.metadata)))
        scale = self.energy_scale
        if scale.gain_kev + 2.0 * scale.quadratic_kev * self.counts.size <= 0:
            raise DomainError(
                f"the energy scale turns around within the {self.counts.size} channels: gain {scale.gain_kev} keV, "
                f"quadratic term {scale.quadratic_kev} keV per channel"
            )
        if not (isfinite(self.live_time_s) and self.live_time_s > 0):
            raise DomainError(f"live time is {self.live_time_s} s, expected seconds > 0")
        if not (isfinite(self.real_time_s) and self.real_time_s >= self.live_time_s * 0.999):
            raise DomainError(
                f"real time {self.real_time_s} s is shorter than live time {self.live_time_s} s; one of them is wrong"
            )

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        """Travel between processes (a mapping proxy does not), counts in as few bytes as hold them."""
        return (
            _rebuild_spectrum,
            (
                self.counts.astype(np.min_scalar_type(self.counts.max())),
                self.live_time_s,
                self.real_time_s,
                self.energy_scale,
                self.condition,
                dict(self.metadata),
            ),
        )

    @property
    def n_channels(self) -> int:
        """Number of channels."""
        return int(self.counts.size)

    @property
    def edges_kev(self) -> NDArray[np.float64]:
        """Channel edges (keV), shape (n_channels + 1,)."""
        return self.energy_scale.edges_kev(self.n_channels)

    @property
    def centres_kev(self) -> NDArray[np.float64]:
        """Channel centres (keV), shape (n_channels,)."""
        return self.energy_scale.centres_kev(self.n_channels)

    @property
    def dead_time_fraction(self) -> float:
        """1 - live time / real time."""
        return max(0.0, 1.0 - self.live_time_s / self.real_time_s)

    @property
    def total_counts(self) -> int:
        """Sum over all channels."""
        return int(self.counts.sum())


def _rebuild_spectrum(
    counts: NDArray[Any],
    live_time_s: float,
    real_time_s: float,
    energy_scale: EnergyScale,
    condition: ExcitationCondition,
    metadata: dict[str, str],
) -> Spectrum:
    return Spectrum(
        counts=counts,
        live_time_s=live_time_s,
        real_time_s=real_time_s,
        energy_scale=energy_scale,
        condition=condition,
        metadata=metadata,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFile:
    """A file a measurement was read from; the digest is over its bytes."""

    path: str
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Measurement(Shown):
    """All spectra of one specimen, one per excitation condition.

    spectra : condition name -> Spectrum.
    sources : the files they came from.
    """

    specimen: str
    spectra: Mapping[str, Spectrum]
    sources: tuple[SourceFile, ...] = ()

    def __post_init__(self) -> None:
        """Refuse an empty or anonymous measurement."""
        if not self.specimen.strip():
            raise DomainError("a measurement needs the name of its specimen")
        if not self.spectra:
            raise DomainError(f"{self.specimen}: a measurement needs at least one spectrum")
        object.__setattr__(self, "spectra", MappingProxyType(dict(self.spectra)))

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        """Travel between processes."""
        return (_rebuild_measurement, (self.specimen, dict(self.spectra), self.sources))


def _rebuild_measurement(specimen: str, spectra: dict[str, Spectrum], sources: tuple[SourceFile, ...]) -> Measurement:
    return Measurement(specimen=specimen, spectra=spectra, sources=sources)
