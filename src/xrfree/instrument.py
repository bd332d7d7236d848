"""The spectrometer: tube, filters, geometry, detector, and how the detector answers to a photon."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import log, sqrt
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from xrfree.atomic import atomic_number, parse_formula
from xrfree.errors import DomainError

FWHM_PER_SIGMA = 2.0 * sqrt(2.0 * log(2.0))
PAIR_ENERGY_KEV: Mapping[str, float] = MappingProxyType({"Si": 0.00365, "Ge": 0.00296, "CdTe": 0.00443})
"""Mean energy (keV) that makes one electron-hole pair (G. F. Knoll, Radiation Detection and Measurement, 4th ed.)."""
CRYSTAL_DENSITY_G_CM3: Mapping[str, float] = MappingProxyType({"Si": 2.33, "Ge": 5.323, "CdTe": 5.85})
"""Densities of detector crystals, g/cm³."""


MOST_TUBE_ENERGIES = 400
"""Of a tube spectrum from outside: every one costs time in every matrix correction."""


def _positive(name: str, value: float, *, zero: bool = False) -> None:
    if not np.isfinite(value) or value < 0.0 or (value == 0.0 and not zero):
        raise DomainError(f"{name} is {value}, expected a number {'of 0 or more' if zero else 'above 0'}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Absorber:
    """A layer that photons cross: chemical formula and mass per area (g/cm²)."""

    formula: str
    areal_density_g_cm2: float

    def __post_init__(self) -> None:
        """Check formula and thickness."""
        parse_formula(self.formula)
        _positive(f"areal density of {self.formula}", self.areal_density_g_cm2, zero=True)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TubeSpectrum:
    """Measured or otherwise calculated spectrum of a tube, as it leaves the window, in the place of the formulas.

    energy_kev, flux : continuum, photons / (s sr mA keV), straight between the energies and 0 outside; shapes (n,).
    line_series : "K-L", "L3-M" ... of each line; line_energy_kev, line_flux : photons / (s sr mA); shapes (n_lines,).
    Any common unit of the fluxes will do where the instrument's scales are calibrated.
    """

    energy_kev: NDArray[np.float64]
    flux: NDArray[np.float64]
    line_series: tuple[str, ...] = ()
    line_energy_kev: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    line_flux: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))

    def __post_init__(self) -> None:
        """Check lengths, signs and order; freeze the arrays."""
        n, n_lines = len(self.energy_kev), len(self.line_series)
        for name, size in (("energy_kev", n), ("flux", n), ("line_energy_kev", n_lines), ("line_flux", n_lines)):
            array = np.array(getattr(self, name), dtype=np.float64)
            if array.shape != (size,) or not np.isfinite(array).all() or np.any(array < 0.0):
                raise DomainError(f"{name} of the tube spectrum needs {size} numbers of 0 or more")
            array.setflags(write=False)
            object.__setattr__(self, name, array)
        if not 2 <= n <= MOST_TUBE_ENERGIES or np.any(np.diff(self.energy_kev) <= 0.0):
            raise DomainError(
                f"the tube spectrum needs 2 to {MOST_TUBE_ENERGIES} energies that rise, got {n}; "
                "average it over wider steps"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Tube:
    """An X-ray tube: anode, voltage (kV), window, and the angles of electrons and photons to the anode's surface.

    spectrum : what leaves the tube, if it is known otherwise than by the formulas; the window is part of it then.
    """

    anode: str
    voltage_kv: float
    window: tuple[Absorber, ...] = ()
    electron_incidence_rad: float
    take_off_angle_rad: float
    spectrum: TubeSpectrum | None = None

    def __post_init__(self) -> None:
        """Check anode, voltage, angles, and that a spectrum holds its window."""
        atomic_number(self.anode)
        if not 4.0 <= self.voltage_kv <= 100.0:
            raise DomainError(f"tube voltage is {self.voltage_kv} kV, expected 4 to 100 kV")
        for name in ("electron_incidence_rad", "take_off_angle_rad"):
            _checked_angle(name, getattr(self, name))
        if self.spectrum is not None and self.window:
            raise DomainError("a tube spectrum is that behind the window; leave the window out")


def _checked_angle(name: str, value: float) -> None:
    if not 0.0 < value <= np.pi / 2 + 1e-12:
        raise DomainError(f"{name} is {value} rad, expected above 0 and at most π/2, measured from the surface")


@dataclass(frozen=True, slots=True, kw_only=True)
class Detector:
    """A semiconductor detector: crystal, thickness (cm), and what lies before it (window, contact, dead layer).

    crystal : "Si", "Ge" or "CdTe".
    """

    crystal: str
    thickness_cm: float
    windows: tuple[Absorber, ...] = ()

    def __post_init__(self) -> None:
        """Check crystal and thickness."""
        if self.crystal not in PAIR_ENERGY_KEV:
            raise DomainError(f"detector crystal is '{self.crystal}', expected one of {', '.join(PAIR_ENERGY_KEV)}")
        _positive("detector thickness in cm", self.thickness_cm)


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """How a detector spreads the counts of one photon energy E over the spectrum.

    σ²(E) = noise_kev² + fano ε E                                        Gaussian, ε the pair energy
    natural width: width_factor_k (K lines) or width_factor_l (all others) times the tabulated one, because tables of
          level widths differ by tens of per cent. A photon has it before the detector loses a part of its charge:
          tail, shelf and escape peak have it, too. Its Lorentzian wings end wing_reach tabulated half widths from
          the line, so that all lines lose the same share of their counts, 2 / (π wing_reach)
    tail: share  t(E) = exp(tail_log_share) [(1 - r) exp(-f z) + r],  z = E / 5 keV - 1, f = tail_fall, r = tail_rest;
          exponential towards lower energies with scale tail_scale_kev (1 + tail_growth z), folded with the Gaussian
    shelf: share s(E) = exp(shelf_log_share) [(1 - r) exp(-f z) + r]: carriers are lost in the same places, only more of
          them at once; even between 0 and E, with the Gaussian's rounded edge
    incomplete charge collection is what tail and shelf are made of: carriers lost near the entrance (a share that falls
          with E: f > 0, beside one that does not) or trapped on their way through Ge and CdTe (f < 0; a loss in
          proportion to the depth of absorption is exactly an exponential whose scale grows as E times the absorption
          length)
    escape: escape_scale times the escape probability of Reed & Ware (J. Phys. E 5 (1972) 582) for the K lines of all
          elements of the crystal
    pile-up: two photons within pulse_pair_time_s are recorded as one of the summed energy

    escape_relative_uncertainty, pile_up_relative_uncertainty : how well the two are known, relative standard
        uncertainties; every fit takes them as priors.
    """

    noise_kev: float
    fano: float
    width_factor_k: float = 1.0
    width_factor_l: float = 1.0
    wing_reach: float = 800.0
    tail_log_share: float = -50.0
    tail_fall: float = 0.0
    tail_rest: float = 0.0
    tail_scale_kev: float = 0.15
    tail_growth: float = 0.5
    shelf_log_share: float = -50.0
    escape_scale: float = 1.0
    escape_relative_uncertainty: float = 0.1
    pulse_pair_time_s: float = 0.0
    pile_up_relative_uncertainty: float = 0.5

    def __post_init__(self) -> None:
        """Check signs."""
        _positive("noise_kev", self.noise_kev)
        _positive("fano", self.fano)
        _positive("width_factor_k", self.width_factor_k)
        _positive("width_factor_l", self.width_factor_l)
        _positive("wing_reach", self.wing_reach)
        _positive("tail_scale_kev", self.tail_scale_kev)
        _positive("escape_scale", self.escape_scale, zero=True)
        _positive("pulse_pair_time_s", self.pulse_pair_time_s, zero=True)

    def sigma_kev(self, energy_kev: NDArray[np.float64], crystal: str) -> NDArray[np.float64]:
        """Standard deviation of the Gaussian, keV; same shape as the energies."""
        variance = self.noise_kev**2 + self.fano * PAIR_ENERGY_KEV[crystal] * np.maximum(energy_kev, 0.0)
        return np.asarray(np.sqrt(variance))

    def tail_share(self, energy_kev: NDArray[np.float64]) -> NDArray[np.float64]:
        """Share of the counts in the exponential tail; same shape as the energies."""
        falling = self._falling(energy_kev)
        return np.asarray(np.exp(np.clip(self.tail_log_share + np.log(self._fallen(falling)), -60.0, _MOST_LOG_SHARE)))

    def tail_scale(self, energy_kev: NDArray[np.float64]) -> NDArray[np.float64]:
        """Scale (keV) of the exponential tail; same shape as the energies."""
        return np.asarray(self.tail_scale_kev * self._grown(energy_kev))

    def shelf_share(self, energy_kev: NDArray[np.float64]) -> NDArray[np.float64]:
        """Share of the counts in the shelf; same shape as the energies."""
        falling = self._falling(energy_kev)
        return np.asarray(np.exp(np.clip(self.shelf_log_share + np.log(self._fallen(falling)), -60.0, _MOST_LOG_SHARE)))

    def loss_derivatives(self, energy_kev: NDArray[np.float64]) -> NDArray[np.float64]:
        """Derivatives by tail_fall and tail_rest of ln t and of ln s, by tail_growth of the scale's logarithm.

        energy_kev : shape (n,); result of shape (3, n).
        """
        z, falling = energy_kev / 5.0 - 1.0, self._falling(energy_kev)
        fallen = self._fallen(falling)
        by_fall = -(1.0 - self.tail_rest) * falling * z / fallen
        return np.stack([by_fall, (1.0 - falling) / fallen, z / self._grown(energy_kev)])

    def _falling(self, energy_kev: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(np.exp(np.clip(-self.tail_fall * (energy_kev / 5.0 - 1.0), -60.0, 60.0)))

    def _fallen(self, falling: NDArray[np.float64]) -> NDArray[np.float64]:
        """t(E) / t(5 keV)."""
        return np.asarray(np.maximum((1.0 - self.tail_rest) * falling + self.tail_rest, 1e-26))

    def _grown(self, energy_kev: NDArray[np.float64]) -> NDArray[np.float64]:
        """Tail's scale over that at 5 keV."""
        return np.asarray(np.maximum(1.0 + self.tail_growth * (energy_kev / 5.0 - 1.0), 0.1))


