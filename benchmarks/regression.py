"""Regression against certified values: NIST StRD, Pearson's data with York's weights, and odrpack in the same run.

    python benchmarks/regression.py [--json FILE]

Figures: `NAME_digits` (fewest certified digits among coefficients), `NAME_sd_digits` (among their standard errors),
`hundred_standards_s` (fit and leave-one-material-out of 100 standards with errors in both variables).
Data and certified values: NIST Statistical Reference Datasets, linear regression; D. York et al., Am. J. Phys. 72
(2004) 367 with the data of K. Pearson (1901) and the weights of D. York (1966).
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from dataclasses import dataclass
from pathlib import Path

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

import numpy as np
import odrpack
import scipy
from numpy.typing import NDArray

from xrfree.regression.diagnostics import leave_one_material_out
from xrfree.regression.observations import CONSTANT, Observations
from xrfree.regression.solve import ErrorLevel, fit

FloatArray = NDArray[np.float64]

NORRIS = """
0.1 0.2 338.8 337.4 118.1 118.2 888.0 884.6 9.2 10.1 228.1 226.5 668.5 666.3 998.5 996.3 449.1 448.6 778.9
777.0 559.2 558.2 0.3 0.4 0.1 0.6 778.1 775.5 668.8 666.9 339.3 338.0 448.9 447.5 10.8 11.6 557.7 556.0 228.3
228.1 998.0 995.8 888.8 887.6 119.6 120.2 0.3 0.3 0.6 0.3 557.6 556.8 339.3 339.1 888.0 887.2 998.5 999.0
778.9 779.0 10.2 11.1 117.6 118.3 228.9 229.2 668.4 669.1 449.2 448.9 0.2 0.5"""
LONGLEY = """60323 83.0 234289 2356 1590 107608 1947 61122 88.5 259426 2325 1456 108632 1948
60171 88.2 258054 3682 1616 109773 1949 61187 89.5 284599 3351 1650 110929 1950
63221 96.2 328975 2099 3099 112075 1951 63639 98.1 346999 1932 3594 113270 1952
64989 99.0 365385 1870 3547 115094 1953 63761 100.0 363112 3578 3350 116219 1954
66019 101.2 397469 2904 3048 117388 1955 67857 104.6 419180 2822 2857 118734 1956
68169 108.4 442769 2936 2798 120445 1957 66513 110.8 444546 4681 2637 121950 1958
68655 112.6 482704 3813 2552 123366 1959 69564 114.2 502601 3931 2514 125368 1960
69331 115.7 518173 4806 2572 127852 1961 70551 116.9 554894 4007 2827 130081 1962"""
WAMPLER_NOISE = np.array(
    [759, -2048, 2048, -2048, 2523, -2048, 2048, -2048, 1838, -2048, 2048, -2048, 1838, -2048, 2048, -2048, 2523, -2048,
     2048, -2048, 759], dtype=np.float64)  # fmt: skip
WAMPLER_SD = (
    2152.32624678170, 2363.55173469681, 779.343524331583, 101.475507550350, 5.64566512170752, 0.112324854679312,
)  # fmt: skip


@dataclass(frozen=True)
class Certified:
    """A data set with its certified coefficients and standard errors."""

    name: str
    y: FloatArray
    x: FloatArray
    coefficients: tuple[float, ...]
    standard_errors: tuple[float, ...]


def _numbers(text: str, columns: int) -> FloatArray:
    return np.array(text.split(), dtype=np.float64).reshape(-1, columns)


def nist_sets() -> tuple[Certified, ...]:
    """NIST StRD sets whose data and certified values are known here."""
    norris, longley = _numbers(NORRIS, 2), _numbers(LONGLEY, 7)
    x = np.arange(21.0)
    powers = x[:, None] ** np.arange(6)
    ones, tenths = np.ones(6), np.array([1.0, 0.1, 0.01, 0.001, 1e-4, 1e-5])
    exact = powers.sum(axis=1)
    # Wampler 2: decimal data, as published with five decimals: 10⁵ y is a sum of integers.
    wampler2 = (powers * 10.0 ** np.arange(5, -1, -1)).sum(axis=1) / 1e5
    wampler = [
        Certified("Wampler1", exact, powers, tuple(ones), (0.0,) * 6),
        Certified("Wampler2", wampler2, powers, tuple(tenths), (0.0,) * 6),
    ]
    for number, factor in ((3, 1.0), (4, 1e2), (5, 1e4)):
        errors = tuple(factor * sd for sd in WAMPLER_SD)
        wampler.append(Certified(f"Wampler{number}", exact + factor * WAMPLER_NOISE, powers, tuple(ones), errors))
    return (
        Certified(
            "Norris",
            norris[:, 0],
            np.column_stack([np.ones(36), norris[:, 1]]),
            (-0.262323073774029, 1.00211681802045),
            (0.232818234301152, 0.429796848199937e-03),
        ),
        Certified(
            "Longley",
            longley[:, 0],
            np.column_stack([np.ones(16), longley[:, 1:]]),
            (-3482258.63459582, 15.0618722713733, -0.358191792925910e-01, -2.02022980381683, -1.03322686717359,
             -0.511041056535807e-01, 1829.15146461355),
            (890420.383607373, 84.9149257747669, 0.334910077722432e-01, 0.488399681651699, 0.214274163161675,
             0.226073200069370, 455.478499142212),
        ),
        *wampler,
        Certified("NoInt1", np.arange(130.0, 141.0), np.arange(60.0, 71.0)[:, None], (2.07438016528926,),
                  (0.165289256198347e-01,)),
        Certified("NoInt2", np.array([3.0, 4.0, 4.0]), np.array([[4.0], [5.0], [6.0]]), (0.727272727272727,),
                  (0.420827318078432e-01,)),
    )  # fmt: skip


PEARSON_X = np.array([0.0, 0.9, 1.8, 2.6, 3.3, 4.4, 5.2, 6.1, 6.5, 7.4])
PEARSON_Y = np.array([5.9, 5.4, 4.4, 4.6, 3.5, 3.7, 2.8, 2.8, 2.4, 1.5])
YORK_WEIGHT_X = np.array([1000.0, 1000.0, 500.0, 800.0, 200.0, 80.0, 60.0, 20.0, 1.8, 1.0])
YORK_WEIGHT_Y = np.array([1.0, 1.8, 4.0, 8.0, 20.0, 20.0, 70.0, 70.0, 100.0, 500.0])
YORK_LINE = (5.47991022403, -0.48053340745)
YORK_STANDARD_ERRORS = (0.29497, 0.05799)
"""Of the adjusted points, not multiplied by the residual scale: York et al. 2004, table II, five decimals."""


def pearson_york() -> Observations:
    """Pearson's ten points with York's weights."""
    return Observations.of(
        [f"point {i}" for i in range(10)],
        [CONSTANT, "x"],
        PEARSON_Y,
        np.column_stack([np.ones(10), PEARSON_X]),
        response_uncertainty=YORK_WEIGHT_Y**-0.5,
        design_uncertainty=np.column_stack([np.zeros(10), YORK_WEIGHT_X**-0.5]),
    )


def digits(found: FloatArray, certified: tuple[float, ...], most: float = 15.0) -> float:
    """Fewest correct significant digits: -log10 of the relative error, of the absolute one where 0 is certified."""
    reference = np.array(certified)
    away = np.abs(found - reference) / np.where(reference == 0.0, 1.0, np.abs(reference))
    return float(np.min(np.minimum(-np.log10(np.maximum(away, 10.0**-most)), most)))


def nist_digits(case: Certified) -> tuple[float, float]:
    """Certified digits of coefficients and of standard errors."""
    names = [f"x{i}" for i in range(case.x.shape[1])]
    observations = Observations.of([str(i) for i in range(len(case.y))], names, case.y, case.x, scatter_scale=0.0)
    found = fit(observations, level=ErrorLevel.ESTIMATED)
    return digits(found.coefficients, case.coefficients), digits(found.standard_uncertainty, case.standard_errors)


def hundred_standards() -> Observations:
    """A hundred standards, eight terms, errors in all columns."""
    rng = np.random.default_rng(5)
    n, p = 100, 8
    truth = rng.uniform(0.01, 0.05, (n, p))
    beta = np.concatenate([[1.0], rng.normal(0.0, 0.05, p - 1)])
    u_y, u_x = 0.005 * truth @ beta, 0.005 * truth
    return Observations.of(
        [f"S{i:03d}" for i in range(n)],
        [CONSTANT, *(f"t{i}" for i in range(p))],
        truth @ beta + rng.normal(0.0, 1.0, n) * u_y,
        np.column_stack([np.ones(n), truth + rng.normal(0.0, 1.0, (n, p)) * u_x]),
        response_uncertainty=u_y,
        design_uncertainty=np.column_stack([np.zeros(n), u_x]),
        scatter_scale=truth @ beta,
    )


def odrpack_line(observations: Observations) -> FloatArray:
    """The same curve by orthogonal distance regression."""
    variances = np.einsum("ijj->ji", observations.covariance)
    found = odrpack.odr_fit(
        lambda x, beta: np.asarray(beta @ x),
        observations.design.T,
        observations.response,
        np.linalg.lstsq(observations.design, observations.response, rcond=None)[0],
        weight_x=1.0 / np.where(variances[1:] > 0.0, variances[1:], 1.0),
        weight_y=1.0 / variances[0],
        fix_x=variances[1:] == 0.0,
        sstol=1e-15,
        partol=1e-15,
        maxit=500,
    )
    return np.asarray(found.beta)


def _seconds(action: object, repeats: int = 3) -> float:
    best = float("inf")
    for _ in range(repeats):
        start = time.process_time()
        action()  # type: ignore[operator]
        best = min(best, time.process_time() - start)
    return best


def main() -> int:
    """Measure, print, assert."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    figures: dict[str, float] = {}
    print(f"{'data set':<12} {'coefficients':>14} {'standard errors':>16}   (certified digits, 15 at most)")
    for case in nist_sets():
        values, errors = nist_digits(case)
        figures |= {f"{case.name}_digits": values, f"{case.name}_sd_digits": errors}
        print(f"{case.name:<12} {values:>14.1f} {errors:>16.1f}")
        assert values >= 9.0, f"{case.name}: {values:.1f} digits"
        assert errors >= (9.0 if any(case.standard_errors) else 4.0), f"{case.name}: {errors:.1f} digits of errors"
    york = fit(pearson_york(), scatter=0.0)
    figures["York_digits"] = digits(york.coefficients, YORK_LINE, 11.0)
    figures["York_sd_digits"] = digits(york.standard_uncertainty, YORK_STANDARD_ERRORS, 5.0)
    print(f"{'York':<12} {figures['York_digits']:>14.1f} {figures['York_sd_digits']:>16.1f}   (11 and 4 are published)")
    assert figures["York_digits"] >= 10.0
    assert figures["York_sd_digits"] >= 3.5

    observations = hundred_standards()
    ours, theirs = fit(observations, scatter=0.0).coefficients, odrpack_line(observations)
    figures["odrpack_agreement"] = float(np.max(np.abs(ours - theirs) / fit(observations).standard_uncertainty))
    figures["hundred_standards_s"] = _seconds(lambda: leave_one_material_out(fit(observations)))
    figures["fit_s"] = _seconds(lambda: fit(observations, scatter=0.0))
    figures["odrpack_fit_s"] = _seconds(lambda: odrpack_line(observations))
    print(f"100 standards, 9 terms: fit, extra scatter and leave-one-out {figures['hundred_standards_s']:.2f} s")
    print(f"one fit {1e3 * figures['fit_s']:.1f} ms, odrpack {1e3 * figures['odrpack_fit_s']:.1f} ms; ", end="")
    print(f"coefficients agree within {figures['odrpack_agreement']:.1e} standard uncertainties")
    assert figures["odrpack_agreement"] < 1e-3
    assert figures["hundred_standards_s"] < 1.0
    if arguments.json:
        environment = {
            "python": platform.python_version(),
            "numpy": np.__version__,
            "scipy": scipy.__version__,
            "odrpack": odrpack.__version__,
            "machine": platform.machine(),
        }
        arguments.json.write_text(json.dumps({"figures": figures, "environment": environment}, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
