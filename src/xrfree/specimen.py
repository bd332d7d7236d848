"""What the spectrometer looks at: a pressed powder or a fused bead, and what is known of it beforehand."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from xrfree.atomic import parse_formula
from xrfree.errors import DomainError


class SpecimenForm(StrEnum):
    """How the specimen was prepared."""

    PRESSED_POWDER = "pressed powder"
    FUSED_BEAD = "fused bead"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fusion:
    """Weighing record of a fused bead.

    flux : formulas and their masses, e.g. (("Li2B4O7", 12.0), ("LiBO2", 22.0)); any unit of mass.
    sample_g, flux_g : weighed masses.
    ignited_mass_per_g_sample : what one gram of dry sample leaves in the bead, g/g.
    """

    flux: tuple[tuple[str, float], ...]
    sample_g: float
    flux_g: float
    ignited_mass_per_g_sample: float

    def __post_init__(self) -> None:
        """Check masses."""
        if not self.flux or not all(np.isfinite(mass) and mass > 0.0 for _, mass in self.flux):
            raise DomainError("a flux needs at least one formula with a mass above 0")
        for formula, _ in self.flux:
            parse_formula(formula)
        for name in ("sample_g", "flux_g", "ignited_mass_per_g_sample"):
            value = getattr(self, name)
            if not (np.isfinite(value) and value > 0.0):
                raise DomainError(f"{name} is {value}, expected a number above 0")

    @property
    def bead_g(self) -> float:
        """Mass of the bead: flux and ignited sample."""
        return self.flux_g + self.sample_g * self.ignited_mass_per_g_sample

    @property
    def flux_fraction(self) -> float:
        """Mass fraction of the flux in the bead."""
        return self.flux_g / self.bead_g

    @property
    def dilution(self) -> float:
        """Mass of bead per mass of sample: mass fraction in the sample over mass fraction in the bead."""
        return self.bead_g / self.sample_g


@dataclass(frozen=True, slots=True, kw_only=True)
class Specimen:
    """A prepared specimen.

    density_g_cm3, thickness_cm : their product decides how much radiation passes through.
    loss_on_ignition : kg/kg of the dry sample; None where nobody determined it.
    fusion : for fused beads only.
    """

    form: SpecimenForm
    density_g_cm3: float
    thickness_cm: float
    loss_on_ignition: float | None = None
    fusion: Fusion | None = None

    def __post_init__(self) -> None:
        """Check numbers, and that beads and only beads have a weighing record."""
        for name in ("density_g_cm3", "thickness_cm"):
            value = getattr(self, name)
            if not (np.isfinite(value) and value > 0.0):
                raise DomainError(f"{name} is {value}, expected a number above 0")
        if self.loss_on_ignition is not None and not -0.2 <= self.loss_on_ignition < 0.9:
            raise DomainError(f"loss on ignition is {self.loss_on_ignition}, expected kg/kg between -0.2 and 0.9")
        if (self.fusion is not None) != (self.form is SpecimenForm.FUSED_BEAD):
            raise DomainError(
                f"a {self.form} {'needs' if self.fusion is None else 'has no'} weighing record of a fusion"
            )

    @property
    def areal_density_g_cm2(self) -> float:
        """Mass per area."""
        return self.density_g_cm3 * self.thickness_cm

    @property
    def dilution(self) -> float:
        """Factor from the specimen's mass fractions to those of the sample: 1 for a powder."""
        return 1.0 if self.fusion is None else self.fusion.dilution