_MOST_LOG_SHARE = -0.7


@dataclass(frozen=True, slots=True, kw_only=True)
class InstrumentCondition:
    """One way of exciting and seeing a specimen.

    filters : between tube and specimen.
    path : gas between specimen and detector and between tube and specimen, as absorbers.
    """

    name: str
    tube: Tube
    filters: tuple[Absorber, ...] = ()
    path: tuple[Absorber, ...] = ()
    incidence_angle_rad: float
    take_off_angle_rad: float
    energy_zero_kev: float
    energy_gain_kev: float

    def __post_init__(self) -> None:
        """Check angles."""
        _checked_angle("incidence_angle_rad", self.incidence_angle_rad)
        _checked_angle("take_off_angle_rad", self.take_off_angle_rad)

    @property
    def scattering_angle_rad(self) -> float:
        """Angle between the incident and the observed direction, both in one plane with the surface's normal."""
        return float(np.pi - self.incidence_angle_rad - self.take_off_angle_rad)


@dataclass(frozen=True, slots=True, kw_only=True)
class LineRatios:
    """Corrections of one instrument to the tabulated strengths of line clusters.

    clusters : (line group, cluster) pairs, e.g. ("La L", "L2-M4,5").
    deviation : measured over modelled strength minus 1, relative to the strongest cluster of the line group.
    covariance : of the deviations, shape (n, n).
    """

    clusters: tuple[tuple[str, str], ...]
    deviation: NDArray[np.float64]
    covariance: NDArray[np.float64]

    def __post_init__(self) -> None:
        """Check shapes and freeze."""
        n = len(self.clusters)
        for name, shape in (("deviation", (n,)), ("covariance", (n, n))):
            array = np.array(getattr(self, name), dtype=np.float64)
            if array.shape != shape or not np.isfinite(array).all():
                raise DomainError(f"line ratios of {n} clusters need {name} of shape {shape}, got {array.shape}")
            array.setflags(write=False)
            object.__setattr__(self, name, array)


