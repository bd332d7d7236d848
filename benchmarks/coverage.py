"""Do stated 95 % intervals contain the truth in 95 % of cases? Counted on re-sampled Monte Carlo spectra.

    python benchmarks/coverage.py DIR --out OUT [--json FILE] [--draws 5] [--thinnings 5] [--form powders] [--jobs N]

DIR is a folder as of benchmarks/accuracy.py, with truth.csv. Every draw is a laboratory of its own: its standards are
measured again and its certificates are drawn again, each reference value from the truth within its stated uncertainty;
then every unknown is measured `thinnings` times. "Measured again" keeps each count of the Monte Carlo spectrum with the
probability 1/4 and calls it a quarter of the time: that is exactly a Poisson spectrum of a quarter of the time, which
adding noise to the spectrum would not be. The instrument is calibrated once, with the pure compounds as they are.

Figures: X_coverage95 and X_rms_z of each analyte, and counting_ratio, the counting uncertainty of a quarter of the time
over that of the full time (2 where it scales as it must). There is no peer that states an uncertainty to compare with.
"""

from __future__ import annotations

if __name__ == "coverage":  # who looks for the package of that name from this folder must not find this script
    raise ImportError("benchmarks/coverage.py is not the package coverage")

import argparse
import json
import math
import shutil
import sys
from collections.abc import Sequence
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
    environment,
    instrument_document,
    keyed,
    method_document,
    read_csv,
    rms,
    with_absent_analytes,
    write_csv,
    write_toml,
)

SHARE = 0.25
"""Of the counts that are kept: the share of the time."""
COVERAGE_FACTOR = 1.959963984540054
"""Of a 95 % interval of a normal distribution; the stated standard uncertainty is what is tested."""
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


def full_time_ratio(chain: Chain, out: Path, form: str) -> float:
    """Counting uncertainty of a quarter of the time over that of the full time: median over unknowns and analytes."""
    full = Chain(spectra=chain.spectra, out=out / "full", jobs=chain.jobs, specimens=tuple(chain.of(form, {"unknown"})))
    full.out.mkdir(exist_ok=True)
    for name in ("instrument.toml", f"method-{form}.toml", f"calibration-{form}.toml"):
        shutil.copy(out / name, full.out / name)
    full.assay(form)
    long, short = (counting(place / form / "assays.json") for place in (full.out, out))
    return median(u / long[name.rpartition("-")[0], analyte] for (name, analyte), u in short.items())


def counting(path: Path) -> dict[tuple[str, str], float]:
    """Counting part of the uncertainty by specimen and analyte."""
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return {
        (assay["specimen"], analyte): assay["budget"]["counting"][assay["components"].index(analyte)]
        for assay in document["assays"]
        for analyte in ANALYTES
    }


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
        assays: list[Row] = []
        ratio = math.nan
        for seed in range(1, given.draws + 1):
            assays += draw(given.folder, chain, given.form, seed=seed, thinnings=given.thinnings)
            if seed == 1:
                ratio = full_time_ratio(chain, given.out / "draw-1", given.form)
    except ChainError as problem:
        print(problem, file=sys.stderr)
        return 1
    figures = {**figures_of(given.folder, given.form, assays), "counting_ratio": ratio}
    n = figures["unknowns"]
    chance = 200.0 * (0.0475 / n) ** 0.5
    print(f"\n{n:.0f} unknowns in {given.draws} draws; chance moves a coverage of 95 % by {chance:.1f} % (2 s)")
    for analyte in ANALYTES:
        inside, z = 100.0 * figures[f"{analyte}_coverage95"], figures[f"{analyte}_rms_z"]
        print(f"  {analyte:3} truth inside: {inside:5.1f} %   RMS z {z:.2f}")
    print(f"  counting uncertainty, quarter of the time over full time: {ratio:.3f} (2 expected)")
    if given.json is not None:
        text = json.dumps({"figures": figures, "environment": environment()}, indent=1)
        given.json.write_text(text + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
