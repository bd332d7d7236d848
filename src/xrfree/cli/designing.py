"""`xrfree design-standards`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from xrfree.atomic import parse_formula
from xrfree.cli import OK, console
from xrfree.curves.calibrating import theory_of
from xrfree.curves.design import (
    Component,
    Design,
    DesignPrediction,
    design_mixtures,
    inflation_with,
    most_helpful,
    predict_design,
)
from xrfree.documents._base import write_toml
from xrfree.documents.certificates import load_certificates
from xrfree.documents.design import DesignDocument, PredictionDocument, load_design
from xrfree.documents.instrument import load_instrument
from xrfree.documents.line_method import line_method_instrument_path, load_line_method
from xrfree.documents.weighing import SCHEMA as WEIGHING_SCHEMA
from xrfree.regression.collinearity import WARNING_INFLATION
from xrfree.report.files import prepare_folder, write_text
from xrfree.report.tables import csv_text


def run(path: Path, *, out: Path, existing: Path | None) -> int:
    """Plan mixtures, write the plan, and say what it is worth."""
    wanted = load_design(path)
    materials = () if existing is None else load_certificates(existing)
    there = [{e: v.mass_fraction for e, v in m.element_values().items()} for m in materials]
    prepare_folder(out)
    with console.waiting("exchanging levels"):
        design = design_mixtures(
            [Component(name=n, formula=c.formula, low=c.low, high=c.high) for n, c in wanted.components.items()],
            wanted.base.name,
            wanted.n_mixtures,
            mass_g=wanted.mass_g,
            resolution_g=wanted.resolution_g,
            seed=wanted.seed,
            largest_correlation=wanted.largest_correlation,
            least_base=wanted.base.least,
        )
    order = most_helpful(design, there)
    names = [f"{wanted.name} {place + 1:02d}" for place in range(wanted.n_mixtures)]
    _write_sheet(out / "weighing-sheet.csv", wanted, design, order, names)
    _write_record(out / "weighing.toml", wanted, design, order, names)
    console.say(
        f"{wanted.n_mixtures} mixtures of {len(design.components)} substances in {design.base}; largest correlation "
        f"{design.largest_correlation:.3f}"
    )
    if there:
        _say_existing(design, order, there)
    if wanted.prediction is not None:
        predicted = _predicted(path, wanted, wanted.prediction, design, order, there)
        _write_prediction(out, predicted, names, [m.name for m in materials])
        _say_prediction(predicted)
    console.say(f"Weigh in the order given: the first mixtures help most. Plan: {out.resolve()}")
    return OK


def _say_existing(design: Design, order: Sequence[int], there: Sequence[Mapping[str, float]]) -> None:
    inflation = inflation_with(design, order, there)
    enough = next((i for i, worst in enumerate(inflation) if worst < WARNING_INFLATION), None)
    console.say(
        f"largest variance inflation of the {len(there)} existing standards: {inflation[0]:.1f}; with all mixtures: "
        f"{inflation[-1]:.2f}"
        + ("" if enough is None else f"; below {WARNING_INFLATION:g} with the first {enough} mixtures")
    )


def _write_sheet(path: Path, wanted: DesignDocument, design: Design, order: Sequence[int], names: list[str]) -> None:
    rows = [
        (name, substance, f"{mass:.6g}", "")
        for name, i in zip(names, order, strict=True)
        for substance, mass in design.masses_g(i, wanted.mass_g).items()
    ]
    write_text(path, csv_text(("mixture", "substance", "planned_g", "weighed_g"), rows))


def _write_record(path: Path, wanted: DesignDocument, design: Design, order: Sequence[int], names: list[str]) -> None:
    substances = {**wanted.components, wanted.base.name: wanted.base}
    data: dict[str, Any] = {
        "schema": WEIGHING_SCHEMA,
        "balance_uncertainty_g": wanted.balance_uncertainty_g,
        "source": f"planned by design {wanted.name}: PLANNED masses, not weighed ones",
        "reagents": {
            name: {
                "formula": s.formula,
                "purity": s.purity,
                "purity_uncertainty": s.purity_uncertainty,
                "lot": s.lot,
            }
            for name, s in substances.items()
        },
        "mixtures": [
            {"name": name, "masses_g": {k: round(m, 9) for k, m in design.masses_g(i, wanted.mass_g).items()}}
            for name, i in zip(names, order, strict=True)
        ],
    }
    comment = "Planned masses. Put in what was weighed, lots and dates, and correct `source`, before this is used."
    write_toml(path, data, comment=comment)


def _predicted(
    path: Path,
    wanted: DesignDocument,
    asked: PredictionDocument,
    design: Design,
    order: Sequence[int],
    there: Sequence[Mapping[str, float]],
) -> DesignPrediction:
    """What mixtures (as beads, where flux is added) and existing standards will show."""
    method_path = path.parent / asked.line_method
    method = load_line_method(method_path)
    theory = theory_of(method, load_instrument(line_method_instrument_path(method_path)))
    base = wanted.base.formula
    contents = [_elements(design, base, i) for i in order] + list(there)
    diluted = [{e: w / (1.0 + asked.flux_per_sample) for e, w in one.items()} for one in contents]
    return predict_design(
        diluted,
        method.models,
        theory,
        element_of={name: line.element for name, line in method.lines.items()},
        rate_scale=asked.rate_scale,
        background_per_s=asked.background_per_s,
        counting_time_s=asked.counting_time_s,
        relative_uncertainty=asked.relative_uncertainty,
    )


def _elements(design: Design, base: str, i: int) -> dict[str, float]:
    total: dict[str, float] = {}
    shares = [(c.formula, float(s)) for c, s in zip(design.components, design.share[i], strict=True)]
    shares.append((base, float(design.base_share[i])))
    for formula, share in shares:
        for element, fraction in parse_formula(formula).items():
            total[element] = total.get(element, 0.0) + share * fraction
    return total


def _write_prediction(out: Path, predicted: DesignPrediction, names: list[str], there: list[str]) -> None:
    rows = [
        (name, *(f"{r:.6g}" for r in rate))
        for name, rate in zip([*names, *there], predicted.rate.tolist(), strict=True)
    ]
    write_text(out / "rates.csv", csv_text(("specimen", *predicted.lines), rows))
    header = ("analyte", "term", "relative_standard_uncertainty", "standard_uncertainty_kg_per_kg")
    shown = [
        (c.analyte, c.term, *("" if v is None else f"{v:.3g}" for v in (c.relative, c.in_content)))
        for c in predicted.coefficients
    ]
    write_text(out / "coefficients.csv", csv_text(header, shown))


def _say_prediction(predicted: DesignPrediction) -> None:
    for c in predicted.coefficients:
        if c.relative is not None:
            inflation = predicted.inflation.get(c.analyte, 1.0)
            console.say(
                f"  {c.analyte}: slope will be known to {100.0 * c.relative:.2g} %; "
                f"largest variance inflation {inflation:.2f}"
            )
