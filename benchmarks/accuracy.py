"""Accuracy of the whole chain on a folder of spectra with known truth, by way of the public commands.

    python benchmarks/accuracy.py DIR --out OUT [--json FILE] [--jobs N] [--leave-one-out] [--method FILE]

DIR holds spectra/, instrument.json, specimens.csv and certificates.csv. The instrument is calibrated with the
pure compounds, the line groups with the standards (and, for powders, the blanks); then everything else is
assayed. OUT/assays.csv holds the results. truth.csv and counting_limit.csv are read for the score alone;
where they are absent there is no score.

--method takes another shipped method than iron-ore-two-spectra-edxrf.toml for standards and unknowns; pure
compounds, which are measured without filter, are fitted by iron-ore-edxrf.toml.

--leave-one-out also assays every standard with a calibration that never saw it (`xrfree calibrate --exclude`), and
scores it against its certificate, whose uncertainty is added in quadrature: OUT/left-out.csv.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import os
import platform
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

import tomli_w

ROOT = Path(__file__).resolve().parents[1]
SHIPPED_METHOD = ROOT / "calibration" / "methods" / "iron-ore-edxrf.toml"
"""All rare earths in the spectrum without filter, in which pure compounds are measured, too."""
TWO_SPECTRA = SHIPPED_METHOD.with_name("iron-ore-two-spectra-edxrf.toml")
"""The rare earths in both spectra."""
SHIPPED_INSTRUMENT = ROOT / "calibration" / "instruments" / "example-edxrf.toml"

ANALYTES = ("La", "Ce", "Pr", "Nd", "Sm", "Nb")
FORMS = {"powders": "pressed powder", "beads": "fused bead"}
ASSAYED_ROLES = frozenset({"standard", "blank", "unknown", "repeat"})
ABSENT_EXPANDED_UNCERTAINTY = 1e-6
"""Of an analyte's content in a blank, kg/kg: that a blank holds none of them is what makes it a blank."""
BLANK_FORMULAS = {
    "BLK1": "Fe2O3:0.8 SiO2:0.2",
    "BLK2": "Fe2O3:0.4 SiO2:0.3 CaF2:0.2 MnO2:0.03 TiO2:0.01 BaSO4:0.06",
}
"""What the blanks were mixed of, by their certificates."""
SYSTEMATIC = {"norm_rms": 0.03, "norm_rms_strict": 0.01}
"""Systematic relative error that the normalised error allows."""
FWHM_PER_SIGMA = 2.0 * math.sqrt(2.0 * math.log(2.0))
PAIR_ENERGY_KEV = 0.00365
THREAD_LIMITS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")

Row = dict[str, str]


class ChainError(Exception):
    """A step of the chain that did not do its work."""


# --- documents ----------------------------------------------------------------------------------------------


def read_csv(path: Path) -> list[Row]:
    """Rows of a CSV table."""
    with path.open(encoding="utf-8-sig", newline="") as stream:
        return list(csv.DictReader(stream))


