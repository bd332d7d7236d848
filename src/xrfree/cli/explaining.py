"""`xrfree explain`: where an uncertainty comes from."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.table import Table

from xrfree.batch.assaying import specimen_of
from xrfree.cli import OK, console
from xrfree.cli.documents import load_documents, load_spectra
from xrfree.documents.results import StoredAssay, load_results
from xrfree.errors import XrfreeError
from xrfree.quality.combination import combine, parse_combination
from xrfree.quality.limits import DEFINITION, QUANTIFIED
from xrfree.report.budget import advice, budget_table, contributions, not_stated
from xrfree.report.rounding import DisplayUnit, display_unit, rounded, rounded_alone


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What was asked for on the command line."""

    result: Path
    specimens: Sequence[str] = ()
    components: Sequence[str] = ()
    combinations: Sequence[str] = ()
    png: Path | None = None
    trials: int = 0
    method: Path | None = None
    instrument: Path | None = None
    calibration: Path | None = None
    specimen_list: Path | None = None
    profile: Path | None = None


def run(request: Request) -> int:
    """Show budgets, sums and ratios, and the Monte Carlo check where it is asked for."""
    results = load_results(request.result)
    chosen = _chosen(results.assays, request.specimens, results.path)
    for assay in chosen:
        _explain(assay, request)
        if request.trials:
            _check(assay, request)
    if request.png is not None:
        _draw(chosen[0], request)
    return OK


def _chosen(assays: Sequence[StoredAssay], wanted: Sequence[str], path: Path) -> list[StoredAssay]:
    known = {assay.specimen: assay for assay in assays}
    missing = [name for name in wanted if name not in known]
    if missing or not known:
        held = ", ".join(known) or "no specimen"
        raise XrfreeError(f"{path} holds {held}, not {', '.join(missing) or 'any result'}; choose one of them")
    return [known[name] for name in wanted] if wanted else list(assays)


def _components(assay: StoredAssay, request: Request) -> Sequence[str]:
    unknown = [c for c in request.components if c not in assay.components]
    if unknown:
        known = ", ".join(assay.components)
        raise XrfreeError(f"{assay.specimen} has no result for {', '.join(unknown)}; it has {known}")
    return request.components or assay.analytes


def _explain(assay: StoredAssay, request: Request) -> None:
    console.say(f"{assay.specimen}, {assay.basis}")
    for component in _components(assay, request):
        i = assay.index(component)
        lines = contributions({name: float(u[i]) for name, u in assay.budget.items()})
        value, u = float(assay.mass_fraction[i]), float(assay.standard_uncertainty[i])
        console.show(budget_table(component, value, assay.coverage_factor * u, assay.coverage_factor, lines))
        unit = display_unit([value])
        decision, detection = (rounded_alone(limit[i], unit) for limit in (assay.decision_limit, assay.detection_limit))
        console.say(f"Decision limit {decision}, detection limit {detection} {unit.sign} ({DEFINITION}).")
        console.say(_quantification(float(assay.quantification_limit[i]), unit))
        console.say(advice(lines) + "\n")
    left_out = not_stated(assay.budget)
    if left_out:
        console.say(f"Not stated by themselves in this budget: {'; '.join(left_out)}.\n")
    if request.combinations:
        console.show(_combinations(assay, request.combinations))


def _quantification(limit: float, unit: DisplayUnit) -> str:
    target = f"relative standard uncertainty {100.0 * QUANTIFIED:g} %"
    if not math.isfinite(limit):
        return f"No quantification limit ({target}): what is in proportion to the content is larger."
    return f"Quantification limit {rounded_alone(limit, unit)} {unit.sign} ({target})."


def _combinations(assay: StoredAssay, texts: Sequence[str]) -> Table:
    """Sums and ratios with their uncertainties, and what they would be without correlation."""
    table = Table(title="Sums and ratios", title_justify="left")
    for heading in ("quantity", "value", "± U", "unit", "± U if nothing were correlated"):
        table.add_column(heading, justify="left" if heading in ("quantity", "unit") else "right", no_wrap=True)
    for text in texts:
        combination = parse_combination(text)
        found = combine(combination, assay.components, assay.mass_fraction, assay.covariance)
        expanded = assay.coverage_factor * found.standard_uncertainty
        alone = assay.coverage_factor * float(np.sqrt(np.sum(found.parts**2)))
        unit = None if combination.is_ratio else display_unit([found.value])
        value, u = rounded(found.value, expanded, unit)
        table.add_row(text, value, u, "" if unit is None else unit.sign, rounded_alone(alone, unit))
    return table


def _check(assay: StoredAssay, request: Request) -> None:
    """Repeat the assay with redrawn inputs and compare the scatter with what was stated."""
    if request.method is None:
        raise XrfreeError("--monte-carlo repeats the assay: give --method, and --calibration and --specimens as then")
    from xrfree.monte_carlo import monte_carlo_assay
    from xrfree.quantification import matched_conditions, prepare

    documents = load_documents(
        request.method,
        instrument=request.instrument,
        calibration=request.calibration,
        specimens=request.specimen_list,
    )
    prepared = prepare(documents.method, documents.instrument, documents.calibration)
    for key, digest in (
        ("method_sha256", documents.method.sha256),
        ("instrument_sha256", documents.instrument.sha256),
        ("calibration_sha256", documents.calibration.sha256 if documents.calibration else ""),
    ):
        if assay.recipe[key] != digest:
            what = key.partition("_")[0]
            raise XrfreeError(f"{assay.specimen} was assayed with another {what}; give the one it was assayed with")
    inputs = load_spectra([Path(s["path"]) for s in assay.recipe["sources"]], profile=request.profile, exclude=[])
    measurement = next((m for m in inputs.measurements if m.specimen == assay.specimen), None)
    if measurement is None:
        raise XrfreeError(f"the spectra of {assay.specimen} are not where the result says; assay them again")
    specimen = specimen_of(measurement, documents.method, documents.specimens)
    with console.progress("redrawing") as progress:
        drawn = monte_carlo_assay(
            matched_conditions(measurement, documents.method),
            prepared,
            specimen,
            trials=request.trials,
            seed=1,
            progress=progress,
        )
    table = Table(
        title=f"Monte Carlo check, {len(drawn.mass_fraction)} trials (GUM supplement 1)", title_justify="left"
    )
    for heading in ("", "u stated", "u of the draws", "ratio", "unit"):
        table.add_column(heading, justify="right", no_wrap=True)
    for component in _components(assay, request):
        i = assay.index(component)
        stated, found = float(assay.standard_uncertainty[i]), float(drawn.standard_uncertainty[i])
        unit = display_unit([float(assay.mass_fraction[i])])
        ratio = f"{stated / found:.2f} ± {2 * drawn.own_uncertainty * stated / found:.2f}"
        table.add_row(component, rounded_alone(stated, unit), rounded_alone(found, unit), ratio, unit.sign)
    console.show(table)
    if drawn.refused:
        console.say(f"{drawn.refused} trials could not be assayed.")


def _draw(assay: StoredAssay, request: Request) -> None:
    from xrfree.report.charts import budget_figure
    from xrfree.report.plots import write_png

    budgets = {
        c: contributions({name: float(u[assay.index(c)]) for name, u in assay.budget.items()})
        for c in _components(assay, request)
    }
    if request.png is not None:
        write_png(request.png, budget_figure(assay.specimen, budgets))
        console.say(f"Picture: {request.png.resolve()}")
