"""Plans of measurements for people: tables with rounded numbers, and a CSV for other programs."""

from __future__ import annotations

import csv
import io
import math
from pathlib import Path

from rich.table import Table

from xrfree.planning import Plan
from xrfree.report.files import write_text
from xrfree.report.rounding import display_unit, rounded_alone


def condition_table(found: Plan) -> Table:
    """One row per condition: rate, and relative uncertainty / detection limit of each analyte."""
    table = Table("condition", "tube current", "counts/s", *(f"{a} u, limit" for a in found.analytes), box=None)
    for condition in found.conditions:
        cells = [
            _cell(u, w, limit)
            for u, w, limit in zip(condition.uncertainty, found.content, condition.detection_limit, strict=True)
        ]
        table.add_row(condition.name, f"x {condition.current:.2g}", f"{condition.rate_per_s:.3g}", *cells)
    return table


def _cell(uncertainty: float, content: float, limit: float) -> str:
    if not math.isfinite(uncertainty):
        return "no line"
    return f"{100.0 * uncertainty / content:.2g} %, {_amount(limit)}"


def _amount(mass_fraction: float) -> str:
    if not math.isfinite(mass_fraction):
        return "no line"
    unit = display_unit([mass_fraction])
    return f"{rounded_alone(mass_fraction, unit)} {unit.sign}"


def plan_table(found: Plan) -> Table:
    """Recommended seconds per condition, then content, uncertainty and detection limit of each analyte."""
    table = Table("", "", "", "", box=None, show_header=False)
    for condition, seconds in zip(found.conditions, found.time_s, strict=True):
        if seconds > 0.0:
            table.add_row(condition.name, f"{seconds:.0f} s", "", "")
    table.add_row("analyte", "content", "uncertainty", "detection limit", style="bold")
    rows = zip(found.analytes, found.content, found.uncertainty, found.detection_limit, strict=True)
    for analyte, content, uncertainty, limit in rows:
        table.add_row(analyte, _amount(content), f"{100.0 * uncertainty / content:.2g} %", _amount(limit))
    return table


def write_plan_csv(path: Path, found: Plan) -> None:
    """All numbers in kg/kg and seconds: one row per condition and analyte, and one per analyte for the split."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(
        ["condition", "time_s", "current", "rate_per_s", "analyte", "content", "uncertainty", "detection_limit"]
    )
    for condition in found.conditions:
        for k, analyte in enumerate(found.analytes):
            numbers = (found.content[k], condition.uncertainty[k], condition.detection_limit[k])
            start = [condition.name, found.total_s, condition.current, condition.rate_per_s, analyte]
            writer.writerow([*start, *map(float, numbers)])
    split = " + ".join(f"{t:.0f} s {c.name}" for t, c in zip(found.time_s, found.conditions, strict=True) if t > 0.0)
    for k, analyte in enumerate(found.analytes):
        numbers = (found.content[k], found.uncertainty[k], found.detection_limit[k])
        writer.writerow([split, found.total_s, "", "", analyte, *map(float, numbers)])
    write_text(path, text.getvalue())
