"""Symbols of the elements, for files that name an anode or a filter by its atomic number."""

from __future__ import annotations

import re

_PERIODS = (
    "H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se Br Kr Rb Sr Y Zr Nb",
    "Mo Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe Cs Ba La Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho Er Tm Yb Lu Hf Ta W Re Os Ir Pt Au",
    "Hg Tl Pb Bi Po At Rn Fr Ra Ac Th Pa U",
)
SYMBOLS = tuple(" ".join(_PERIODS).split())
_KNOWN = frozenset(SYMBOLS)
_FORMULA = re.compile(r"(?:[A-Z][a-z]?[0-9]*(?:\.[0-9]*)?)+")
_PART = re.compile(r"([A-Z][a-z]?)")


def symbol(z: int) -> str:
    """Symbol of an element; "Z 130" for a number that belongs to none."""
    return SYMBOLS[z - 1] if 1 <= z <= len(SYMBOLS) else f"Z {z}"


def is_element(text: str) -> bool:
    """Whether a text is the symbol of an element from H to U."""
    return text in _KNOWN


def is_component(text: str) -> bool:
    """Whether a text is the symbol of an element or the formula of a compound, such as Nb, Fe2O3 or C6H10O5N."""
    if _FORMULA.fullmatch(text) is None:
        return False
    return all(part in _KNOWN for part in _PART.findall(text))
