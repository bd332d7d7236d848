"""Contents from relative intensities by influence coefficients, many specimens at once.

Definition   see `xrfree.matrix.influence`; each specimen by Newton's method, exact in one step where the equations are
             linear (Lachance-Traill, de Jongh).
Validation   tests/kernels/test_influence.py: the equations themselves, the plain Python twin.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from xrfree.kernels._kernel import F1, F2, I1, R1, R2, R3, F, I, entry, kernel

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_LEAST_STEP = 1e-300
"""Recorded for a step of 0, which would look like a step that was not taken."""


@entry(F1, F2, F1, I1, R1, R2, R2, R2, R2, R3)
def matrix_factors(
    factor: FloatArray,
    slope: FloatArray,
    content: FloatArray,
    own: IntArray,
    scale: FloatArray,
    alpha: FloatArray,
    hyperbola: FloatArray,
    curvature: FloatArray,
    enhancement: FloatArray,
    cross: FloatArray,
) -> None:
    """M_i and ∂M_i/∂x_j of one specimen.

    M_i = e_i {1 + Σ_j [α_ij + β_ij m / (1 + γ_ij (1 - m)) + ε_ij / (1 + x_i)] x_j + Σ_j<k κ_ijk x_j x_k},  m = 1 - x_i

    factor, slope : shapes (n,) and (n, n_components), overwritten; content : x, shape (n_components,).
    own : component of each analyte; scale : e; alpha, hyperbola, curvature, enhancement : α, β, γ, ε, shape
    (n, n_components); cross : κ, shape (n, n_components, n_components), used above its diagonal, or (n, 0, 0).
    """
    size = content.size
    for i in range(own.size):
        mine = content[own[i]]
        rest = 1.0 - mine
        total = 1.0
        by_own = 0.0
        for j in range(size):
            bent = 1.0 + curvature[i, j] * mine
            coefficient = alpha[i, j] + hyperbola[i, j] * rest / bent + enhancement[i, j] / (1.0 + mine)
            change = -hyperbola[i, j] * (1.0 + curvature[i, j]) / (bent * bent)
            change -= enhancement[i, j] / ((1.0 + mine) * (1.0 + mine))
            total += coefficient * content[j]
            by_own += change * content[j]
            slope[i, j] = coefficient
        slope[i, own[i]] += by_own
        for j in range(cross.shape[1]):
            for k in range(j + 1, cross.shape[2]):
                if cross[i, j, k] != 0.0:
                    total += cross[i, j, k] * content[j] * content[k]
                    slope[i, j] += cross[i, j, k] * content[k]
                    slope[i, k] += cross[i, j, k] * content[j]
        factor[i] = scale[i] * total
        for j in range(size):
            slope[i, j] *= scale[i]


@kernel
def _solved(matrix: FloatArray, right: FloatArray) -> bool:
    """Solve in place by elimination with row exchange; False where the matrix is singular."""
    n = right.size
    for column in range(n):
        best = column
        for row in range(column + 1, n):
            if abs(matrix[row, column]) > abs(matrix[best, column]):
                best = row
        if not abs(matrix[best, column]) > 1e-14:
            return False
        if best != column:
            for k in range(n):
                matrix[column, k], matrix[best, k] = matrix[best, k], matrix[column, k]
            right[column], right[best] = right[best], right[column]
        for row in range(column + 1, n):
            share = matrix[row, column] / matrix[column, column]
            if share != 0.0:
                for k in range(column + 1, n):
                    matrix[row, k] -= share * matrix[column, k]
                right[row] -= share * right[column]
    for row in range(n - 1, -1, -1):
        for k in range(row + 1, n):
            right[row] -= matrix[row, k] * right[k]
        right[row] /= matrix[row, row]
    return True


@entry(F2, F2, F2, F2, F2, I1, R1, R2, R2, R2, R2, R3, F, I)
def solve_contents(
    analyte: FloatArray,
    step: FloatArray,
    relative: FloatArray,
    fixed: FloatArray,
    sums: FloatArray,
    own: IntArray,
    scale: FloatArray,
    alpha: FloatArray,
    hyperbola: FloatArray,
    curvature: FloatArray,
    enhancement: FloatArray,
    cross: FloatArray,
    tolerance: float,
    most_steps: int,
) -> None:
    """Contents y_i = R_i M_i(x), x = sums @ y + fixed, of every specimen.

    analyte : shape (n_specimens, n), overwritten.
    step : shape (n_specimens, most_steps), largest change of each step; 0 after the last, infinite if singular.
    relative : R, shape (n_specimens, n); fixed : shape (n_specimens, n_components); sums : (n_components, n).
    """
    n, size = own.size, fixed.shape[1]
    factor, slope = np.zeros(n), np.zeros((n, size))
    content, residual, jacobian = np.zeros(size), np.zeros(n), np.zeros((n, n))
    for s in range(relative.shape[0]):
        for i in range(n):
            analyte[s, i] = 0.0
        for turn in range(most_steps):
            for j in range(size):
                content[j] = fixed[s, j]
                for i in range(n):
                    content[j] += sums[j, i] * analyte[s, i]
            matrix_factors(factor, slope, content, own, scale, alpha, hyperbola, curvature, enhancement, cross)
            for i in range(n):
                residual[i] = relative[s, i] * factor[i] - analyte[s, i]
                for k in range(n):
                    change = 0.0
                    for j in range(size):
                        change += slope[i, j] * sums[j, k]
                    jacobian[i, k] = -relative[s, i] * change
                jacobian[i, i] += 1.0
            if not _solved(jacobian, residual):
                step[s, turn] = np.inf
                break
            largest = 0.0
            for i in range(n):
                analyte[s, i] += residual[i]
                if not abs(residual[i]) <= largest:
                    largest = abs(residual[i])
            step[s, turn] = largest if largest > 0.0 else _LEAST_STEP
            if largest <= tolerance or largest != largest:
                break
