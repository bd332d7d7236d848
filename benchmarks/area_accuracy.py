"""Net areas against the counts that a Monte Carlo program put into every line; no standard is used.

    python benchmarks/area_accuracy.py DIR --out OUT [--json FILE] [--blanks]

DIR as for accuracy.py, with lines.csv.gz: detected counts of every line before escape and pile-up, read for the score
alone. The instrument is calibrated with the pure compounds, with --blanks also with the blanks. Every powder and bead
is then fitted with its own composition iterated, and what the fit says of the same thing is compared
(`RegionFit.detected`): all lines of an analyte's group as strong as they were fitted, its escape peaks, and what
pile-up took. An area alone has none of these: it counts photons at full energy with the model's line ratios, as
sensitivities do. Both are printed.

FORM_GROUP_mean_z          mean of (detected - true) / u(area): the bias, in standard uncertainties of the area
FORM_GROUP_rms_z           root of the mean square of the same
FORM_GROUP_median_rel      median relative deviation
FORM_GROUP_area_mean_z     mean of (area - true) / u(area), the area put right for pile-up alone
FORM_band_deviance         mean reduced deviance of the band of the lanthanoid lines

FORM is powders, beads, and all of them together.
Repeated measurements have no true counts and are left out. Nb K at 50 kV is known to 0.1 % by counting, finer than the
Monte Carlo program's own noise of the continuum below it; there the relative deviation says more.
"""

from __future__ import annotations

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[_name] = "1"

import argparse
import csv
import gzip
import sys
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from statistics import fmean, median

from accuracy import Chain, chain_of, rms, write_figures

from xrfree.batch.assaying import specimen_of
from xrfree.cli.documents import load_documents, load_spectra
from xrfree.fit import RegionFit
from xrfree.quantification import common_solution, matched_conditions, prepare

ROLES = frozenset({"standard", "unknown"})
ANALYTE_REGION = {**{f"{e} L": "band" for e in ("La", "Ce", "Pr", "Nd", "Sm")}, "Nb K": "heavy"}
MOST_BIAS = 1.0
DEVIANCE = (0.9, 1.2)
MOST_RELATIVE = 0.05
"""A median deviation beyond this would be a wrong model, not a bias: asserted for groups of more than 1e5 counts."""


def true_counts(folder: Path) -> dict[tuple[str, str], float]:
    """Detected counts of every line group, by spectrum and group."""
    counts: dict[tuple[str, str], float] = defaultdict(float)
    with gzip.open(folder / "lines.csv.gz", "rt", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            counts[row["spectrum"], f"{row['element']} {row['line'][0]}"] += float(row["detected_counts"])
    return dict(counts)


def fitted(chain: Chain, form: str) -> dict[str, list[RegionFit]]:
    """Fits of all regions of every specimen of one form, without a calibration by standards."""
    documents = load_documents(
        chain.out / f"method-{form}.toml",
        instrument=chain.out / "instrument.toml",
        specimens=chain.spectra.parent / "specimens.csv",
    )
    prepared = prepare(documents.method, documents.instrument, None)
    files = chain.files(chain.of(form, ROLES))
    found = {}
    for measurement in load_spectra(files, profile=None, exclude=[]).measurements:
        specimen = specimen_of(measurement, documents.method, documents.specimens)
        solution = common_solution(matched_conditions(measurement, documents.method), prepared, specimen)
        found[measurement.specimen] = list(solution.fits)
    return found


def score(form: str, fits: Mapping[str, list[RegionFit]], counts: Mapping[tuple[str, str], float]) -> dict[str, float]:
    """Print and return the figures of one form."""
    z, area_z, relative = defaultdict(list), defaultdict(list), defaultdict(list)
    deviance = [
        fit.areas.reduced_deviance for regions in fits.values() for fit in regions if fit.areas.region == "band"
    ]
    for name, regions in fits.items():
        for areas, detected in ((fit.areas, fit.detected) for fit in regions):
            for k, group in enumerate(areas.groups):
                true = counts.get((f"{name}.{areas.condition}", group), 0.0)
                if ANALYTE_REGION.get(group) == areas.region and true > 0.0:
                    off, u = float(detected[k]) - true, float(areas.standard_uncertainty[k])
                    z[group].append(off / u)
                    area_z[group].append((float(areas.area[k]) / areas.survival - true) / u)
                    relative[group].append((off / true, true))
    figures = {f"{form}_band_deviance": fmean(deviance)}
    print(f"\n{form}: {len(fits)} specimens, reduced deviance of the band {fmean(deviance):.3f} (0.9 to 1.2)")
    for group in ANALYTE_REGION:
        name = group.replace(" ", "")
        figures[f"{form}_{name}_mean_z"] = fmean(z[group])
        figures[f"{form}_{name}_rms_z"] = rms(z[group])
        figures[f"{form}_{name}_median_rel"] = median(off for off, _ in relative[group])
        figures[f"{form}_{name}_area_mean_z"] = fmean(area_z[group])
        missed = "" if abs(fmean(z[group])) <= MOST_BIAS else f"   more than {MOST_BIAS:g}"
        print(
            f"  {group}: mean z {fmean(z[group]):+6.2f}   RMS z {rms(z[group]):5.2f}   "
            f"median deviation {100 * figures[f'{form}_{name}_median_rel']:+6.2f} %   "
            f"area alone {fmean(area_z[group]):+6.2f}{missed}"
        )
        strong = [off for off, true in relative[group] if true > 1e5]
        assert not strong or abs(median(strong)) < MOST_RELATIVE, f"{group} of {form} is wrong"
    assert DEVIANCE[0] <= fmean(deviance) <= DEVIANCE[1], "the band is not fitted"
    return figures


def main() -> int:
    """Calibrate the instrument, fit, score, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", metavar="DIR", type=Path)
    parser.add_argument("--out", metavar="OUT", type=Path, required=True)
    parser.add_argument("--json", metavar="FILE", type=Path)
    parser.add_argument("--blanks", action="store_true")
    given = parser.parse_args()
    chain = chain_of(given.folder, given.out, 1)
    chain.calibrate_instrument(blanks=given.blanks)
    counts = true_counts(given.folder)
    figures: dict[str, float] = {}
    found = {form: fitted(chain, form) for form in chain.forms}
    if len(found) > 1:
        found["all"] = {name: fits for of_form in found.values() for name, fits in of_form.items()}
    for form, fits in found.items():
        figures |= score(form, fits, counts)
    write_figures(given.json, figures)
    return 0


if __name__ == "__main__":
    sys.exit(main())
