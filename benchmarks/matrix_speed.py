"""Speed of the matrix engine beside fisx: forward model, derivatives, inversion, influence coefficients.

    python benchmarks/matrix_speed.py [--json FILE] [--without-fisx]

Processor time of one core, best of several warm calls. fisx computes the same specimen once: primary and secondary
excitation of all lines of a 23-element ore by a rhodium tube at 50 kV.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ.setdefault(name, "1")

import numpy as np
from _fisx import DETECTOR, ORE, condition, library, rates

from xrfree import __version__
from xrfree.atomic import TABLES
from xrfree.composition import USUAL_OXIDES
from xrfree.matrix.completion import Total, completion
from xrfree.matrix.derivatives import strength_derivatives
from xrfree.matrix.fundamental import excitation, line_strengths
from xrfree.matrix.influence import FluxRecipe, component_system, de_jongh
from xrfree.matrix.intensities import group_intensities
from xrfree.matrix.inversion import invert

K_LINES = ("Fe", "Si", "Ca", "Al", "Mg", "P", "S", "K", "Ti", "V", "Mn")
L_LINES = ("Ba", "La", "Ce", "Pr", "Nd", "Sm")
HARD_LINES = ("Zn", "Sr", "Zr", "Nb")
N_SPECIMENS = 1000


def best_ms(work: Callable[[], object], repeats: int = 15) -> float:
    """Least processor time of several calls after one that warms up, ms."""
    work()
    found = []
    for _ in range(repeats):
        begun = time.process_time()
        work()
        found.append(time.process_time() - begun)
    return 1e3 * min(found)


def forward(figures: dict[str, float], *, with_fisx: bool) -> None:
    """Forward model and derivatives of the ore at 50 kV, and fisx."""
    model = excitation(condition(50.0), DETECTOR, tuple(ORE))
    weights = np.array(list(ORE.values()))
    figures["forward_ms"] = best_ms(lambda: line_strengths(model, weights, np.inf))
    figures["forward_tertiary_ms"] = best_ms(lambda: line_strengths(model, weights, np.inf, tertiary=True), 5)
    figures["derivatives_ms"] = best_ms(lambda: strength_derivatives(model, weights, np.inf), 5)
    step = 1e-5 * np.eye(len(ORE))[0]
    up, down = (line_strengths(model, weights + s * step, np.inf).total for s in (1.0, -1.0))
    found = strength_derivatives(model, weights, np.inf).total[:, 0]
    assert np.allclose(found, (up - down) / 2e-5, rtol=1e-4, atol=1e-6 * float(np.abs(found).max()))
    if with_fisx:
        elements = library(ORE)
        begun = time.process_time()
        other = rates(elements, model, order=2)
        figures["fisx_ms"] = 1e3 * (time.process_time() - begun)
        figures["over_fisx"] = figures["fisx_ms"] / figures["forward_ms"]
        strengths = line_strengths(model, weights, np.inf)
        share = [strengths.secondary[k] / strengths.primary[k] for k in range(len(model.lines))]
        theirs = other.secondary / other.primary
        strong = [k for k, ln in enumerate(model.lines) if ln.element in ("Ti", "Ca") and ln.transition == "K-L3"]
        assert np.allclose(np.array(share)[strong], theirs[strong], rtol=0.03), "enhancement differs from fisx"


def inverse(figures: dict[str, float]) -> None:
    """Inversion of 21 line groups of two conditions."""
    channels = [("low", f"{e} K") for e in K_LINES] + [("low", f"{e} L") for e in L_LINES]
    channels += [("high", f"{e} K") for e in HARD_LINES]
    seen = [group.split()[0] for _, group in channels]
    rule = completion(
        {e: USUAL_OXIDES[e] for e in seen},
        total=Total.REMAINDER,
        remainder={"CaF2": 0.5, "SiO2": 0.5},
        loss={"CO2": 0.07, "H2O": 0.02},
    )
    physics = group_intensities({"low": condition(15.0), "high": condition(50.0)}, DETECTOR, rule.elements, channels)
    truth = 0.85 * np.array([ORE[e] for e in seen])
    masses = rule.masses(truth)
    intensity = 1e6 * masses[physics.channel_element] * physics.strengths(masses / masses.sum(), 1.6)
    covariance = np.diag(intensity)

    def work() -> np.ndarray:
        return invert(intensity, covariance, physics, rule, sensitivity=1e6, areal_density_g_cm2=1.6).content

    assert np.allclose(work(), truth, rtol=1e-8)
    figures["inverse_ms"] = best_ms(work, 5)


def coefficients(figures: dict[str, float]) -> None:
    """A thousand beads through theoretical coefficients."""
    names = {"Fe2O3": "Fe K", "SiO2": "Si K", "CaO": "Ca K", "TiO2": "Ti K", "BaO": "Ba L", "La2O3": "La L"}
    names |= {"CeO2": "Ce L", "Nd2O3": "Nd L", "MnO": "Mn K", "P2O5": "P K"}
    system = component_system(
        {"low": condition(15.0)},
        DETECTOR,
        {**{n: n for n in names}, "LOI": {"CO2": 0.7, "H2O": 0.3}},
        {n: ("low", group) for n, group in names.items()},
        fusion=FluxRecipe(flux={"Li2B4O7": 12.0, "LiBO2": 22.0}, flux_per_sample=10.0, lost="LOI"),
    )
    base = np.array([0.5, 0.1, 0.1, 0.02, 0.02, 0.02, 0.03, 0.01, 0.02, 0.03, 0.15])
    found = de_jongh(system, base, eliminated="LOI")
    contents = base * np.random.default_rng(1).uniform(0.5, 1.5, (N_SPECIMENS, base.size))
    contents /= contents.sum(axis=1, keepdims=True)
    relative = contents[:, system.own] / found.matrix_factors(contents)
    known = {"LOI": contents[:, -1]}
    assert np.allclose(found.contents(relative, known=known), contents, rtol=1e-9)
    figures["coefficients_per_s"] = 1e3 * N_SPECIMENS / best_ms(lambda: found.contents(relative, known=known))


def main() -> int:
    """Measure, print, assert the targets that do not depend on the machine's load, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="also write the figures here")
    parser.add_argument("--without-fisx", action="store_true", help="leave out the peer, which takes a minute or more")
    given = parser.parse_args()
    figures: dict[str, float] = {}
    forward(figures, with_fisx=not given.without_fisx)
    inverse(figures)
    coefficients(figures)
    targets = {"forward_ms": 10.0, "derivatives_ms": 50.0, "inverse_ms": 100.0, "coefficients_per_s": 50_000.0}
    for name, value in figures.items():
        target = f"   target {targets[name]:g}" if name in targets else ""
        print(f"{name:22s} {value:14.3f}{target}")
    if given.json:
        environment = {
            "xrfree": __version__,
            "tables": TABLES,
            "python": platform.python_version(),
            "machine": f"{platform.system()} {platform.machine()}",
        }
        text = json.dumps({"figures": figures, "environment": environment}, indent=1)
        given.json.write_text(text + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
