"""A wavelength-dispersive spectrometer made of the project's forward model: lines over 2θ, background, dead time."""

import sys
from dataclasses import dataclass, field

import numpy as np
import pytest

from xrfree.atomic import XrayLine, emission_lines
from xrfree.curves.calibrating import Standard
from xrfree.curves.rates import corrected_rates
from xrfree.curves.theory import LineTheory
from xrfree.instrument import Absorber, Detector, InstrumentCondition, Tube
from xrfree.intensities import CountedPosition, IntensityKind, LineIntensities, LineIntensity
from xrfree.line_method import LineCorrection
from xrfree.reference import Assignment, Basis, ReferenceMaterial, ReferenceValue
from xrfree.specimen import Fusion, Specimen, SpecimenForm

TWO_D_ANGSTROM = 4.0267  # LiF 200
KEV_ANGSTROM = 12.398420
FWHM_DEG = 0.32
DEAD_TIME_S = 2.5e-7
PEAK_TIME_S, BACKGROUND_TIME_S = 40.0, 20.0
PHOTONS_TO_RATE = 2.0e-4
ANALYTES = ("Ti", "Ba", "La", "Ce", "Pr", "Nd", "Sm", "Fe")
FLUX = {"Li2B4O7": 0.35, "LiBO2": 0.65}
MEASURED = {e: (f"{e}-KA1" if e in ("Ti", "Fe") else f"{e}-LA1") for e in ANALYTES}
MEASURED["Pr"] = "Pr-LB1"  # Pr Lα lies under La Lβ1
OVERLAPS = {"Ce": ("Ba",), "Nd": ("La",), "Sm": ("Ce", "La", "Pr")}
BACKGROUND_DEG = {
    "Ti": (84.8, 88.5), "Ba": (84.8, 88.8), "La": (81.9, 84.4), "Ce": (78.0, 80.2),
    "Pr": (70.73,), "Nd": (70.73,), "Sm": (70.73,), "Fe": (56.7, 58.7),
}  # fmt: skip
"""Where no line lies; one position serves Pr, Nd and Sm."""


def main_lines(element):
    if element == "Pr":
        return (XrayLine("Pr", "L2-M4"),)
    transitions = ("K-L3", "K-L2") if element in ("Ti", "Fe") else ("L3-M5", "L3-M4")
    return tuple(XrayLine(element, t) for t in transitions)


def two_theta_deg(energy_kev):
    return 2.0 * np.degrees(np.arcsin(KEV_ANGSTROM / np.asarray(energy_kev) / TWO_D_ANGSTROM))


@dataclass
class WavelengthSpectrometer:
    """Rates of every position from line strengths of the forward model."""

    condition: InstrumentCondition
    detector: Detector
    theory: LineTheory
    everything: LineTheory
    lines: dict = field(default_factory=dict)

    def measure(self, name, contents, rng):
        """One bead: gross rates with counting noise, and background positions."""
        found, backgrounds = {}, {}
        for element in ANALYTES:
            centre = float(two_theta_deg(main_lines(element)[0].energy_kev))
            angles = BACKGROUND_DEG[element]
            peak = self._counted(contents, centre, PEAK_TIME_S, rng)
            positions = tuple(
                CountedPosition(
                    name=f"BG {angle}",
                    rate_per_s=backgrounds.setdefault(angle, self._counted(contents, angle, BACKGROUND_TIME_S, rng)),
                    counting_time_s=BACKGROUND_TIME_S,
                    two_theta_rad=np.radians(angle),
                )
                for angle in angles
            )
            line = MEASURED[element]
            found[line] = LineIntensity(
                line=line,
                element=element,
                kind=IntensityKind.GROSS,
                rate_per_s=peak,
                counting_time_s=PEAK_TIME_S,
                two_theta_rad=np.radians(centre),
                background=positions,
            )
        return LineIntensities(specimen=name, lines=found)

    def _counted(self, contents, angle_deg, time_s, rng):
        rate = self._rate(contents, angle_deg)
        return rng.poisson(rate / (1.0 + rate * DEAD_TIME_S) * time_s) / time_s

    def _rate(self, contents, angle_deg):
        total = 120.0 * (1.0 - 0.01 * (angle_deg - 75.0))  # continuum
        for name, (element, angle) in self.lines.items():
            shape = np.exp(-4.0 * np.log(2.0) * ((angle_deg - angle) / FWHM_DEG) ** 2)
            if shape > 1e-7:
                total += shape * self.everything(name, contents) * contents[element] * PHOTONS_TO_RATE
        return total

    def rates(self, name, contents, rng):
        """Corrected net rates, as a laboratory would have them; overlaps are left to the regression."""
        measured = self.measure(name, contents, rng)
        corrections = {line: LineCorrection(dead_time_s=DEAD_TIME_S, background=None) for line in measured.lines}
        return corrected_rates(measured, corrections)


