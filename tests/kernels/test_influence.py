"""Equations with influence coefficients: the equations themselves, successive approximation, the plain Python twin."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from xrfree.kernels import influence
from xrfree.kernels.influence import matrix_factors, solve_contents

FloatArray = NDArray[np.float64]
OWN = np.array([0, 2])


def python(kernel: Callable[..., Any]) -> Callable[..., Any]:
    """The plain function behind a kernel; without JIT they are one and the same."""
    return getattr(kernel, "py_func", kernel)


def table(seed: int = 1) -> tuple[FloatArray, ...]:
    """Coefficients of every kind for two analytes among four components."""
    rng = np.random.default_rng(seed)
    alpha, hyperbola, curvature, enhancement = (rng.uniform(-0.3, 0.5, (2, 4)) for _ in range(4))
    return np.array([1.1, 0.9]), alpha, hyperbola, curvature, enhancement, rng.uniform(-0.2, 0.2, (2, 4, 4))


def written_out(content: FloatArray) -> FloatArray:
    """M_i as the docstring has it."""
    scale, alpha, hyperbola, curvature, enhancement, cross = table()
    found = []
    for i, own in enumerate(OWN):
        rest = 1.0 - content[own]
        each = (
            alpha[i] + hyperbola[i] * rest / (1.0 + curvature[i] * (1.0 - rest)) + enhancement[i] / (1.0 + content[own])
        )
        pairs = sum(cross[i, j, k] * content[j] * content[k] for j in range(4) for k in range(j + 1, 4))
        found.append(scale[i] * (1.0 + each @ content + pairs))
    return np.array(found)


@pytest.mark.parametrize("form", [matrix_factors, python(matrix_factors)], ids=["compiled", "python"])
def test_factors_and_slopes_are_those_of_the_equation(form: Callable[..., Any]) -> None:
    content = np.array([0.2, 0.1, 0.4, 0.3])
    factor, slope = np.zeros(2), np.zeros((2, 4))
    form(factor, slope, content, OWN, *table())
    assert factor == pytest.approx(written_out(content), rel=1e-13)
    for j in range(4):
        step = 1e-5 * np.eye(4)[j]
        # Central differences of a smooth function.
        assert slope[:, j] == pytest.approx(
            (written_out(content + step) - written_out(content - step)) / 2e-5, abs=1e-8
        )


@pytest.mark.parametrize("form", [solve_contents, python(solve_contents)], ids=["compiled", "python"])
def test_solution_satisfies_the_equation(form: Callable[..., Any]) -> None:
    truth = np.array([[0.2, 0.1, 0.4, 0.3], [0.05, 0.0, 0.15, 0.8], [0.0, 0.5, 0.0, 0.5]])
    relative = np.array([row[OWN] / written_out(row) for row in truth])
    sums = np.zeros((4, 2))
    sums[OWN, [0, 1]], sums[3] = 1.0, -1.0
    fixed = np.zeros((3, 4))
    fixed[:, 1], fixed[:, 3] = truth[:, 1], 1.0 - truth[:, 1]
    analyte, steps = np.zeros((3, 2)), np.zeros((3, 30))
    form(analyte, steps, relative, fixed, sums, OWN, *table(), 1e-13, 30)
    assert analyte == pytest.approx(truth[:, OWN], abs=1e-12)


def test_linear_equations_need_one_step() -> None:
    scale, alpha, *rest = table()
    zero = [np.zeros_like(part) for part in rest]
    analyte, steps = np.zeros((1, 2)), np.zeros((1, 30))
    sums = np.zeros((4, 2))
    sums[OWN, [0, 1]] = 1.0
    solve_contents(analyte, steps, np.array([[0.2, 0.3]]), np.zeros((1, 4)), sums, OWN, scale, alpha, *zero, 1e-13, 30)
    assert np.flatnonzero(steps[0]).size == 2


def test_singular_equations_are_marked() -> None:
    one, zero = np.ones(1), np.zeros((1, 1))
    analyte, steps = np.zeros((1, 1)), np.zeros((1, 5))
    rest = (np.ones((1, 1)), zero, zero, zero, np.zeros((1, 0, 0)))
    # C = R (1 + C) with R = 1 has no solution.
    solve_contents(
        analyte, steps, np.ones((1, 1)), zero, np.ones((1, 1)), np.zeros(1, dtype=np.int64), one, *rest, 1e-13, 5
    )
    assert np.isinf(steps[0, 0])


def test_rows_are_exchanged_where_needed() -> None:
    matrix, right = np.array([[0.0, 2.0, 1.0], [3.0, 1.0, 0.0], [1.0, 0.0, 4.0]]), np.array([1.0, 2.0, 3.0])
    expected = np.linalg.solve(matrix, right)
    for form in (influence._solved, python(influence._solved)):
        found = right.copy()
        assert form(matrix.copy(), found)
        assert found == pytest.approx(expected, rel=1e-13)
