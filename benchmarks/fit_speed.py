"""Speed of the fit on PyMca's steel spectrum, PyMca measured in the same run.

    python benchmarks/fit_speed.py [--spectra DIR] [--number N] [--json FILE]

DIR holds srm1155_steel_16keV.spe and .cfg, a steel (NIST SRM 1155) at a synchrotron: 1232 channels, lines of V, Cr, Mn,
Fe, Ni, Cu, As, W and Pb, the beam's elastic and Compton peaks, background, energy scale, resolution and pile-up. N
Poisson replicas of the fitted spectrum are fitted. CPU seconds of one core, compilation and warm-up left out.
"""

from __future__ import annotations

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[_name] = "1"

import argparse
import contextlib
import io
import json
import platform
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xrfree.atomic import _tables, atomic_number, emission_lines, line_group_shells
from xrfree.fit import FitSettings, Light, LineCluster, Prior, Templates, fit_spectra, fit_spectrum
from xrfree.instrument import FWHM_PER_SIGMA, PAIR_ENERGY_KEV, Response
from xrfree.readers import read_measurement
from xrfree.readers.profile import load_profile
from xrfree.spectrum import Spectrum

FloatArray = NDArray[np.float64]

ROOT = Path(__file__).resolve().parents[1]
PROFILE = ROOT / "tests" / "peers" / "srm1155_steel.toml"
BEAM_KEV = 16.0
STEEL = {"Cr": 0.1837, "Fe": 0.654, "Ni": 0.1235, "Mo": 0.0226, "Mn": 0.01619}
# PyMca's columns: Kα and Kβ of iron and the L subshells of tungsten are free of each other.
GROUPS = (
    ("V K", ""), ("Cr K", ""), ("Mn K", ""), ("Fe K", "K-L"), ("Fe K", "K-M"), ("Ni K", ""), ("Cu K", ""), ("As K", ""),
    ("W L", "L1"), ("W L", "L2"), ("W L", "L3"), ("Pb L", ""), ("Pb M", ""),
)  # fmt: skip
RANGE_KEV = (2.38, 17.08)
BACKGROUND_TERMS = 7
# PyMca states the noise as a full width and takes 3.85 eV for an electron-hole pair; values of its own fit.
RESPONSE = Response(
    noise_kev=0.105 / FWHM_PER_SIGMA, fano=0.136 * 0.00385 / PAIR_ENERGY_KEV["Si"], pulse_pair_time_s=1.8e-7
)
SETTINGS = FitSettings(
    ranges_kev=(RANGE_KEV,),
    background_terms=BACKGROUND_TERMS,
    priors={"pile_up": Prior(mean=0.0, sigma=1.0)},
)
ROUNDS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """Spectra per CPU second, and the result of the last round."""

    per_s: float
    result: Any


def strengths(group: str) -> list[tuple[str, float, float]]:
    """Transition, energy (keV) and strength of a group's lines, with absorption in the steel at 45 degrees."""
    element, series = group.split()
    z = atomic_number(element)
    found = []
    for shell in line_group_shells(series):
        made = sum(
            decays * _tables.shell_photo_absorption(z, donor, np.array([BEAM_KEV]))[0]
            for donor, decays in _tables.vacancy_transfer(z, shell).items()
        )
        for line in emission_lines(element, shell, least_fraction=1e-3) if made > 0.0 else ():
            seen = 1.0 / (steel_attenuation(BEAM_KEV) + steel_attenuation(line.energy_kev))
            found.append((line.transition, line.energy_kev, float(made * line.line_fraction * seen)))
    return found


def steel_attenuation(energy_kev: float) -> float:
    """Of the steel, cm²/g."""
    energy = np.array([energy_kev])
    return float(sum(w * _tables.total_attenuation(atomic_number(e), energy)[0] for e, w in STEEL.items()))