@pytest.fixture(scope="session")
def spectrometer():
    tube = Tube(
        anode="Rh",
        voltage_kv=50.0,
        window=(Absorber(formula="Be", areal_density_g_cm2=0.0139),),
        electron_incidence_rad=np.pi / 2,
        take_off_angle_rad=np.radians(25.0),
    )
    condition = InstrumentCondition(
        name="wd",
        tube=tube,
        filters=(),
        path=(),
        incidence_angle_rad=np.radians(60.0),
        take_off_angle_rad=np.radians(40.0),
        energy_zero_kev=0.0,
        energy_gain_kev=0.01,
    )
    detector = Detector(crystal="Si", thickness_cm=0.05)
    wanted = {MEASURED[e]: main_lines(e) for e in ANALYTES}
    theory = LineTheory(condition, detector, wanted, ANALYTES, base=FLUX)
    every, angles = {}, {}
    for element in ANALYTES:
        for shell in ("K",) if element in ("Ti", "Fe") else ("L1", "L2", "L3"):
            for line in emission_lines(element, shell, least_fraction=1e-3):
                if line.energy_kev > KEV_ANGSTROM / TWO_D_ANGSTROM * 1.02:
                    name = f"{element} {line.transition}"
                    every[name] = (line,)
                    angles[name] = (element, float(two_theta_deg(line.energy_kev)))
    everything = LineTheory(condition, detector, every, ANALYTES, base=FLUX)
    return WavelengthSpectrometer(condition, detector, theory, everything, angles)


BEAD = Specimen(
    form=SpecimenForm.FUSED_BEAD,
    density_g_cm3=2.6,
    thickness_cm=0.3,
    fusion=Fusion(flux=(("Li2B4O7", 12.0), ("LiBO2", 22.0)), sample_g=1.0, flux_g=10.0, ignited_mass_per_g_sample=0.95),
)
LARGEST_IN_ORE = {"Ti": 0.02, "Ba": 0.03, "La": 0.03, "Ce": 0.05, "Pr": 0.006, "Nd": 0.02, "Sm": 0.004, "Fe": 0.62}
CERTIFICATE_RELATIVE_U, CERTIFICATE_ABSOLUTE_U = 0.004, 5e-6


def ore_contents(rng, n):
    """Independent contents of n ores, spread evenly: a small Latin hypercube."""
    columns = {}
    for element, top in LARGEST_IN_ORE.items():
        low = 0.3 * top if element == "Fe" else 0.0
        columns[element] = low + (top - low) * (rng.permutation(n) + rng.uniform(size=n)) / n
    return [{e: float(columns[e][i]) for e in ANALYTES} for i in range(n)]


def certificate(name, ore, rng):
    values = []
    for element, content in ore.items():
        u = np.hypot(CERTIFICATE_RELATIVE_U * content, CERTIFICATE_ABSOLUTE_U)
        values.append(
            ReferenceValue(
                component=element,
                mass_fraction=max(content + u * rng.normal(), 0.0),
                expanded_uncertainty=2.0 * u,
                coverage_factor=2.0,
                assigned_by=Assignment.FUSION_ICP,
                basis=Basis.DRY,
            )
        )
    return ReferenceMaterial(name=name, values=tuple(values))


@pytest.fixture(scope="session")
def beads(spectrometer):
    """Twenty standards, and twelve unknowns with their true contents in the bead."""
    rng = np.random.default_rng(20)
    standards = []
    for i, ore in enumerate(ore_contents(rng, 20)):
        bead = {e: w / BEAD.dilution for e, w in ore.items()}
        rates = spectrometer.rates(f"B{i:02d}", bead, rng)
        standards.append(Standard(material=certificate(f"B{i:02d}", ore, rng), specimen=BEAD, rates=rates))
    unknowns = []
    for i, ore in enumerate(ore_contents(rng, 12)):
        bead = {e: w / BEAD.dilution for e, w in ore.items()}
        unknowns.append((spectrometer.rates(f"U{i:02d}", bead, rng), bead))
    return standards, unknowns


@pytest.fixture(scope="session")
def wd():
    """The names of this file, for tests: a conftest cannot be imported."""
    return sys.modules[__name__]
