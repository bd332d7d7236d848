"""How contents follow from rates: the models of a calibration curve.

Definition   w_i = M_i(w) (β₀ + β₁ R_i + Σ_j β_j R_j + Σ_k β_k R_i w_k + Σ_l β_l R_i R_l)
             M_i  matrix factor: 1, or 1 + Σ_j α_ij w_j with theoretical coefficients (G. R. Lachance, R. J. Traill,
                  Can. Spectrosc. 11 (1966) 43), or S_i(w₀)/S_i(w) by fundamental parameters (J. Sherman, 1955)
             R_j  overlaps; R_i w_k  empirical influence of an element (Lachance-Traill, regressed);
             R_i R_l  of a line (H. J. Lucas-Tooth, B. J. Price, Metallurgia 64 (1961) 149)
             Compton: R_i is replaced by R_i/R_C (G. Andermann, J. W. Kemp, Anal. Chem. 30 (1958) 1306).
Validation   tests/curves/test_models.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xrfree.calibration import CurveModel, ModelKind
from xrfree.curves.rates import LineRates
from xrfree.errors import CalibrationError

FloatArray = NDArray[np.float64]

StrengthOf = Callable[[str, Mapping[str, float]], float]
"""Line and contents (kg/kg, of the specimen) -> strength of the line per unit mass fraction of its element."""


@dataclass(frozen=True, slots=True)
class Factors:
    """Where matrix factors come from: `strength_of` for fundamental parameters; alphas are in the model itself."""

    strength_of: StrengthOf | None = None

    def of(self, model: CurveModel, contents: Mapping[str, float]) -> float:
        """Matrix factor M_i of a model for a specimen of some contents."""
        if model.kind is ModelKind.THEORETICAL_ALPHAS:
            return 1.0 + sum(alpha * contents.get(element, 0.0) for element, alpha in model.alphas.items())
        if model.kind is not ModelKind.FUNDAMENTAL:
            return 1.0
        if self.strength_of is None:
            raise CalibrationError(
                f"the curve of {model.analyte} works by fundamental parameters; give the instrument and its method"
            )
        strength = self.strength_of(model.line, contents)
        if not strength > 0.0:
            raise CalibrationError(f"{model.line}: the tube of this instrument does not excite it")
        return 1.0 / strength


def terms_of(model: CurveModel, rates: LineRates, contents: Mapping[str, float], factors: Factors) -> FloatArray:
    """Terms of a model for one specimen, matrix factor included, in the order of `model.terms`; shape (p,)."""
    own = rates.rate[rates.index(model.line)]
    if model.kind is ModelKind.COMPTON:
        scattered = rates.rate[rates.index(model.compton_line)]
        if scattered <= 0.0:
            raise CalibrationError(f"{rates.specimen}: the Compton line {model.compton_line} has no intensity")
        own = own / scattered
    found = [1.0] if model.constant else []
    found.append(own)
    found += [rates.rate[rates.index(line)] for line in model.overlaps]
    found += [own * contents.get(element, 0.0) for element in model.influencing_elements]
    found += [own * rates.rate[rates.index(line)] for line in model.influencing_lines]
    return np.array(found) * factors.of(model, contents)
