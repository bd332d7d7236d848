"""One self-contained HTML page: results, fits, refusals, and the conventions they are to be read with."""

from __future__ import annotations

import base64
import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from xrfree.areas import FitVerdict, NetAreas
from xrfree.assay import Assay, Recipe, Verdict
from xrfree.composition import USUAL_OXIDES, element_fraction
from xrfree.quality.gating import GateReport
from xrfree.quality.validity import matrix_told
from xrfree.report.budget import CONTRIBUTION_NAMES
from xrfree.report.files import write_text
from xrfree.report.gates import verdict_of_batch
from xrfree.report.plots import fit_figure, png
from xrfree.report.refused import Refusal
from xrfree.report.rounding import DisplayUnit, display_unit, rounded, rounded_alone

if TYPE_CHECKING:
    import jinja2
    from matplotlib.figure import Figure

MOST_PLOTTED = 20
"""Specimens whose fits are drawn on the page; more would make it too large to open."""

_SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
_VERDICT_CLASSES = {
    Verdict.DETECTED: "detected",
    Verdict.NOT_DETECTED: "not-detected",
    Verdict.DOUBTFUL: "doubtful",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """One fitted region as the page shows it; `image` is a data address, empty where none is drawn."""

    condition: str
    region: str
    verdict: str
    good: bool
    reason: str
    reduced_deviance: str
    image: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One component of one specimen, rounded and with its unit."""

    component: str
    unit: str
    value: str
    uncertainty: str
    relative_uncertainty: str
    decision_limit: str
    detection_limit: str
    quantification_limit: str
    oxide: str
    oxide_value: str
    verdict: str
    style: str
    reason: str
    shares: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Specimen:
    """One specimen as the page shows it."""

    anchor: str
    name: str
    basis: str
    remark: str
    coverage_factor: str
    analytes: tuple[Row, ...]
    others: tuple[Row, ...]
    contributions: tuple[str, ...]
    fits: tuple[Fit, ...]
    sources: tuple[tuple[str, str], ...]
    iterations: int
    plotted: bool = field(default=False)


def write_report(
    path: Path,
    assays: Sequence[Assay],
    refusals: Sequence[Refusal],
    *,
    created: dt.datetime,
    title: str = "",
    left_out: tuple[int, int] = (0, 0),
    gates: GateReport | None = None,
) -> None:
    """Write the report of a batch.

    created : with a time zone.
    title : of the page; "Assay report" where it is empty.
    left_out : assays and refusals that the page says are elsewhere.
    gates : what the method's gates found; None where it has none.
    """
    write_text(path, report_html(assays, refusals, created=created, title=title, left_out=left_out, gates=gates))


def report_html(
    assays: Sequence[Assay],
    refusals: Sequence[Refusal],
    *,
    created: dt.datetime,
    title: str = "",
    left_out: tuple[int, int] = (0, 0),
    gates: GateReport | None = None,
) -> str:
    """Text of the report; everything that comes from outside is escaped."""
    units = analyte_units(assays)
    analytes = tuple(units)
    specimens = [_specimen(i, assay, units) for i, assay in enumerate(assays)]
    return page_template("report.html.j2").render(
        title=title or "Assay report",
        created=time_text(created),
        recipes=_recipes(assays),
        analytes=[(a, units[a].sign) for a in analytes],
        specimens=specimens,
        summary=[_summary(specimen, analytes) for specimen in specimens],
        factors=_joined(f"{assay.coverage_factor:g}" for assay in assays),
        counts=_verdict_counts(assays),
        refusals=refusals,
        oxides=_oxide_convention(analytes),
        most_plotted=MOST_PLOTTED,
        left_out=left_out,
        gates=gates,
        batch_verdict="" if gates is None else verdict_of_batch(gates),
        styles={str(verdict): style for verdict, style in _VERDICT_CLASSES.items()},
    )


def write_fit_report(
    path: Path,
    fits: Sequence[tuple[str, NetAreas]],
    *,
    created: dt.datetime,
    title: str,
    facts: Sequence[tuple[str, str]],
) -> None:
    """Write a page of fits, each with its label; `facts` stand at the top."""
    shown = [(label, _fit(areas, (), drawn=True)) for label, areas in fits]
    page = page_template("fits.html.j2").render(
        title=title,
        created=time_text(created),
        facts=facts,
        fits=shown,
        n_poor=sum(not fit.good for _, fit in shown),
    )
    write_text(path, page)


def page_template(name: str) -> jinja2.Template:
    """A template of ours; everything that comes from outside is escaped, and a missing value is an error."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("xrfree.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(name)


def time_text(moment: dt.datetime) -> str:
    """A moment as pages write it, with its offset from UTC."""
    offset = moment.strftime("%z")
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC{offset[:3]}:{offset[3:]}"


def _joined(texts: Any) -> str:
    return ", ".join(sorted(set(texts)))


def analyte_units(assays: Sequence[Assay]) -> dict[str, DisplayUnit]:
    """All analytes of some assays, and the unit in which each is shown with all of them."""
    analytes = tuple(dict.fromkeys(a for assay in assays for a in assay.analytes))
    return {a: display_unit(_fractions(assays, a)) for a in analytes}


def _fractions(assays: Sequence[Assay], component: str) -> list[float]:
    holding = (assay for assay in assays if component in assay.components)
    return [float(assay.mass_fraction[assay.components.index(component)]) for assay in holding]


def _recipes(assays: Sequence[Assay]) -> list[dict[str, str]]:
    """What the results were made with; one entry unless results of several batches are shown together."""
    return list(map(dict, dict.fromkeys(tuple(_recipe_facts(a.recipe).items()) for a in assays)))


def _recipe_facts(recipe: Recipe) -> dict[str, str]:
    return {
        "method": recipe.method,
        "method_sha256": recipe.method_sha256,
        "instrument": recipe.instrument,
        "instrument_sha256": recipe.instrument_sha256,
        "calibration": recipe.calibration or "none: fundamental parameters",
        "calibration_sha256": recipe.calibration_sha256,
        "caveat": recipe.calibration_caveat,
        "tables": recipe.tables,
        "software_version": recipe.software_version,
    }


def _verdict_counts(assays: Sequence[Assay]) -> dict[str, int]:
    """How often each verdict was given to an analyte."""
    found = [v for a in assays for c, v in zip(a.components, a.verdicts, strict=True) if c in a.analytes]
    return {str(verdict): found.count(verdict) for verdict in Verdict}


def _summary(specimen: Specimen, analytes: Sequence[str]) -> tuple[Specimen, list[Row | None]]:
    rows = {row.component: row for row in specimen.analytes}
    return specimen, [rows.get(analyte) for analyte in analytes]


def _specimen(index: int, assay: Assay, units: dict[str, DisplayUnit]) -> Specimen:
    drawn = index < MOST_PLOTTED
    rows = [component_row(assay, i, units.get(c)) for i, c in enumerate(assay.components)]
    rows, remark = _told_once(rows)
    return Specimen(
        anchor=f"specimen-{index + 1}",
        name=assay.specimen,
        basis=assay.basis,
        remark=remark,
        coverage_factor=f"{assay.coverage_factor:g}",
        analytes=tuple(row for row in rows if row.component in assay.analytes),
        others=tuple(row for row in rows if row.component not in assay.analytes),
        contributions=tuple(CONTRIBUTION_NAMES.get(name, name) for name in assay.budget),
        fits=tuple(_fit(areas, assay.analytes, drawn=drawn) for areas in assay.areas),
        sources=tuple(zip(assay.recipe.sources, assay.recipe.source_sha256, strict=True)),
        iterations=assay.iterations,
        plotted=drawn,
    )


def _told_once(rows: Sequence[Row]) -> tuple[list[Row], str]:
    """The rows without what all analytes are told of the matrix, and that; empty where there is nothing to tell."""
    parts = [row.reason.partition(matrix_told("")) for row in rows]
    remarks = dict.fromkeys(mark + matrix for _, mark, matrix in parts if mark)
    kept = [replace(row, reason=own.removesuffix("; ")) for row, (own, _, _) in zip(rows, parts, strict=True)]
    return kept, "; ".join(remarks)


def component_row(assay: Assay, i: int, unit: DisplayUnit | None = None) -> Row:
    """Component number `i` of an assay, rounded, in a unit or in the one that suits it."""
    component, w, expanded = assay.components[i], assay.mass_fraction[i], assay.expanded_uncertainty[i]
    unit = unit or display_unit([w])
    value, uncertainty = rounded(w, expanded, unit)
    verdict = assay.verdicts[i]
    oxide, oxide_value = _as_oxide(component, w, expanded, unit)
    return Row(
        component=component,
        unit=unit.sign,
        value=value,
        uncertainty=uncertainty,
        relative_uncertainty=rounded_alone(100.0 * expanded / w) if w > assay.decision_limit[i] else "–",
        decision_limit=rounded_alone(assay.decision_limit[i], unit),
        detection_limit=rounded_alone(assay.detection_limit[i], unit),
        quantification_limit=rounded_alone(assay.quantification_limit[i], unit),
        oxide=oxide,
        oxide_value=oxide_value,
        verdict=str(verdict),
        style=_VERDICT_CLASSES[verdict],
        reason=assay.reasons[i],
        shares=_variance_shares(assay, i),
    )


def _as_oxide(component: str, w: float, expanded: float, unit: DisplayUnit) -> tuple[str, str]:
    oxide = USUAL_OXIDES.get(component, "")
    if not oxide:
        return "", ""
    share = element_fraction(oxide, component)
    return _subscripted(oxide), rounded(w / share, expanded / share, unit)[0]


def _subscripted(formula: str) -> str:
    """A formula for people: La2O3 as La₂O₃."""
    return formula.translate(_SUBSCRIPTS)


def _variance_shares(assay: Assay, i: int) -> tuple[int, ...]:
    """Share (%) of each contribution in the variance of one component."""
    variances = np.array([float(u[i]) ** 2 for u in assay.budget.values()])
    total = variances.sum()
    return tuple(round(100.0 * v / total) if total > 0.0 else 0 for v in variances.tolist())


def _fit(areas: NetAreas, emphasised: Sequence[str], *, drawn: bool) -> Fit:
    return Fit(
        condition=areas.condition,
        region=areas.region,
        verdict=str(areas.verdict),
        good=areas.verdict is FitVerdict.GOOD,
        reason=areas.reason,
        reduced_deviance=f"{areas.reduced_deviance:.2f}",
        image=data_address(fit_figure(areas, emphasised=emphasised)) if drawn and areas.curve.energy_kev.size else "",
    )


def data_address(figure: Figure) -> str:
    """The figure as a PNG that stands in the page itself."""
    return f"data:image/png;base64,{base64.b64encode(png(figure)).decode('ascii')}"


def _oxide_convention(analytes: Sequence[str]) -> list[tuple[str, str, str]]:
    """Element, oxide, and the factor from the mass fraction of the element to that of the oxide."""
    known = [(a, USUAL_OXIDES[a]) for a in analytes if a in USUAL_OXIDES]
    return [(a, _subscripted(oxide), f"{1.0 / element_fraction(oxide, a):.4f}") for a, oxide in known]
