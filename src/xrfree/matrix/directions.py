"""Nodes and weights for integrals over the cosine of a direction from 0 to 1."""

from __future__ import annotations

import numpy as np

_ROOT, _ROOT_WEIGHT = np.polynomial.legendre.leggauss(12)

DIRECTIONS = ((0.5 * (_ROOT + 1.0)) ** 3, 1.5 * (0.5 * (_ROOT + 1.0)) ** 2 * _ROOT_WEIGHT)
"""Cosines and weights, even in the cosine's cube root and so crowded at grazing directions: thin layers shine there.

Against 100 nodes, relative to a line's total: 4e-9 for a bead, 4e-7 at 0.05 g/cm², 2e-6 at 0.003 g/cm².
"""