def write_csv(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows with the columns of the first."""
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def instrument_document(stated: Mapping[str, Any]) -> dict[str, Any]:
    """Instrument document of what a laboratory would know; the response starts from the shipped example's."""
    example = tomllib.loads(SHIPPED_INSTRUMENT.read_text(encoding="utf-8"))["conditions"]
    responses = {name: example.get(name, example["low"])["response"] for name in stated}
    detector = next(iter(stated.values()))["detector"]
    return {
        "schema": "xrfree/instrument/1",
        "name": "Instrument of the benchmark",
        "detector": {
            "crystal": detector["crystal"],
            "thickness_um": round(1000.0 * detector["thickness_mm"], 6),
            "windows": [{"formula": detector["window"], "thickness_um": detector["window_um"]}],
        },
        "conditions": {name: condition_document(c, responses[name]) for name, c in stated.items()},
    }


def condition_document(stated: Mapping[str, Any], response: Mapping[str, Any]) -> dict[str, Any]:
    """One condition; a vacuum is the only atmosphere whose path needs no further numbers."""
    if stated["atmosphere"] != "vacuum":
        raise ChainError(f"atmosphere {stated['atmosphere']}: the length of the path is not stated")
    tube = stated["tube"]
    return {
        "incidence_deg": stated["incidence_deg"],
        "take_off_deg": stated["take_off_deg"],
        "energy_zero_kev": stated["energy_zero_kev"],
        "energy_gain_kev": stated["energy_gain_kev"],
        "filters": [{"formula": f["element"], "thickness_um": f["thickness_um"]} for f in stated["filter"]],
        "tube": {
            "anode": tube["anode"],
            "voltage_kv": tube["kv"],
            "window": [{"formula": "Be", "thickness_um": tube["be_window_um"]}],
            "electron_incidence_deg": tube["electron_incidence_deg"],
            "take_off_deg": tube["take_off_deg"],
        },
        "response": {
            **response,
            "noise_kev": noise_kev(fwhm_kev=1e-3 * stated["nominal_fwhm_ev_at_5_9_kev"], fano=response["fano"]),
        },
    }


def noise_kev(*, fwhm_kev: float, fano: float) -> float:
    """Electronic noise of a silicon detector: noise² = (FWHM / 2.355)² - F ε E at E = 5.9 keV."""
    return math.sqrt((fwhm_kev / FWHM_PER_SIGMA) ** 2 - fano * PAIR_ENERGY_KEV * 5.9)


def method_document(form: str, specimens: Sequence[Row], shipped: Path = SHIPPED_METHOD) -> dict[str, Any]:
    """A shipped method with the name and the usual specimen of one form."""
    method = tomllib.loads(shipped.read_text(encoding="utf-8"))
    usual = next(row for row in specimens if row["form"] == FORMS[form])
    method["name"] += f", {form}"
    method["instrument"] = "instrument.toml"
    method["specimen"] = specimen_document(usual)
    return method


def specimen_document(row: Row) -> dict[str, Any]:
    """Section `specimen` of a method."""
    section: dict[str, Any] = {"form": row["form"]}
    section |= {key: float(row[key]) for key in ("density_g_cm3", "thickness_cm")}
    if row["flux"]:
        formulas, masses = (part.split(":") for part in row["flux"].split())
        section["fusion"] = {
            "flux": dict(zip(formulas, map(float, masses), strict=True)),
            **{key: float(row[key]) for key in ("sample_g", "flux_g", "ignited_mass_per_g_sample")},
        }
    return section


def with_absent_analytes(certificates: list[Row], specimens: Sequence[Row]) -> list[Row]:
    """Certificates in which those of the blanks also say that there is none of the analytes."""
    named = {(row["specimen"], row["component"]) for row in certificates}
    absent = {
        "mass_fraction": "0",
        "expanded_uncertainty": f"{ABSENT_EXPANDED_UNCERTAINTY:g}",
        "coverage_factor": "2",
        "basis": "specimen",
    }
    blanks = [row["specimen"] for row in specimens if row["role"] == "blank"]
    return certificates + [
        {"specimen": blank, "component": analyte, **absent}
        for blank in blanks
        for analyte in ANALYTES
        if (blank, analyte) not in named
    ]


# --- the chain ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """Where spectra and documents lie, and how many processes may work."""

    spectra: Path
    out: Path
    jobs: int
    specimens: tuple[Row, ...]

    @property
    def forms(self) -> list[str]:
        """Forms of specimen that the folder holds."""
        return [form for form, name in FORMS.items() if any(row["form"] == name for row in self.specimens)]

    def run(self, *arguments: str | Path, may_refuse: bool = False) -> None:
        """Run one command of xrfree; its output goes to OUT/log.txt."""
        command = [sys.executable, "-m", "xrfree", *map(str, arguments)]
        env = {**os.environ, **dict.fromkeys(THREAD_LIMITS, "1"), "PYTHONUTF8": "1"}
        started = time.perf_counter()
        done = subprocess.run(command, env=env, capture_output=True, encoding="utf-8", check=False)
        seconds = time.perf_counter() - started
        label = " ".join(["xrfree", str(arguments[0]), Path(arguments[-1]).name])
        print(f"{label}: exit code {done.returncode}, {seconds:.0f} s", flush=True)
        with (self.out / "log.txt").open("a", encoding="utf-8") as log:
            log.write(f"$ {' '.join(command[1:])}\n{done.stdout}{done.stderr}\n")
        if done.returncode not in ((0, 2) if may_refuse else (0,)):
            raise ChainError(f"{label} failed:\n{done.stderr.strip()}")
        if done.returncode:
            print(done.stderr.strip(), flush=True)

    def files(self, rows: Iterable[Row]) -> list[Path]:
        """Spectra of the specimens of these rows."""
        return sorted(path for row in rows for path in self.spectra.glob(f"{row['specimen']}.*.csv"))

    def of(self, form: str, roles: Iterable[str]) -> list[Row]:
        """Specimens of one form with one of the roles."""
        return [row for row in self.specimens if row["form"] == FORMS[form] and row["role"] in roles]

    def calibrate_instrument(self, *, blanks: bool = False) -> None:
        """Instrument from the pure compounds, whose names are their formulas, and from the blanks without filter."""
        pure = [row for row in self.specimens if row["role"] == "pure"]
        mixed = self.of("powders", {"blank"}) if blanks else []
        rows = [{**row, "formula": BLANK_FORMULAS.get(row["specimen"], "")} for row in pure + mixed]
        write_csv(self.out / "pure.csv", rows)
        write_toml(self.out / "method-pure.toml", method_document("powders", self.specimens))
        unfiltered = [self.spectra / f"{row['specimen']}.low.csv" for row in mixed]
        self.run(
            "calibrate-instrument", *self.files(pure), *unfiltered,
            "--instrument", self.out / "instrument-stated.toml",
            "--method", self.out / "method-pure.toml",
            "--specimens", self.out / "pure.csv",
            "--report", self.out / "instrument.html",
            "--out", self.out / "instrument.toml",
        )  # fmt: skip

    def calibrate(self, form: str, without: str = "") -> None:
        """Calibration of one form from its standards and blanks, or from all but one of them."""
        rows = self.of(form, {"standard", "blank"})
        write_csv(self.out / f"standards-{form}.csv", rows)
        exclusions = self.out / f"without-{without}.csv"
        if without:
            write_csv(exclusions, [{"material": without, "curve": "", "reason": "assayed", "by": "", "at": ""}])
        self.run(
            "calibrate", *self.files(rows),
            "--method", self.out / f"method-{form}.toml",
            "--certificates", self.out / "certificates.csv",
            "--specimens", self.out / f"standards-{form}.csv",
            *(("--exclude", str(exclusions)) if without else ()),
            "--out", self.calibration(form, without),
        )  # fmt: skip

    def calibration(self, form: str, without: str = "") -> Path:
        """Where the calibration of one form lies."""
        return self.out / f"calibration-{form}{f'-without-{without}' if without else ''}.toml"

    def assay(self, form: str) -> list[Row]:
        """Assays of everything of one form."""
        return self._assay(form, self.of(form, ASSAYED_ROLES), self.calibration(form), form)

    def left_out(self, form: str, standard: Row) -> list[Row]:
        """Assay of a standard by a calibration that never saw it."""
        name = standard["specimen"]
        self.calibrate(form, without=name)
        return self._assay(form, [standard], self.calibration(form, without=name), f"without-{name}")

    def _assay(self, form: str, rows: Sequence[Row], calibration: Path, folder: str) -> list[Row]:
        write_csv(self.out / f"specimens-{folder}.csv", rows)
        self.run(
            "assay", *self.files(rows),
            "--method", self.out / f"method-{form}.toml",
            "--calibration", calibration,
            "--specimens", self.out / f"specimens-{folder}.csv",
            "--jobs", str(self.jobs),
            "--out", self.out / folder,
            may_refuse=True,
        )  # fmt: skip
        return read_csv(self.out / folder / "assays.csv")


def chain_of(folder: Path, out: Path, jobs: int, shipped: Path = SHIPPED_METHOD) -> Chain:
    """The chain of a folder, its documents written into OUT; shipped : method of standards and unknowns."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "log.txt").unlink(missing_ok=True)
    specimens = read_csv(folder / "specimens.csv")
    stated = json.loads((folder / "instrument.json").read_text(encoding="utf-8"))
    write_toml(out / "instrument-stated.toml", instrument_document(stated))
    chain = Chain(spectra=folder / "spectra", out=out, jobs=jobs, specimens=tuple(specimens))
    for form in chain.forms:
        write_toml(out / f"method-{form}.toml", method_document(form, specimens, shipped))
    write_csv(out / "certificates.csv", with_absent_analytes(read_csv(folder / "certificates.csv"), specimens))
    return chain


def run_chain(chain: Chain) -> list[Row]:
    """Everything from the documents to OUT/assays.csv; return its rows."""
    chain.calibrate_instrument()
    with ThreadPoolExecutor(max_workers=max(chain.jobs, 1)) as pool:
        list(pool.map(chain.calibrate, chain.forms))
    rows = [row for form in chain.forms for row in chain.assay(form)]
    if not all(math.isfinite(float(row["mass_fraction"])) for row in rows):
        raise ChainError("assays.csv holds a result that is not a number")
    write_csv(chain.out / "assays.csv", rows)
    return rows


def leave_one_out(chain: Chain) -> list[Row]:
    """Assays of all standards, each by a calibration that never saw it, into OUT/left-out.csv; return its rows."""
    standards = [(form, row) for form in chain.forms for row in chain.of(form, {"standard"})]
    alone = replace(chain, jobs=1)
    with ThreadPoolExecutor(max_workers=max(chain.jobs, 1)) as pool:
        rows = [row for found in pool.map(lambda one: alone.left_out(*one), standards) for row in found]
    write_csv(chain.out / "left-out.csv", rows)
    return rows


def write_toml(path: Path, document: Mapping[str, Any]) -> None:
    """Write a TOML document."""
    path.write_text(tomli_w.dumps(document), encoding="utf-8", newline="\n")


# --- the score ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One analyte in one specimen beside its truth, kg/kg; `limit` is the relative counting limit.

    certificate : relative standard uncertainty of what stands for the truth; 0 for the truth itself.
    """

    specimen: str
    form: str
    analyte: str
    found: float
    uncertainty: float
    true: float
    limit: float
    certificate: float = 0.0

    @property
    def relative_error(self) -> float:
        """(found - true) / true."""
        return (self.found - self.true) / self.true

    @property
    def z(self) -> float:
        """(found - true) / u."""
        return (self.found - self.true) / math.hypot(self.uncertainty, self.certificate * self.true)

    def normalised_error(self, systematic: float) -> float:
        """Relative error over what counting, the allowed systematic error and the certificate explain."""
        return self.relative_error / math.hypot(self.limit, systematic, self.certificate)

    @property
    def stated_over_limit(self) -> float:
        """Stated relative uncertainty over counting limit and one per cent in quadrature."""
        return self.uncertainty / self.true / math.hypot(self.limit, SYSTEMATIC["norm_rms_strict"])


def unknown_results(folder: Path, assays: Sequence[Row]) -> list[Result]:
    """Analytes of the unknowns with their truth; beads are compared with the ore they are made of."""
    forms = {name: form for form, name in FORMS.items()}
    unknown = {
        row["specimen"]: forms[row["form"]] for row in read_csv(folder / "specimens.csv") if row["role"] == "unknown"
    }
    truth = keyed(folder / "truth.csv", "mass_fraction")
    limits = keyed(folder / "counting_limit.csv", "relative_standard_deviation")
    results = []
    for row in assays:
        name, analyte = row["specimen"], row["component"]
        if name not in unknown or analyte not in ANALYTES:
            continue
        component = f"ore:{analyte}" if unknown[name] == "beads" else analyte
        results.append(result_of(row, unknown[name], truth[name, component], limits))
    missing = sorted(set(unknown) - {result.specimen for result in results})
    if missing:
        raise ChainError(f"not assayed: {', '.join(missing)}; OUT/*/refused.csv says why")
    return results


def standard_results(folder: Path, left_out: Sequence[Row]) -> list[Result]:
    """Analytes of the standards with their certificates, each by a calibration that never saw it."""
    forms = {name: form for form, name in FORMS.items()}
    standard = {row["specimen"]: forms[row["form"]] for row in read_csv(folder / "specimens.csv")}
    certified = {(row["specimen"], row["component"]): row for row in read_csv(folder / "certificates.csv")}
    limits = keyed(folder / "counting_limit.csv", "relative_standard_deviation")
    results = []
    for row in left_out:
        name, analyte = row["specimen"], row["component"]
        if analyte not in ANALYTES:
            continue
        stated = certified[name, analyte]
        value, expanded, k = (float(stated[c]) for c in ("mass_fraction", "expanded_uncertainty", "coverage_factor"))
        results.append(result_of(row, standard[name], value, limits, certificate=expanded / k / value))
    return results


def result_of(
    row: Row, form: str, true: float, limits: Mapping[tuple[str, str], float], *, certificate: float = 0.0
) -> Result:
    """One row of assays.csv beside what is true, or certified; niobium's counting limit is nothing."""
    name, analyte = row["specimen"], row["component"]
    return Result(
        specimen=name,
        form=form,
        analyte=analyte,
        found=float(row["mass_fraction"]),
        uncertainty=float(row["standard_uncertainty"]),
        true=true,
        limit=0.0 if analyte == "Nb" else limits[name, analyte],
        certificate=certificate,
    )


def keyed(path: Path, column: str) -> dict[tuple[str, str], float]:
    """Numbers of a table by specimen and component."""
    return {(row["specimen"], row["component"]): float(row[column]) for row in read_csv(path)}


def figures_of(results: Sequence[Result]) -> dict[str, float]:
    """Figures of merit of one analyte."""
    errors = [result.relative_error for result in results]
    return {
        "median_abs_rel_error": median(map(abs, errors)),
        "bias": sum(errors) / len(errors),
        "rms_z": rms(result.z for result in results),
        "coverage95": sum(abs(result.z) <= 2.0 for result in results) / len(results),
        "stated_over_limit": median(result.stated_over_limit for result in results),
        **{name: rms(r.normalised_error(s) for r in results) for name, s in SYSTEMATIC.items()},
    }


def rms(values: Iterable[float]) -> float:
    """Root of the mean square."""
    squares = [value**2 for value in values]
    return math.sqrt(sum(squares) / len(squares))


def false_positives(folder: Path, assays: Sequence[Row]) -> list[str]:
    """Analytes above their decision limit in the blanks."""
    blanks = {row["specimen"] for row in read_csv(folder / "specimens.csv") if row["role"] == "blank"}
    return [
        f"{row['specimen']} {row['component']}: {float(row['mass_fraction']):.3g} above its decision limit "
        f"{float(row['decision_limit']):.3g}"
        for row in assays
        if row["specimen"] in blanks
        and row["component"] in ANALYTES
        and float(row["mass_fraction"]) > float(row["decision_limit"])
    ]


def print_table(title: str, results: Sequence[Result]) -> None:
    """Figures of all analytes for people."""
    print(f"\n{title}: {len({result.specimen for result in results})} specimens")
    print("      median |error|    bias   RMS z   in 2u   normalised, s = 3 %   s = 1 %   u over limit")
    for analyte in ANALYTES:
        f = figures_of([result for result in results if result.analyte == analyte])
        print(
            f"  {analyte:3} {100 * f['median_abs_rel_error']:11.2f} % {100 * f['bias']:+7.2f} %"
            f" {f['rms_z']:6.2f} {100 * f['coverage95']:5.0f} %"
            f" {f['norm_rms']:16.2f} {f['norm_rms_strict']:12.2f} {f['stated_over_limit']:12.2f}"
        )


def environment() -> dict[str, str]:
    """What the figures were made with."""
    from xrfree import __version__
    from xrfree.atomic import TABLES

    return {
        "xrfree": __version__,
        "tables": TABLES,
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}",
    }


