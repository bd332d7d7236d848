"""Do stated 95 % intervals contain the truth in 95 % of cases? Counted on re-sampled Monte Carlo spectra.

    python benchmarks/coverage.py DIR [DIR ...] --out OUT [--json FILE] [--draws 12] [--thinnings 2] [--jobs N]
                                  [--method FILE]

DIR is a folder as of benchmarks/accuracy.py, with truth.csv. Every draw is a laboratory of its own, one for each form
of specimen: which ores are its standards is drawn (as many as DIR has, and every ore is left out equally often), its
certificates are drawn, each reference value from the truth within its stated uncertainty (of an ore without
certificate, that of another ore), and its standards are measured again; then every ore left out is measured `thinnings`
times. "Measured again" keeps each count of the Monte Carlo spectrum with the probability 1/4 and calls it a quarter of
the time: that is exactly a Poisson spectrum of a quarter of the time, which adding noise to the spectrum would not be.
The instrument is calibrated once for each DIR, with the pure compounds as they are.

--method takes another shipped method than iron-ore-edxrf.toml for standards and unknowns.

Figures: X_coverage95 and X_rms_z of each analyte, of all and by folder and form; X_repeats, the scatter of repeated
measurements of one specimen over what is stated for it (counting and background; 1 if true); counting_ratio, the
counting part of the uncertainty in a quarter of the time over that in the full time (2 where it scales as it must), and
repeating_ratio, the same with background. Measurements of one specimen have the error of its full spectrum and what is
its own in common, those of one laboratory the calibration: X_chance is by how much the coverage of results whose
uncertainty is true would scatter for that reason (standard deviation; drawn with the stated parts). No peer states an
uncertainty to compare with.
"""

from __future__ import annotations

if __name__ == "coverage":  # who looks for the package of that name from this folder must not find this script
    raise ImportError("benchmarks/coverage.py is not the package coverage")

import argparse
import json
import math
import shutil
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.accuracy import (
    ANALYTES,
    SHIPPED_METHOD,
    Chain,
    ChainError,
    Row,
    instrument_document,
    keyed,
    method_document,
    read_csv,
    rms,
    with_absent_analytes,
    write_csv,
    write_figures,
    write_toml,
)

SHARE = 0.25
"""Of the counts that are kept: the share of the time."""
COVERAGE_FACTOR = 1.959963984540054
"""Of a 95 % interval of a normal distribution; the stated standard uncertainty is what is tested."""
REPEATING = ("counting", "background")
"""Parts of the uncertainty that differ when a specimen is measured again."""
OF_SPECIMEN = ("response", "misfit", "between specimens")
"""Parts that measurements of one specimen have in common."""
_TIMES = ("# live_time_s:", "# real_time_s:")


