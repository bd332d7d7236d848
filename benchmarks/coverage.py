"""Do stated 95 % intervals contain the truth in 95 % of cases? Counted on re-sampled Monte Carlo spectra.

    python benchmarks/coverage.py DIR --out OUT [--json FILE] [--draws 5] [--thinnings 5] [--form powders] [--jobs N]

DIR is a folder as of benchmarks/accuracy.py, with truth.csv. Every draw is a laboratory of its own: its standards are
measured again and its certificates are drawn again, each reference value from the truth within its stated uncertainty;
then every unknown is measured `thinnings` times. "Measured again" keeps each count of the Monte Carlo spectrum with the
probability 1/4 and calls it a quarter of the time: that is exactly a Poisson spectrum of a quarter of the time, which
adding noise to the spectrum would not be. The instrument is calibrated once, with the pure compounds as they are.

Figures: X_coverage95 and X_rms_z of each analyte; X_repeats, the scatter of repeated measurements of one specimen over
what is stated for it (counting and background; 1 if true); counting_ratio, the counting part of the uncertainty in a
quarter of the time over that in the full time (2 where it scales as it must), and repeating_ratio, the same with
background. Measurements of one specimen have the error of its full spectrum and what is its own in common, those of one
draw the calibration: X_chance is by how much the coverage of results whose uncertainty is true would scatter for that
reason (standard deviation; drawn with the stated parts). No peer states an uncertainty to compare with.
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
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.accuracy import (
    ANALYTES,
    FORMS,
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
Budgets = dict[tuple[str, str], dict[str, float]]
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


def redrawn_certificates(folder: Path, names: Sequence[str], generator: np.random.Generator) -> list[Row]:
    """Certificates whose values are drawn from the truth within their uncertainties; of blanks as they are."""
    truth = keyed(folder / "truth.csv", "mass_fraction")
    rows = []
    for row in read_csv(folder / "certificates.csv"):
        key = (row["specimen"], row["component"])
        ore = (row["specimen"], f"ore:{row['component']}")
        true = truth.get(ore, truth.get(key)) if "ore" in row["basis"] else truth.get(key)
        if row["specimen"] in names and true is not None:
            u = float(row["expanded_uncertainty"]) / float(row["coverage_factor"])
            row = {**row, "mass_fraction": repr(max(true + u * generator.standard_normal(), 0.0))}
        rows.append(row)
    return rows


def prepared_chain(folder: Path, out: Path, form: str, jobs: int) -> Chain:
    """The instrument, calibrated once for all draws."""
    specimens = read_csv(folder / "specimens.csv")
    stated = json.loads((folder / "instrument.json").read_text(encoding="utf-8"))
    out.mkdir(parents=True, exist_ok=True)
    write_toml(out / "instrument-stated.toml", instrument_document(stated))
    for name in {form, "powders"}:
        write_toml(out / f"method-{name}.toml", method_document(name, specimens))
    chain = Chain(spectra=folder / "spectra", out=out, jobs=jobs, specimens=tuple(specimens))
    if not (out / "instrument.toml").exists():
        chain.calibrate_instrument()
    return chain


def draw(folder: Path, chain: Chain, form: str, *, seed: int, thinnings: int) -> list[Row]:
    """Results of one laboratory: spectra and certificates of its own, one calibration, many unknowns."""
    generator = np.random.default_rng(seed)
    out = chain.out / f"draw-{seed}"
    shutil.rmtree(out, ignore_errors=True)
    (out / "spectra").mkdir(parents=True)
    for name in ("instrument.toml", f"method-{form}.toml"):
        shutil.copy(chain.out / name, out / name)
    standards = chain.of(form, {"standard", "blank"})
    rows: list[Row] = []
    for row in standards:
        for path in chain.files([row]):
            thinned(path, out / "spectra" / path.name, row["specimen"], generator)
        rows.append(row)
    for row in chain.of(form, {"unknown"}):
        for k in range(thinnings):
            name = f"{row['specimen']}-{k + 1}"
            for path in chain.files([row]):
                condition = path.name.split(".")[-2]
                thinned(path, out / "spectra" / f"{name}.{condition}.csv", name, generator)
            rows.append({**row, "specimen": name})
    names = [row["specimen"] for row in standards if row["role"] == "standard"]
    certificates = with_absent_analytes(redrawn_certificates(folder, names, generator), list(chain.specimens))
    write_csv(out / "certificates.csv", certificates)
    mine = Chain(spectra=out / "spectra", out=out, jobs=chain.jobs, specimens=tuple(rows))
    mine.calibrate(form)
    assayed = Chain(
        spectra=mine.spectra, out=out, jobs=chain.jobs, specimens=tuple(r for r in rows if r["role"] == "unknown")
    )
    return assayed.assay(form)


def full_time_ratios(chain: Chain, out: Path, form: str) -> dict[str, float]:
    """Uncertainties in a quarter of the time over those in the full time: medians over unknowns and analytes."""
    full = Chain(spectra=chain.spectra, out=out / "full", jobs=chain.jobs, specimens=tuple(chain.of(form, {"unknown"})))
    full.out.mkdir(exist_ok=True)
    for name in ("instrument.toml", f"method-{form}.toml", f"calibration-{form}.toml"):
        shutil.copy(out / name, full.out / name)
    full.assay(form)
    long, short = (budgets(place / form / "assays.json") for place in (full.out, out))
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


def repeats(assays: Sequence[Sequence[Row]], stated: Sequence[Budgets], analyte: str) -> float:
    """Scatter of the thinnings of one spectrum over what is stated, which thinned counts reach to √(1 - share) of."""
    squares = []
    for rows, budget in zip(assays, stated, strict=True):
        groups: dict[str, list[tuple[float, float]]] = {}
        for row in rows:
            if row["component"] == analyte:
                u = together(budget[row["specimen"], analyte], REPEATING)
                groups.setdefault(row["specimen"].rpartition("-")[0], []).append((float(row["mass_fraction"]), u))
        for group in groups.values():
            found, u = np.array(group).T
            squares.append(found.var(ddof=1) / (np.mean(u**2) * (1.0 - SHARE)))
    return math.sqrt(float(np.mean(squares)))


def chance(stated: Sequence[Budgets], analyte: str, *, draws: int = 2000) -> float:
    """Standard deviation of the coverage where every part of the uncertainty is true.

    Common to all results of a specimen: the error of its full spectrum (`SHARE` of the variance of what is found in the
    counts), misfit, response and what specimens differ by; to all of a draw: the calibration.
    """
    generator = np.random.default_rng(1)
    parts = np.array(
        [
            [together(b, origins) ** 2 for origins in (REPEATING, ("calibration",), OF_SPECIMEN)]
            for budget in stated
            for (_, a), b in budget.items()
            if a == analyte
        ]
    )
    of_draw = np.repeat(np.arange(len(stated)), [sum(a == analyte for _, a in budget) for budget in stated])
    names = [name.rpartition("-")[0] for budget in stated for name, a in budget if a == analyte]
    _, of_specimen = np.unique(names, return_inverse=True)
    counted, calibration, own = np.sqrt(parts).T
    total = np.sqrt(parts.sum(axis=1))
    inside = []
    for _ in range(draws):
        normal = generator.standard_normal
        full, specimen = normal(of_specimen.max() + 1)[of_specimen], normal(of_specimen.max() + 1)[of_specimen]
        error = counted * (math.sqrt(1.0 - SHARE) * normal(total.size) + math.sqrt(SHARE) * full)
        error += calibration * normal(len(stated))[of_draw] + own * specimen
        inside.append(np.mean(np.abs(error) <= COVERAGE_FACTOR * total))
    return float(np.std(inside))


def figures_of(folder: Path, form: str, assays: Sequence[Row]) -> dict[str, float]:
    """Coverage and RMS of z by analyte."""
    truth = keyed(folder / "truth.csv", "mass_fraction")
    figures = {}
    for analyte in ANALYTES:
        component = f"ore:{analyte}" if form == "beads" else analyte
        z = [
            (float(row["mass_fraction"]) - truth[row["specimen"].rpartition("-")[0], component])
            / float(row["standard_uncertainty"])
            for row in assays
            if row["component"] == analyte
        ]
        figures[f"{analyte}_coverage95"] = sum(abs(v) <= COVERAGE_FACTOR for v in z) / len(z)
        figures[f"{analyte}_rms_z"] = rms(z)
        figures["unknowns"] = float(len(z))
    return figures


def main() -> int:
    """Run all draws, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", metavar="DIR", type=Path)
    parser.add_argument("--out", metavar="OUT", type=Path, required=True)
    parser.add_argument("--json", metavar="FILE", type=Path)
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--thinnings", type=int, default=5)
    parser.add_argument("--form", choices=tuple(FORMS), default="powders")
    parser.add_argument("--jobs", metavar="N", type=int, default=1)
    given = parser.parse_args()
    try:
        chain = prepared_chain(given.folder, given.out, given.form, given.jobs)
        assays: list[list[Row]] = []
        stated: list[Budgets] = []
        ratios: dict[str, float] = {}
        for seed in range(1, given.draws + 1):
            assays.append(draw(given.folder, chain, given.form, seed=seed, thinnings=given.thinnings))
            stated.append(budgets(given.out / f"draw-{seed}" / given.form / "assays.json"))
            if seed == 1:
                ratios = full_time_ratios(chain, given.out / "draw-1", given.form)
    except ChainError as problem:
        print(problem, file=sys.stderr)
        return 1
    figures = {**figures_of(given.folder, given.form, [row for rows in assays for row in rows]), **ratios}
    for analyte in ANALYTES:
        figures[f"{analyte}_repeats"] = repeats(assays, stated, analyte)
        figures[f"{analyte}_chance"] = chance(stated, analyte)
    print(f"\n{figures['unknowns']:.0f} unknowns in {given.draws} draws")
    for analyte in ANALYTES:
        inside, by_chance = (100.0 * figures[f"{analyte}_{name}"] for name in ("coverage95", "chance"))
        z, repeated = (figures[f"{analyte}_{name}"] for name in ("rms_z", "repeats"))
        print(
            f"  {analyte:3} truth inside: {inside:5.1f} % (95 ± {2.0 * by_chance:.1f} by chance, 2 s)   RMS z {z:.2f}"
            f"   scatter of repeats over what is stated {repeated:.2f}"
        )
    print(f"  counting part, quarter of the time over full time: {ratios['counting_ratio']:.3f} (2 expected)")
    print(f"  counting and background together: {ratios['repeating_ratio']:.3f}")
    write_figures(given.json, figures)
    return 0


if __name__ == "__main__":
    sys.exit(main())
