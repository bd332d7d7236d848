"""OREAS 460 to 465 by the whole chain, on an instrument whose constants are not those of the model that calibrates it.

    python benchmarks/oreas.py [--json FILE]

Spectra are simulated with xrfree's own engine. The simulated instrument differs from the document that the
calibration starts from: resolution, tail, shelf, escape yield, pile-up, tube window and take-off angle, line ratios
(4 % between L subshells, 2 % between other lines), strengths of elements (3 %), and an energy scale a little off.
Instrument (pure compounds), sensitivities (ten synthetic standards whose certificates err by 0.5 %) and ores then go
through the public verbs.

Figures: `OREAS_460_La` ... root mean square error of REPEATS measurements over the between-laboratory SD of fusion XRF
(`_icp` where the producer gives fusion ICP alone), and `worst_xrf`. Fusion ICP determines samarium ten times better
than counting allows here (docs/calibration.md); those ratios are shown and not asserted. A self-consistent engine says
nothing about nature.
Between-laboratory SDs: certificates of the producer, by borate fusion XRF.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import ModuleType

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

import numpy as np

from xrfree import __version__
from xrfree.atomic import TABLES
from xrfree.calibration_fit import calibrate
from xrfree.composition import USUAL_OXIDES, Composition, element_fraction
from xrfree.documents.certificates import load_certificates
from xrfree.documents.instrument import load_instrument
from xrfree.documents.method import load_method
from xrfree.documents.shipped import shipped_path
from xrfree.instrument import Instrument, LineRatios
from xrfree.instrument_fit import PureCompound, calibrate_instrument
from xrfree.method import Method
from xrfree.quantification import prepare, quantify
from xrfree.reference import LOSS_ON_IGNITION, ReferenceMaterial
from xrfree.simulation import simulate
from xrfree.specimen import Specimen
from xrfree.spectrum import Measurement

ANALYTES = ("La", "Ce", "Pr", "Nd", "Sm", "Nb")
TIME_S, COMPOUND_TIME_S = 1200.0, 120.0
LOG_SCALE = {"low": -10.5, "high": -10.4}
SEED = 465
REPEATS = 6
"""Measurements of each material: the stated uncertainty reaches 0.8 SD, and the error of a single one is luck."""
LARGEST_SUM = 0.995

_LA, _CE, _PR, _ND, _SM = (
    element_fraction(oxide, oxide[:2]) for oxide in ("La2O3", "CeO2", "Pr6O11", "Nd2O3", "Sm2O3")
)
XRF_SD: Mapping[str, Mapping[str, float]] = {
    "OREAS 460": {"La": 53.03e-6, "Ce": 71.33e-6, "Pr": 52.13e-6, "Nd": 56.59e-6},
    "OREAS 461": {"La": 54.65e-6, "Ce": 44.71e-6, "Pr": 85.55e-6, "Nd": 113.8e-6},
    "OREAS 462": {"La": 78.28e-6, "Ce": 123.2e-6, "Pr": 98.66e-6, "Nd": 64.31e-6},
    "OREAS 463": {"La": 81.78e-6, "Ce": 131.7e-6, "Pr": 66.28e-6, "Nd": 196.9e-6, "Sm": 92.04e-6},
    "OREAS 464": {
        "La": 197.4e-6 * _LA, "Ce": 272.1e-6 * _CE, "Pr": 98.55e-6 * _PR, "Nd": 361.4e-6 * _ND, "Sm": 55.23e-6 * _SM,
    },
    "OREAS 465": {"La": 281.6e-6, "Ce": 367.8e-6, "Pr": 119.1e-6, "Nd": 877.2e-6, "Sm": 117.0e-6},
}  # fmt: skip
"""Between-laboratory standard deviation by borate fusion XRF, kg/kg; the producer gives none for the others."""


def _demo_maker() -> ModuleType:
    """The tool that makes the demonstration: its synthetic standards and its completion of ores serve here, too."""
    path = Path(__file__).resolve().parents[1] / "tools" / "make_demo.py"
    spec = importlib.util.spec_from_file_location("make_demo", path)
    if spec is None or spec.loader is None:
        raise SystemExit(f"{path} is missing")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


make_demo = _demo_maker()


def other_instrument(stated: Instrument) -> Instrument:
    """An instrument that differs from its document as real ones do."""
    rng = np.random.default_rng(SEED)
    conditions = {
        name: replace(
            condition,
            tube=replace(
                condition.tube,
                take_off_angle_rad=condition.tube.take_off_angle_rad - np.radians(2.0),
                window=tuple(
                    replace(w, areal_density_g_cm2=1.12 * w.areal_density_g_cm2) for w in condition.tube.window
                ),
            ),
            energy_zero_kev=condition.energy_zero_kev + 0.003,
            energy_gain_kev=condition.energy_gain_kev * 1.0003,
        )
        for name, condition in stated.conditions.items()
    }
    responses = {
        name: replace(
            response,
            noise_kev=1.12 * response.noise_kev,
            fano=1.03 * response.fano,
            tail_log_share=response.tail_log_share + 0.25,
            tail_scale_kev=1.15 * response.tail_scale_kev,
            shelf_log_share=response.shelf_log_share + 0.2,
            escape_scale=1.08 * response.escape_scale,
            pulse_pair_time_s=1.3 * response.pulse_pair_time_s,
        )
        for name, response in stated.responses.items()
    }
    clusters = load_instrument(shipped_path("fitted", "example-edxrf.toml")).line_ratios.clusters
    subshell = {(group, name[:2]): 0.04 * rng.normal() for group, name in clusters if " L" in group}
    deviation = [subshell.get((group, name[:2]), 0.0) + 0.02 * rng.normal() for group, name in clusters]
    groups = dict.fromkeys(group for group, _ in clusters)
    strengths = {
        f"{condition}/{group}": scale + 0.03 * rng.normal()
        for condition, scale in LOG_SCALE.items()
        for group in groups
    }
    n = len(clusters)
    return replace(
        stated,
        conditions=conditions,
        responses=responses,
        line_ratios=LineRatios(clusters=clusters, deviation=np.array(deviation), covariance=np.zeros((n, n))),
        log_scale={**LOG_SCALE, **strengths},
    )


def as_stated(measurement: Measurement, stated: Instrument) -> Measurement:
    """The measurement with the energy scale that its instrument believes in."""
    spectra = {
        name: replace(
            spectrum,
            energy_scale=replace(
                spectrum.energy_scale,
                zero_kev=stated.conditions[name].energy_zero_kev,
                gain_kev=stated.conditions[name].energy_gain_kev,
            ),
        )
        for name, spectrum in measurement.spectra.items()
    }
    return replace(measurement, spectra=spectra)


def spectra_of(
    name: str, contents: Composition, truth: Instrument, stated: Instrument, *, seed: int, time_s: float
) -> Measurement:
    """Simulated spectra of one specimen, all conditions."""
    spectra = {
        condition: simulate(
            contents, make_demo.powder(), truth, condition, live_time_s=time_s, seed=1000 * SEED + 10 * seed + i
        )
        for i, condition in enumerate(truth.conditions)
    }
    return as_stated(Measurement(specimen=name, spectra=spectra), stated)


def calibrated_instrument(method: Method, truth: Instrument, stated: Instrument) -> Instrument:
    """The instrument after calibration with pure compounds."""
    compounds = {f: PureCompound(contents={f: 1.0}, specimen=make_demo.powder()) for f in make_demo.COMPOUNDS}
    measurements = {
        f: spectra_of(f, Composition.of({f: 1.0}), truth, stated, seed=k, time_s=COMPOUND_TIME_S)
        for k, f in enumerate(compounds)
    }
    kept = {
        f: m if f in ("Fe2O3", "Nb2O5") else replace(m, spectra={"low": m.spectra["low"]})
        for f, m in measurements.items()
    }
    return calibrate_instrument(kept, compounds, method, stated).instrument


def ore_of(material: ReferenceMaterial, method: Method) -> tuple[dict[str, float], Specimen]:
    """Certified contents of the elements that the method quantifies, and the pressed powder.

    Certified oxides and ignition loss of OREAS 465 sum to 1.0014; there the matrix elements are lowered to LARGEST_SUM.
    """
    values = material.element_values()
    seen = {e: values[e].mass_fraction for e in method.quantified_elements if e in values}
    loss = max(next((v.mass_fraction for v in material.values if v.component == LOSS_ON_IGNITION), 0.0), 0.0)
    analytes = {e: w for e, w in seen.items() if e in ANALYTES}
    matrix = {e: w for e, w in seen.items() if e not in ANALYTES}
    room = LARGEST_SUM - loss - _as_oxides(analytes)
    shrunk = min(room / _as_oxides(matrix), 1.0)
    return analytes | {e: shrunk * w for e, w in matrix.items()}, make_demo.powder(round(loss, 4))


def _as_oxides(contents: Mapping[str, float]) -> float:
    """Mass fraction of the usual oxides of some elements."""
    return sum(w / element_fraction(USUAL_OXIDES[e], e) for e, w in contents.items())


def run() -> tuple[dict[str, float], dict[str, float]]:
    """Root mean square error over between-laboratory SD, and stated uncertainty over it, by material and analyte."""
    method = load_method(shipped_path("methods", "iron-ore-edxrf.toml"))
    stated = load_instrument(shipped_path("instruments", "example-edxrf.toml"))
    truth = other_instrument(stated)
    instrument = calibrated_instrument(method, truth, stated)
    print("instrument calibrated", flush=True)
    rng = np.random.default_rng(SEED)
    made = make_demo.standards()
    calibration = calibrate(
        {
            name: spectra_of(
                name, make_demo.ore_contents(seen, specimen, method), truth, stated, seed=100 + k, time_s=TIME_S
            )
            for k, (name, (seen, specimen)) in enumerate(made.items())
        },
        {name: make_demo.certificate(name, seen, rng) for name, (seen, _) in made.items()},
        {name: specimen for name, (_, specimen) in made.items()},
        prepare(method, instrument),
        name="benchmark",
    )
    print("standards calibrated", flush=True)
    prepared = prepare(method, instrument, calibration)
    materials = {m.name: m for m in load_certificates(shipped_path("certificates"))}
    figures: dict[str, float] = {}
    stated_u: dict[str, float] = {}
    for k, (name, by_xrf) in enumerate(XRF_SD.items()):
        seen, specimen = ore_of(materials[name], method)
        contents = make_demo.ore_contents(seen, specimen, method)
        assays = [
            quantify(
                spectra_of(name, contents, truth, stated, seed=300 + k + 10 * r, time_s=TIME_S), prepared, specimen
            )
            for r in range(REPEATS)
        ]
        values = materials[name].element_values()
        for analyte in ANALYTES:
            i = assays[0].components.index(analyte)
            found, u = (
                np.array([getattr(a, what)[i] for a in assays]) for what in ("mass_fraction", "standard_uncertainty")
            )
            sd = by_xrf.get(analyte, values[analyte].standard_uncertainty)
            key = f"{name.replace(' ', '_')}_{analyte}" + ("" if analyte in by_xrf else "_icp")
            figures[key] = float(np.sqrt(np.mean((found - seen[analyte]) ** 2)) / sd)
            stated_u[key] = float(np.sqrt(np.mean(u**2)) / sd)
    return figures, stated_u


def show(figures: Mapping[str, float], stated_u: Mapping[str, float]) -> None:
    """A table: one row per material."""
    print(f"rms error of {REPEATS} measurements over between-laboratory SD (stated uncertainty over SD); * fusion ICP")
    print(f"{'':<10}" + "".join(f"{a:>16}" for a in ANALYTES))
    for name in XRF_SD:
        cells = []
        for analyte in ANALYTES:
            key = f"{name.replace(' ', '_')}_{analyte}"
            star = "" if key in figures else "*"
            key = key if key in figures else f"{key}_icp"
            cells.append(f"{figures[key]:.2f} ({stated_u[key]:.2f}){star}")
        print(f"{name:<10}" + "".join(f"{cell:>16}" for cell in cells))


def main() -> int:
    """Measure, print, assert."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    start = time.process_time()
    figures, stated_u = run()
    show(figures, stated_u)
    by_xrf = {key: value for key, value in figures.items() if not key.endswith("_icp")}
    worst = max(by_xrf, key=lambda key: by_xrf[key])
    print(
        f"worst against fusion XRF: {worst} {by_xrf[worst]:.2f}; {time.process_time() - start:.0f} s of one processor"
    )
    if arguments.json:
        summary = {"worst_xrf": by_xrf[worst], "worst_nb": max(v for k, v in figures.items() if "_Nb" in k)}
        environment = {"python": platform.python_version(), "xrfree": __version__, "tables": TABLES}
        arguments.json.write_text(
            json.dumps({"figures": figures | summary, "environment": environment}, indent=2) + "\n"
        )
    assert by_xrf[worst] < 1.0, f"{worst} is off by {by_xrf[worst]:.2f} between-laboratory SD"
    niobium = {key: value for key, value in figures.items() if "_Nb" in key}
    assert max(niobium.values()) < 1.0, f"niobium is off by {max(niobium.values()):.2f} between-laboratory SD"
    return 0


if __name__ == "__main__":
    sys.exit(main())
