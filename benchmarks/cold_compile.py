"""How long a machine compiles that has never run xrfree: every kernel with an empty cache, then again from the cache.

    python benchmarks/cold_compile.py [--json FILE]

Two processes, one after the other, call the fit of single spectra and of blocks (nonlinear and linear), the forward
model with its derivatives, the inversion and the influence coefficients, with a cache in a temporary folder. Time is
the wall's, of compilation alone and of a machine with nothing else to do; processor time stands beside it.

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
CHILD = "--child"


def child() -> None:
    """Call everything that is compiled; print what that cost as JSON."""
    watch = _Watch()
    register("numba:compile", watch)  # type: ignore[no-untyped-call]
    _call_everything()
    from xrfree import kernels

    names = [
        f"{module}.{name}"
        for module in sorted(m.name for m in pkgutil.iter_modules(kernels.__path__))
        for name, value in vars(importlib.import_module(f"xrfree.kernels.{module}")).items()
        if hasattr(value, "py_func") and value.py_func.__module__ == f"xrfree.kernels.{module}"
    ]
    print(json.dumps({"wall_s": watch.wall_s, "cpu_s": watch.cpu_s, "compiled": watch.compiled, "kernels": names}))


class _Watch(Listener):
    """Time within compilations; those within another belong to it."""

    wall_s = cpu_s = 0.0
    compiled = depth = 0

    def on_start(self, _: object) -> None:
        """A compilation begins."""
        if self.depth == 0:
            self.begun = time.perf_counter(), time.process_time()
        self.depth += 1

    def on_end(self, _: object) -> None:
        """A compilation ends."""
        self.depth -= 1
        self.compiled += 1
        if self.depth == 0:
            self.wall_s += time.perf_counter() - self.begun[0]
            self.cpu_s += time.process_time() - self.begun[1]


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


def run(cache: Path) -> dict[str, Any]:
    """What a fresh process says of itself."""
    done = subprocess.run(
        [sys.executable, __file__, CHILD],
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
        cold = run(Path(folder))
        kept = {path.name.partition("-")[0] for path in Path(folder).rglob("*.nbi")}
        cached = run(Path(folder))
    missing = [name for name in cold["kernels"] if name not in kept]
    assert not missing, f"not compiled or not kept: {', '.join(missing)}"
    assert cached["compiled"] == 0, f"the second process compiled {cached['compiled']} kernels again"
    figures = {
        "cold_s": cold["wall_s"],
        "cold_cpu_s": cold["cpu_s"],
        "cached_s": cached["wall_s"],
        "kernels": float(len(cold["kernels"])),
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
    if CHILD in sys.argv:
        child()
        sys.exit()
    sys.exit(main())
