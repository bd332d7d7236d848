"""Interference test: does anything in an ore without rare earths make them appear.

    python benchmarks/interference.py [--json FILE] [--replicas 20]

Simulated spectra of a rare-earth-free ore with 2 % Ba, 1 % Ti, 0.5 % Cr and 3 % Mn, and of one with 0.5 % Y, 0.5 % Zr
and 0.1 % Th: in 95 % of the replicas every analyte must stay at or below its decision limit. The spectra come from
xrfree's own model, so that what is tested is the fit and its limits, not the tables.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")
ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tools.make_demo import LOG_SCALE, measured, ore_contents, powder
from xrfree.documents.calibration import load_calibration
from xrfree.documents.instrument import load_instrument
from xrfree.documents.method import load_method
from xrfree.documents.shipped import shipped_path
from xrfree.quality.comparison import interference
from xrfree.quantification import matched_conditions, prepare, quantify

LOSS, TIME_S = 0.01, 300.0
ORE = {"Fe": 0.40, "Si": 0.10, "Al": 0.03, "Ca": 0.01, "P": 0.002, "S": 0.001, "K": 0.001, "Zn": 0.0003, "Sr": 0.0003}
CASES: Mapping[str, tuple[Mapping[str, float], tuple[str, ...]]] = {
    "Ba Ti Cr Mn": ({"Ba": 0.02, "Ti": 0.01, "Cr": 0.005, "Mn": 0.03}, ("La", "Ce", "Pr", "Nd", "Sm", "Nb")),
    "Y Zr Th": ({"Y": 0.005, "Zr": 0.005, "Th": 0.001}, ("Nb",)),
}


def run(replicas: int) -> dict[str, float]:
    """Replicas of both cases; the share of replicas in which an analyte exceeds its decision limit."""
    method = load_method(shipped_path("methods", "iron-ore-edxrf.toml"))
    stated = load_instrument(shipped_path("instruments", "example-edxrf.toml"))
    truth = replace(stated, log_scale=LOG_SCALE)
    fitted = load_instrument(shipped_path("fitted", "example-edxrf.toml"))
    prepared = prepare(method, fitted, load_calibration(shipped_path("fitted", "iron-ore-edxrf.toml")))
    figures: dict[str, float] = {}
    for case, (interferents, analytes) in CASES.items():
        contents = ore_contents({**ORE, **interferents}, powder(LOSS), method)
        assays = []
        for k in range(replicas):
            found = measured("ore", contents, truth, truth.conditions, seed=900 + k, live_time_s=TIME_S)
            assays.append(quantify(matched_conditions(found, method), prepared, powder(LOSS)))
        for analyte in analytes:
            i = assays[0].components.index(analyte)
            result = interference(
                [float(a.mass_fraction[i]) for a in assays],
                [float(a.decision_limit[i]) for a in assays],
                interferent_content=sum(interferents.values()),
            )
            key = f"{analyte}_below_share_{case.replace(' ', '')}"
            figures[key] = 1.0 - result.exceeding / result.n
            limit = 1e6 * sum(float(a.decision_limit[i]) for a in assays) / len(assays)
            print(
                f"{case:12} {analyte:3} {1e6 * result.effect:8.1f} +- {1e6 * result.u_effect:5.1f} mg/kg, "
                f"decision limit {limit:6.1f}, above it {result.exceeding} of {result.n}: "
                f"{'passed' if result.passed else 'FAILED'}",
                flush=True,
            )
    return figures


def main() -> int:
    """Run, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--json", metavar="FILE", type=Path)
    parser.add_argument("--replicas", type=int, default=20)
    given = parser.parse_args()
    start = time.process_time()
    figures = run(given.replicas)
    figures["cpu_s"] = time.process_time() - start
    if given.json is not None:
        environment = {"python": platform.python_version(), "machine": platform.machine()}
        text = json.dumps({"figures": figures, "environment": environment}, indent=1)
        given.json.write_text(text + "\n", encoding="utf-8")
    return 0 if all(v >= 0.95 for k, v in figures.items() if "below" in k) else 1


if __name__ == "__main__":
    sys.exit(main())
