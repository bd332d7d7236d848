"""What a notebook shows of each noun: a title, facts, a figure and tables, with numbers rounded for people."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import singledispatch

import numpy as np

from xrfree.areas import NetAreas
from xrfree.assay import Assay
from xrfree.calibration import Calibration
from xrfree.composition import USUAL_OXIDES, Composition
from xrfree.errors import XrfreeError
from xrfree.fit import RegionFit
from xrfree.intensities import LineIntensities
from xrfree.reference import ReferenceMaterial, ReferenceValue
from xrfree.report.page import data_address, page_template
from xrfree.report.plots import fit_figure, spectrum_figure
from xrfree.report.result_plots import assay_figure, calibration_figure, element_of
from xrfree.report.rounding import display_unit, rounded, rounded_alone
from xrfree.reported import ReportedResults
from xrfree.spectrum import Measurement, Spectrum

EMPHASISED = ("La", "Ce", "Pr", "Nd", "Sm", "Nb")
"""Elements that stand out in figures: those that this program is for."""
_MOST_ROWS = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Head and rows of a table, as texts."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """What is shown of a noun; images are data addresses."""

    title: str
    facts: tuple[tuple[str, str], ...] = ()
    images: tuple[str, ...] = ()
    tables: tuple[Table, ...] = ()


def html(noun: object) -> str:
    """HTML of a noun; everything that comes from outside is escaped."""
    return page_template("noun.html.j2").render(card=card(noun))


@singledispatch
def card(noun: object) -> Card:
    """What is shown of a noun."""
    raise XrfreeError(f"nobody has said how a {type(noun).__name__} looks")


@card.register
def _spectrum(noun: Spectrum) -> Card:
    return Card(
        title=f"Spectrum, {noun.condition.name}",
        facts=_condition_facts(noun),
        images=(data_address(spectrum_figure(noun)),),
    )


def _condition_facts(noun: Spectrum) -> tuple[tuple[str, str], ...]:
    condition = noun.condition
    voltage = None if condition.tube_voltage_kv is None else f"{condition.tube_voltage_kv:g} kV"
    stated = (("anode", condition.anode), ("voltage", voltage), ("filter", condition.filter))
    return (
        *((name, text) for name, text in stated if text),
        ("live time", f"{noun.live_time_s:g} s"),
        ("dead time", f"{100 * noun.dead_time_fraction:.1f} %"),
        ("counts", f"{noun.total_counts}"),
    )


@card.register
def _measurement(noun: Measurement) -> Card:
    heads = ("condition", "live time, s", "dead time, %", "counts", "channels")
    rows = [
        (name, f"{s.live_time_s:g}", f"{100 * s.dead_time_fraction:.1f}", f"{s.total_counts}", f"{s.n_channels}")
        for name, s in noun.spectra.items()
    ]
    return Card(
        title=f"Measurement of {noun.specimen}",
        facts=tuple(("file", source.path) for source in noun.sources),
        images=tuple(data_address(spectrum_figure(s)) for s in noun.spectra.values()),
        tables=(Table(head=heads, rows=tuple(rows)),),
    )


@card.register
def _areas(noun: NetAreas) -> Card:
    return _fitted(noun, noun)


@card.register
def _region_fit(noun: RegionFit) -> Card:
    return _fitted(noun, noun.areas)


def _fitted(fit: NetAreas | RegionFit, areas: NetAreas) -> Card:
    rows = []
    for group, area, u in zip(areas.groups, areas.area, areas.standard_uncertainty, strict=True):
        value, uncertainty = rounded(float(area), float(u))
        rows.append((group, value, uncertainty, rounded_alone(float(area / areas.live_time_s))))
    return Card(
        title=f"Fit of {areas.condition}, {areas.region}: {areas.verdict}",
        facts=(
            *((("reason", areas.reason),) if areas.reason else ()),
            ("reduced deviance", f"{areas.reduced_deviance:.2f}"),
            ("left by pile-up", f"{100 * areas.survival:.2f} %"),
        ),
        images=(data_address(fit_figure(fit, emphasised=EMPHASISED)),) if areas.curve.energy_kev.size else (),
        tables=(Table(head=("line group", "net area, counts", "u", "rate, 1/s"), rows=tuple(rows)),),
    )


@card.register
def _assay(noun: Assay) -> Card:
    rows = []
    for i, component in enumerate(noun.components):
        w, expanded = float(noun.mass_fraction[i]), float(noun.expanded_uncertainty[i])
        unit = display_unit([w, expanded])
        value, uncertainty = rounded(w, expanded, unit)
        limit = rounded_alone(float(noun.detection_limit[i]), unit)
        rows.append((component, value, uncertainty, unit.sign, limit, str(noun.verdicts[i]), noun.reasons[i]))
    k = f"U (k = {noun.coverage_factor:g})"
    return Card(
        title=f"Assay of {noun.specimen}, {noun.basis}",
        facts=(
            ("method", noun.recipe.method),
            ("calibration", noun.recipe.calibration),
            *((("beware", noun.recipe.calibration_caveat),) if noun.recipe.calibration_caveat else ()),
        ),
        images=(data_address(assay_figure(noun)),),
        tables=(Table(head=("", "found", k, "unit", "detection limit", "verdict", "reason"), rows=tuple(rows)),),
    )


@card.register
def _composition(noun: Composition) -> Card:
    order = np.argsort(-noun.mass_fraction)
    rows = []
    for i in order[:_MOST_ROWS]:
        element, w = noun.elements[i], float(noun.mass_fraction[i])
        oxide = USUAL_OXIDES.get(element, "")
        rows.append((element, *_content(w), oxide, *(_content(noun.as_oxides()[oxide]) if oxide else ("", ""))))
    return Card(
        title=f"Composition of {len(noun.elements)} elements",
        facts=(("sum", f"{100 * noun.total:.3f} %"),),
        tables=(Table(head=("element", "content", "unit", "as", "content", "unit"), rows=tuple(rows)),),
    )


def _content(w: float) -> tuple[str, str]:
    unit = display_unit([w])
    return f"{w * float(unit.factor):.4g}", unit.sign


@card.register
def _material(noun: ReferenceMaterial) -> Card:
    heads = ("component", "value", "u", "unit", "kind", "assigned by", "basis")
    stated = (("matrix", noun.matrix), ("certificate", noun.certificate), ("source", noun.source))
    return Card(
        title=f"Reference material {noun.name}",
        facts=tuple((name, text) for name, text in stated if text),
        tables=(Table(head=heads, rows=tuple(map(_value_row, noun.values))),),
    )


def _value_row(value: ReferenceValue) -> tuple[str, ...]:
    unit = display_unit([value.mass_fraction])
    shown, u = rounded(value.mass_fraction, value.standard_uncertainty, unit)
    return (value.component, shown, u, unit.sign, str(value.kind), str(value.assigned_by), str(value.basis))


@card.register
def _calibration(noun: Calibration) -> Card:
    points = {element_of(point.group) for point in noun.points}
    drawn = tuple(e for e in EMPHASISED if e in points) or tuple(sorted(points))
    return Card(
        title=f"Calibration {noun.name}: {noun.status}",
        facts=(("made", noun.created), ("atomic data", noun.tables)),
        images=(data_address(calibration_figure(noun, elements=drawn)),) if drawn else (),
        tables=tuple(table for table in (_sensitivities(noun), _curves(noun)) if table.rows),
    )


def _sensitivities(noun: Calibration) -> Table:
    rows = []
    for i, group in enumerate(noun.groups):
        k, u = rounded(float(noun.log_sensitivity[i]), float(np.sqrt(noun.covariance[i, i])))
        blank, u_blank = rounded(1e6 * float(noun.blank[i]), 1e6 * float(noun.blank_uncertainty[i]))
        standards = len({point.material for point in noun.points if point.group == group})
        scatter = f"{100 * float(noun.relative_scatter[i]):.2f}"
        rows.append((group, k, u, blank, u_blank, scatter, f"{standards}"))
    heads = ("line group", "ln k", "u", "blank, mg/kg", "u", "scatter, %", "standards")
    return Table(head=heads, rows=tuple(rows))


def _curves(noun: Calibration) -> Table:
    rows = []
    for curve in noun.curves:
        unit = display_unit([curve.leave_one_out_rms])
        rms = f"{rounded_alone(curve.leave_one_out_rms, unit)} {unit.sign}"
        name = f"{curve.model.analyte} by {curve.model.line}"
        rows.append((name, str(curve.model.kind), f"{curve.n_standards}", rms, f"{100 * curve.scatter:.2f}"))
    heads = ("curve", "model", "standards", "leave-one-out RMS", "scatter, %")
    return Table(head=heads, rows=tuple(rows))


@card.register
def _intensities(noun: LineIntensities) -> Card:
    rows = (
        (line.line, line.element, str(line.kind), f"{line.rate_per_s:.6g}", _or_dash(line.counting_time_s))
        for line in noun.lines.values()
    )
    heads = ("line", "element", "kind", "rate, 1/s", "time, s")
    return Card(title=f"Line intensities of {noun.specimen}", tables=(Table(head=heads, rows=tuple(rows)),))


def _or_dash(number: float | None) -> str:
    return "–" if number is None else f"{number:g}"


@card.register
def _reported(noun: ReportedResults) -> Card:
    rows: Iterable[tuple[str, ...]] = (
        (value.component, *(("–", "") if value.mass_fraction is None else _content(value.mass_fraction)), value.text)
        for value in noun.values.values()
    )
    heads = ("component", "content", "unit", "as written")
    return Card(title=f"Reported for {noun.specimen}, {noun.method}", tables=(Table(head=heads, rows=tuple(rows)),))