def templates() -> Templates:
    """Columns of PyMca's task: lines without natural width, the beam's elastic and Compton peaks, an even continuum."""
    lines = [
        (k, energy, strength)
        for k, (group, part) in enumerate(GROUPS)
        for transition, energy, strength in strengths(group)
        if transition.startswith(part)
    ]
    used = sorted({k for k, _, _ in lines})
    names = tuple(" ".join(filter(None, GROUPS[k])) for k in used)
    owner = np.array([used.index(k) for k, _, _ in lines])
    even, compton = np.linspace(1.5, 18.0, 1651), np.linspace(14.9, 16.0, 60)
    return Templates(
        groups=names,
        clusters=tuple(LineCluster(group=name, name="all", leading=True) for name in names),
        cluster_group=np.arange(len(names)),
        energy_kev=np.array([energy for _, energy, _ in lines]),
        strength=np.array([strength for _, _, strength in lines]),
        half_width_kev=np.zeros(len(lines)),
        is_k=np.zeros(len(lines), dtype=bool),
        line_cluster=owner,
        shoulder=Light(energy_kev=np.zeros(0), strength=np.zeros(0)),
        shoulder_cluster=np.zeros(0, dtype=np.int64),
        continuum=Light(energy_kev=even, strength=np.ones(even.size)),
        tube=(
            Light(energy_kev=np.array([BEAM_KEV]), strength=np.ones(1)),
            Light(energy_kev=compton, strength=np.exp(-0.5 * ((compton - 15.51) / 0.17) ** 2)),
        ),
    )


def timed(work: Callable[[], Any], number: int) -> Speed:
    """Best of some rounds."""
    best, result = np.inf, None
    for _ in range(ROUNDS):
        started = time.process_time()
        result = work()
        best = min(best, time.process_time() - started)
    return Speed(per_s=number / best, result=result)


def replicas(spectrum: Spectrum, settings: FitSettings, response: Response, number: int) -> tuple[Any, NDArray[Any]]:
    """The fit of a spectrum that is what the model expects of the measured one, and its Poisson replicas."""
    fitted = None
    for _ in range(2):
        fitted = fit_spectrum(spectrum, templates(), response=response, crystal="Si", settings=settings)
        expected = spectrum.counts.astype(np.float64)
        expected[fitted.model.window] = np.maximum(fitted.model.evaluate(fitted.values).expected, 0.0)
        spectrum = replace(spectrum, counts=np.rint(expected).astype(np.int64))
    return fitted, np.random.default_rng(1).poisson(expected, (number, expected.size))


def blocks(spectrum: Spectrum, counts: NDArray[Any], settings: FitSettings, response: Response) -> Speed:
    """Our fit of all replicas in one call."""

    def work() -> Any:
        return fit_spectra(
            counts,
            templates(),
            live_time_s=spectrum.live_time_s,
            energy_scale=spectrum.energy_scale,
            response=response,
            crystal="Si",
            settings=settings,
        )

    work()
    return timed(work, counts.shape[0])


def checked(block: Any, truth: dict[str, float]) -> tuple[float, float]:
    """Worst mean and worst width of the pulls; they must be those of a fit that works."""
    true = np.array([truth[f"area:{group}"] for group in block.groups])
    sigma = np.sqrt(np.array([np.diag(c) for c in block.covariance]))
    pull = (block.area - true) / sigma
    n = pull.shape[0]
    mean, width = float(np.abs(pull.mean(axis=0)).max()), float(np.abs(pull.std(axis=0) - 1.0).max())
    if mean > 5.0 / np.sqrt(n) + 0.05 or width > 5.0 / np.sqrt(2.0 * n) + 0.05:
        raise SystemExit(f"wrong answers: pulls are off by {mean:.2f}, their width by {width:.2f}")
    return mean, width


def pymca_nonlinear(folder: Path, counts: NDArray[Any]) -> Speed:
    """PyMca's full fit, one spectrum after another, set up once."""
    from PyMca5.PyMcaIO import ConfigDict
    from PyMca5.PyMcaPhysics.xrf import ClassMcaTheory

    configuration = ConfigDict.ConfigDict()
    configuration.read(str(folder / "srm1155_steel_16keV.cfg"))
    limits = {key: configuration["fit"][key] for key in ("xmin", "xmax")}
    fit = ClassMcaTheory.McaTheory()
    fit.setConfiguration(configuration)

    def work() -> Any:
        with contextlib.redirect_stdout(io.StringIO()):
            for row in counts:
                fit.setData(np.arange(row.size), row.astype(float), **limits)
                fit.estimate()
                result = fit.startfit(digest=0)
        return result

    return timed(work, counts.shape[0])


def pymca_fast(folder: Path, counts: NDArray[Any]) -> Speed:
    """PyMca's fast linear fit with weights from each spectrum's own counts; it wants the faster SNIP background."""
    from PyMca5.PyMcaIO import ConfigDict
    from PyMca5.PyMcaPhysics.xrf.FastXRFLinearFit import FastXRFLinearFit

    fast = FastXRFLinearFit()
    configuration = ConfigDict.ConfigDict()
    configuration.read(str(folder / "srm1155_steel_16keV.cfg"))
    configuration["fit"]["stripalgorithm"] = 1
    fast.setFitConfiguration(configuration)
    stack = counts.astype(np.float64)[None]

    def work() -> Any:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            return fast.fitMultipleSpectra(y=stack, weight=2, refit=0)

    work()
    return timed(work, counts.shape[0])