def write_figures(path: Path | None, figures: Mapping[str, float]) -> None:
    """Write figures, and what they were made with; nothing where no file was asked for."""
    if path is not None:
        text = json.dumps({"figures": dict(figures), "environment": environment()}, indent=1)
        path.write_text(text + "\n", encoding="utf-8")


def score(folder: Path, assays: Sequence[Row], left_out: Sequence[Row]) -> dict[str, float]:
    """Print the tables; return the figures over all unknowns, and those of the standards left out."""
    results = unknown_results(folder, assays)
    for form in FORMS:
        if mine := [result for result in results if result.form == form]:
            print_table(f"unknown {form}", mine)
    print_table("all unknowns", results)
    found = false_positives(folder, assays)
    print(f"\nfalse positives in the blanks: {len(found)}", *found, sep="\n  ")
    figures = {
        f"{analyte}_{name}": value
        for analyte in ANALYTES
        for name, value in figures_of([r for r in results if r.analyte == analyte]).items()
    }
    standards = standard_results(folder, left_out)
    for form in FORMS:
        if mine := [result for result in standards if result.form == form]:
            print_table(f"standards left out, {form}", mine)
    if standards:
        print_table("standards left out", standards)
        figures |= {
            f"{analyte}_left_out_{name}": value
            for analyte in ANALYTES
            for name, value in figures_of([r for r in standards if r.analyte == analyte]).items()
        }
    return {**figures, "blank_false_positives": float(len(found))}


def main() -> int:
    """Run the chain and score it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", metavar="DIR", type=Path)
    parser.add_argument("--out", metavar="OUT", type=Path, required=True)
    parser.add_argument("--json", metavar="FILE", type=Path)
    parser.add_argument("--jobs", metavar="N", type=int, default=1)
    parser.add_argument("--leave-one-out", action="store_true")
    parser.add_argument("--method", metavar="FILE", type=Path, default=TWO_SPECTRA)
    given = parser.parse_args()
    figures: dict[str, float] = {}
    try:
        chain = chain_of(given.folder, given.out, given.jobs, given.method)
        assays = run_chain(chain)
        left_out = leave_one_out(chain) if given.leave_one_out else []
        if (given.folder / "truth.csv").exists() and (given.folder / "counting_limit.csv").exists():
            figures = score(given.folder, assays, left_out)
        else:
            print("no truth.csv and counting_limit.csv: no score")
    except ChainError as problem:
        print(problem, file=sys.stderr)
        return 1
    write_figures(given.json, figures)
    return 0


if __name__ == "__main__":
    sys.exit(main())
