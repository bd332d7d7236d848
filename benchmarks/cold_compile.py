"""How long a machine compiles that has never run xrfree: every kernel with an empty cache, then again from the cache.

    python benchmarks/cold_compile.py [--json FILE]

A process compiles as every command does that finds nothing compiled (`xrfree.kernels.first_run`); its cache is a
temporary folder. Another one then calls the fit of single spectra and of blocks (nonlinear and linear), the forward
model with its derivatives, the inversion and the influence coefficients: it must find everything there. Time is the
wall's, of a machine with nothing else to do, from the decision to compile to the last kernel; processor time stands
beside it.

cold_s, cold_cpu_s    all kernels compiled
cached_s              the same kernels found in the cache by the second process
kernels               how many there are; each must lie in the cache after the first process
"""

from __future__ import annotations

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[_name] = "1"

import argparse
import importlib
import json
import pkgutil
import platform
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from numba.core.event import Listener, register

TARGET_S = 15.0
FIRST, SECOND = "--first", "--second"


def first() -> None:
    """Compile everything; print what that cost as JSON."""
    from xrfree.kernels import first_run

    assert first_run.is_needed()
    start = time.perf_counter()
    first_run.compile_all()
    wall_s = time.perf_counter() - start
    assert not first_run.is_needed()
    of_children = os.times()
    print(json.dumps({"wall_s": wall_s, "cpu_s": of_children.children_user + of_children.children_system}))


def second() -> None:
    """Load every kernel, then call all; print how long loading took, and what had to be compiled again."""
    counter = _Counter()
    register("numba:compile", counter)  # type: ignore[no-untyped-call]
    from xrfree import kernels
    from xrfree.kernels import first_run
    from xrfree.kernels._kernel import ENTRIES

    assert not first_run.is_needed()
    start = time.perf_counter()
    for function, types in (entry for entries in ENTRIES.values() for entry in entries):
        function.compile(types)
    wall_s = time.perf_counter() - start
    _call_everything()
    names = [
        f"{module}.{name}"
        for module in sorted(m.name for m in pkgutil.iter_modules(kernels.__path__))
        for name, value in vars(importlib.import_module(f"xrfree.kernels.{module}")).items()
        if hasattr(value, "py_func") and value.py_func.__module__ == f"xrfree.kernels.{module}"
    ]
    print(json.dumps({"wall_s": wall_s, "compiled": counter.compiled, "kernels": names}))


class _Counter(Listener):
    """Counts compilations."""

    compiled = 0

    def on_start(self, _: object) -> None:
        """A compilation begins."""

    def on_end(self, _: object) -> None:
        """A compilation ends."""
        self.compiled += 1


def _call_everything() -> None:
    """Every verb of fit and matrix once."""
    import fit_speed
    import matrix_speed
    import numpy as np

    from xrfree.fit import Prior, fit_spectra, fit_spectrum
    from xrfree.spectrum import EnergyScale, ExcitationCondition, Spectrum

    counts = np.random.default_rng(1).poisson(200.0, (2, 1000))
    scale = EnergyScale(zero_kev=0.0, gain_kev=0.018)
    response = replace(fit_speed.RESPONSE, pulse_pair_time_s=0.0)
    settings = replace(fit_speed.SETTINGS, priors={})
    held = replace(settings, priors={n: Prior(mean=0.0, sigma=0.0) for n in ("zero", "gain", "noise", "fano")})
    spectrum = Spectrum(
        counts=counts[0],
        live_time_s=100.0,
        real_time_s=100.0,
        energy_scale=scale,
        condition=ExcitationCondition(name=""),
    )
    fit_spectrum(spectrum, fit_speed.templates(), response=response, crystal="Si", settings=settings)
    for chosen in (settings, held):
        fit_spectra(
            counts, fit_speed.templates(), live_time_s=100.0, energy_scale=scale, response=response, crystal="Si",
            settings=chosen,
        )  # fmt: skip
    figures: dict[str, float] = {}
    matrix_speed.forward(figures, with_fisx=False)
    matrix_speed.inverse(figures)
    matrix_speed.coefficients(figures)


def run(call: str, cache: Path) -> dict[str, Any]:
    """What a fresh process says of itself."""
    done = subprocess.run(
        [sys.executable, __file__, call],
        env={**os.environ, "NUMBA_CACHE_DIR": str(cache)},
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    return dict(json.loads(done.stdout.splitlines()[-1]))


def main() -> int:
    """Measure, print, assert what does not depend on load, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        cold = run(FIRST, Path(folder))
        kept = {path.name.partition("-")[0] for path in Path(folder).rglob("*.nbi")}
        cached = run(SECOND, Path(folder))
    missing = [name for name in cached["kernels"] if name not in kept]
    assert not missing, f"not compiled or not kept: {', '.join(missing)}"
    assert cached["compiled"] == 0, f"the second process compiled {cached['compiled']} kernels again"
    figures = {
        "cold_s": cold["wall_s"],
        "cold_cpu_s": cold["cpu_s"],
        "cached_s": cached["wall_s"],
        "kernels": float(len(cached["kernels"])),
    }
    for name, figure in figures.items():
        print(f"{name:24s} {figure:12.4g}" + (f"   target {TARGET_S:g}" if name == "cold_s" else ""))
    if arguments.json:
        environment = {"python": platform.python_version(), "machine": platform.machine()}
        arguments.json.write_text(
            json.dumps({"figures": figures, "environment": environment}, indent=2), encoding="utf-8"
        )
    return 0


if __name__ == "__main__":
    if FIRST in sys.argv:
        first()
    elif SECOND in sys.argv:
        second()
    else:
        sys.exit(main())