def thinned(source: Path, target: Path, specimen: str, generator: np.random.Generator, share: float = SHARE) -> None:
    """A spectrum file with each count kept with the probability `share`, and its times in proportion."""
    head, rows = [], []
    for line in source.read_text(encoding="utf-8").splitlines():
        if line.startswith(_TIMES):
            key, _, seconds = line.partition(":")
            head.append(f"{key}: {float(seconds) * share!r}")
        elif line.startswith("# specimen:"):
            head.append(f"# specimen: {specimen}")
        elif line[:1].isdigit():
            rows.append(line.split(","))
        else:
            head.append(line)
    counts = generator.binomial([int(float(count)) for _, count in rows], share)
    body = [f"{channel},{n}" for (channel, _), n in zip(rows, counts.tolist(), strict=True)]
    target.write_text("\n".join([*head, *body]) + "\n", encoding="utf-8", newline="\n")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """One folder and one form of specimen: what its laboratories have in common.

    chain : of the folder, with its instrument. truth : by specimen and component, of beads that of the ore.
    """

    folder: Path
    form: str
    chain: Chain
    truth: Mapping[tuple[str, str], float]

    @property
    def name(self) -> str:
        """Of folder and form, for figures."""
        return f"{self.folder.name}_{self.form}".replace("-", "_")

    @property
    def ores(self) -> list[Row]:
        """Specimens that may be standards, and unknowns."""
        return self.chain.of(self.form, {"standard", "unknown"})

    def unknowns(self, draws: int) -> list[list[str]]:
        """Ores that each draw leaves out, every ore equally often: as many as the folder has unknowns."""
        names = [row["specimen"] for row in self.ores]
        n = len(self.chain.of(self.form, {"unknown"}))
        generator = np.random.default_rng(len(names))
        found: list[list[str]] = []
        waiting: list[str] = []
        for _ in range(draws):
            if len(waiting) < n:  # those that wait are first, and none comes twice
                rest = [name for name in names if name not in waiting]
                waiting += [*generator.permutation(rest).tolist(), *generator.permutation(waiting).tolist()]
            found.append(waiting[:n])
            waiting = waiting[n:]
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One analyte in one measurement.

    laboratory : folder, form and draw; specimen : folder and specimen. budget : standard uncertainty by origin.
    """

    bench: str
    laboratory: str
    specimen: str
    analyte: str
    found: float
    true: float
    uncertainty: float
    budget: Mapping[str, float]

    @property
    def z(self) -> float:
        """(found - true) / u."""
        return (self.found - self.true) / self.uncertainty


def benches(folder: Path, out: Path, jobs: int, method: Path) -> list[Bench]:
    """All forms of a folder, its instrument calibrated once; method : of standards and unknowns."""
    specimens = read_csv(folder / "specimens.csv")
    stated = json.loads((folder / "instrument.json").read_text(encoding="utf-8"))
    out.mkdir(parents=True, exist_ok=True)
    write_toml(out / "instrument-stated.toml", instrument_document(stated))
    chain = Chain(spectra=folder / "spectra", out=out, jobs=jobs, specimens=tuple(specimens))
    for form in chain.forms:
        write_toml(out / f"method-{form}.toml", method_document(form, specimens, method))
    if not (out / "instrument.toml").exists():
        chain.calibrate_instrument()
    stated_truth = keyed(folder / "truth.csv", "mass_fraction")
    truth = {
        form: {
            (name, component.removeprefix("ore:")): value
            for (name, component), value in stated_truth.items()
            if component.startswith("ore:") == (form == "beads")
        }
        for form in chain.forms
    }
    return [Bench(folder=folder, form=form, chain=chain, truth=truth[form]) for form in chain.forms]


def redrawn_certificates(bench: Bench, standards: Sequence[str], generator: np.random.Generator) -> list[Row]:
    """Certificates of ores, each value drawn from the truth within its uncertainty; of blanks as they are.

    An ore without a certificate gets the relative uncertainties of another one's.
    """
    certified: dict[str, list[Row]] = {}
    for row in read_csv(bench.folder / "certificates.csv"):
        certified.setdefault(row["specimen"], []).append(row)
    others = [rows for rows in (certified.get(row["specimen"]) for row in bench.ores) if rows]
    found = []
    for name in standards:
        for row in certified.get(name) or others[generator.integers(len(others))]:
            true = bench.truth[name, row["component"]]
            relative = float(row["expanded_uncertainty"]) / float(row["mass_fraction"])
            value = true * (1.0 + relative / float(row["coverage_factor"]) * generator.standard_normal())
            drawn = {"mass_fraction": repr(max(value, 0.0)), "expanded_uncertainty": repr(relative * true)}
            found.append({**row, "specimen": name, **drawn})
    blanks = [row["specimen"] for row in bench.chain.of(bench.form, {"blank"})]
    return found + [row for blank in blanks for row in certified.get(blank, [])]


def draw(bench: Bench, unknown: Sequence[str], *, seed: int, thinnings: int) -> list[Result]:
    """Results of one laboratory: spectra and certificates of its own, one calibration, many unknowns."""
    generator = np.random.default_rng([seed, *bench.name.encode()])
    chain, form = bench.chain, bench.form
    out = place(bench, seed)
    shutil.rmtree(out, ignore_errors=True)
    (out / "spectra").mkdir(parents=True)
    for name in ("instrument.toml", f"method-{form}.toml"):
        shutil.copy(chain.out / name, out / name)
    standards = [row for row in bench.ores if row["specimen"] not in unknown]
    rows = [{**row, "role": "standard"} for row in standards] + chain.of(form, {"blank"})
    for row in rows:
        for path in chain.files([row]):
            thinned(path, out / "spectra" / path.name, row["specimen"], generator)
    for row in bench.ores:
        for k in range(thinnings if row["specimen"] in unknown else 0):
            name = f"{row['specimen']}-{k + 1}"
            for path in chain.files([row]):
                condition = path.name.split(".")[-2]
                thinned(path, out / "spectra" / f"{name}.{condition}.csv", name, generator)
            rows.append({**row, "role": "unknown", "specimen": name})
    certificates = redrawn_certificates(bench, [row["specimen"] for row in standards], generator)
    write_csv(out / "certificates.csv", with_absent_analytes(certificates, rows))
    mine = Chain(spectra=out / "spectra", out=out, jobs=1, specimens=tuple(rows))
    mine.calibrate(form)
    assays = replace(mine, specimens=tuple(r for r in rows if r["role"] == "unknown")).assay(form)
    stated = budgets(out / form / "assays.json")
    return [
        Result(
            bench=bench.name,
            laboratory=f"{bench.name} {seed}",
            specimen=f"{bench.folder.name} {row['specimen'].rpartition('-')[0]}",
            analyte=row["component"],
            found=float(row["mass_fraction"]),
            true=bench.truth[row["specimen"].rpartition("-")[0], row["component"]],
            uncertainty=float(row["standard_uncertainty"]),
            budget=stated[row["specimen"], row["component"]],
        )
        for row in assays
        if row["component"] in ANALYTES
    ]


def place(bench: Bench, seed: int) -> Path:
    """Folder of one laboratory."""
    return bench.chain.out / f"{bench.form}-{seed}"


def full_time_ratios(bench: Bench, unknown: Sequence[str]) -> dict[str, float]:
    """Uncertainties in a quarter of the time over those in the full time: medians over unknowns and analytes.

    unknown : ores that the first draw left out.
    """
    chain, out, form = bench.chain, place(bench, 1), bench.form
    left_out = tuple({**row, "role": "unknown"} for row in bench.ores if row["specimen"] in unknown)
    full = Chain(spectra=chain.spectra, out=out / "full", jobs=chain.jobs, specimens=left_out)
    full.out.mkdir(exist_ok=True)
    for name in ("instrument.toml", f"method-{form}.toml", f"calibration-{form}.toml"):
        shutil.copy(out / name, full.out / name)
    full.assay(form)
    long, short = (budgets(folder / form / "assays.json") for folder in (full.out, out))
    ratios = {}
    for name, parts in (("counting_ratio", ("counting",)), ("repeating_ratio", REPEATING)):
        ratios[name] = median(
            together(budget, parts) / together(long[specimen.rpartition("-")[0], analyte], parts)
            for (specimen, analyte), budget in short.items()
        )
    return ratios


def budgets(path: Path) -> dict[tuple[str, str], dict[str, float]]:
    """Parts of the uncertainty by specimen and analyte."""
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return {
        (assay["specimen"], analyte): {
            part: float(u[assay["components"].index(analyte)]) for part, u in assay["budget"].items()
        }
        for assay in document["assays"]
        for analyte in ANALYTES
    }


def together(budget: Mapping[str, float], parts: Sequence[str]) -> float:
    """Standard uncertainty of some parts."""
    return math.sqrt(sum(budget[part] ** 2 for part in parts))


def repeats(results: Sequence[Result]) -> float:
    """Scatter of the thinnings of one spectrum over what is stated, which thinned counts reach to √(1 - share) of."""
    groups: dict[tuple[str, str], list[Result]] = {}
    for r in results:
        groups.setdefault((r.laboratory, r.specimen), []).append(r)
    squares = []
    for group in groups.values():
        stated = np.mean([together(r.budget, REPEATING) ** 2 for r in group])
        squares.append(np.var([r.found for r in group], ddof=1) / (stated * (1.0 - SHARE)))
    return math.sqrt(float(np.mean(squares)))


def chance(results: Sequence[Result], *, draws: int = 2000) -> float:
    """Standard deviation of the coverage where every part of the uncertainty is true.

    Common to all results of a specimen: the error of its full spectrum (`SHARE` of the variance of what is found in the
    counts), misfit, response and what specimens differ by; to all of a laboratory: the calibration.
    """
    normal = np.random.default_rng(1).standard_normal
    origins = (REPEATING, ("calibration",), OF_SPECIMEN)
    counted, calibration, own = np.array([[together(r.budget, o) for o in origins] for r in results]).T
    total = np.sqrt(counted**2 + calibration**2 + own**2)
    laboratories, of_laboratory = np.unique([r.laboratory for r in results], return_inverse=True)
    specimens, of_specimen = np.unique([r.specimen for r in results], return_inverse=True)
    inside = []
    for _ in range(draws):
        full, specimen = normal(specimens.size)[of_specimen], normal(specimens.size)[of_specimen]
        error = counted * (math.sqrt(1.0 - SHARE) * normal(total.size) + math.sqrt(SHARE) * full)
        error += calibration * normal(laboratories.size)[of_laboratory] + own * specimen
        inside.append(np.mean(np.abs(error) <= COVERAGE_FACTOR * total))
    return float(np.std(inside))


def figures_of(results: Sequence[Result]) -> dict[str, float]:
    """Coverage and RMS of z, of all results and by folder and form."""
    figures: dict[str, float] = {}
    for tag in ("", *dict.fromkeys(r.bench for r in results)):
        for analyte in ANALYTES:
            z = [r.z for r in results if r.analyte == analyte and tag in ("", r.bench)]
            name = f"{analyte}_{tag}_" if tag else f"{analyte}_"
            figures[f"{name}coverage95"] = sum(abs(v) <= COVERAGE_FACTOR for v in z) / len(z)
            figures[f"{name}rms_z"] = rms(z)
    return figures


def main() -> int:
    """Run all draws, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folders", metavar="DIR", type=Path, nargs="+")
    parser.add_argument("--out", metavar="OUT", type=Path, required=True)
    parser.add_argument("--json", metavar="FILE", type=Path)
    parser.add_argument("--draws", type=int, default=12)
    parser.add_argument("--thinnings", type=int, default=2)
    parser.add_argument("--jobs", metavar="N", type=int, default=1)
    parser.add_argument("--method", metavar="FILE", type=Path, default=SHIPPED_METHOD)
    given = parser.parse_args()
    try:
        known = [
            bench
            for folder in given.folders
            for bench in benches(folder, given.out / folder.name, given.jobs, given.method)
        ]
        left_out = {b.name: b.unknowns(given.draws) for b in known}
        with ThreadPoolExecutor(max_workers=max(given.jobs, 1)) as pool:
            drawn = [
                pool.submit(draw, b, left_out[b.name][k], seed=k + 1, thinnings=given.thinnings)
                for k in range(given.draws)
                for b in known
            ]
            results = [result for one in drawn for result in one.result()]
        ratios = full_time_ratios(known[0], left_out[known[0].name][0])
    except ChainError as problem:
        print(problem, file=sys.stderr)
        return 1
    figures = {**figures_of(results), **ratios, "unknowns": len(results) / len(ANALYTES)}
    for analyte in ANALYTES:
        mine = [r for r in results if r.analyte == analyte]
        figures[f"{analyte}_repeats"] = repeats(mine)
        figures[f"{analyte}_chance"] = chance(mine)
    print(f"\n{figures['unknowns']:.0f} unknowns, {len(drawn)} calibrations")
    for analyte in ANALYTES:
        inside, by_chance = (100.0 * figures[f"{analyte}_{name}"] for name in ("coverage95", "chance"))
        z, repeated = (figures[f"{analyte}_{name}"] for name in ("rms_z", "repeats"))
        print(
            f"  {analyte:3} truth inside: {inside:5.1f} % (95 ± {2.0 * by_chance:.1f} by chance, 2 s)   RMS z {z:.2f}"
            f"   scatter of repeats over what is stated {repeated:.2f}"
        )
    for b in known:
        told = (
            f"{a} {100.0 * figures[f'{a}_{b.name}_coverage95']:.1f} % ({figures[f'{a}_{b.name}_rms_z']:.2f})"
            for a in ANALYTES
        )
        print(f"  {b.folder.name} {b.form} (RMS z):  {'  '.join(told)}")
    print(f"  counting part, quarter of the time over full time: {ratios['counting_ratio']:.3f} (2 expected)")
    print(f"  counting and background together: {ratios['repeating_ratio']:.3f}")
    write_figures(given.json, figures)
    return 0


if __name__ == "__main__":
    sys.exit(main())