NO_LINE_RATIOS = LineRatios(clusters=(), deviation=np.zeros(0), covariance=np.zeros((0, 0)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Instrument:
    """A spectrometer with all its excitation conditions.

    log_scale : logarithm of detected counts per second over modelled strength, for a condition ("low": solid angle,
        tube current, all that its lines have in common) and for the line groups that pure compounds showed
        ("low/La L").
    tables : atomic tables its calibrated numbers belong to; "" while nothing is calibrated.
    """

    name: str
    conditions: Mapping[str, InstrumentCondition]
    detector: Detector
    responses: Mapping[str, Response]
    line_ratios: LineRatios = field(default=NO_LINE_RATIOS)
    log_scale: Mapping[str, float] = field(default_factory=dict)
    tables: str = ""
    sha256: str = ""

    def __post_init__(self) -> None:
        """Check that every condition has a response."""
        if not self.conditions:
            raise DomainError(f"instrument {self.name} has no excitation condition")
        missing = set(self.conditions) - set(self.responses)
        if missing:
            raise DomainError(f"instrument {self.name} has no detector response for {', '.join(sorted(missing))}")
        object.__setattr__(self, "conditions", MappingProxyType(dict(self.conditions)))
        object.__setattr__(self, "responses", MappingProxyType(dict(self.responses)))
        object.__setattr__(self, "log_scale", MappingProxyType(dict(self.log_scale)))

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        """Travel between processes (a mapping proxy does not)."""
        parts = (dict(self.conditions), dict(self.responses), dict(self.log_scale))
        return (_rebuild_instrument, (self.name, *parts, self.detector, self.line_ratios, self.tables, self.sha256))


def _rebuild_instrument(
    name: str,
    conditions: dict[str, InstrumentCondition],
    responses: dict[str, Response],
    log_scale: dict[str, float],
    detector: Detector,
    line_ratios: LineRatios,
    tables: str,
    sha256: str,
) -> Instrument:
    return Instrument(
        name=name,
        conditions=conditions,
        responses=responses,
        log_scale=log_scale,
        detector=detector,
        line_ratios=line_ratios,
        tables=tables,
        sha256=sha256,
    )
