"""Findings of a batch's gates for people and for other programs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from xrfree.quality.gating import Finding, GateReport, Outcome
from xrfree.report.files import write_text
from xrfree.report.tables import csv_text

GATE_COLUMNS = ("gate", "kind", "outcome", "specimen", "reason", "repeat")

_WORDS = {
    Outcome.PASS: "released: all gates passed",
    Outcome.WARN: "released with warnings",
    Outcome.HOLD: "held: results must not be released",
}


def verdict_of_batch(report: GateReport) -> str:
    """What the gates say of the whole batch, in words."""
    return _WORDS[report.outcome]


def write_gates_csv(path: Path, report: GateReport) -> None:
    """One row per finding; several specimens are separated by `; `."""
    write_text(path, csv_text(GATE_COLUMNS, (_row(finding) for finding in report.findings)))


def _row(finding: Finding) -> tuple[str, ...]:
    return (
        finding.gate,
        finding.kind,
        str(finding.outcome),
        "; ".join(finding.specimens),
        finding.message,
        "; ".join(finding.repeat),
    )


def gates_document(report: GateReport) -> dict[str, Any]:
    """Findings as plain data."""
    return {
        "outcome": str(report.outcome),
        "repeat": list(report.repeat),
        "findings": [
            {
                "gate": f.gate,
                "kind": f.kind,
                "outcome": str(f.outcome),
                "specimens": list(f.specimens),
                "message": f.message,
                "repeat": list(f.repeat),
            }
            for f in report.findings
        ],
    }


def gate_lines(report: GateReport) -> Iterator[str]:
    """What a person at the terminal needs to know: warnings, reasons to hold, and what to repeat."""
    for finding in report.findings:
        if finding.outcome in (Outcome.WARN, Outcome.HOLD):
            yield f"{finding.outcome}: {finding.gate}: {finding.message}"
    if report.outcome is Outcome.HOLD:
        yield f"Batch held. Repeat: {', '.join(report.repeat) or 'what the gates name above'}"
