"""Partial least squares of all rates at once: a comparison, never a calibration.

It finds whatever in the standards goes along with a content, correlations of natural ores included, and knows neither
certificate errors nor physics. Where it predicts better than a curve, the curve misses a term.

Definition   H. Wold, S. Wold, H. Martens; NIPALS of scikit-learn's PLSRegression (extra `ml`), rates scaled to unit
             variance, as many components as leave-one-material-out likes best.
Validation   tests/curves/test_models.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xrfree.curves.calibrating import Standard
from xrfree.errors import CalibrationError

FloatArray = NDArray[np.float64]

FEWEST_STANDARDS = 8
_MOST_COMPONENTS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class PlsComparison:
    """Leave-one-material-out error (kg/kg) of partial least squares for one analyte."""

    analyte: str
    n_components: int
    leave_one_out_rms: float
    n_standards: int


def pls_comparison(analyte: str, standards: Sequence[Standard]) -> PlsComparison:
    """How well all rates together predict an analyte.

    Raises CalibrationError with fewer than eight materials, and where scikit-learn is not installed.
    """
    try:
        from sklearn.cross_decomposition import PLSRegression
    except ImportError as problem:
        raise CalibrationError("partial least squares needs scikit-learn: pip install 'xrfree[ml]'") from problem
    usable = [s for s in standards if analyte in s.contents()]
    names = [s.material.name for s in usable]
    if len(set(names)) < FEWEST_STANDARDS:
        raise CalibrationError(
            f"{analyte}: partial least squares needs {FEWEST_STANDARDS} reference materials, "
            f"there are {len(set(names))}"
        )
    x = np.array([s.rates.rate for s in usable])
    y = np.array([s.contents()[analyte] for s in usable])
    most = min(_MOST_COMPONENTS, x.shape[1], len(set(names)) - 2)
    errors = {}
    for components in range(1, most + 1):
        difference = np.empty(len(y))
        for name in dict.fromkeys(names):
            own = np.array([n == name for n in names])
            model = PLSRegression(n_components=components).fit(x[~own], y[~own])
            difference[own] = np.ravel(model.predict(x[own])) - y[own]
        errors[components] = float(np.sqrt(np.mean(difference**2)))
    best = min(errors, key=lambda components: errors[components])
    return PlsComparison(
        analyte=analyte, n_components=best, leave_one_out_rms=errors[best], n_standards=len(set(names))
    )
