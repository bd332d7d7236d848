"""`xrfree conform`: results against a specification, and the capability of a process over its lots."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.table import Table

from xrfree.cli import OK, REFUSED, console
from xrfree.documents.results import StoredAssay, load_results
from xrfree.documents.specification import Limit, Specification, load_specification
from xrfree.errors import XrfreeError
from xrfree.quality.combination import combine
from xrfree.quality.conformity import Decision, Judgement, Rule, Tolerance, capability, judge
from xrfree.report.files import write_text
from xrfree.report.rounding import display_unit, rounded, rounded_alone
from xrfree.report.tables import csv_text
from xrfree.report.terminal import printable

COLUMNS = (
    "specimen",
    "quantity",
    "value",
    "standard_uncertainty",
    "low",
    "high",
    "rule",
    "risk",
    "decision",
    "conformance_probability",
    "false_decision_probability",
    "specification_sha256",
    "result_sha256",
)


NO_LOTS = frozenset({"standard", "blank", "pure", "monitor", "check"})
"""Roles of what a laboratory measures for itself: nobody delivers it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """One quantity of one specimen with the decision about it."""

    specimen: str
    limit: Limit
    value: float
    u: float
    judgement: Judgement


def run(result: Path, *, specification: Path, specimens: Sequence[str], out: Path | None, lots: bool) -> int:
    """Judge results; exit code 2 where one of them does not conform."""
    stated = load_specification(specification)
    results = load_results(result)
    if results.gates == "hold":
        raise XrfreeError(f"the batch of {results.path} is held by its gates; release it before its results are judged")
    own = {} if specimens else {name: role for name, role in results.roles.items() if role in NO_LOTS}
    chosen = [a for a in results.assays if (a.specimen in specimens if specimens else a.specimen not in own)]
    if not chosen:
        raise XrfreeError(f"{results.path} holds none of the specimens asked for; it has other ones, or none")
    if left := [a.specimen for a in results.assays if a.specimen in own]:
        names = ", ".join(f"{printable(name)} ({printable(own[name])})" for name in left)
        console.note(f"not judged, by their role: {names}")
    judged = [_judged(assay, limit) for assay in chosen for limit in stated.limits]
    console.show(_table(stated, judged))
    for line in statement(stated):
        console.say(line)
    if lots:
        console.show(_capability_table(stated, judged))
    if out is not None:
        write_text(out, csv_text(COLUMNS, (_row(j, stated.sha256, results.sha256) for j in judged)))
        console.say(f"Table: {out.resolve()}")
    failed = any(j.judgement.decision in (Decision.FAIL, Decision.CONDITIONAL_FAIL) for j in judged)
    return REFUSED if failed else OK


def _judged(assay: StoredAssay, limit: Limit) -> Judged:
    found = combine(limit.quantity, assay.components, assay.mass_fraction, assay.covariance)
    judgement = judge(found.value, found.standard_uncertainty, limit.tolerance, rule=limit.rule, risk=limit.risk)
    return Judged(
        specimen=assay.specimen, limit=limit, value=found.value, u=found.standard_uncertainty, judgement=judgement
    )


def statement(specification: Specification) -> list[str]:
    """The decision rules in words, as ISO/IEC 17025:2017, 7.8.6 asks for them."""
    words = {
        Rule.SIMPLE: "simple acceptance: the value found decides; the risk of a false decision is 50 % at a limit",
        Rule.GUARD_BAND: "guard band: the value found must lie inside the limit by more than z u; the risk of a false "
        "acceptance is at most {risk:g} %",
        Rule.CONDITIONAL: "conditional: as with guard bands; what lies nearer to the limit is passed or failed with "
        "reserve (risk {risk:g} %)",
    }
    lines = dict.fromkeys(
        f"Decision rule for {limit.quantity.text}: {words[limit.rule].format(risk=100 * limit.risk)} (JCGM 106:2012)."
        for limit in specification.limits
    )
    return list(lines)


def _table(specification: Specification, judged: Sequence[Judged]) -> Table:
    table = Table(title=f"Conformity with {printable(specification.name)}", title_justify="left")
    for heading in ("specimen", "quantity", "found", "± U (k = 2)", "unit", "permitted", "decision", "P(conforms)"):
        table.add_column(heading, justify="right" if heading in ("found", "± U (k = 2)", "P(conforms)") else "left")
    for j in judged:
        unit = None if j.limit.quantity.is_ratio else display_unit([j.value])
        value, u = rounded(j.value, 2.0 * j.u, unit)
        factor = 1.0 if unit is None else float(unit.factor)
        table.add_row(
            printable(j.specimen),
            j.limit.quantity.text,
            value,
            u,
            "" if unit is None else unit.sign,
            _range_text(j.limit.tolerance, factor),
            str(j.judgement.decision),
            f"{100 * j.judgement.conformance:.1f} %",
        )
    return table


def _range_text(tolerance: Tolerance, factor: float) -> str:
    low, high = (f"{factor * limit:.6g}" for limit in (tolerance.low, tolerance.high))
    if math.isinf(tolerance.high):
        return f"at least {low}"
    return f"at most {high}" if math.isinf(tolerance.low) else f"{low} to {high}"


def _capability_table(specification: Specification, judged: Sequence[Judged]) -> Table:
    table = Table(title="Capability of the process over these lots", title_justify="left")
    for heading in ("quantity", "lots", "mean", "s", "s without u", "Cp", "Cpk", "Cm", "expected outside"):
        table.add_column(heading, justify="left" if heading == "quantity" else "right")
    for limit in specification.limits:
        mine = [j for j in judged if j.limit is limit]
        if len(mine) < 2:
            raise XrfreeError("capability needs the results of two or more lots; give all of them in one file")
        u = (sum(j.u**2 for j in mine) / len(mine)) ** 0.5
        found = capability([j.value for j in mine], u, limit.tolerance)
        unit = None if limit.quantity.is_ratio else display_unit([found.mean])
        mean, s = rounded(found.mean, found.standard_deviation, unit)
        indices = ("–" if math.isnan(c) else f"{c:.2f}" for c in (found.cp, found.cpk, found.measurement))
        table.add_row(
            limit.quantity.text,
            str(found.n),
            mean + ("" if unit is None else f" {unit.sign}"),
            s,
            rounded_alone(found.corrected_sd, unit),
            *indices,
            f"{100 * found.nonconforming:.2g} %",
        )
    return table


def _row(j: Judged, specification_sha256: str, result_sha256: str) -> tuple[str, ...]:
    numbers = (j.value, j.u, j.limit.tolerance.low, j.limit.tolerance.high)
    value, u, low, high = (repr(float(n)) if math.isfinite(n) else "" for n in numbers)
    return (
        j.specimen,
        j.limit.quantity.text,
        value,
        u,
        low,
        high,
        str(j.limit.rule),
        repr(j.limit.risk),
        str(j.judgement.decision),
        repr(j.judgement.conformance),
        repr(j.judgement.false_decision),
        specification_sha256,
        result_sha256,
    )