def dgemm_rate() -> float:
    """Floating-point operations per second of a matrix product."""
    a = np.random.default_rng(0).random((900, 900))
    return float(timed(lambda: a @ a, 1).per_s * 2.0 * a.shape[0] ** 3)


def grown_mb(spectrum: Spectrum, counts: NDArray[Any], settings: FitSettings) -> float:
    """How much the peak of memory grows when eight times as many spectra are fitted, results left out, MB."""

    def peak() -> float:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0

    def fit(table: NDArray[Any]) -> Any:
        return fit_spectra(
            table,
            templates(),
            live_time_s=spectrum.live_time_s,
            energy_scale=spectrum.energy_scale,
            response=RESPONSE,
            crystal="Si",
            settings=settings,
        )

    many = np.concatenate([counts[:128]] * 8)
    fit(many[:128])
    before = peak()
    result = fit(many)
    held = sum(getattr(result, name).nbytes for name in ("area", "covariance", "values", "standard_uncertainty")) / 1e6
    return float(peak() - before - 2.0 * held)


def main() -> int:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    shared = Path(os.environ.get("XRFREE_SHARED", ROOT.parent / "shared"))
    parser.add_argument("--spectra", type=Path, default=shared / "spectra" / "real" / "pymca")
    parser.add_argument("--number", type=int, default=1000)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    path = arguments.spectra / "srm1155_steel_16keV.spe"
    (spectrum,) = read_measurement(path, profile=load_profile(PROFILE)).spectra.values()

    fitted, counts = replicas(spectrum, SETTINGS, RESPONSE, arguments.number)
    nonlinear = blocks(spectrum, counts, SETTINGS, RESPONSE)
    mean, width = checked(nonlinear.result, fitted.values)
    fixed = {n: Prior(mean=fitted.values[n], sigma=0.0) for n in ("zero", "gain", "noise", "fano")}
    linear_settings = replace(SETTINGS, priors=fixed)
    sharp = replace(RESPONSE, pulse_pair_time_s=0.0)
    alone = fitted.model.evaluate({**fitted.values, "pile_up": -1.0}).expected
    without = np.zeros(spectrum.n_channels, dtype=np.int64)
    without[fitted.model.window] = np.rint(np.maximum(alone, 0.0))
    linear_fitted, linear_counts = replicas(
        replace(spectrum, counts=without), linear_settings, sharp, 4 * arguments.number
    )
    linear = blocks(spectrum, linear_counts, linear_settings, sharp)
    checked(linear.result, linear_fitted.values)
    single = timed(lambda: fit_spectrum(spectrum, templates(), response=RESPONSE, crystal="Si", settings=SETTINGS), 1)
    peer = pymca_nonlinear(arguments.spectra, counts[:10])
    fast = pymca_fast(arguments.spectra, counts)
    n_linear = len(linear_fitted.model.names) - len(fixed)
    n_channels = linear_fitted.model.counts.size
    # One weighted normal matrix, its factor and inverse, and the products with the columns: of one iteration.
    operations = n_channels * n_linear * (n_linear + 1) + 4 * n_channels * n_linear + n_linear**3
    figures = {
        "nonlinear_per_s": nonlinear.per_s,
        "linear_per_s": linear.per_s,
        "over_pymca_nonlinear": nonlinear.per_s / peer.per_s,
        "over_pymca_fast": linear.per_s / fast.per_s,
        "dgemm_share": linear.per_s * operations / dgemm_rate(),
        "single_fit_ms": 1e3 / single.per_s,
        "pymca_nonlinear_per_s": peer.per_s,
        "pymca_fast_per_s": fast.per_s,
        "parameters": float(len(fitted.model.names)),
        "channels": float(n_channels),
        "worst_pull_mean": mean,
        "worst_pull_width_off": width,
        "memory_growth_mb": grown_mb(spectrum, counts, SETTINGS),
    }
    for name, figure in figures.items():
        print(f"{name:24s} {figure:12.4g}")
    if arguments.json:
        environment = {"python": platform.python_version(), "machine": platform.machine(), "numpy": np.__version__}
        arguments.json.write_text(
            json.dumps({"figures": figures, "environment": environment}, indent=2), encoding="utf-8"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
