"""Four batches that must be held, each for its own reason, and one that must be released.

    python benchmarks/gates.py [--json FILE] [--keep FOLDER]

Writes five folders of spectra with xrfree's own `simulate` (monitor, blank, check standard, a sample in two
preparations) and runs `xrfree assay` on each: a clean one, and one with a drifted monitor, a broken detector
resolution, a swapped check standard, and a contaminated blank. It asserts the exit code, and that the reason named
first is the right one. There is no peer: no other program holds a batch.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")
ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tools.make_demo import LOG_SCALE, ORES, measured, ore_contents, powder, write_spectrum
from xrfree.cli import HELD, OK, main
from xrfree.documents.instrument import load_instrument
from xrfree.documents.method import load_method
from xrfree.documents.shipped import shipped_path
from xrfree.instrument import Instrument

LOSS = 0.01
TIME_S = 200.0
PLAIN_BLANK = {"Fe": 0.35, "Si": 0.15, "Al": 0.05, "Ca": 0.01, "Ti": 0.005, "Mn": 0.001}
CONTAMINATED_BLANK = PLAIN_BLANK | {"La": 0.0006, "Nb": 0.0003}
SPECIMENS: Mapping[str, tuple[str, str, Mapping[str, float]]] = {
    # name: role, sample, contents
    "monitor": ("monitor", "", ORES["laterite-middle"]),
    "blank": ("blank", "", PLAIN_BLANK),
    "ORE-HIGH": ("check", "", ORES["laterite-high"]),
    "A-1": ("unknown", "A", ORES["laterite-middle"]),
    "A-2": ("unknown", "A", ORES["laterite-middle"]),
}
REASONS = {
    "drifted": ("drift", "the monitor has drifted"),
    "resolution": ("iron line", "resolution is broken"),
    "swapped": ("check", "agrees with ORE-LOW: were specimens swapped?"),
    "contaminated": ("blank", "the blank is contaminated with La"),
}
"""Gate and words that must be named for each folder that is to be held."""
GATES = """
[[gates]]
name = "iron line"
kind = "instrument check"
condition = "low"
element = "Fe"
highest_shift_ev = 10.0
highest_fwhm_ev = 155.0

[[gates]]
name = "drift"
kind = "drift monitor"
reference_per_s = {{ {reference} }}
tolerance = 0.01

[[gates]]
name = "blank"
kind = "blank"
highest = {{ La = 2e-4, Ce = 2e-4, Pr = 2e-4, Nd = 2e-4, Sm = 2e-4, Nb = 5e-5 }}

[[gates]]
name = "check"
kind = "check standard"
limit = 2.0
required = true

[[gates]]
name = "duplicates"
kind = "duplicates"
repeatability = {{ La = [0.05, 2e-4], Ce = [0.05, 2e-4], Nd = [0.05, 2e-4], Nb = [0.05, 2e-4] }}

