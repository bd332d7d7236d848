"""Pages of the material flow: the balance of a flow sheet, and the chain of custody of a lot."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from xrfree.flow.gross_errors import GrossError, Unaccounted, Verdict, critical_value
from xrfree.flow.lots import Lot, Plausibility, ancestors
from xrfree.flow.reconciliation import Balance
from xrfree.flow.sheet import OUTSIDE, Measured
from xrfree.report.files import write_text
from xrfree.report.page import page_template, time_text
from xrfree.report.rounding import display_unit, rounded
from xrfree.report.sankey import Band, sankey_svg
from xrfree.report.tables import csv_text, safe_cell

SIGNIFICANT = 2.0
"""Imbalances beyond so many standard uncertainties are named."""
KILOGRAMS = {"kg": 1.0, "t": 1000.0}
BALANCE_COLUMNS = (
    "stream",
    "quantity",
    "unit",
    "measured",
    "reconciled",
    "standard_uncertainty",
    "z",
    "detectable_error",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowFindings:
    """Everything that the page of a flow sheet shows."""

    verdict: Verdict
    unaccounted: Sequence[Unaccounted]
    plausibility: Sequence[Plausibility]
    mass_unit: str
    sha256: str


def write_flow_page(path: Path, findings: FlowFindings, *, created: dt.datetime) -> None:
    """Write the page of a flow sheet."""
    balance = findings.verdict.balance
    sheet = balance.sheet
    page = page_template("flow.html.j2").render(
        title=f"Material balance: {sheet.name}",
        created=time_text(created),
        sha256=findings.sha256,
        components=sheet.components,
        mass_unit=findings.mass_unit,
        streams=[_stream_row(balance, stream.name, findings.mass_unit) for stream in sheet.streams],
        recoveries=_recoveries(balance),
        products=[stream.name for stream in sheet.streams if stream.target == OUTSIDE],
        tests=_tests(findings.verdict),
        gross_errors=[_gross_row(e, findings.mass_unit) for e in findings.verdict.gross_errors],
        unaccounted=[_unaccounted_row(u, findings.mass_unit) for u in findings.unaccounted],
        plausibility=findings.plausibility,
        undetermined=[f"{stream}: {what}" for stream, what in balance.undetermined],
        diagrams=[(what, flow_diagram(balance, what, findings.mass_unit)) for what in ("mass", *sheet.components)],
    )
    write_text(path, page)


def flow_diagram(balance: Balance, quantity: str, mass_unit: str) -> str:
    """Sankey diagram (SVG) of the dry mass, or of a component."""
    bands = []
    for stream in balance.sheet.streams:
        amount = balance.dry_mass(stream.name) if quantity == "mass" else balance.metal(stream.name, quantity)
        value, u = _mass(amount, mass_unit)
        bands.append(
            Band(
                name=stream.name,
                source=stream.source,
                target=stream.target,
                value=amount.value,
                label=f"{value} ± {u} {mass_unit}",
            )
        )
    what = "Dry mass" if quantity == "mass" else quantity
    return sankey_svg(bands, title=f"{what} of {balance.sheet.name}")


def write_balance_csv(path: Path, verdict: Verdict) -> None:
    """All quantities, measured and reconciled, in kg and kg/kg with all digits.

    detectable_error : the gross error that the measurement test finds in 95 of 100 cases; empty where it finds none.
    """
    balance = verdict.balance
    z = verdict.first.test_statistics
    critical = critical_value(int((z > 0.0).sum()), false_alarm=verdict.false_alarm)
    detectable = verdict.first.detectable(critical=critical)
    rows = []
    for i, (stream, what) in enumerate(balance.variables):
        measured = repr(float(verdict.first.values[i] + verdict.first.adjusted[i])) if verdict.first.measured[i] else ""
        u = float(balance.standard_uncertainty[i])
        least = float(detectable[i])
        numbers = (measured, repr(float(balance.values[i])), _digits(u), repr(float(z[i])), _digits(least))
        rows.append((safe_cell(stream), what, "kg" if what == "mass" else "kg/kg", *numbers))
    write_text(path, csv_text(BALANCE_COLUMNS, rows))


def _digits(value: float) -> str:
    return repr(value) if math.isfinite(value) else ""


def _mass(amount: Measured, unit: str) -> tuple[str, str]:
    return rounded(amount.value / KILOGRAMS[unit], amount.standard_uncertainty / KILOGRAMS[unit])


def _content(amount: Measured) -> str:
    unit = display_unit([amount.value])
    value, u = rounded(amount.value, amount.standard_uncertainty, unit)
    return f"{value} ± {u} {unit.sign}"


def _stream_row(balance: Balance, name: str, unit: str) -> dict[str, object]:
    stream = balance.sheet.stream(name)
    return {
        "name": name,
        "stage": str(stream.stage),
        "way": f"{stream.source} → {stream.target}",
        "mass": " ± ".join(_mass(balance.dry_mass(name), unit)),
        "contents": [_content(balance.content(name, c)) for c in balance.sheet.components],
    }


def _recoveries(balance: Balance) -> list[tuple[str, list[str]]]:
    rows = []
    for stream in balance.sheet.streams:
        if stream.target == OUTSIDE:
            shares = [balance.recovery(c, stream.name) for c in balance.sheet.components]
            texts = [rounded(100.0 * s.value, 100.0 * s.standard_uncertainty) for s in shares]
            rows.append((stream.name, [f"{value} ± {u}" for value, u in texts]))
    return rows


def _tests(verdict: Verdict) -> dict[str, str]:
    first, last = verdict.first, verdict.balance
    return {
        "objective": f"{first.objective:.1f}",
        "freedom": str(first.freedom),
        "probability": f"{first.probability:.2g}",
        "after": f"{last.probability:.2g}",
        "false_alarm": f"{100.0 * verdict.false_alarm:g}",
        "imbalance": f"{last.imbalance:.1e}",
    }


def _gross_row(error: GrossError, unit: str) -> dict[str, str]:
    if error.quantity == "mass":
        measured = rounded(error.measured / KILOGRAMS[unit], math.nan)[0]
        expected = " ± ".join(_mass(error.estimate, unit))
    else:
        shown = display_unit([error.measured])
        measured = rounded(error.measured, math.nan, shown)[0] + f" {shown.sign}"
        expected = _content(error.estimate)
    return {
        "stream": error.stream,
        "quantity": error.quantity,
        "measured": measured,
        "expected": expected,
        "statistic": f"{error.statistic:.1f}",
        "alternatives": ", ".join(f"{stream} ({what})" for stream, what in error.alternatives),
    }


def _unaccounted_row(row: Unaccounted, unit: str) -> dict[str, object]:
    imbalance = Measured(value=row.imbalance, standard_uncertainty=row.standard_uncertainty)
    share = 100.0 * row.imbalance / row.entering if row.entering > 0.0 else math.nan
    return {
        "step": row.step,
        "quantity": row.quantity,
        "imbalance": " ± ".join(_mass(imbalance, unit)),
        "share": f"{share:.2f}" if math.isfinite(share) else "–",
        "significance": f"{row.significance:.1f}",
        "named": row.significance > SIGNIFICANT,
    }


def write_custody_page(
    path: Path,
    lot: Lot,
    lots: Mapping[str, Lot],
    plausibility: Sequence[Plausibility],
    *,
    created: dt.datetime,
    records: Sequence[tuple[str, str]] = (),
) -> None:
    """Write the chain-of-custody document of a lot: identity, holders, origins, assays, and whether all that fits.

    records : what the ledger holds of it, as (what, digest).
    """
    line = [lot, *(lots[name] for name in ancestors(lot.name, lots))]
    mine = [p for p in plausibility if p.lot in {ancestor.name for ancestor in line}]
    page = page_template("custody.html.j2").render(
        title=f"Chain of custody: {lot.name}",
        created=time_text(created),
        lot=lot,
        line=[_lot_facts(ancestor) for ancestor in line],
        holders=[(ancestor.name, holder) for ancestor in reversed(line) for holder in ancestor.custody],
        plausibility=mine,
        records=records,
    )
    write_text(path, page)


def _lot_facts(lot: Lot) -> dict[str, object]:
    contents = zip(lot.contents.components, lot.contents.mass_fraction, lot.contents.covariance.diagonal(), strict=True)
    return {
        "name": lot.name,
        "stage": str(lot.stage),
        "mass": " ± ".join(rounded(lot.wet_mass.value, lot.wet_mass.standard_uncertainty)),
        "moisture": "–" if lot.moisture is None else _content(lot.moisture),
        "contents": [
            (c, _content(Measured(value=float(w), standard_uncertainty=math.sqrt(float(v))))) for c, w, v in contents
        ],
        "made_of": [(part.lot, f"{part.wet_mass_kg:g}") for part in lot.made_of],
        "step": lot.step,
        "declared_source": lot.declared_source,
        "specimens": lot.specimens,
    }
