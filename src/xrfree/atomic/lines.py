"""Characteristic lines by their IUPAC transition.

Names: R. Jenkins et al., IUPAC nomenclature for X-ray spectroscopy, Pure Appl. Chem. 63 (1991) 735.
"""

from __future__ import annotations

from dataclasses import dataclass

from xrfree.atomic import _tables
from xrfree.errors import DomainError

_SIEGBAHN = {
    "K-L3": "Kα1",
    "K-L2": "Kα2",
    "K-M3": "Kβ1",
    "K-M2": "Kβ3",
    "K-N2": "Kβ2''",
    "K-N3": "Kβ2'",
    "K-M4": "Kβ5''",
    "K-M5": "Kβ5'",
    "L3-M5": "Lα1",
    "L3-M4": "Lα2",
    "L2-M4": "Lβ1",
    "L3-N5": "Lβ2",
    "L1-M3": "Lβ3",
    "L1-M2": "Lβ4",
    "L3-O4": "Lβ5",
    "L3-N1": "Lβ6",
    "L1-M5": "Lβ9",
    "L1-M4": "Lβ10",
    "L3-N4": "Lβ15",
    "L2-M3": "Lβ17",
    "L2-N4": "Lγ1",
    "L1-N2": "Lγ2",
    "L1-N3": "Lγ3",
    "L1-O3": "Lγ4",
    "L2-N1": "Lγ5",
    "L2-O4": "Lγ6",
    "L2-M1": "Lη",
    "L3-M1": "Lℓ",
    "M5-N7": "Mα1",
    "M5-N6": "Mα2",
    "M4-N6": "Mβ",
    "M3-N5": "Mγ",
}


@dataclass(frozen=True, slots=True, order=True)
class XrayLine:
    """A characteristic line: element symbol and IUPAC transition, e.g. XrayLine("La", "L3-M5").

    Raises DomainError if the element does not have that line.
    """

    element: str
    transition: str

    def __post_init__(self) -> None:
        """Refuse a line that the element does not have."""
        self._entry()

    def _entry(self) -> tuple[str, float, float]:
        shell = self.transition.partition("-")[0]
        if shell in _tables.SHELLS:
            for entry in _tables.shell_lines(_tables.atomic_number(self.element), shell):
                if entry[0] == self.transition:
                    return entry
        raise DomainError(f"{self.element} {self.transition} is not a known characteristic line")

    @property
    def shell(self) -> str:
        """The subshell whose vacancy the line fills: "K", "L3" ..."""
        return self.transition.partition("-")[0]

    @property
    def energy_kev(self) -> float:
        """Line energy, keV."""
        return self._entry()[1]

    @property
    def line_fraction(self) -> float:
        """Share of the line among the radiative decays of its subshell."""
        return self._entry()[2]

    @property
    def natural_width_kev(self) -> float:
        """Full width at half maximum of the Lorentzian line, keV: sum of the widths of both levels."""
        z = _tables.atomic_number(self.element)
        inner, outer = self.transition.split("-")
        return _tables.level_width_kev(z, inner) + _tables.level_width_kev(z, outer)

    @property
    def siegbahn(self) -> str:
        """Siegbahn name for people ("Lα1"), the IUPAC name where there is none."""
        return _SIEGBAHN.get(self.transition, self.transition)


def emission_lines(element: str, shell: str, *, least_fraction: float = 0.0) -> tuple[XrayLine, ...]:
    """Lines of `element` that fill `shell`, in the table's order.

    least_fraction : lines with a smaller share of the subshell's radiative decays are left out.
    """
    z = _tables.atomic_number(element)
    if shell not in _tables.SHELLS:
        raise DomainError(f"'{shell}' is not a subshell; known: {', '.join(_tables.SHELLS)}")
    return tuple(
        XrayLine(element, transition)
        for transition, _, fraction in _tables.shell_lines(z, shell)
        if fraction >= least_fraction
    )


def absorption_edge_kev(element: str, shell: str) -> float:
    """Absorption edge (keV) of a subshell; 0 where the element has no such shell."""
    return _tables.edge_energy_kev(_tables.atomic_number(element), shell)


def line_group_shells(series: str) -> tuple[str, ...]:
    """Subshells of a series: "L" -> ("L1", "L2", "L3")."""
    if series not in ("K", "L", "M"):
        raise DomainError(f"'{series}' is not a series; known: K, L, M")
    return tuple(shell for shell in _tables.SHELLS if shell.startswith(series))