[[gates]]
name = "pattern"
kind = "rare-earth pattern"
action = "warn"
tolerance = {{ Pr = 0.3, Sm = 1.0 }}
"""


def write_folder(folder: Path, truth: Instrument, *, fault: str = "") -> None:
    """Spectra and list of one batch, with one fault or none."""
    method = load_method(shipped_path("methods", "iron-ore-edxrf.toml"))
    folder.mkdir(parents=True)
    rows = ["specimen,role,sample,form,density_g_cm3,thickness_cm,loss_on_ignition"]
    for k, (name, (role, sample, seen)) in enumerate(SPECIMENS.items()):
        instrument, contents = _faulty(name, seen, truth, fault)
        composition = ore_contents(contents, powder(LOSS), method)
        seed = 700 + 10 * k + (0 if fault == "" else 1)
        measurement = measured(name, composition, instrument, truth.conditions, seed=seed, live_time_s=TIME_S)
        for condition, spectrum in measurement.spectra.items():
            write_spectrum(folder / f"{name}.{condition}.csv", name, spectrum)
        rows.append(f"{name},{role},{sample},pressed powder,3.2,0.5,{LOSS}")
    (folder / "specimens.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")


def _faulty(
    name: str, seen: Mapping[str, float], truth: Instrument, fault: str
) -> tuple[Instrument, Mapping[str, float]]:
    """Instrument and contents of one specimen in a folder with a fault."""
    if fault == "drifted" and name == "monitor":
        return replace(truth, log_scale={k: v - 0.03 for k, v in truth.log_scale.items()}), seen
    if fault == "resolution":
        broad = {k: replace(r, noise_kev=0.08) for k, r in truth.responses.items()}
        return replace(truth, responses=broad), seen
    if fault == "swapped" and name == "ORE-HIGH":
        return truth, ORES["laterite-low"]
    if fault == "contaminated" and name == "blank":
        return truth, CONTAMINATED_BLANK
    return truth, seen


def write_certificates(path: Path) -> None:
    """Certificates of two ores, 1 % expanded uncertainty."""
    rows = ["specimen,component,mass_fraction,expanded_uncertainty,coverage_factor,basis"]
    for name, ore in (("ORE-HIGH", "laterite-high"), ("ORE-LOW", "laterite-low")):
        for element in ("La", "Ce", "Pr", "Nd", "Sm", "Nb"):
            w = ORES[ore][element]
            rows.append(f"{name},{element},{w!r},{0.02 * w!r},2.0,specimen")
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")


def assay(folder: Path, work: Path, method: Path) -> tuple[int, list[dict[str, object]]]:
    """Exit code of `xrfree assay` and the findings of its gates."""
    out = work / f"{folder.name}-results"
    arguments = ["assay", str(folder), "-m", str(method), "-o", str(out)]
    arguments += ["-c", str(shipped_path("fitted", "iron-ore-edxrf.toml"))]
    arguments += ["--instrument", str(shipped_path("fitted", "example-edxrf.toml"))]
    arguments += ["-s", str(folder / "specimens.csv"), "--certificates", str(work / "certificates.csv")]
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        code = main(arguments)
    document = json.loads((out / "assays.json").read_text(encoding="utf-8"))
    return code, document["gates"]["findings"]


def monitor_rates(work: Path, folder: Path) -> str:
    """Reference rates of the monitor, from the results of the clean folder, as a gate writes them."""
    document = json.loads((work / f"{folder.name}-results" / "assays.json").read_text(encoding="utf-8"))
    (found,) = (a for a in document["assays"] if a["specimen"] == "monitor")
    rates = []
    for areas in found["areas"]:
        for group in ("Fe K", "Ti K", "Nb K"):
            if group in areas["groups"]:
                area = areas["area"][areas["groups"].index(group)]
                rates.append(f'"{areas["condition"]}/{group}" = {area / areas["live_time_s"] / areas["survival"]!r}')
    return ", ".join(dict.fromkeys(rates))


def run(work: Path) -> dict[str, float]:
    """Write, assay and judge all folders; figures are 1 for right and 0 for wrong."""
    truth = replace(load_instrument(shipped_path("instruments", "example-edxrf.toml")), log_scale=LOG_SCALE)
    write_certificates(work / "certificates.csv")
    plain = shipped_path("methods", "iron-ore-edxrf.toml").read_text(encoding="utf-8")
    method = work / "method.toml"
    figures: dict[str, float] = {}
    clean = work / "clean"
    write_folder(clean, truth)
    method.write_text(plain + GATES.format(reference='"low/Fe K" = 1.0'), encoding="utf-8")
    assay(clean, work, method)
    method.write_text(plain + GATES.format(reference=monitor_rates(work, clean)), encoding="utf-8")
    code, findings = assay(clean, work, method)
    held = [f for f in findings if f["outcome"] == "hold"]
    figures["clean_released"] = float(code == OK and not held)
    print(f"{'clean':14s} exit {code}, held by: {[f['gate'] for f in held]}")
    for fault, (gate, words) in REASONS.items():
        folder = work / fault
        write_folder(folder, truth, fault=fault)
        code, findings = assay(folder, work, method)
        held = [f for f in findings if f["outcome"] == "hold"]
        first = held[0] if held else {"gate": "", "message": ""}
        right = code == HELD and first["gate"] == gate and words in str(first["message"])
        figures[f"{fault}_held_rightly"] = float(right)
        print(f"{fault:14s} exit {code}, held by: {[f['gate'] for f in held]}")
        for finding in held[:3]:
            print(f"    {finding['message']}\n    repeat: {finding['repeat']}")
    return figures


def command_line() -> int:
    """Run, print, assert."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path)
    parser.add_argument("--keep", type=Path, help="write the folders here and keep them")
    options = parser.parse_args()
    start = time.process_time()
    with tempfile.TemporaryDirectory() as temporary:
        work = options.keep or Path(temporary)
        work.mkdir(parents=True, exist_ok=True)
        figures = run(work)
    figures["cpu_s"] = time.process_time() - start
    if options.json:
        environment = {"python": platform.python_version(), "machine": platform.machine()}
        options.json.write_text(
            json.dumps({"figures": figures, "environment": environment}, indent=2), encoding="utf-8"
        )
    wrong = [name for name, figure in figures.items() if figure == 0.0]
    print(f"all right in {figures['cpu_s']:.0f} s of processor time" if not wrong else f"WRONG: {', '.join(wrong)}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(command_line())
