"""Plausibility of a rare-earth pattern: contents over chondrite are a smooth function of the atomic number.

Normalising values   W. F. McDonough, S.-s. Sun, Chem. Geol. 120 (1995) 223, CI chondrite, mg/kg.
Neighbours           lanthanum and neodymium: cerium changes its valence and leaves the smooth line (OREAS
                     460 to 463 hold 17 % more praseodymium than cerium and neodymium would say, but within 3 % of what
                     lanthanum and neodymium say).
Validation           tests/quality/test_pattern.py: certified materials, 0.98 to 1.05 for Pr, 0.85 to 1.20 for Sm; ore
                     of Bayan Obo has 1.08 and 0.57.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xrfree.atomic import atomic_number
from xrfree.errors import DomainError

CHONDRITE_MG_KG: Mapping[str, float] = {"La": 0.237, "Ce": 0.613, "Pr": 0.0928, "Nd": 0.457, "Sm": 0.148}
"""CI chondrite, McDonough & Sun 1995."""
NEIGHBOURS = ("La", "Nd")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plausibility:
    """Content of an element over what its neighbours say: ratio, and standard uncertainty of its logarithm."""

    element: str
    expected: float
    ratio: float
    u_log: float

    def is_plausible(self, tolerance: float, *, coverage_factor: float = 2.0) -> bool:
        """Whether |ln ratio| stays within ln(1 + tolerance) and the expanded uncertainty."""
        return abs(math.log(self.ratio)) <= math.log1p(tolerance) + coverage_factor * self.u_log


def neighbours_expectation(contents: Mapping[str, float], element: str) -> float:
    """Content (unit of `contents`) on the line through ln(content/chondrite) of lanthanum and neodymium over Z."""
    share = _share(element)
    first, second = (math.log(_normalised(contents, e)) for e in NEIGHBOURS)
    return math.exp((1.0 - share) * first + share * second) * CHONDRITE_MG_KG[element]


def plausibility(contents: Mapping[str, float], covariance: NDArray[np.float64], element: str) -> Plausibility:
    """Ratio of a content to its neighbours' expectation, with its uncertainty.

    contents : in one unit, all above 0; covariance : of them, in their order, shape (n, n).

    u²(ln q) = gᵀ U g,  g = 1/w of the element, -(1-s)/w and -s/w of the neighbours, s = (Z - 57)/3

    Raises DomainError for a neighbour itself, an element without chondrite value, and contents of 0 or less.
    """
    expected = neighbours_expectation(contents, element)
    share, names = _share(element), list(contents)
    gradient = np.zeros(len(names))
    for name, weight in ((element, 1.0), (NEIGHBOURS[0], share - 1.0), (NEIGHBOURS[1], -share)):
        gradient[names.index(name)] = weight / contents[name]
    variance = float(gradient @ covariance @ gradient)
    ratio = _normalised(contents, element) * CHONDRITE_MG_KG[element] / expected
    return Plausibility(element=element, expected=expected, ratio=ratio, u_log=math.sqrt(max(variance, 0.0)))


def _share(element: str) -> float:
    """Position of an element between the neighbours: 0 at lanthanum, 1 at neodymium, more beyond."""
    if element in NEIGHBOURS or element not in CHONDRITE_MG_KG:
        known = ", ".join(e for e in CHONDRITE_MG_KG if e not in NEIGHBOURS)
        raise DomainError(f"the pattern says nothing about {element}; it can judge {known}")
    low, high = (atomic_number(e) for e in NEIGHBOURS)
    return (atomic_number(element) - low) / (high - low)


def _normalised(contents: Mapping[str, float], element: str) -> float:
    if not contents.get(element, 0.0) > 0.0:
        raise DomainError(f"a rare-earth pattern needs a content of {element} above 0, got {contents.get(element)}")
    return contents[element] / CHONDRITE_MG_KG[element]
